//! Several `otter serve` on one etcd cluster of three members: one control plane, whoever answers (N1 to N3, P1, P8, P11).

mod backups;
mod keys;
mod load;
mod partitions;

use crate::OTTER;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::jiff::Timestamp;
use load::Load;
use otternauts_harness::skip::skip;
use otternauts_harness::{Etcd, Otter, OtterOptions, until};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than a Lease lasts, several times over.
const PATIENCE: Duration = Duration::from_secs(90);
/// A promise of the product, and so the one time that tests here judge: after a fault of one member or replica writes are answered again,
/// and another replica leads, in less.
const FAILOVER: Duration = Duration::from_secs(15);
const BOTH: [usize; 2] = [0, 1];

/// Straight to the terminal: what was measured.
fn told(what: &str) {
    let _best_effort = writeln!(std::io::stderr(), "MEASURED: {what}");
}

/// A cluster of three members, unless etcd is not installed, which is said.
fn cluster(test: &str) -> Option<Etcd> {
    if Etcd::is_installed() {
        return Some(Etcd::start(3, &[]));
    }
    skip(test, "etcd is not installed");
    None
}

fn options(etcd: &Etcd, controllers: bool) -> OtterOptions {
    let mut options = if controllers { OtterOptions::whole(OTTER) } else { OtterOptions::api(OTTER) };
    options.args = vec!["--store=etcd".to_owned(), format!("--etcd-endpoints={}", etcd.endpoints().join(","))];
    options
}

/// Two replicas with one root key, which the first has made.
fn two(etcd: &Etcd, controllers: bool) -> [Otter; 2] {
    two_of(options(etcd, controllers), options(etcd, controllers))
}

fn two_of(first: OtterOptions, mut second: OtterOptions) -> [Otter; 2] {
    let first = Otter::start(first);
    let key = std::fs::read_to_string(first.data_dir().join("secret.key")).expect("the first start has made a key");
    second.env.push(("OTTERNAUTS_SECRET_KEY".to_owned(), key.trim().to_owned()));
    [first, Otter::start(second)]
}

#[test]
fn two_replicas_are_one_control_plane_n1() {
    let Some(etcd) = cluster("two replicas are one control plane") else { return };
    let [one, two] = two(&etcd, false);
    // One authority and one administrator: each replica's own kubeconfig works, and so does the other's token.
    let file = |otter: &Otter, name: &str| std::fs::read_to_string(otter.data_dir().join(name)).expect("it is there");
    for name in ["pki/ca.crt", "pki/ca.key", "pki/sa.key", "admin.token"] {
        assert_eq!(file(&one, name), file(&two, name), "{name}");
    }
    assert!(!one.data_dir().join("otternauts.db").exists());

    // A watch on one, writes on the other.
    let mut watch = Command::new("curl");
    let header = format!("header = \"Authorization: Bearer {}\"\n", file(&two, "admin.token").trim());
    watch.args(["-sS", "-N", "--max-time", "240", "-K", "-", "--cacert"]).arg(two.data_dir().join("pki/ca.crt"));
    watch.arg(format!("{}/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0", two.url));
    let mut watch = watch.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("curl can be started");
    {
        let mut input = watch.stdin.take().expect("it is piped");
        input.write_all(header.as_bytes()).expect("curl reads it");
    }
    for number in 0..20 {
        let name = format!("made-{number}");
        one.kubectl(&["create", "configmap", &name, "--from-literal=a=b"]).ok();
        // P8: the other replica reads it at once.
        let path = format!("/api/v1/namespaces/default/configmaps/{name}");
        assert_eq!(two.curl_admin(&path, &[]).json()["metadata"]["name"], name.as_str());
    }
    let stdout = BufReader::new(watch.stdout.take().expect("it is piped"));
    let seen: Vec<String> =
        stdout.lines().map_while(Result::ok).filter(|line| line.contains("\"made-")).take(20).collect();
    assert_eq!(seen.len(), 20);
    for (number, line) in seen.iter().enumerate() {
        assert!(line.contains(&format!("\"made-{number}\"")), "in order: {line}");
    }
    watch.kill().expect("it can be killed");
    watch.wait().expect("it can be waited for");

    // Secrets are sealed with one keyring; roles and kinds made here count there.
    one.kubectl(&["create", "secret", "generic", "token", "--from-literal=value=from-one"]).ok();
    let secret = two.kubectl(&["get", "secret", "token", "-o", "jsonpath={.data.value}"]);
    assert_eq!(secret.ok(), "ZnJvbS1vbmU=");
    let may = || two.kubectl(&["auth", "can-i", "list", "configmaps", "--as=jane", "-n", "default"]);
    assert_eq!(may().stdout.trim(), "no");
    one.kubectl(&["create", "rolebinding", "jane", "--clusterrole=view", "--user=jane", "-n", "default"]).ok();
    until("the other replica to know the role", PATIENCE, || (may().stdout.trim() == "yes").then_some(()).ok_or("no"));
    one.kubectl(&["delete", "rolebinding", "jane", "-n", "default"]).ok();
    until("the other replica to forget it", PATIENCE, || (may().stdout.trim() == "no").then_some(()).ok_or("yes"));
    one.apply(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: boats.example.org}\nspec:\n  \
         group: example.org\n  names: {plural: boats, singular: boat, kind: Boat, listKind: BoatList}\n  scope: Namespaced\n  \
         versions:\n  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}\n",
    );
    until("the other replica to serve the kind", PATIENCE, || {
        let made = two.kubectl_in(
            &["create", "--validate=false", "-f", "-"],
            "apiVersion: example.org/v1\nkind: Boat\nmetadata: {name: otto, namespace: default}\n",
        );
        if made.code == 0 { Ok(()) } else { Err(made.stderr) }
    });
    assert_eq!(one.kubectl(&["get", "boats", "-o", "name"]).ok().trim(), "boat.example.org/otto");
}

#[test]
fn a_replica_with_another_root_key_refuses_to_start_and_harms_nothing() {
    let Some(etcd) = cluster("a replica with another root key") else { return };
    let one = Otter::start(options(&etcd, false));
    one.kubectl(&["create", "secret", "generic", "token", "--from-literal=value=sealed"]).ok();
    let dir = tempfile::tempdir().expect("a directory");
    let serve = |key: Option<&str>| {
        let mut command = Command::new(OTTER);
        command
            .args(["serve", "--listen=127.0.0.1:0", "--controllers=none", "--data-dir"])
            .arg(dir.path().join("data"));
        command.args(&options(&etcd, false).args).env_remove("OTTERNAUTS_SECRET_KEY");
        if let Some(key) = key {
            command.env("OTTERNAUTS_SECRET_KEY", key);
        }
        otternauts_harness::kubectl::run(&mut command, "")
    };
    // The key of somebody else's control plane.
    let other = Otter::start(OtterOptions::api(OTTER));
    let wrong = std::fs::read_to_string(other.data_dir().join("secret.key")).expect("a key");
    let without = serve(None);
    assert!(without.refused().contains("age1"), "it says which key is needed: {}", without.stderr);
    let refused = serve(Some(wrong.trim()));
    assert!(refused.refused().contains("age1"), "{}", refused.stderr);
    assert!(!dir.path().join("data/pki/ca.key").exists(), "nothing of the control plane was handed out");
    assert_eq!(one.kubectl(&["get", "secret", "token", "-o", "jsonpath={.data.value}"]).ok(), "c2VhbGVk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_members_of_etcd_are_killed_and_frozen_under_load_n2() {
    let Some(mut etcd) = cluster("members of etcd that are killed under load") else { return };
    let replicas = two(&etcd, false);
    let load = Load::start(&replicas).await;
    let watched = load.ledger();
    let etcd = tokio::task::spawn_blocking(move || {
        watched.more("writes before anything happens", &BOTH);
        let leader = etcd.leader();
        let fault = Instant::now();
        etcd.kill(leader);
        watched.more("writes after the leading member was killed", &BOTH);
        watched.check_silence("the member that leads is killed", fault, &BOTH);
        etcd.boot(leader);
        etcd.await_ready();
        let leader = etcd.leader();
        let fault = Instant::now();
        etcd.pause(leader);
        watched.more("writes while the leading member is frozen", &BOTH);
        watched.check_silence("the member that leads is frozen", fault, &BOTH);
        etcd.resume(leader);
        watched.more("writes after it came back", &BOTH);
        etcd
    })
    .await
    .expect("the faults are done");
    load.check(&replicas).await;
    drop(etcd);
}

/// The Lease of the controllers.
fn lease(otter: &Otter) -> Option<LeaseSpec> {
    let path = "/apis/coordination.k8s.io/v1/namespaces/otternauts-system/leases/otternauts-controllers";
    serde_json::from_value::<Lease>(otter.curl_admin(path, &[]).json()).ok()?.spec
}

/// Who holds the Lease of the controllers.
fn holder(otter: &Otter) -> Option<String> {
    lease(otter)?.holder_identity.filter(|holder| !holder.is_empty())
}

/// Whether a replica says of itself that it leads.
fn leads(otter: &Otter) -> bool {
    let text = otter.curl_admin("/metrics", &[]);
    text.stdout.contains("leader_election_master_status{name=\"otternauts-controllers\"} 1")
}

/// Waits until exactly one of two leads, and says which.
fn leader(replicas: &[Otter; 2]) -> usize {
    until("one replica to lead", PATIENCE, || match (leads(&replicas[0]), leads(&replicas[1])) {
        (true, false) => Ok(0),
        (false, true) => Ok(1),
        both => Err(both),
    })
}

/// Waits until a replica leads, which took the Lease soon enough after the fault: by what it wrote there, so that the processes that are
/// started to look at it do not count.
fn check_failover(what: &str, replica: &Otter, fault: Timestamp) {
    until(what, PATIENCE, || leads(replica).then_some(()).ok_or("it does not lead yet"));
    let taken = lease(replica).and_then(|spec| spec.acquire_time).expect("somebody took it");
    let after = taken.0.duration_since(fault).unsigned_abs();
    told(&format!("{what}: the other leads after {:.1} s", after.as_secs_f64()));
    assert!(after < FAILOVER, "{what}: the other leads after {after:?}");
}

fn signal(otter: &Otter, signal: &str) {
    let sent = Command::new("kill").args([signal, &otter.pid().to_string()]).status().expect("kill can be started");
    assert!(sent.success());
}

#[test]
fn another_replica_leads_when_the_leader_is_frozen_or_stopped_n3() {
    let Some(etcd) = cluster("leadership of replicas") else { return };
    let mut replicas = two(&etcd, true);
    let first = leader(&replicas);
    let second = 1 - first;
    let held = holder(&replicas[second]).expect("somebody holds the Lease");

    // Frozen: the other leads. Thawed: it finds out by itself, and leads no more.
    let fault = Timestamp::now();
    signal(&replicas[first], "-STOP");
    check_failover("the leading replica is frozen", &replicas[second], fault);
    let taken = holder(&replicas[second]).expect("somebody holds the Lease");
    assert_ne!(held, taken);
    signal(&replicas[first], "-CONT");
    until("the old leader to know", PATIENCE, || (!leads(&replicas[first])).then_some(()).ok_or("it still leads"));
    assert_eq!(holder(&replicas[first]).as_ref(), Some(&taken), "it has not taken the Lease back");
    until("the old leader to say so", PATIENCE, || {
        let log = replicas[first].log();
        if log.contains("this replica leads no more") { Ok(()) } else { Err(log.lines().last().map(str::to_owned)) }
    });

    // A clean stop gives the Lease back, so that nobody has to wait for its end.
    let stopped = Timestamp::now();
    assert_eq!(replicas[second].stop(), 0);
    check_failover("the leading replica is stopped", &replicas[first], stopped);
    replicas[second].boot();
    assert_eq!(leader(&replicas), first, "a replica that starts leaves the leader alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_leading_replica_is_killed_under_load_and_another_leads_n3() {
    let Some(etcd) = cluster("a leading replica that is killed under load") else { return };
    let mut replicas = two(&etcd, true);
    let first = leader(&replicas);
    let second = 1 - first;
    let load = Load::start(&replicas).await;
    let ledger = load.ledger();
    let replicas = tokio::task::spawn_blocking(move || {
        ledger.more("writes before anything happens", &BOTH);
        let (fault, since) = (Timestamp::now(), Instant::now());
        // Nothing is given back.
        replicas[first].kill();
        check_failover("the leading replica is killed", &replicas[second], fault);
        ledger.more("writes through the replica that leads", &[second]);
        ledger.check_silence("the leading replica is killed", since, &[second]);
        replicas[first].boot();
        assert_eq!(leader(&replicas), second, "a replica that starts leaves the leader alone");
        ledger.more("writes through both", &BOTH);
        replicas
    })
    .await
    .expect("the faults are done");
    load.check(&replicas).await;
    drop((replicas, etcd));
}
