//! B16: while clients write, the index and the cache are held against what is stored, over and over.

use crate::{nightly, report, seed};
use otternauts_faults::load::{Load, run};
use otternauts_faults::power::database;
use otternauts_faults::victim;
use otternauts_store::{Observer, Retention, Scrub, SqliteOptions, Statement};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Default)]
struct Passes(AtomicU64);

impl Observer for Passes {
    fn statement(&self, statement: Statement, _: Duration) {
        if statement == Statement::Scrub {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_served_from_memory_is_what_is_stored_b16() {
    let rounds = if nightly() { 200 } else { 4 };
    let seed = seed("mirror");
    let place = crate::lives::memory();
    let passes = Arc::new(Passes::default());
    // A pass begins with every few writes, and compaction goes on below it.
    let scrub = Scrub { first: Duration::ZERO, every_bytes: 20_000, bytes_per_second: 1 << 30 };
    let retention = Retention { age: Duration::ZERO, bytes: 1, revisions: 500 };
    let options =
        SqliteOptions { scrub, retention, observer: passes.clone(), ..victim::keeping(&database(place.path())) };
    let store = victim::open(options).expect("it opens");
    let load = Load { clients: 8, operations: 400, keys: 60, watchers: 0, changes: 3 };
    for round in 0..rounds {
        run(&store, load, seed + round).await.expect("it is taken");
    }
    // One more pass begins with the next writes, and sees all of it.
    let before = passes.0.load(Ordering::SeqCst);
    for more in 0.. {
        if passes.0.load(Ordering::SeqCst) >= before + 2 {
            break;
        }
        assert!(more < 10_000, "no pass ends: {before} before");
        let few = Load { clients: 1, operations: 20, ..load };
        run(&store, few, seed ^ more).await.expect("it is taken");
    }
    let passes = passes.0.load(Ordering::SeqCst);
    report("mirror", seed, &[("passes", passes), ("revisions", store.revision()), ("differences", 0)]);
    assert!(!store.is_damaged(), "seed {seed}: memory is not what is stored");
}
