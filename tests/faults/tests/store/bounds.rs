//! P7, P26, R39, R40: what slow watchers, long lists and much writing may cost others, and the disk.

use crate::{nightly, report, seed};
use otternauts_faults::Dice;
use otternauts_faults::history::{Change, Expects};
use otternauts_faults::load::{RESOURCE, list, write_of};
use otternauts_faults::power::database;
use otternauts_faults::victim;
use otternauts_store::{List, Observer, Range, Retention, SqliteOptions, Statement, Store, WatchItem};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

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
    let place = crate::lives::memory();
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
    let place = crate::lives::memory();
    let (store, _) = open(&place);
    fill(&store, 1, 2_000).await;
    store.close().await.expect("it closes");
    // Opened again: nothing of it is in memory.
    let (store, counts) = open(&place);
    assert_eq!(list(&store).await.expect("a list").1.len(), 2_000);
    let reads = counts.list_reads.load(Ordering::Relaxed);
    assert!(reads >= 4, "2,000 rows were read in {reads} snapshots");
}

const MIB: u64 = 1 << 20;

fn bytes(store: &Store, file: &str) -> u64 {
    store.file_bytes().into_iter().find(|(name, _)| *name == file).map_or(0, |(_, bytes)| bytes)
}

fn put(key: u64, token: u64, more: usize) -> otternauts_store::Write {
    write_of(&Change { key: key as u32, expects: Expects::Anything, put: Some(token) }, more)
}

/// C1: lists of everything one upon the other, pages of an old state, a watcher that does not read and a backup's hold, all
/// the while: none of them is a reader that keeps the write-ahead log from being emptied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_log_stays_bounded_while_somebody_always_reads_c1() {
    let commits = if nightly() { 200_000 } else { 2_400 };
    let seed = seed("bounded log");
    let place = crate::lives::memory();
    // Compaction has its part, and the database its bound.
    let retention = Retention { age: Duration::ZERO, bytes: 32 * MIB, revisions: 100 };
    let options = SqliteOptions { retention, ..victim::keeping(&database(place.path())) };
    let store = victim::open(options).expect("it opens");
    fill(&store, 1, 2_000).await;
    let over = Arc::new(AtomicBool::new(false));
    let lists = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    for paged in [false, false, true] {
        let (store, over, lists) = (store.clone(), over.clone(), lists.clone());
        readers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                if paged { pages(&store).await } else { list(&store).await.map(drop) }.expect("a list");
                lists.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let _slow = store.watch(Range::resource(RESOURCE), store.revision()).await.expect("it starts");
    let (mut dice, mut hold) = (Dice::new(seed), None);
    let (mut log, mut main, mut written) = (0, 0, 0);
    for commit in 0..commits {
        // For as long as a backup takes.
        match commit % 1_000 {
            0 => hold = Some(store.hold().await.expect("held")),
            300 => hold = None,
            _ => {}
        }
        let first = dice.below(1_900);
        let writes = (first..first + 20).map(|key| put(key, 10_000 + commit * 20 + key - first, 2_000)).collect();
        store.commit(writes).await.expect("it is taken");
        written += 20 * 2_000;
        (log, main) = (log.max(bytes(&store, "wal")), main.max(bytes(&store, "main")));
    }
    drop(hold);
    over.store(true, Ordering::Relaxed);
    readers.join_all().await;
    let lists = lists.load(Ordering::Relaxed);
    let totals =
        [("writtenMiB", written / MIB), ("lists", lists), ("largestLogMiB", log / MIB), ("largestMainMiB", main / MIB)];
    report("bounded-log", seed, &totals);
    assert!(lists > 10 && written > 80 * MIB, "that was no load: {totals:?}");
    assert!(log <= 64 * MIB, "the write-ahead log had {} MiB", log / MIB);
    assert!(main <= 192 * MIB, "the database had {} MiB", main / MIB);
}

/// Every page of the state there is now, however far it is passed by.
async fn pages(store: &Store) -> anyhow::Result<()> {
    let (mut after, mut at) = (None, None);
    loop {
        let page = store.list(List { range: Range::resource(RESOURCE), at, after, limit: 200 }).await;
        let page = match page {
            // Slower than history is long: whoever pages begins anew.
            Err(otternauts_store::Error::Compacted { .. }) => return Ok(()),
            page => page?,
        };
        at = Some(page.revision);
        after = page.records.last().map(|last| (last.key.namespace.clone(), last.key.name.clone()));
        if !page.more {
            return Ok(());
        }
    }
}

/// C2: 50 leases renewed each second; at night for 24 hours of the store's clock (kine #213 had 640,000 rows and 4.9 GB).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_that_are_renewed_all_day_leave_a_small_database_c2() {
    let seconds = if nightly() { 86_400 } else { 400 };
    let place = crate::lives::memory();
    let now = Arc::new(AtomicU64::new(0));
    let clock = now.clone();
    let clock = Arc::new(move || Duration::from_secs(clock.load(Ordering::Relaxed)));
    let store = victim::open(SqliteOptions { clock, ..victim::keeping(&database(place.path())) }).expect("it opens");
    let (mut log, mut main) = (0, 0);
    for second in 1..=seconds {
        now.store(second, Ordering::Relaxed);
        let mut renewals = JoinSet::new();
        for lease in 0..50 {
            let store = store.clone();
            renewals.spawn(async move { store.commit(vec![put(lease, second * 50 + lease, 400)]).await });
        }
        for renewed in renewals.join_all().await {
            renewed.expect("it is taken");
        }
        (log, main) = (log.max(bytes(&store, "wal")), main.max(bytes(&store, "main")));
    }
    let history = store.revision() - store.oldest();
    let totals = [
        ("renewals", seconds * 50),
        ("history", history),
        ("largestLogMiB", log / MIB),
        ("largestMainMiB", main / MIB),
    ];
    report("leases", 0, &totals);
    // Five minutes of history, and what is due but not gone yet.
    assert!((15_000..=20_000).contains(&history), "{totals:?}");
    // The log is begun anew with the first checkpoint after 16 MiB, one comes every 4 MiB, and each waits for its batch to end (R40).
    assert!(log <= 21 * MIB && main <= 32 * MIB, "{totals:?}");
}
