//! P7, R39: what a slow watcher and a long list may cost others.

use otternauts_faults::history::{Change, Expects};
use otternauts_faults::load::{RESOURCE, list, write_of};
use otternauts_faults::power::database;
use otternauts_faults::victim;
use otternauts_store::{Observer, Range, SqliteOptions, Statement, Store, WatchItem};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Default)]
struct Counts {
    fell_behind: AtomicU64,
    list_reads: AtomicU64,
}

impl Observer for Counts {
    fn statement(&self, statement: Statement, _: Duration) {
        if statement == Statement::List {
            self.list_reads.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn fell_behind(&self, _: &str) {
        self.fell_behind.fetch_add(1, Ordering::Relaxed);
    }
}

fn open(place: &tempfile::TempDir) -> (Store, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let options = SqliteOptions { observer: counts.clone(), ..victim::keeping(&database(place.path())) };
    (victim::open(options).expect("it opens"), counts)
}

async fn fill(store: &Store, from: u64, count: u64) {
    // Transactions of many objects: this is about reading.
    for token in (from..from + count).step_by(10) {
        let change = |token: u64| Change { key: token as u32, expects: Expects::Absent, put: Some(token) };
        let writes = (token..token + 10).map(|token| write_of(&change(token), 20)).collect();
        store.commit(writes).await.expect("it is taken");
    }
}

/// B12: it falls out of a window that does not grow for it, and gets every event all the same.
#[tokio::test]
async fn a_watcher_that_does_not_read_is_parked_and_loses_nothing() {
    let place = crate::power::memory();
    let (store, counts) = open(&place);
    let mut watcher = store.watch(Range::resource(RESOURCE), 0).await.expect("it starts");
    fill(&store, 1, 10).await;
    let mut seen = 0;
    let first = watcher.next().await.expect("events");
    seen += events(&first);
    fill(&store, 1_001, 8_000).await;
    while seen < 8_010 {
        seen += events(&watcher.next().await.expect("events"));
    }
    assert_eq!(seen, 8_010);
    assert_eq!(counts.fell_behind.load(Ordering::Relaxed), 1, "the window kept all 8,000 events for one slow watcher");
}

fn events(item: &WatchItem) -> usize {
    match item {
        WatchItem::Events(events) => events.len(),
        WatchItem::Progress(_) => 0,
    }
}

/// R39: a list of everything holds no snapshot longer than for 500 rows, so the write-ahead log can be emptied meanwhile.
#[tokio::test]
async fn a_long_list_reads_in_short_snapshots() {
    let place = crate::power::memory();
    let (store, _) = open(&place);
    fill(&store, 1, 2_000).await;
    store.close().await.expect("it closes");
    // Opened again: nothing of it is in memory.
    let (store, counts) = open(&place);
    assert_eq!(list(&store).await.expect("a list").1.len(), 2_000);
    let reads = counts.list_reads.load(Ordering::Relaxed);
    assert!(reads >= 4, "2,000 rows were read in {reads} snapshots");
}
