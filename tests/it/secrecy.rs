//! No secret in anything at rest or on show (P12, J1; OT-64, OT-82 to OT-84).

use crate::otter;
use otternauts_harness::Otter;
use std::path::Path;

/// 20 values that nothing else could contain.
fn planted() -> Vec<String> {
    (0..20).map(|i| format!("planted{i:02}Zx9-{:016x}", 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(i + 1))).collect()
}

fn base64(text: &str) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let n = chunk.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            out.push(char::from(alphabet[(n >> (18 - 6 * i)) as usize & 63]));
        }
        out.push_str(&"=="[..3 - chunk.len()]);
    }
    out
}

/// Files below a directory that hold a needle.
fn holding(dir: &Path, needles: &[String], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            holding(&path, needles, found);
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else { continue };
        if bytes == vec![0; bytes.len()] {
            // The ballast: nothing but zeros, and much of it.
            continue;
        }
        for needle in needles {
            if bytes.windows(needle.len()).any(|w| w == needle.as_bytes()) {
                found.push(format!("{}: {needle}", path.display()));
            }
        }
    }
}

/// A value that a declared health check asks with, and which what is said of that check must not show. `told` is what people were
/// told: it is planted and looked for where a check really fails, on a real host.
pub fn is_kept(otter: &Otter, value: &str, told: &[&str]) {
    let mut shown = vec![otter.curl_admin("/metrics", &[]).ok().to_owned()];
    for kind in ["stacks", "deployments.otternauts.dev", "events.v1.events.k8s.io", "notifiers", "healrules"] {
        shown.push(otter.kubectl(&["get", kind, "-A", "-o", "json"]).ok().to_owned());
    }
    let health = otter.otter(&["health"]);
    shown.extend([health.stdout, health.stderr]);
    shown.extend(told.iter().map(|text| (*text).to_owned()));
    let needles = [value.to_owned(), base64(value)];
    assert_eq!(leaks(otter, &shown.join("\n"), &needles), [""; 0]);
}

/// Where a needle shows: in a file at rest, in the log, or in what is shown to people.
fn leaks(otter: &Otter, shown: &str, needles: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    holding(&otter.data_dir(), needles, &mut found);
    let log = otter.log();
    found.extend(needles.iter().filter(|n| log.contains(*n)).map(|n| format!("the log: {n}")));
    found.extend(needles.iter().filter(|n| shown.contains(*n)).map(|n| format!("shown: {n}")));
    found
}

fn plant(otter: &Otter, values: &[String]) {
    for (i, value) in values.iter().enumerate() {
        let name = format!("s{i}");
        let yaml = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{key: {value}}}\n");
        match i % 4 {
            0 => otter.kubectl(&["create", "secret", "generic", &name, &format!("--from-literal=key={value}")]),
            1 => otter.kubectl_in(&["apply", "-f", "-"], &yaml),
            2 => otter.kubectl_in(&["apply", "--server-side", "-f", "-"], &yaml),
            _ => {
                otter.kubectl(&["create", "secret", "generic", &name, "--from-literal=key=before"]).ok();
                otter.kubectl(&["patch", "secret", &name, "-p", &format!(r#"{{"stringData":{{"key":"{value}"}}}}"#)])
            }
        }
        .ok();
    }
}

#[test]
fn twenty_planted_secrets_are_nowhere_in_files_logs_or_metrics() {
    let mut otter = otter();
    let values = planted();
    plant(&otter, &values);
    let mut needles = values.clone();
    needles.extend(values.iter().map(|v| base64(v)));
    let metrics = otter.curl_admin("/metrics", &[]).ok().to_owned();
    let check = |otter: &Otter| assert_eq!(leaks(otter, &metrics, &needles), [""; 0]);
    check(&otter);
    // What keys and backups leave behind is searched too.
    let data = otter.data_dir();
    let file = |name: &str| data.join(name).to_str().expect("UTF-8").to_owned();
    let public = otter.otter(&["keys", "new", "--output", &file("operator.key")]).ok().trim().to_owned();
    otter.otter(&["keys", "rotate"]).ok();
    otter.otter(&["keys", "rotate", "--root"]).ok();
    otter.otter(&["backup", "create", "--recipient", &public, "--output", &file("a.backup")]).ok();
    let (backup, restored, identity) = (file("a.backup"), file("restored"), file("operator.key"));
    otter.otter(&["backup", "restore", &backup, "--data-dir", &restored, "--identity", &identity]).ok();
    check(&otter);
    otter.kill();
    check(&otter);
    otter.boot();
    for (i, value) in values.iter().enumerate() {
        let path = format!("/api/v1/namespaces/default/secrets/s{i}");
        assert_eq!(otter.curl_admin(&path, &[]).json()["data"]["key"], base64(value), "s{i} is read back");
    }
}

#[test]
fn a_wrong_or_missing_key_refuses_to_start_and_touches_nothing() {
    let mut otter = otter();
    plant(&otter, &planted()[..1]);
    otter.stop();
    let key = otter.data_dir().join("secret.key");
    let right = std::fs::read_to_string(&key).expect("the first start made a key");
    assert!(right.lines().any(|l| l.starts_with("AGE-SECRET-KEY-1")));
    assert!(otter.log().contains("secret.key"), "the first start says how to keep it");
    let before = snapshot(&otter.data_dir());

    std::fs::remove_file(&key).expect("removable");
    let missing = otternauts_harness::kubectl::run(&mut otter.serve_command(), "");
    assert!(missing.refused().contains("secret.key"), "{}", missing.stderr);
    assert!(!key.exists(), "no new key is made while there is sealed data (J9)");

    let other = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ";
    let mut command = otter.serve_command();
    command.env("OTTERNAUTS_SECRET_KEY", other);
    let wrong = otternauts_harness::kubectl::run(&mut command, "");
    assert!(wrong.refused().to_lowercase().contains("key"), "{}", wrong.stderr);

    std::fs::write(&key, right).expect("writable");
    assert_eq!(snapshot(&otter.data_dir()), before, "nothing was touched");
    otter.boot();
    otter.kubectl(&["get", "secret", "s0"]).ok();
}

/// Names and contents of what is kept (not of locks and shared memory, which opening alone may touch).
fn snapshot(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .expect("readable")
        .flatten()
        .filter(|e| e.path().is_file())
        .map(|e| (e.file_name().to_string_lossy().into_owned(), std::fs::read(e.path()).unwrap_or_default()))
        .filter(|(name, _)| !name.contains("-shm") && !name.ends_with("lock") && !name.ends_with(".kubeconfig"))
        .collect();
    files.sort();
    files
}
