//! A disk that fills up (C3, P24, R41): nothing is lost, reads and deletions go on, and all is well again by itself.

use crate::OTTER;
use otternauts_harness::skip::skip;
use otternauts_harness::{Otter, OtterOptions, Tmpfs, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";

/// A control plane on a disk of its own; `None` where nothing can be mounted.
fn on_disk(test: &str, mebibytes: u32, args: &[&str]) -> Option<(Otter, Tmpfs)> {
    let Some(disk) = Tmpfs::mount(mebibytes) else {
        skip(test, "a small disk can only be mounted by root");
        return None;
    };
    let options = OtterOptions {
        data_dir: Some(disk.file("data")),
        args: args.iter().map(ToString::to_string).collect(),
        ..OtterOptions::api(OTTER)
    };
    Some((Otter::start(options), disk))
}

/// One request; its status code and answer.
fn ask(otter: &Otter, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    send(otter, method, path, "Content-Type: application/json", body)
}

fn merge(otter: &Otter, path: &str, patch: &Value) -> (u16, Value) {
    send(otter, "PATCH", path, "Content-Type: application/merge-patch+json", Some(patch))
}

fn send(otter: &Otter, method: &str, path: &str, kind: &str, body: Option<&Value>) -> (u16, Value) {
    let text = body.map(Value::to_string);
    let mut args = vec!["-X", method, "-H", kind, "-w", "\n%{http_code}"];
    args.extend(text.as_deref().into_iter().flat_map(|text| ["--data-binary", text]));
    let ran = otter.curl_admin(path, &args);
    let (answer, code) = ran.ok().rsplit_once('\n').expect("a code in the last line");
    (code.parse().expect("a number"), serde_json::from_str(answer).unwrap_or_default())
}

fn config_map(name: &str, size: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"v": "x".repeat(size)}})
}

fn create(otter: &Otter, name: &str, size: usize) -> (u16, Value) {
    ask(otter, "POST", MAPS, Some(&config_map(name, size)))
}

fn delete(otter: &Otter, name: &str) -> u16 {
    ask(otter, "DELETE", &format!("{MAPS}/{name}"), None).0
}

/// Name and version of each ConfigMap, from a list that must work.
fn listed(otter: &Otter) -> BTreeMap<String, String> {
    let (code, list) = ask(otter, "GET", MAPS, None);
    assert_eq!(code, 200, "{list}");
    let text = |object: &Value, field: &str| object["metadata"][field].as_str().expect("a text").to_owned();
    let items = list["items"].as_array().expect("items");
    items.iter().map(|object| (text(object, "name"), text(object, "resourceVersion"))).collect()
}

/// Space that the ballast really takes.
fn ballast(otter: &Otter) -> u64 {
    let path: PathBuf = otter.data_dir().join("otternauts.db.ballast");
    std::fs::metadata(path).map_or(0, |file| file.blocks() * 512)
}

fn audit_lines_lost(otter: &Otter) -> u64 {
    let metrics = otter.curl_admin("/metrics", &[]);
    let lost = metrics.ok().lines().find_map(|line| line.strip_prefix("otternauts_audit_lost_total "));
    lost.expect("a count").parse().expect("a number")
}

fn is_refused(answer: &(u16, Value), text: &str) -> bool {
    let (code, status) = answer;
    *code == 507
        && status["kind"] == "Status"
        && status["reason"] == "InsufficientStorage"
        && status["message"].as_str().is_some_and(|message| message.contains(text))
}

#[test]
fn a_disk_that_others_fill_refuses_new_things_and_recovers_without_a_restart() {
    let args = ["--min-free-bytes=8388608", "--min-free-percent=0"];
    let Some((mut otter, disk)) = on_disk("a disk that others fill", 64, &args) else { return };
    let pid = otter.pid();
    assert!(ballast(&otter) >= 3 << 20, "one twentieth of the disk: {}", ballast(&otter));
    for number in 0..20 {
        assert_eq!(create(&otter, &format!("m{number}"), 1000).0, 201);
    }
    let mut held = config_map("held", 10);
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    assert_eq!(ask(&otter, "POST", MAPS, Some(&held)).0, 201);
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
        "spec": {"holderIdentity": "me"}});
    assert_eq!(ask(&otter, "POST", LEASES, Some(&lease)).0, 201);

    // Nearly full: what is there can be read, deleted and kept alive, and nothing is added.
    disk.fill("filler", 4 << 20);
    until("a create to be refused", PATIENCE, || {
        let answer = create(&otter, "late", 1000);
        if is_refused(&answer, "nearly full (") {
            Ok(())
        } else {
            delete(&otter, "late");
            Err(answer)
        }
    });
    let kept = ask(&otter, "PUT", &format!("{MAPS}/m1"), Some(&config_map("m1", 10)));
    assert!(is_refused(&kept, "creates and updates are refused"), "{kept:?}");
    let said = otter.kubectl(&["create", "configmap", "late"]);
    assert!(said.refused().contains("the disk of the server is nearly full"), "{}", said.stderr);
    let patch = json!({"spec": {"holderIdentity": "still me"}});
    assert_eq!(merge(&otter, &format!("{LEASES}/l"), &patch).0, 200, "a lease is renewed");
    assert_eq!(delete(&otter, "m2"), 200);
    // Deletion in two steps: the mark and the finalizer's end are updates of what is on its way out.
    assert_eq!(delete(&otter, "held"), 200);
    let held = format!("{MAPS}/held");
    assert!(ask(&otter, "GET", &held, None).1["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(merge(&otter, &held, &json!({"metadata": {"finalizers": null}})).0, 200);
    assert_eq!(ask(&otter, "GET", &held, None).0, 404);
    assert_eq!(listed(&otter).len(), 19);

    // Entirely full: the ballast goes, and with it deletions go through.
    disk.fill("filler", 0);
    until("the ballast to be given back", PATIENCE, || {
        let left = listed(&otter);
        let name = left.keys().find(|name| name.starts_with('m')).expect("something is left to delete");
        assert_eq!(delete(&otter, name), 200);
        if ballast(&otter) == 0 {
            Ok(())
        } else {
            disk.fill("filler", 0);
            Err(left.len())
        }
    });
    assert!(is_refused(&create(&otter, "late", 10), "full"));
    // The space it gave is for the database: the audit log takes none of it, and says what it lost.
    let audited = || std::fs::metadata(otter.data_dir().join("audit.log")).expect("an audit log").len();
    until("audit lines to be lost", PATIENCE, || match audit_lines_lost(&otter) {
        0 => Err(create(&otter, "late", 10).0),
        _ => Ok(()),
    });
    let before = audited();
    (0..50).for_each(|_| assert!(is_refused(&create(&otter, "late", 10), "full")));
    assert_eq!(audited(), before);
    let left = listed(&otter);
    assert!(left.len() > 4, "{left:?}");

    // Space again: the first write that asks is let in, in the same process, and the ballast is back.
    std::fs::remove_file(disk.file("filler")).expect("the filler goes");
    until("creates to be accepted", PATIENCE, || match create(&otter, "later", 1000) {
        (201, _) => Ok(()),
        answer => Err(answer),
    });
    assert_eq!(otter.pid(), pid);
    assert!(ballast(&otter) >= 3 << 20, "{}", ballast(&otter));
    let before = listed(&otter);
    assert_eq!(before.len(), left.len() + 1);
    otter.kill();
    otter.boot();
    assert_eq!(listed(&otter), before);
}

#[test]
fn a_disk_that_the_database_fills_can_be_emptied_by_deleting_and_used_again() {
    let args = ["--min-free-bytes=1048576", "--min-free-percent=0"];
    let Some((mut otter, _disk)) = on_disk("a disk that the database fills", 24, &args) else { return };
    let mut made = BTreeMap::new();
    let refused = (0..1000).find_map(|number| {
        let name = format!("m{number}");
        match create(&otter, &name, 60_000) {
            (201, object) => {
                made.insert(name, object["metadata"]["resourceVersion"].as_str().expect("a version").to_owned());
                None
            }
            answer => Some(answer),
        }
    });
    let refused = refused.expect("24 MiB are full before 60 MB are written");
    assert!(is_refused(&refused, "full"), "{refused:?}");
    assert!(made.len() > 30, "{}", made.len());
    let stored = listed(&otter);
    assert!(made.iter().all(|(name, version)| stored.get(name) == Some(version)), "nothing acknowledged is lost");

    // A full disk survives a restart too, and says the same.
    otter.kill();
    otter.boot();
    assert_eq!(listed(&otter), stored);
    for name in made.keys() {
        assert_eq!(delete(&otter, name), 200, "{name}");
    }
    until("creates to be accepted", PATIENCE, || match create(&otter, "after", 60_000) {
        (201, _) => Ok(()),
        answer => Err(answer),
    });
    for number in 0..20 {
        assert_eq!(create(&otter, &format!("n{number}"), 60_000).0, 201);
    }
    assert_eq!(listed(&otter).len(), 21);
}
