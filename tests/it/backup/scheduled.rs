//! Backups that the server makes by itself (R43): to a directory and to S3, kept, tried, and told of when they fail.

use super::{key, offline, path};
use crate::OTTER;
use otternauts_harness::kubectl::run;
use otternauts_harness::skip::skip;
use otternauts_harness::{Otter, OtterOptions, ports, until};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn args(to: &str, public: &str) -> Vec<String> {
    let args = ["--backup-schedule", "1d", "--backup-keep", "2", "--backup-to", to, "--backup-recipient", public];
    args.map(str::to_owned).to_vec()
}

fn metric(otter: &Otter, series: &str) -> Option<f64> {
    let page = otter.curl_admin("/metrics", &[]).ok().to_owned();
    page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

fn reaches(otter: &Otter, series: &str, least: f64) {
    until(series, PATIENCE, || match metric(otter, series) {
        Some(value) if value >= least => Ok(()),
        other => Err(other),
    });
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("read").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_scheduled_backup_is_made_tried_and_kept_and_old_ones_of_the_same_store_go() {
    let dir = tempfile::tempdir().expect("a directory");
    let (identity, public) = key(dir.path(), "operator.key");
    let to = dir.path().join("backups");
    let options = OtterOptions { args: args(path(&to), &public), ..OtterOptions::api(OTTER) };
    let mut otter = Otter::start(options);
    otter.kubectl(&["create", "secret", "generic", "s", "--from-literal=key=value"]).ok();
    reaches(&otter, r#"otternauts_backup_restore_tests_total{target="directory",result="success"}"#, 1.0);
    reaches(&otter, r#"otternauts_backups_total{target="directory",result="success"}"#, 1.0);
    assert!(metric(&otter, r#"otternauts_backup_size_bytes{target="directory"}"#).is_some_and(|bytes| bytes > 1000.0));
    let [first] = names(&to).try_into().expect("one backup");
    let store = first.split('-').nth(1).expect("the store's name").to_owned();
    offline(&["backup", "verify", path(&to.join(&first)), "--identity", path(&identity)]).ok();
    assert!(!otter.data_dir().join("restore-test").exists(), "the place of the test is cleared");
    otter.stop();
    let before = names(&to);
    otter.boot();
    reaches(&otter, r#"otternauts_backup_last_success_timestamp_seconds{target="directory"}"#, 1.0);
    assert_eq!(names(&to), before, "none is due: the newest one is found at the target");
    otter.stop();

    // The newest is gone, so one is due; of the store's old ones the newest stays beside it.
    std::fs::remove_file(to.join(&first)).expect("removed");
    let old = |store: &str, day: u32| format!("otternauts-{store}-202001{day:02}T000000Z-7.backup");
    for name in [old(&store, 1), old(&store, 2), old(&store, 3), old("ffffffff", 1), "note.txt".to_owned()] {
        std::fs::write(to.join(name), b"old").expect("written");
    }
    otter.boot();
    until("the old ones to go", PATIENCE, || {
        let now = names(&to);
        let gone = !now.contains(&old(&store, 1)) && !now.contains(&old(&store, 2));
        if gone && now.len() == 4 { Ok(()) } else { Err(now) }
    });
    let now = names(&to);
    assert!(
        [old(&store, 3), old("ffffffff", 1), "note.txt".to_owned()].iter().all(|name| now.contains(name)),
        "{now:?}"
    );
}

/// P16: what cannot be read is left out, told by name, and no older backup that may have it goes for the new one.
#[test]
fn a_backup_without_what_is_damaged_is_told_of_and_takes_no_older_ones_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let (identity, public) = key(dir.path(), "operator.key");
    let to = dir.path().join("backups");
    let mut otter = Otter::start(OtterOptions { args: args(path(&to), &public), ..OtterOptions::api(OTTER) });
    otter.kubectl(&["create", "configmap", "broken", "--from-literal=a=DAMAGE-THIS"]).ok();
    reaches(&otter, r#"otternauts_backups_total{target="directory",result="success"}"#, 1.0);
    otter.stop();
    crate::damage::damage(&otter, "DAMAGE-THIS");
    let [whole] = names(&to).try_into().expect("one backup");
    let store = whole.split('-').nth(1).expect("the store's name").to_owned();
    std::fs::remove_file(to.join(&whole)).expect("removed, so one is due");
    let old = (1..=3).map(|day| format!("otternauts-{store}-202001{day:02}T000000Z-7.backup"));
    let old: Vec<String> = old.collect();
    old.iter().for_each(|name| std::fs::write(to.join(name), b"old").expect("written"));
    otter.boot();
    let told = ["get", "events", "-n", "default", "-o", "jsonpath={range .items[*]}{.reason} {.type} {.message}{end}"];
    until("an Event", PATIENCE, || {
        let told = otter.kubectl(&told).ok().to_owned();
        let named = told.contains("BackupIncomplete Warning") && told.contains("configmaps default/broken");
        if named { Ok(()) } else { Err(told) }
    });
    let now = names(&to);
    assert!(now.len() == 4 && old.iter().all(|name| now.contains(name)), "{now:?}");
    let made = now.iter().find(|name| !old.contains(name)).expect("a new one");
    let found =
        offline(&["backup", "verify", path(&to.join(made)), "--identity", path(&identity), "-o", "json"]).json();
    assert_eq!(found["unreadable"], serde_json::json!(["configmaps default/broken"]), "{found}");
}

#[test]
fn a_schedule_that_cannot_work_is_refused_at_start_or_told_as_event_and_metric_a13() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_, public) = key(dir.path(), "operator.key");
    let blocked = dir.path().join("a-file");
    std::fs::write(&blocked, b"no directory").expect("written");
    let options = OtterOptions { args: args(path(&blocked), &public), ..OtterOptions::api(OTTER) };
    let otter = Otter::start(options);
    reaches(&otter, r#"otternauts_backups_total{target="directory",result="failure"}"#, 1.0);
    let reasons =
        ["get", "events", "-n", "default", "-o", "jsonpath={range .items[*]}{.reason} {.type} {.message}{end}"];
    until("an Event", PATIENCE, || {
        let told = otter.kubectl(&reasons).ok().to_owned();
        if told.contains("BackupFailed Warning") && told.contains("a-file") { Ok(()) } else { Err(told) }
    });
    let serve = |more: &[&str]| {
        let data = dir.path().join("data");
        let mut command = Command::new(OTTER);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", path(&data), "--controllers=none"]).args(more);
        run(&mut command, "").refused().to_owned()
    };
    let to = path(dir.path());
    for (more, expected) in [
        (&["--backup-schedule", "1d", "--backup-to", to][..], "nobody could decrypt the scheduled backups"),
        (&["--backup-schedule", "1d"], "need one another"),
        (&["--backup-schedule", "often", "--backup-to", to, "--backup-recipient", &public], "is no schedule"),
        (
            &["--backup-schedule", "1d", "--backup-to", "ftp://x", "--backup-recipient", &public],
            "neither a directory nor",
        ),
        (
            &["--backup-schedule", "1d", "--backup-to", to, "--backup-recipient", &public, "--backup-keep", "0"],
            "at least 1",
        ),
    ] {
        let refused = serve(more);
        assert!(refused.contains(expected), "{more:?}: {refused}");
    }
}

/// A server that speaks S3, killed when dropped.
struct S3 {
    child: Child,
    url: String,
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// curl, signing as S3 wants it: another client than ours.
fn curl(args: &[&str]) -> otternauts_harness::Ran {
    let mut command = Command::new("curl");
    command.args(["-sS", "-f", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", "otto:planted-s3-secret"]);
    run(command.args(args), "")
}

/// moto, a server that is widely used to test programs against S3. It does not check signatures; what is signed is the signing crate's own tests' matter.
fn s3(test: &str, log: &Path) -> Option<S3> {
    let program = std::env::var_os("MOTO_SERVER").unwrap_or_else(|| "moto_server".into());
    let there = Command::new(&program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        skip(test, "there is no moto_server (tests/setup s3, then MOTO_SERVER=target/s3/bin/moto_server)");
        return None;
    }
    let port = ports::free();
    let log = std::fs::File::create(log).expect("a log");
    let child = Command::new(&program)
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("moto starts");
    let s3 = S3 { child, url: format!("http://127.0.0.1:{port}") };
    until("moto to answer", PATIENCE, || {
        let made = curl(&["-X", "PUT", &format!("{}/fleet", s3.url)]);
        if made.code == 0 { Ok(()) } else { Err(made.stderr) }
    });
    Some(s3)
}

#[test]
fn a_scheduled_backup_goes_to_a_bucket_is_fetched_to_be_tried_and_old_ones_are_removed_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let test = "a_scheduled_backup_goes_to_a_bucket_is_fetched_to_be_tried_and_old_ones_are_removed_there";
    let Some(s3) = s3(test, &dir.path().join("moto.log")) else { return };
    let (identity, public) = key(dir.path(), "operator.key");
    let to = format!("s3://fleet/prod/otter?endpoint={}&region=us-east-1", s3.url);
    let env = [("AWS_ACCESS_KEY_ID", "otto"), ("AWS_SECRET_ACCESS_KEY", "planted-s3-secret")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut otter = Otter::start(OtterOptions { args: args(&to, &public), env, ..OtterOptions::api(OTTER) });
    otter.kubectl(&["create", "secret", "generic", "s", "--from-literal=key=value"]).ok();
    reaches(&otter, r#"otternauts_backup_restore_tests_total{target="s3",result="success"}"#, 1.0);
    let list = || {
        let told = curl(&[&format!("{}/fleet?list-type=2", s3.url)]).ok().to_owned();
        let keys = told.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        keys.map(str::to_owned).collect::<Vec<_>>()
    };
    let [first] = list().try_into().expect("one object");
    let name = first.strip_prefix("prod/otter/").expect("below its prefix").to_owned();
    let file = dir.path().join("fetched.backup");
    curl(&["-o", path(&file), &format!("{}/fleet/{first}", s3.url)]).ok();
    offline(&["backup", "verify", path(&file), "--identity", path(&identity)]).ok();
    otter.stop();

    let store = name.split('-').nth(1).expect("the store's name").to_owned();
    curl(&["-X", "DELETE", &format!("{}/fleet/{first}", s3.url)]).ok();
    let old = |day: u32| format!("prod/otter/otternauts-{store}-202001{day:02}T000000Z-7.backup");
    for key in [old(1), old(2), old(3), "prod/otter/note.txt".to_owned()] {
        curl(&["-X", "PUT", "-d", "old", &format!("{}/fleet/{key}", s3.url)]).ok();
    }
    otter.boot();
    until("the old ones to go", PATIENCE, || {
        let now = list();
        if now.len() == 3 && now.contains(&old(3)) && !now.contains(&old(2)) { Ok(()) } else { Err(now) }
    });
    // A bucket that is not there: told by its code, without the signed address or the secret.
    otter.stop();
    let log = otter.log();
    assert!(!log.contains("planted-s3-secret") && !log.contains("X-Amz-Signature"), "{log}");
    let to = format!("s3://missing/x?endpoint={}", s3.url);
    let env = [("AWS_ACCESS_KEY_ID", "otto"), ("AWS_SECRET_ACCESS_KEY", "planted-s3-secret")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let otter = Otter::start(OtterOptions { args: args(&to, &public), env, ..OtterOptions::api(OTTER) });
    reaches(&otter, r#"otternauts_backups_total{target="s3",result="failure"}"#, 1.0);
    until("the log to say why", PATIENCE, || {
        let log = otter.log();
        if log.contains("NoSuchBucket") { Ok(()) } else { Err(log) }
    });
    let log = otter.log();
    assert!(!log.contains("planted-s3-secret") && !log.contains("X-Amz-Signature"), "{log}");
}
