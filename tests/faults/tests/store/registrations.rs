//! B8, R11: a watch that begins while others commit begins exactly where it was asked to: the list it follows, then every
//! change after it, once. kubernetes PR #73845 sent some of them twice.

use crate::{nightly, report, seed};
use otternauts_faults::Dice;
use otternauts_faults::history::{Change, Expects};
use otternauts_faults::load::{RESOURCE, write_of};
use otternauts_faults::power::database;
use otternauts_faults::victim;
use otternauts_store::{List, Range, Store, WatchItem};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

const KEYS: u64 = 8;
const REGISTRARS: u64 = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_begins_during_commits_begins_exactly_where_it_was_asked_to_b8() {
    let registrations = if nightly() { 1_000_000 } else { 10_000 };
    let seed = seed("registrations");
    let place = crate::lives::memory();
    let sqlite = victim::open(victim::keeping(&database(place.path()))).expect("it opens");
    let mut events = 0;
    for store in [Store::memory(), sqlite] {
        events += race(&store, seed, registrations / 2).await;
    }
    report("registrations", seed, &[("registrations", registrations), ("events", events), ("missed", 0), ("twice", 0)]);
    assert!(events >= registrations, "each of them saw at least one event: {events}");
}

/// So many registrations while one client commits without a pause; says how many events they saw.
async fn race(store: &Store, seed: u64, registrations: u64) -> u64 {
    let over = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(store.clone(), over.clone(), Dice::new(seed)));
    let mut registrars = JoinSet::new();
    for number in 0..REGISTRARS {
        let (store, mut dice) = (store.clone(), Dice::part(seed, number));
        registrars.spawn(async move {
            let mut events = 0;
            for _ in 0..registrations / REGISTRARS {
                events +=
                    if dice.chance(50) { from_a_list(&store).await } else { from_before(&store, &mut dice).await };
            }
            events
        });
    }
    let events = registrars.join_all().await.into_iter().sum();
    over.store(true, Ordering::Relaxed);
    writer.await.expect("the writer does not panic");
    events
}

async fn write(store: Store, over: Arc<AtomicBool>, mut dice: Dice) {
    for token in 1.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let change = Change { key: dice.below(KEYS) as u32, expects: Expects::Anything, put: Some(token) };
        store.commit(vec![write_of(&change, 20)]).await.expect("it is taken");
        // A store in memory never waits, and others want the processor too.
        tokio::task::yield_now().await;
    }
}

/// Lists and watches from there: the first event of each object replaces exactly what the list had of it.
async fn from_a_list(store: &Store) -> u64 {
    let all = List { range: Range::resource(RESOURCE), at: None, after: None, limit: 0 };
    let page = store.list(all).await.expect("a list");
    let mut known: HashMap<_, _> = page.records.iter().map(|record| (record.key.clone(), record.revision)).collect();
    let mut watcher = store.watch(Range::resource(RESOURCE), page.revision).await.expect("it starts");
    let mut next = page.revision + 1;
    let mut seen = 0;
    while seen < 2 {
        let WatchItem::Events(events) = watcher.next().await.expect("events") else { continue };
        for event in events {
            assert_eq!(event.revision, next, "after a list at {}", page.revision);
            let before = event.previous.as_ref().map(|previous| previous.revision);
            assert_eq!(before, known.insert(event.key.clone(), event.revision), "what {} replaced", event.revision);
            (next, seen) = (next + 1, seen + 1);
        }
    }
    seen
}

/// Watches from a little before now: the rest of the history, then what comes, without a seam.
async fn from_before(store: &Store, dice: &mut Dice) -> u64 {
    let after = store.revision().saturating_sub(dice.below(5)).max(store.oldest());
    let mut watcher = store.watch(Range::resource(RESOURCE), after).await.expect("it starts");
    let (mut next, mut seen) = (after + 1, 0);
    while next <= after + 6 {
        let WatchItem::Events(events) = watcher.next().await.expect("events") else { continue };
        for event in events {
            assert_eq!(event.revision, next, "after {after}");
            (next, seen) = (next + 1, seen + 1);
        }
    }
    seen
}
