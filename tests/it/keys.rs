//! Keys: listed, rotated, recovered (R28, P14, J6, J9), with `kill -9` in between.

use crate::{OTTER, otter};
use otternauts_harness::kubectl::{Ran, run};
use otternauts_harness::{Otter, OtterOptions, until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub const SECRETS: usize = 150;

pub fn plant(otter: &Otter) {
    let yaml: String = (0..SECRETS)
        .map(|i| {
            format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s{i}}}\nstringData: {{key: value-{i}}}\n")
        })
        .collect();
    otter.kubectl_in(&["create", "-f", "-"], &yaml).ok();
    for i in 0..5 {
        let patch = format!(r#"{{"stringData":{{"key":"changed-{i}"}}}}"#);
        otter.kubectl(&["patch", "secret", &format!("s{i}"), "-p", &patch]).ok();
    }
}

/// The data of every planted Secret, as a client reads it.
pub fn values(otter: &Otter) -> Vec<(String, Value)> {
    let list = otter.curl_admin("/api/v1/namespaces/default/secrets", &[]).json();
    let items = list["items"].as_array().expect("a list");
    let read = |item: &Value| (item["metadata"]["name"].as_str().expect("a name").to_owned(), item["data"].clone());
    let found: Vec<_> = items.iter().map(read).collect();
    assert_eq!(found.len(), SECRETS);
    found
}

pub fn listing(otter: &Otter) -> Value {
    otter.otter(&["keys", "list", "-o", "json"]).json()
}

/// Which data keys the bytes of the database name; the write-ahead log counts.
pub fn named(data_dir: &Path) -> Vec<String> {
    let mut found = std::collections::BTreeSet::new();
    for file in ["otternauts.db", "otternauts.db-wal"] {
        let bytes = std::fs::read(data_dir.join(file)).unwrap_or_default();
        for (at, _) in bytes.windows(9).enumerate().filter(|(_, window)| *window == b"otter:v1:") {
            let number: Vec<u8> = bytes[at + 9..].iter().copied().take_while(u8::is_ascii_digit).collect();
            found.insert(String::from_utf8_lossy(&number).into_owned());
        }
    }
    found.into_iter().collect()
}

/// A command of the program without a server.
fn offline(args: &[&str]) -> Ran {
    run(Command::new(OTTER).args(args).env_remove("KUBECONFIG").env_remove("OTTERNAUTS_SECRET_KEY"), "")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_rotation_leaves_one_data_key_and_no_byte_of_the_old_one() {
    let mut otter = otter();
    plant(&otter);
    let before = values(&otter);
    let first = listing(&otter);
    assert_eq!((&first["active"], &first["rotating"]), (&1.into(), &false.into()), "{first}");
    assert_eq!(first["keys"][0]["rows"], SECRETS + 5, "history counts: {first}");
    let told = otter.otter(&["keys", "rotate"]);
    assert!(told.ok().ends_with("done: data key 2 is the only one; 1 gone\n"), "{}", told.stdout);
    let after = listing(&otter);
    assert_eq!(after["keys"], serde_json::json!([{"number": 2, "rows": SECRETS}]), "{after}");
    assert_eq!(named(&otter.data_dir()), ["2"], "not in the write-ahead log of the running server either");
    assert_eq!(values(&otter), before);
    otter.stop();
    assert_eq!(named(&otter.data_dir()), ["2"]);
    // Offline too, and the other way: no server in between.
    let dir = otter.data_dir();
    let text = offline(&["keys", "rotate", "--data-dir", path(&dir)]);
    assert!(text.ok().ends_with("done: data key 3 is the only one; 2 gone\n"), "{}", text.stdout);
    assert_eq!(named(&dir), ["3"]);
    otter.boot();
    assert_eq!(values(&otter), before);
    let audit = std::fs::read_to_string(dir.join("audit.log")).expect("an audit log");
    assert!(audit.lines().any(|line| line.contains("/admin/keys/rotate")), "a rotation is audited");
}

#[test]
fn a_rotation_that_is_killed_at_any_step_goes_on_at_the_next_start_j6() {
    let mut otter = otter();
    plant(&otter);
    let before = values(&otter);
    let mut active = 1;
    // Each step as `otter keys rotate` tells it.
    for step in ["seals from now on", "100 rewritten", "150 rewritten", "forgotten", "looked through"] {
        let mut command = Command::new(OTTER);
        command.args(["keys", "rotate"]).env("KUBECONFIG", otter.kubeconfig());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let seen = lines.into_iter().any(|line| line.contains(step));
        otter.kill();
        assert!(seen, "step {step:?} was told");
        child.wait().expect("it ends");
        active += 1;
        otter.boot();
        assert_eq!(values(&otter), before, "killed at {step:?}: everything is readable at once");
        let ended = until("the rotation to end", Duration::from_secs(30), || {
            let listing = listing(&otter);
            if listing["rotating"] == false { Ok(listing) } else { Err(listing) }
        });
        let only = serde_json::json!([{"number": active, "rows": SECRETS}]);
        assert_eq!(ended["keys"], only, "killed at {step:?}: {ended}");
        assert_eq!(values(&otter), before);
    }
    otter.stop();
    assert_eq!(named(&otter.data_dir()), [active.to_string()]);
}

#[test]
fn a_new_root_key_takes_over_and_the_old_one_opens_nothing_any_more() {
    let mut otter = otter();
    plant(&otter);
    let before = values(&otter);
    let dir = otter.data_dir();
    let key = || std::fs::read_to_string(dir.join("secret.key")).expect("a key");
    let old = key();
    let root = listing(&otter)["root"].clone();
    let told = otter.otter(&["keys", "rotate", "--root"]);
    assert!(told.ok().starts_with("done: the root key is age1"), "{}", told.stdout);
    assert!(!told.stdout.contains("AGE-SECRET-KEY"));
    let root = root.as_str().expect("text").as_bytes();
    for file in ["otternauts.db", "otternauts.db-wal"] {
        let bytes = std::fs::read(dir.join(file)).expect("read");
        let found = bytes.windows(root.len()).any(|window| window == root);
        assert!(!found, "{file} of the running server has the keyring that the old key opens");
    }
    assert_ne!(listing(&otter)["root"].as_str().expect("text").as_bytes(), root);
    assert_ne!(key(), old);
    assert_eq!(std::fs::read_to_string(dir.join("secret.key.old")).expect("kept aside"), old);
    otter.kill();
    otter.boot();
    assert!(!dir.join("secret.key.old").exists(), "a start with the new key was good");
    assert_eq!(values(&otter), before);
    otter.stop();
    let mut command = otter.serve_command();
    command.env("OTTERNAUTS_SECRET_KEY", old.trim());
    let refused = run(&mut command, "");
    assert!(refused.refused().contains("sealed for the key"), "{}", refused.stderr);
}

/// P14: another program that reads keeps the old keyring in the write-ahead log. The key is replaced all the same, the server works with
/// it, and what was left is done by the next start.
#[test]
fn a_new_root_key_counts_although_a_reader_keeps_the_keyring_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let (identity, public) = crate::backup::key(dir.path(), "operator.key");
    let mut otter = otter();
    otter.kubectl(&["create", "secret", "generic", "s", "--from-literal=key=value"]).ok();
    let database = otter.data_dir().join("otternauts.db");
    let reader = rusqlite::Connection::open(&database).expect("opens");
    reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").expect("reads");
    let refused = otter.otter(&["keys", "rotate", "--root"]);
    assert!(refused.refused().contains("the root key is age1"), "{}", refused.stderr);
    let file = dir.path().join("a.backup");
    otter.otter(&["backup", "create", "--recipient", &public, "--output", path(&file)]).ok();
    offline(&["backup", "verify", path(&file), "--identity", path(&identity)]).ok();
    reader.execute_batch("ROLLBACK").expect("ends");
    otter.otter(&["keys", "rotate"]).ok();
    assert_eq!(otter.stop(), 0);
    otter.boot();
    assert_eq!(otter.kubectl(&["get", "secret", "s", "-o", "jsonpath={.data.key}"]).ok(), "dmFsdWU=");
    let public = std::fs::read_to_string(otter.data_dir().join("secret.key.pub")).expect("there");
    assert_eq!(public.lines().count(), 1, "{public}");
}

#[test]
fn a_lost_root_key_is_replaced_with_a_recovery_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let (recovery, other) = (dir.path().join("recovery.key"), dir.path().join("other.key"));
    let public = offline(&["keys", "new", "--output", path(&recovery)]).ok().trim().to_owned();
    offline(&["keys", "new", "--output", path(&other)]).ok();
    let exists = offline(&["keys", "new", "--output", path(&recovery)]);
    assert!(exists.refused().contains("cannot make"), "{}", exists.stderr);
    assert_eq!(exists.code, 6, "it exists already");
    let args = vec!["--recovery-recipient".to_owned(), public.clone()];
    let mut otter = Otter::start(OtterOptions { args, ..OtterOptions::api(OTTER) });
    plant(&otter);
    let before = values(&otter);
    assert_eq!(listing(&otter)["recovery"], serde_json::json!([public]));
    // Rotations keep it.
    otter.otter(&["keys", "rotate"]).ok();
    otter.otter(&["keys", "rotate", "--root"]).ok();
    assert_eq!(listing(&otter)["recovery"], serde_json::json!([public]));
    let data = otter.data_dir();
    let running = offline(&["keys", "recover", "--identity", path(&recovery), "--data-dir", path(&data)]);
    assert!(running.refused().contains("stop the server first: another otter already runs"), "{}", running.stderr);
    otter.kill();
    let nobody = otter.otter(&["keys", "list"]);
    assert_eq!(nobody.code, 8, "nobody answers");
    assert_eq!(nobody.refused().lines().count(), 1, "{}", nobody.stderr);
    assert!(nobody.stderr.starts_with("otter: cannot reach the API server: "), "{}", nobody.stderr);
    for name in ["secret.key", "secret.key.old"] {
        std::fs::remove_file(data.join(name)).expect("lost");
    }
    let refused = run(&mut otter.serve_command(), "");
    assert!(refused.refused().contains("no key was given"), "{}", refused.stderr);
    let wrong = offline(&["keys", "recover", "--identity", path(&other), "--data-dir", path(&data)]);
    assert!(wrong.refused().contains(&public), "the error names who could: {}", wrong.stderr);
    assert!(!data.join("secret.key").exists(), "nothing was changed");
    let done = offline(&["keys", "recover", "--identity", path(&recovery), "--data-dir", path(&data)]);
    assert!(done.ok().starts_with("done: the new root key age1"), "{}", done.stdout);
    otter.boot();
    assert_eq!(values(&otter), before);
    assert_eq!(listing(&otter)["recovery"], serde_json::json!([public]));
}

#[test]
fn keys_are_an_administrators_matter() {
    let otter = otter();
    let dir = tempfile::tempdir().expect("a directory");
    let viewer = dir.path().join("viewer.kubeconfig");
    let text = otter.otter(&["kubeconfig", "--user", "eve", "--data-dir", path(&otter.data_dir())]);
    std::fs::write(&viewer, text.ok()).expect("written");
    for args in [&["keys", "list"][..], &["keys", "rotate"], &["keys", "rotate", "--root"]] {
        let refused = run(Command::new(OTTER).args(args).args(["--kubeconfig", path(&viewer)]), "");
        assert!(refused.refused().starts_with("otter: the server has refused: forbidden"), "{}", refused.stderr);
        assert_eq!(refused.code, 4, "not allowed");
    }
    assert_eq!(listing(&otter)["active"], 1);
    let bad = otter.curl_admin("/admin/keys/rotate", &["-X", "POST", "-d", r#"{"roots":true}"#]).json();
    assert_eq!((&bad["code"], &bad["kind"]), (&400.into(), &"Status".into()), "{bad}");
}
