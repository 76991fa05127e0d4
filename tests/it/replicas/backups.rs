//! Backups with several replicas: one makes those on a schedule, and what a server on etcd has made comes back, on SQLite and on etcd (R43, R44).

use super::{PATIENCE, cluster, options, signal};
use crate::OTTER;
use otternauts_harness::kubectl::{Ran, run};
use otternauts_harness::{Otter, OtterOptions, until};
use std::path::Path;
use std::process::Command;

fn offline(args: &[&str]) -> Ran {
    run(Command::new(OTTER).args(args).env_remove("KUBECONFIG").env_remove("OTTERNAUTS_SECRET_KEY"), "")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn keeps_house(otter: &Otter) -> bool {
    let text = otter.curl_admin("/metrics", &[]).stdout;
    text.contains("leader_election_master_status{name=\"otternauts-housekeeping\"} 1")
}

fn value(otter: &Otter) -> String {
    otter.kubectl(&["get", "secret", "token", "-o", "jsonpath={.data.value}"]).ok().to_owned()
}

fn object(otter: &Otter) -> serde_json::Value {
    otter.curl_admin("/api/v1/namespaces/default/configmaps/kept", &[]).json()
}

#[test]
fn one_replica_makes_the_backups_and_they_come_back_on_either_engine_r43() {
    let Some(etcd) = cluster("backups of replicas") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (place, identity) = (dir.path().join("backups"), dir.path().join("operator.key"));
    std::fs::create_dir(&place).expect("made");
    let public = offline(&["keys", "new", "--output", text(&identity)]).ok().trim().to_owned();
    let scheduled = |key: Option<&str>| {
        let mut options = options(&etcd, false);
        let to = format!("--backup-to={}", place.display());
        options.args.extend(["--backup-schedule=1d".to_owned(), to, format!("--backup-recipient={public}")]);
        options.env.extend(key.map(|key| ("OTTERNAUTS_SECRET_KEY".to_owned(), key.trim().to_owned())));
        options
    };
    let first = Otter::start(scheduled(None));
    let key = std::fs::read_to_string(first.data_dir().join("secret.key")).expect("the first start has made a key");
    let second = Otter::start(scheduled(Some(&key)));
    let made = || std::fs::read_dir(&place).expect("readable").flatten().count();
    until("the first backup", PATIENCE, || {
        let told = [&first, &second].iter().filter(|otter| otter.log().contains("a backup was made")).count();
        if told == 1 { Ok(()) } else { Err(told) }
    });
    let (leader, other) = if keeps_house(&first) { (&first, &second) } else { (&second, &first) };
    // The other takes over, sees what there is, and makes none before its time.
    signal(leader, "-STOP");
    until("the other to keep house", PATIENCE, || keeps_house(other).then_some(()).ok_or("not yet"));
    other.kubectl(&["create", "secret", "generic", "token", "--from-literal=value=sealed"]).ok();
    other.kubectl(&["create", "configmap", "kept", "--from-literal=a=b"]).ok();
    assert_eq!(made(), 1, "one replica, one backup");
    assert!(!other.log().contains("a backup was made"));
    signal(leader, "-CONT");

    // By hand, of a server on etcd; back on SQLite.
    let (file, home) = (dir.path().join("by-hand.backup"), dir.path().join("home"));
    let made = other.otter(&["backup", "create", "--recipient", &public, "--output", text(&file)]);
    assert!(made.ok().contains("objects at revision"), "{}", made.stdout);
    let version = other.curl_admin("/api/v1/configmaps?limit=1", &[]).json()["metadata"]["resourceVersion"].clone();
    let version = version.as_str().expect("a version").to_owned();
    let kept = object(other);
    let gone = |otter: &Otter| {
        let watch = format!("/api/v1/configmaps?watch=true&resourceVersion={version}");
        otter.curl_admin(&watch, &[]).json().to_string().contains("410")
    };
    offline(&["backup", "restore", text(&file), "--data-dir", text(&home), "--identity", text(&identity)]).ok();
    let mut on_sqlite = OtterOptions::api(OTTER);
    on_sqlite.data_dir = Some(home.clone());
    let mut alone = Otter::start(on_sqlite);
    assert_eq!((value(&alone), object(&alone)), ("c2VhbGVk".to_owned(), kept.clone()));
    assert!(gone(&alone), "who held a version lists anew");
    let same = |otter: &Otter| std::fs::read(otter.data_dir().join("pki/ca.crt")).expect("there");
    assert_eq!(same(&alone), same(other));
    assert_eq!(alone.stop(), 0);

    // And on etcd.
    let to = format!("etcd:{}/restored", etcd.endpoints().join(","));
    offline(&["store", "migrate", "--from", &format!("sqlite:{}", home.display()), "--to", &to]).ok();
    let mut on_etcd = options(&etcd, false);
    on_etcd.args.push("--etcd-prefix=/restored".to_owned());
    on_etcd.data_dir = Some(home);
    let replica = Otter::start(on_etcd);
    assert_eq!((value(&replica), object(&replica)), ("c2VhbGVk".to_owned(), kept));
    assert!(gone(&replica));
    assert_eq!(same(&replica), same(other));
}
