//! Crowds of watches with selectors of all kinds, each held against the log event by event: they stay (B5), are dropped and resume
//! again and again (B6), or begin where history does while it is compacted (B9). Bookmarks (B13) and transactions of many objects
//! (B14) are counted in all of them.

use crate::{nightly, report, seed};
use anyhow::Context as _;
use otternauts_faults::Dice;
use otternauts_faults::checker::{Entry, Follower};
use otternauts_faults::history::{Change, Expects, Key, Kind, Revision, Seen, Stream, Token};
use otternauts_faults::load::{RESOURCE, key, take, write};
use otternauts_faults::power::database;
use otternauts_faults::victim;
use otternauts_store::{Error, Range, Retention, SqliteOptions, Store, WatchItem, Watcher, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::task::Poll;
use std::time::Duration;
use tokio::task::JoinSet;

const KEYS: Key = 16;
const NAMESPACES: Key = 4;
/// A watch that has nothing to deliver for so long lost what it should.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// What is written: each change stands here before the store is asked for it, so that no watch can be faster.
#[derive(Default)]
struct Script {
    log: RwLock<Vec<Entry>>,
    /// Of the last transaction, which writes every object, once it is decided.
    end: AtomicU64,
    over: AtomicBool,
}

impl Script {
    fn is_read(&self, at: Revision) -> bool {
        let end = self.end.load(Ordering::SeqCst);
        end > 0 && at >= end
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    events: u64,
    bookmarks: u64,
    /// Of several objects, delivered whole.
    transactions: u64,
    resumed: u64,
    /// Of those, right behind a transaction of several objects.
    between: u64,
    /// Began at the deletion of a wanted object; and deletions seen.
    tombstones: u64,
    deletions: u64,
    /// Were told that their history is gone.
    compacted: u64,
}

impl Totals {
    fn add(&mut self, other: Totals) {
        self.events += other.events;
        self.bookmarks += other.bookmarks;
        self.transactions += other.transactions;
        self.resumed += other.resumed;
        self.between += other.between;
        self.tombstones += other.tombstones;
        self.deletions += other.deletions;
        self.compacted += other.compacted;
    }

    fn report(&self, name: &str, seed: u64, watchers: u64, log: u64) {
        let totals = [
            ("watchers", watchers),
            ("log", log),
            ("events", self.events),
            ("bookmarks", self.bookmarks),
            ("transactions", self.transactions),
            ("resumed", self.resumed),
            ("resumedBehindTransactions", self.between),
            ("tombstones", self.tombstones),
            ("deletions", self.deletions),
            ("compacted", self.compacted),
            ("lost", 0),
            ("twice", 0),
        ];
        report(name, seed, &totals);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_watch_of_a_crowd_is_the_log_filtered_b5() {
    let (watchers, changes) = (200, if nightly() { 1_000_000 } else { 10_000 });
    let seed = seed("crowd");
    let (totals, log) = gather(seed, watchers, changes, None, |watch| watch.stay()).await;
    totals.report("crowd", seed, watchers, log);
    assert!(totals.events >= watchers * changes / 4, "they saw too little: {totals:?}");
    // How many there are is the machine's affair: whoever is behind gets none.
    let enough = if nightly() { 1_000_000 } else { 20_000 };
    assert!(totals.bookmarks >= enough && totals.transactions >= 100_000, "too little for B13 and B14: {totals:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_are_dropped_and_resume_miss_nothing_and_see_nothing_twice_b6() {
    let (watchers, reconnects) = (1_000, if nightly() { 1_000 } else { 60 });
    let seed = seed("reconnects");
    let (totals, log) = gather(seed, watchers, 0, None, move |watch| watch.resume(reconnects)).await;
    totals.report("reconnects", seed, watchers, log);
    assert_eq!(totals.resumed, watchers * reconnects);
    assert!(totals.between > totals.resumed / 10, "they hardly ever resumed behind a transaction: {totals:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_begins_where_compaction_has_come_to_misses_no_deletion_b9() {
    let (watchers, openings) = (40, if nightly() { 1_250 } else { 60 });
    let seed = seed("compacted watches");
    let (mut totals, mut log) = (Totals::default(), 0);
    // Less than the window of a kind holds, and more: then what is oldest is read from the log, where compaction is at work.
    for kept in [50, 2_500] {
        let (seen, changes) =
            gather(seed, watchers, 0, Some(kept), move |watch| watch.begin_at_the_oldest(openings)).await;
        totals.add(seen);
        log += changes;
    }
    totals.report("compacted-watches", seed, watchers, log);
    assert!(totals.tombstones * 20 > watchers * openings, "hardly any began at a deletion: {totals:?}");
    assert!(totals.deletions > watchers * openings && totals.compacted > 0, "{totals:?}");
}

/// So many watches on a store that is written to until each of them has done its work, and at least so many changes. Where
/// no more than so many revisions are `kept`, the watches begin when some are gone. Answers what they saw, and how many changes there were.
async fn gather<F: Future<Output = anyhow::Result<Totals>> + Send + 'static>(
    seed: u64,
    watchers: u64,
    changes: u64,
    kept: Option<u64>,
    work: impl Fn(Watch) -> F,
) -> (Totals, u64) {
    let place = crate::lives::memory();
    // Else as many as no watch is behind.
    let retention = Retention { age: Duration::ZERO, bytes: 1, revisions: kept.unwrap_or(200_000) };
    let store = victim::open(SqliteOptions { retention, ..victim::keeping(&database(place.path())) });
    let store = store.expect("it opens");
    let (script, mut writer) = (Arc::new(Script::default()), Writer::new(seed));
    while kept.is_some() && store.oldest() == 0 {
        writer.some(&store, &script).await;
    }
    let mut crowd = JoinSet::new();
    for number in 0..watchers {
        let dice = Dice::part(seed, 1_000 + number);
        let (store, script) = (store.clone(), script.clone());
        crowd.spawn(work(Watch { number, store, script, dice, totals: Totals::default() }));
    }
    let writer = tokio::spawn(writer.work(store.clone(), script.clone(), changes));
    let mut totals = Totals::default();
    let all = async {
        while let Some(done) = crowd.join_next().await {
            totals.add(done.context("a watch panics")??);
        }
        anyhow::Ok(())
    };
    let judged = tokio::time::timeout(PATIENCE, all).await.context("an event never came").flatten();
    // The store outlives nobody who uses it, and its files outlive the store.
    crowd.shutdown().await;
    script.over.store(true, Ordering::SeqCst);
    writer.await.expect("the writer does not panic");
    store.close().await.expect("it closes");
    judged.unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    let log = script.log.read().expect("nobody panics with it").len() as u64;
    (totals, log)
}

struct Writer {
    dice: Dice,
    /// What is stored.
    tokens: [Option<Token>; KEYS as usize],
    token: Token,
    revision: Revision,
}

impl Writer {
    fn new(seed: u64) -> Writer {
        Writer { dice: Dice::new(seed), tokens: [None; KEYS as usize], token: 0, revision: 0 }
    }

    async fn work(mut self, store: Store, script: Arc<Script>, changes: u64) {
        while !script.over.load(Ordering::SeqCst) {
            let written = script.log.read().expect("nobody panics with it").len() as u64;
            if changes > 0 && written >= changes {
                script.end.store(self.revision + 1, Ordering::SeqCst);
                store.commit(self.transaction(&script, 0, KEYS, 0)).await.expect("it is taken");
                return;
            }
            self.some(&store, &script).await;
            // The others want the processor too.
            tokio::task::yield_now().await;
        }
    }

    /// Asks for some transactions at once, now and then for more than is delivered at once, or than a kind's window holds.
    async fn some(&mut self, store: &Store, script: &Script) {
        let count = match self.dice.below(5_000) {
            0 => 3_000,
            1..=100 => 300,
            _ => 3,
        };
        let mut commits: Vec<_> = (0..count).map(|_| Box::pin(store.commit(self.any(script)))).collect();
        let mut newest = 0;
        // Each is queued when it is first asked, so in this order.
        let all = std::future::poll_fn(|cx| {
            commits.retain_mut(|commit| match commit.as_mut().poll(cx) {
                Poll::Ready(done) => {
                    newest = newest.max(done.expect("it is taken").revision);
                    false
                }
                Poll::Pending => true,
            });
            if commits.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        all.await;
        assert_eq!(newest, self.revision, "somebody else writes here");
    }

    fn any(&mut self, script: &Script) -> Vec<Write> {
        let (first, count) = (self.dice.below(u64::from(KEYS)) as Key, 1 + self.dice.below(3) as Key);
        self.transaction(script, first, count, 30)
    }

    /// The next transaction, of so many objects, of which some percent are deleted.
    fn transaction(&mut self, script: &Script, first: Key, count: Key, deleted: u64) -> Vec<Write> {
        self.revision += 1;
        let revision = self.revision;
        let mut log = script.log.write().expect("nobody panics with it");
        let writes = (first..first + count).map(|number| {
            let key = number % KEYS;
            let before = self.tokens[key as usize];
            self.token += 1;
            let put = (before.is_none() || !self.dice.chance(deleted)).then_some(self.token);
            self.tokens[key as usize] = put;
            let (kind, token) = match (before, put) {
                (None, _) => (Kind::Added, self.token),
                (Some(_), Some(token)) => (Kind::Modified, token),
                (Some(last), None) => (Kind::Deleted, last),
            };
            log.push(Entry { revision, key, kind, token });
            let write = write(&Change { key, expects: Expects::Anything, put });
            Write { key: placed(key), ..write }
        });
        writes.collect()
    }
}

/// The same object, in one of several namespaces.
fn placed(number: Key) -> otternauts_store::Key {
    otternauts_store::Key { namespace: namespace(number).into(), ..key(number) }
}

fn namespace(number: Key) -> String {
    format!("n{}", number % NAMESPACES)
}

/// One of the crowd.
struct Watch {
    number: u64,
    store: Store,
    script: Arc<Script>,
    dice: Dice,
    totals: Totals,
}

impl Watch {
    /// Everything, a namespace, an object, or what has a name in any namespace.
    fn range(&self) -> Range {
        let object = placed(self.object());
        let (namespace, name) = match self.number % 4 {
            0 => (None, None),
            1 => (Some(object.namespace), None),
            2 => (Some(object.namespace), Some(object.name)),
            _ => (None, Some(object.name)),
        };
        Range { namespace, name, ..Range::resource(RESOURCE) }
    }

    fn object(&self) -> Key {
        (self.number / 4) as Key % KEYS
    }

    fn follower(&self, after: Revision) -> Follower<impl Fn(Key) -> bool + use<>> {
        let (number, object) = (self.number, self.object());
        let log = self.script.log.read().expect("nobody panics with it");
        Follower::new(number as usize, &log, after, move |key| match number % 4 {
            0 => true,
            1 => key % NAMESPACES == object % NAMESPACES,
            _ => key == object,
        })
    }

    /// Of how many transactions: mostly few, sometimes more than are delivered at once.
    fn session(&mut self, few: u64) -> u64 {
        let most = if self.dice.chance(5) { 300 } else { few };
        1 + self.dice.below(most)
    }

    async fn stay(mut self) -> anyhow::Result<Totals> {
        let mut follower = self.follower(0);
        let mut watcher = self.store.watch(self.range(), 0).await?;
        while !self.script.is_read(follower.at()) {
            self.look(&mut watcher, &mut follower, &mut u64::MAX.clone()).await?;
        }
        Ok(self.totals)
    }

    async fn resume(mut self, reconnects: u64) -> anyhow::Result<Totals> {
        let mut follower = self.follower(0);
        for session in 0..=reconnects {
            let mut watcher = self.store.watch(self.range(), follower.at()).await?;
            self.totals.resumed += u64::from(session > 0);
            let before = self.totals.transactions;
            // It may be cut off in the midst of what a watch delivers at once, behind any transaction.
            let mut left = self.session(4);
            while left > 0 {
                self.look(&mut watcher, &mut follower, &mut left).await?;
            }
            self.totals.between += u64::from(self.totals.transactions > before);
        }
        Ok(self.totals)
    }

    async fn begin_at_the_oldest(mut self, openings: u64) -> anyhow::Result<Totals> {
        for _ in 0..openings {
            // The newest that is gone, or its neighbours.
            let oldest = self.store.oldest();
            let after = (oldest + self.dice.below(3)).saturating_sub(1).min(self.store.revision());
            let mut follower = self.follower(after);
            let watcher = self.store.watch(self.range(), after).await;
            if self.is_compacted(watcher.as_ref().err(), after) {
                continue;
            }
            let mut watcher = watcher?;
            self.totals.tombstones += u64::from(self.is_tombstone(after));
            let mut left = self.session(20);
            while left > 0 {
                let looked = self.look(&mut watcher, &mut follower, &mut left).await;
                let error = looked.as_ref().err().and_then(|error| error.downcast_ref::<Error>());
                if self.is_compacted(error, follower.at()) {
                    break;
                }
                looked?;
            }
        }
        Ok(self.totals)
    }

    /// Whether it was told, rightly, that what follows a revision is gone.
    fn is_compacted(&mut self, error: Option<&Error>, after: Revision) -> bool {
        let compacted = matches!(error, Some(Error::Compacted { oldest, .. }) if *oldest > after);
        self.totals.compacted += u64::from(compacted);
        compacted
    }

    /// Whether a wanted object was deleted at this revision.
    fn is_tombstone(&self, at: Revision) -> bool {
        let range = self.range();
        let log = self.script.log.read().expect("nobody panics with it");
        let first = log.partition_point(|entry| entry.revision < at);
        log[first..].iter().take_while(|entry| entry.revision == at).any(|entry| {
            let key = placed(entry.key);
            entry.kind == Kind::Deleted
                && range.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
                && range.name.as_ref().is_none_or(|name| *name == key.name)
        })
    }

    /// What is delivered next, as far as the client gets it: `left` transactions more.
    async fn look(
        &mut self,
        watcher: &mut Watcher,
        follower: &mut Follower<impl Fn(Key) -> bool>,
        left: &mut u64,
    ) -> anyhow::Result<()> {
        let mut item = watcher.next().await?;
        if let WatchItem::Events(events) = &mut item {
            let transactions = events.chunk_by(|one, next| one.revision == next.revision);
            let got: Vec<usize> = transactions.take(usize::try_from(*left)?).map(<[_]>::len).collect();
            events.truncate(got.iter().sum());
            *left -= got.len() as u64;
        }
        let mut stream = Stream::default();
        take(&mut stream, item)?;
        {
            let log = self.script.log.read().expect("nobody panics with it");
            let mut see = |seen: &Seen| {
                follower.see(&log, seen).map_err(|violation| anyhow::anyhow!("{violation:?} in {seen:?}"))
            };
            for transaction in stream.seen.chunk_by(|one, next| one.revision() == next.revision()) {
                transaction.iter().try_for_each(&mut see)?;
                // It is whole (B14).
                see(&Seen::Bookmark(transaction[0].revision()))?;
                self.totals.events += transaction.len() as u64;
                self.totals.transactions += u64::from(transaction.len() > 1);
                let deletions =
                    transaction.iter().filter(|seen| matches!(seen, Seen::Event { kind: Kind::Deleted, .. }));
                self.totals.deletions += deletions.count() as u64;
            }
            // Beside a writer that goes on (B13); who was cut off got none.
            for _ in 0..if *left > 0 { 1 + self.dice.below(16) } else { 0 } {
                see(&Seen::Bookmark(watcher.progress()))?;
                self.totals.bookmarks += 1;
            }
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}
