//! Backups with several replicas: one makes those on a schedule, and what a server on etcd has made comes back, on SQLite and on etcd (R43, R44).

use super::{PATIENCE, cluster, options, signal};
use crate::OTTER;
use otternauts_harness::kubectl::{Ran, run};
use otternauts_harness::{Otter, OtterOptions, until};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

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

    // And on etcd, beside the old one.
    let to = format!("etcd:{}/restored", etcd.endpoints().join(","));
    let first = dir.path().join("first");
    let other_key = dir.path().join("other.key");
    offline(&["keys", "new", "--output", text(&other_key)]).ok();
    let wrong = offline(&restore(&file, &to, &first, &other_key));
    assert!(wrong.refused().contains(&public), "a wrong key is told the right one: {}", wrong.stderr);
    let taken = format!("etcd:{}", etcd.endpoints().join(","));
    let refused = offline(&restore(&file, &taken, &first, &identity));
    assert_eq!(refused.code, 6, "{}", refused.stderr);
    assert!(refused.stderr.contains("is not empty: a control plane has its store there"), "{}", refused.stderr);
    assert!(!first.exists(), "nothing was written");

    // Killed when everything is there, and nothing was compared yet.
    let mut killed = Command::new(OTTER);
    killed.args(restore(&file, &to, &first, &identity)).env_remove("OTTERNAUTS_SECRET_KEY");
    let mut killed = killed.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(killed.stderr.take().expect("it is piped")).lines();
    let half = lines.map_while(Result::ok).find(|line| line.starts_with("comparing"));
    killed.kill().expect("it can be killed");
    killed.wait().expect("it ends");
    assert!(half.is_some(), "it said how far it was");
    let mut on_etcd = options(&etcd, false);
    on_etcd.args.push("--etcd-prefix=/restored".to_owned());
    let mut early = Command::new(OTTER);
    early.args(["serve", "--listen=127.0.0.1:0", "--controllers=none", "--data-dir", text(&first)]).args(&on_etcd.args);
    let early = run(early.env_remove("OTTERNAUTS_SECRET_KEY"), "");
    assert!(early.refused().contains("a restore of ") && early.stderr.contains("was not finished"), "{}", early.stderr);

    // Run again.
    let done = offline(&restore(&file, &to, &first, &identity));
    assert!(done.ok().contains("restored into etcd:") && done.stdout.contains("next: otter serve --store etcd"));
    let key = std::fs::read_to_string(first.join("secret.key")).expect("a new root key");
    let mut second = on_etcd.clone();
    on_etcd.data_dir = Some(first.clone());
    second.env.push(("OTTERNAUTS_SECRET_KEY".to_owned(), key.trim().to_owned()));
    for replica in [Otter::start(on_etcd), Otter::start(second)] {
        assert_eq!((value(&replica), object(&replica)), ("c2VhbGVk".to_owned(), kept.clone()));
        assert!(gone(&replica), "who held a version lists anew");
        assert_eq!(same(&replica), same(other));
    }
    let again = offline(&restore(&file, &to, &dir.path().join("again"), &identity));
    assert_eq!(again.code, 6, "never over a store: {}", again.stderr);
}

fn restore<'a>(file: &'a Path, to: &'a str, data_dir: &'a Path, identity: &'a Path) -> [&'a str; 9] {
    ["backup", "restore", text(file), "--to", to, "--data-dir", text(data_dir), "--identity", text(identity)]
}
