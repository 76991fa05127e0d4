//! Backups: taken under load, restored on an empty place, refused when they would be worth nothing (P15, R43, R44, A12 to A15, OT-92 to OT-94).

mod scheduled;

use crate::{OTTER, otter};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use otternauts_harness::kubectl::{Ran, run};
use otternauts_harness::{Otter, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A command of the program without a server.
pub fn offline(args: &[&str]) -> Ran {
    run(Command::new(OTTER).args(args).env_remove("KUBECONFIG").env_remove("OTTERNAUTS_SECRET_KEY"), "")
}

pub fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A key pair: the file, and the public half.
pub fn key(dir: &Path, name: &str) -> (PathBuf, String) {
    let file = dir.join(name);
    let public = offline(&["keys", "new", "--output", path(&file)]).ok().trim().to_owned();
    (file, public)
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"n": "0"}})).expect("a ConfigMap")
}

fn secret(name: &str) -> Secret {
    serde_json::from_value(json!({"metadata": {"name": name}, "stringData": {"n": "0"}})).expect("a Secret")
}

/// Every acknowledged state by kind, name and version; `None`: deleted then.
type Ledger = Arc<Mutex<BTreeMap<(String, String), BTreeMap<u64, Option<Value>>>>>;

fn note<T: kube::Resource + k8s_openapi::serde::Serialize>(ledger: &Ledger, kind: &str, object: &T) {
    let name = object.meta().name.clone().expect("a name");
    let version = object.meta().resource_version.as_ref().expect("a version").parse().expect("a number");
    let value = serde_json::to_value(object).expect("JSON");
    ledger.lock().expect("sound").entry((kind.to_owned(), name)).or_default().insert(version, Some(value));
}

/// Creates, changes and deletes until told to stop; every answer goes into the ledger.
async fn load(client: kube::Client, number: usize, ledger: Ledger, stop: Arc<AtomicBool>) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let secrets: Api<Secret> = Api::namespaced(client, "default");
    let patch = |n: usize| Patch::Merge(json!({"data": {"n": n.to_string()}}));
    let sealed = |n: usize| Patch::Merge(json!({"stringData": {"n": n.to_string()}}));
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("c{number}-{}", round % 40);
        if round < 40 {
            note(&ledger, "ConfigMap", &maps.create(&PostParams::default(), &config_map(&name)).await.expect("made"));
            note(&ledger, "Secret", &secrets.create(&PostParams::default(), &secret(&name)).await.expect("made"));
            continue;
        }
        let changed = maps.patch(&name, &PatchParams::default(), &patch(round)).await;
        if let Ok(changed) = changed {
            note(&ledger, "ConfigMap", &changed);
        }
        note(&ledger, "Secret", &secrets.patch(&name, &PatchParams::default(), &sealed(round)).await.expect("changed"));
        if round % 7 == 0 {
            let gone = maps.delete(&name, &DeleteParams::default()).await;
            if gone.is_ok() {
                // Its revision is not told: nothing is claimed of the name from here on.
                ledger.lock().expect("sound").remove(&("ConfigMap".to_owned(), name));
            }
        }
    }
}

/// Objects of the default namespace by kind and name, with the list's version.
pub fn stored(otter: &Otter, plural: &str, kind: &str) -> (u64, BTreeMap<(String, String), Value>) {
    let list = otter.curl_admin(&format!("/api/v1/namespaces/default/{plural}"), &[]).json();
    let version = list["metadata"]["resourceVersion"].as_str().expect("a version").parse().expect("a number");
    let items = list["items"].as_array().expect("items").iter();
    let name = |item: &Value| item["metadata"]["name"].as_str().expect("a name").to_owned();
    (version, items.map(|item| ((kind.to_owned(), name(item)), item.clone())).collect())
}

fn version_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().expect("a version").parse().expect("a number")
}

/// Puts what was restored in the place of what was there.
fn restore_in_place(otter: &mut Otter, backup: &Path, identity: &Path) {
    let data = otter.data_dir();
    std::fs::rename(&data, data.with_file_name("data-before")).expect("moved");
    let restored =
        offline(&["backup", "restore", path(backup), "--data-dir", path(&data), "--identity", path(identity)]);
    assert!(restored.ok().contains("next: otter serve"), "{}", restored.stdout);
    otter.boot();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_restored_to_its_revision_and_every_held_watch_lists_anew_a12_a14() {
    let dir = tempfile::tempdir().expect("a directory");
    let (identity, public) = key(dir.path(), "operator.key");
    let mut otter = otter();
    let (ledger, stop): (Ledger, _) = (Arc::default(), Arc::new(AtomicBool::new(false)));
    let mut clients = Vec::new();
    for number in 0..6 {
        clients.push(tokio::spawn(load(otter.client().await, number, ledger.clone(), stop.clone())));
    }
    let size = |least: usize| {
        let ledger = ledger.clone();
        move || {
            let n: usize = ledger.lock().expect("sound").values().map(BTreeMap::len).sum();
            if n >= least { Ok(()) } else { Err(n) }
        }
    };
    let wait = |least| {
        let full = size(least);
        tokio::task::spawn_blocking(move || until("the load", Duration::from_secs(60), full))
    };
    wait(600).await.expect("under load");
    let file = dir.path().join("a.backup");
    let made = otter.otter(&["backup", "create", "--recipient", &public, "--output", path(&file)]);
    assert!(made.ok().contains("objects at revision"), "{}", made.stdout);
    let after = ledger.lock().expect("sound").values().map(BTreeMap::len).sum::<usize>();
    wait(after + 300).await.expect("the load went on after it");
    // Somebody who watches, and whose server is about to be another.
    let seen: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let watching = tokio::spawn(follow(otter.client().await, seen.clone()));
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no client fails");
    }
    let summary = offline(&["backup", "verify", path(&file), "--identity", path(&identity), "-o", "json"]).json();
    let revision = summary["header"]["revision"].as_u64().expect("a revision");
    let (newest, _) = stored(&otter, "configmaps", "ConfigMap");
    assert!(revision < newest, "the load went on: {revision} of {newest}");
    otter.stop();

    restore_in_place(&mut otter, &file, &identity);
    let (at, mut found) = stored(&otter, "configmaps", "ConfigMap");
    found.extend(stored(&otter, "secrets", "Secret").1);
    assert!(at >= revision + 1_000_000_000, "the revision has jumped: {at}");
    let mut checked = 0;
    for (place, states) in ledger.lock().expect("sound").iter() {
        let Some((version, Some(state))) = states.range(..=revision).next_back() else { continue };
        let now = found.get(place).unwrap_or_else(|| panic!("{place:?} was acknowledged at {version}, and is gone"));
        if version_of(now) == *version {
            for part in ["data", "metadata", "type"] {
                assert_eq!(now.get(part), state.get(part), "{place:?}: {part}");
            }
            checked += 1;
        } else {
            // A write that was done and whose answer was lost is allowed; none of them was.
            panic!("{place:?} is at {} and was acknowledged at {version}", version_of(now));
        }
    }
    assert!(checked >= 300, "{checked} states were compared");
    let mut newer = Vec::new();
    for (place, object) in found.iter().filter(|(place, _)| place.1.starts_with('c')) {
        if version_of(object) > revision {
            newer.push(place);
        }
    }
    assert!(newer.is_empty(), "nothing newer than the backup: {newer:?}");
    // A version from before, also one that the restored server has never reached.
    for held in [revision.saturating_sub(5), revision, newest] {
        let path = format!("/api/v1/namespaces/default/configmaps?watch=1&resourceVersion={held}&timeoutSeconds=5");
        let answer = otter.curl_admin(&path, &[]);
        let line: Value = serde_json::from_str(answer.ok().lines().next().unwrap_or_default()).expect("an event");
        let code = if line["type"] == "ERROR" { &line["object"]["code"] } else { &line["code"] };
        assert_eq!(code, 410, "a watch from {held}: {line}");
    }
    // The watcher that was there all along has relisted, and follows.
    otter.kubectl(&["create", "configmap", "after", "--from-literal=n=1"]).ok();
    let (_, now) = stored(&otter, "configmaps", "ConfigMap");
    let now: BTreeMap<String, u64> = now.iter().map(|(place, object)| (place.1.clone(), version_of(object))).collect();
    let follower = seen.clone();
    tokio::task::spawn_blocking(move || {
        until("the watcher to see what is there now", Duration::from_secs(60), || {
            let seen = follower.lock().expect("sound").clone();
            if seen == now { Ok(()) } else { Err(format!("{} of {}", seen.len(), now.len())) }
        });
    })
    .await
    .expect("it follows");
    watching.abort();
}

/// Keeps the names and versions that a kube-rs reflector would, across restarts of the server.
pub async fn follow(client: kube::Client, seen: Arc<Mutex<BTreeMap<String, u64>>>) {
    use futures::StreamExt as _;
    use kube::runtime::WatchStreamExt as _;
    use kube::runtime::watcher::{Config, Event, watcher};
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let mut events = std::pin::pin!(watcher(maps, Config::default()).default_backoff());
    let entry = |map: &ConfigMap| {
        let version = map.metadata.resource_version.as_ref().and_then(|v| v.parse().ok()).unwrap_or_default();
        (map.metadata.name.clone().unwrap_or_default(), version)
    };
    let mut listing = BTreeMap::new();
    loop {
        let next = events.next().await;
        match next {
            Some(Ok(Event::Init)) => listing.clear(),
            Some(Ok(Event::InitApply(map))) => drop(listing.insert(entry(&map).0, entry(&map).1)),
            Some(Ok(Event::InitDone)) => *seen.lock().expect("sound") = std::mem::take(&mut listing),
            Some(Ok(Event::Apply(map))) => drop(seen.lock().expect("sound").insert(entry(&map).0, entry(&map).1)),
            Some(Ok(Event::Delete(map))) => drop(seen.lock().expect("sound").remove(&entry(&map).0)),
            // The server is away for a moment.
            Some(Err(_)) => {}
            None => return,
        }
    }
}

#[test]
fn a_backup_that_would_be_worth_nothing_and_a_restore_that_would_destroy_are_refused_a13_a15() {
    let dir = tempfile::tempdir().expect("a directory");
    let (identity, public) = key(dir.path(), "operator.key");
    let (other, _) = key(dir.path(), "other.key");
    let otter = otter();
    otter.kubectl(&["create", "secret", "generic", "s", "--from-literal=key=value"]).ok();
    let file = dir.path().join("a.backup");
    let create = |recipient: &[&str]| {
        let mut args = vec!["backup", "create", "--output", path(&file)];
        recipient.iter().for_each(|recipient| args.extend(["--recipient", recipient]));
        otter.otter(&args)
    };
    assert!(create(&[]).refused().contains("nobody could decrypt this backup"), "{}", create(&[]).stderr);
    let root = otter.otter(&["keys", "list", "-o", "json"]).json()["root"].as_str().expect("a key").to_owned();
    assert!(create(&[&root]).refused().contains("nobody could decrypt"), "its own root key alone is nobody");
    assert!(create(&["age1nonsense"]).refused().contains("is not one age1... recipient"));
    assert!(!file.exists() && !dir.path().join("a.backup.part").exists(), "nothing is left of them");
    let viewer = dir.path().join("viewer.kubeconfig");
    let text = otter.otter(&["kubeconfig", "--user", "eve", "--data-dir", path(&otter.data_dir())]);
    std::fs::write(&viewer, text.ok()).expect("written");
    let eve =
        offline(&["backup", "create", "--recipient", &public, "--kubeconfig", path(&viewer), "--output", path(&file)]);
    assert!(eve.refused().contains("forbidden"), "{}", eve.stderr);

    create(&[&public]).ok();
    assert!(create(&[&public]).refused().contains("exists already"), "no backup is written over");
    let target = dir.path().join("restored");
    let restore = |file: &Path, target: &Path, identity: &Path| {
        offline(&["backup", "restore", path(file), "--data-dir", path(target), "--identity", path(identity)])
    };
    let wrong = restore(&file, &target, &other);
    assert!(wrong.refused().contains(&public), "a wrong key is told the right one (OT-84): {}", wrong.stderr);
    let whole = std::fs::read(&file).expect("read");
    let cut = dir.path().join("cut.backup");
    std::fs::write(&cut, &whole[..whole.len() - 100]).expect("written");
    assert!(restore(&cut, &target, &identity).refused().contains("cut short or changed"));
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(&cut, changed).expect("written");
    assert!(restore(&cut, &target, &identity).refused().contains("cut short or changed"));
    assert!(!target.exists(), "nothing was written");
    for leftover in ["otternauts.db-wal", "otternauts.db-shm"] {
        let full = dir.path().join(leftover);
        std::fs::create_dir(&full).expect("made");
        std::fs::write(full.join(leftover), b"x").expect("written");
        let refused = restore(&file, &full, &identity);
        assert!(refused.refused().contains(leftover), "{}", refused.stderr);
    }
    let live = restore(&file, &otter.data_dir(), &identity);
    assert!(live.refused().contains("is not empty"), "never over a server: {}", live.stderr);
    // Standard output, and without a server; a restored server has the same certificates, so clients go on.
    let piped = Command::new(OTTER)
        .args(["backup", "create", "--recipient", &public, "--output", "-"])
        .env("KUBECONFIG", otter.kubeconfig())
        .output()
        .expect("it runs");
    assert!(piped.status.success() && piped.stdout.starts_with(b"otternauts-backup 1\n"), "{piped:?}");
    restore(&file, &target, &identity).ok();
    let same = |name: &str| {
        let read = |dir: &Path| std::fs::read(dir.join(name)).expect("there");
        assert_eq!(read(&target), read(&otter.data_dir()), "{name}");
    };
    ["pki/ca.crt", "pki/ca.key", "pki/sa.key", "admin.token"].into_iter().for_each(same);
    let again = dir.path().join("again.backup");
    offline(&["backup", "create", "--data-dir", path(&target), "--recipient", &public, "--output", path(&again)]).ok();
    let summary = offline(&["backup", "verify", path(&again), "--identity", path(&identity), "-o", "json"]).json();
    assert_eq!(summary["header"]["epoch"], 1, "a restored store knows it: {summary}");
    let audit = std::fs::read_to_string(otter.data_dir().join("audit.log")).expect("an audit log");
    assert!(audit.lines().any(|line| line.contains("/admin/backup") && line.contains("eve")), "a try is audited too");
}

#[test]
fn kill_9_during_a_backup_or_a_restore_leaves_nothing_half_done() {
    let dir = tempfile::tempdir().expect("a directory");
    let (identity, public) = key(dir.path(), "operator.key");
    let mut otter = otter();
    let filler = "x".repeat(20_000);
    let yaml: String = (0..400)
        .map(|i| {
            format!(
                "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{i}}}\ndata: {{filler: \"{i}{filler}\"}}\n"
            )
        })
        .collect();
    otter.kubectl_in(&["create", "-f", "-"], &yaml).ok();
    otter.kubectl(&["create", "secret", "generic", "s", "--from-literal=key=value"]).ok();
    let file = dir.path().join("a.backup");
    let spawn = |args: &[&str], otter: &Otter| {
        let mut command = Command::new(OTTER);
        command.args(args).env("KUBECONFIG", otter.kubeconfig()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("it starts")
    };
    let appears = |place: PathBuf| {
        until("the work to begin", Duration::from_secs(30), || place.exists().then_some(()).ok_or("not yet"));
    };
    let create = ["backup", "create", "--recipient", &public, "--output", path(&file)];

    // The server, while it makes one.
    let mut child = spawn(&create, &otter);
    appears(otter.data_dir().join("backup.part"));
    otter.kill();
    let ended = child.wait().expect("it ends");
    assert!(!ended.success() && !file.exists(), "no backup is no backup");
    otter.boot();
    assert!(!otter.data_dir().join("backup.part").exists(), "the next start has tidied up");

    otter.otter(&create).ok();
    let before = stored(&otter, "configmaps", "ConfigMap").1;
    offline(&["backup", "verify", path(&file), "--identity", path(&identity)]).ok();
    otter.stop();
    // The restore, while it writes.
    let target = dir.path().join("restored");
    let restore = ["backup", "restore", path(&file), "--data-dir", path(&target), "--identity", path(&identity)];
    for sign in ["otternauts.db", "otternauts.db-wal", "pki", "secret.key"] {
        let mut child = spawn(&restore, &otter);
        let beside = dir.path().join(".restored.restoring").join(sign);
        until("the restore to get there", Duration::from_secs(30), || {
            let ended = child.try_wait().expect("asked").is_some();
            if beside.exists() || ended { Ok(()) } else { Err("not yet") }
        });
        child.kill().expect("killed");
        child.wait().expect("it ends");
        if target.exists() {
            // It was quicker: then it is whole.
            std::fs::rename(&target, dir.path().join(format!("whole-{sign}"))).expect("moved");
        }
    }
    restore_in_place(&mut otter, &file, &identity);
    assert_eq!(otter.kubectl(&["get", "secret", "s", "-o", "jsonpath={.data.key}"]).ok(), "dmFsdWU=");
    assert_eq!(stored(&otter, "configmaps", "ConfigMap").1, before);
}
