//! The restore drill (A12, A14, P15): a backup is taken under load, everything is lost, it is restored on an empty directory,
//! and what is there is what the ledger and the watches say was there at its revision; nobody who watched misses it.

use super::{directory, nightly, say};
use crate::backup::{follow, key, offline, path, stored};
use crate::otter;
use otternauts_faults::Dice;
use otternauts_faults::history::{Item, Key};
use otternauts_faults::kills::Kills;
use otternauts_faults::ledger::{Entry, Ledger};
use otternauts_harness::{Otter, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a restore adds to the revision.
const JUMP: u64 = 1_000_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_restored_on_an_empty_directory_as_the_ledger_has_it_a12() {
    let (drills, burst) = if nightly() { (100, 1_200) } else { (2, 200) };
    let seed = Dice::seed();
    say(&format!("drills: {}={seed}", otternauts_faults::dice::SEED));
    let place = tempfile::tempdir().expect("a directory");
    let (identity, public) = key(place.path(), "operator.key");
    let (another, _) = key(place.path(), "another.key");
    let ledger = Ledger::create(&directory().join(format!("drills-{seed}.txt"))).expect("a ledger");
    let evidence = ledger.path().to_owned();
    let mut otter = otter();
    // An informer that is held over all that follows.
    let seen: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let informer = tokio::spawn(follow(otter.client().await, seen.clone()));
    let mut kills = Kills::new(&mut otter, ledger, seed, burst);
    let (mut compared, mut objects) = (0, 0);
    for drill in 0..drills {
        let file = place.path().join(format!("{drill}.backup"));
        let create = ["backup", "create", "--recipient", &public, "--output", path(&file)];
        let done = kills.round_during(|otter| {
            otter.otter(&create).ok();
            Ok(())
        });
        done.await.unwrap_or_else(|error| panic!("drill {drill}: {error:#}"));
        let summary = offline(&["backup", "verify", path(&file), "--identity", path(&identity), "-o", "json"]).json();
        let revision = summary["header"]["revision"].as_u64().expect("a revision");
        let expected = kills.state_at(revision);
        let entries = kills.acknowledged().expect("the ledger");

        lose_everything_and_restore(kills.otter(), &file, &identity, &another, &public);
        let (at, items) = kills.begin_anew().await.expect("it answers");
        let mut items = items.to_vec();
        items.sort_unstable();
        let why = format!("seed {seed}, drill {drill}, revision {revision}");
        assert_eq!(items, expected, "{why}: what is restored is not what was there");
        assert!(at >= revision + JUMP, "{why}: it is at {at}");
        compared += agree(&items, revision, &entries).unwrap_or_else(|wrong| panic!("{why}: {wrong}"));
        objects += items.len();
        for held in [revision.saturating_sub(3), revision, revision + 50, revision + JUMP - 1] {
            is_told_to_list_anew(kills.otter(), held);
        }
        relists(kills.otter(), &seen).await;
        std::fs::remove_file(&file).expect("it was there");
    }
    informer.abort();
    let acknowledged = kills.totals().acknowledged;
    let line = json!({"test": "drills", "seed": seed, "drills": drills, "acknowledged": acknowledged,
        "ledgerLinesCompared": compared, "objectsCompared": objects, "lost": 0, "phantom": 0});
    say(&format!("drills: {line}"));
    std::fs::write(directory().join("drills.json"), format!("{line}\n")).expect("target can be written");
    assert!(compared > 20 * drills, "hardly any answer was older than its backup: {compared}");
    std::fs::remove_file(evidence).expect("the ledger was there");
}

/// The machine is gone; a wrong key brings nothing back, the right one all of it.
fn lose_everything_and_restore(otter: &mut Otter, file: &Path, identity: &Path, another: &Path, public: &str) {
    let data = otter.data_dir();
    otter.kill();
    std::fs::remove_dir_all(&data).expect("it was there");
    let restore =
        |key: &Path| offline(&["backup", "restore", path(file), "--data-dir", path(&data), "--identity", path(key)]);
    let wrong = restore(another);
    assert!(wrong.refused().contains(public), "a wrong key is told the right one (OT-84): {}", wrong.stderr);
    assert!(!data.exists(), "nothing was written with a wrong key");
    restore(identity).ok();
    otter.boot();
}

/// Holds the answers against what is restored; says how many could be.
fn agree(items: &[Item], revision: u64, entries: &[Entry]) -> Result<usize, String> {
    let there: BTreeMap<Key, &Item> = items.iter().map(|item| (item.key, item)).collect();
    if let Some(newer) = items.iter().find(|item| item.revision > revision) {
        return Err(format!("newer than the backup: {newer:?}"));
    }
    let mut compared = 0;
    for entry in entries {
        let (Some(token), Some(at)) = (entry.put, entry.revision) else { continue };
        if at > revision {
            continue;
        }
        compared += 1;
        match there.get(&entry.key) {
            Some(item) if item.revision > at || (item.revision == at && item.token == token) => {}
            Some(item) => return Err(format!("{entry:?} was answered, and {item:?} is there")),
            None if entries.iter().any(|other| other.key == entry.key && other.put.is_none()) => {}
            None => return Err(format!("{entry:?} was answered, and is gone")),
        }
    }
    Ok(compared)
}

/// A watch from a version that was held before the restore, also one the restored server has never reached.
fn is_told_to_list_anew(otter: &Otter, held: u64) {
    let path = format!("/api/v1/namespaces/default/configmaps?watch=1&resourceVersion={held}&timeoutSeconds=5");
    let answer = otter.curl_admin(&path, &[]);
    let line: Value = serde_json::from_str(answer.ok().lines().next().unwrap_or_default()).expect("an event");
    let code = if line["type"] == "ERROR" { &line["object"]["code"] } else { &line["code"] };
    assert_eq!(code, 410, "a watch from {held}: {line}");
}

/// The informer comes to hold exactly what is there now.
async fn relists(otter: &Otter, seen: &Arc<Mutex<BTreeMap<String, u64>>>) {
    let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok());
    let now = stored(otter, "configmaps", "ConfigMap").1;
    let now: BTreeMap<String, u64> =
        now.iter().map(|((_, name), object)| (name.clone(), version(object).expect("a version"))).collect();
    let seen = seen.clone();
    let wait = tokio::task::spawn_blocking(move || {
        until("the informer to see what is there now", Duration::from_secs(60), || {
            let seen = seen.lock().expect("sound").clone();
            if seen == now { Ok(()) } else { Err(format!("{} of {}", seen.len(), now.len())) }
        });
    });
    wait.await.expect("it relists");
}
