//! Long runs in process, judged by the checker, and short ones by both (B1, B3).

use crate::{nightly, report, say, seed};
use otternauts_faults::load::{Load, run};
use otternauts_faults::{Dice, check, linear, victim};
use otternauts_store::{Retention, SqliteOptions, Store};
use std::path::Path;
use std::time::Duration;

fn open(path: &Path) -> Store {
    victim::open(SqliteOptions::new(path)).expect("the store opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_runs_are_strictly_serializable_and_their_watches_are_replays() {
    let (runs, operations) = if nightly() { (1_000, 625) } else { (10, 625) };
    let seed = seed("long runs");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut acknowledged, mut events, mut reads) = (0, 0, 0);
    for run_number in 0..runs {
        // Every tenth run goes on where the last one ended, the others begin anew.
        let path = directory.path().join(format!("{}.db", run_number / 10));
        let store = open(&path);
        let load = Load { clients: 16, operations, keys: 40, watchers: 4, changes: 5 };
        let history = run(&store, load, seed ^ run_number).await.expect("the store answers");
        let report = check(&history).unwrap_or_else(|found| panic!("seed {seed}, run {run_number}: {found:#?}"));
        acknowledged += report.acknowledged;
        events += report.events;
        reads += report.reads;
        store.close().await.expect("it closes");
    }
    say(&format!(
        "long runs: {runs} runs, {acknowledged} acknowledged writes, {reads} reads, {events} events, 0 violations"
    ));
    assert!(
        acknowledged > 100 * runs as usize && events > 300 * runs as usize,
        "too little happened to prove anything"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_runs_pass_both_checkers() {
    let runs = if nightly() { 2_000 } else { 60 };
    let seed = seed("short runs");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = open(&directory.path().join("short.db"));
    for number in 0..runs {
        let load = Load { clients: 6, operations: 15, keys: 4, watchers: 1, changes: 3 };
        let history = run(&store, load, seed ^ number).await.expect("the store answers");
        let ours = check(&history);
        assert!(ours.is_ok(), "seed {seed}, run {number}: {ours:#?}");
        assert_eq!(linear::check(&history), Ok(()), "seed {seed}, run {number}: the checkers disagree");
    }
    store.close().await.expect("it closes");
}

/// B3: revisions do not fall back when the newest rows are compacted away and the store starts again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revisions_go_on_over_restarts_and_compaction_of_the_newest_rows() {
    const CYCLES: u64 = 10_000;
    let seed = seed("restarts");
    let directory = crate::lives::memory();
    let path = directory.path().join("cycles.db");
    let retention = Retention { age: Duration::ZERO, bytes: 1, revisions: 1 };
    let mut newest = 0;
    for cycle in 0..CYCLES {
        let store = victim::open(SqliteOptions { retention, ..victim::keeping(&path) }).expect("the store opens");
        assert!(store.revision() >= newest, "seed {seed}, cycle {cycle}: {} after {newest}", store.revision());
        let load = Load {
            clients: 2,
            operations: 3 + Dice::part(seed, cycle).below(5) as u32,
            keys: 3,
            watchers: 0,
            changes: 2,
        };
        let history = run(&store, load, seed ^ cycle).await.expect("the store answers");
        check(&history).unwrap_or_else(|found| panic!("seed {seed}, cycle {cycle}: {found:#?}"));
        newest = store.revision();
        if Dice::part(seed, cycle).chance(50) {
            store.close().await.expect("it closes");
        }
    }
    report("restarts", seed, &[("restarts", CYCLES), ("revisions", newest), ("back", 0)]);
}
