//! What this replica has seen of the log, and how it gets to see the rest.
//!
//! Everybody's commits are rows of one log, and the head says how long it is. So there is one way to catch up, whatever
//! happened: read the head and the rows behind our own in one transaction. A consistent read is that with nothing found
//! (P8); the watch on the head only says when.

use crate::batch::Batch;
use crate::engine::etcd::client::{Client, IMPATIENCE, PATIENCE, Trouble, fewer, more_than};
use crate::engine::etcd::followed::Followed;
use crate::engine::etcd::proto::{RangeRequest, Request, TxnRequest, get, holds};
use crate::engine::etcd::row::{Head, Keys, Stored, decode};
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::key::Revision;
use crate::log::{Place, Row};
use crate::observer::Statement;
use crate::record::Record;
use crate::retention::{Ages, Clock, Retention};
use crate::visible::Visible;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Rows asked for at once. More than one transaction of usual size, so that a page always moves on.
const PAGE: i64 = 512;
/// etcd's own limit of operations in a transaction, unless it was set otherwise.
pub(super) const MOST_OPS: usize = 128;

/// What is wrong with what lies in etcd.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("history went back: etcd is at revision {found}, and {known} was seen here (was an old backup restored?)")]
    Back { known: Revision, found: Revision },
    #[error("history went back: revision {0} in etcd is not the one that was seen here (was an old backup restored?)")]
    Other(Revision),
    #[error("history went back: revision {0} is missing from the log in etcd")]
    Missing(Revision),
    #[error("the key {0} in etcd does not hold what was written there")]
    Bytes(String),
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        Error::Engine(Box::new(broken))
    }
}

/// A row of history, as compaction needs it.
pub(super) type Step = (Place, EventKind, Place);

/// What is applied. Locked before the index, and while a batch is made visible.
pub(super) struct Applied {
    pub head: Head,
    pub ages: Ages,
    /// History above `head.oldest`, in order.
    pub trail: VecDeque<Step>,
}

pub(super) struct View {
    pub client: Client,
    pub keys: Keys,
    pub visible: Arc<Visible>,
    pub clock: Clock,
    retention: Retention,
    pub applied: Mutex<Applied>,
    /// The cluster answered when it was last asked.
    pub reached: AtomicBool,
    turns: Turns,
    pub followed: Followed,
    /// Rows asked for at once: fewer after a page that did not come, until everything was caught up with.
    rows_at_once: AtomicI64,
}

/// One catching-up serves everybody who asked before it began.
#[derive(Default)]
struct Turns {
    begun: AtomicU64,
    running: tokio::sync::Mutex<Option<(u64, Result<(), String>)>>,
}

/// A page of the log, and the head it was read with.
struct Page {
    head: Head,
    /// The number in the newest row that was known before; `None`: that row is gone, or the head is as it was.
    joint: Option<u64>,
    rows: Vec<Stored>,
    more: bool,
    /// The small value that is followed, if one is: as it was at the same moment.
    followed: Option<Option<Bytes>>,
}

impl View {
    pub(super) fn new(client: Client, keys: Keys, visible: Arc<Visible>, clock: Clock, retention: Retention) -> View {
        let ages = Ages::new(retention, 0, 0, 0, clock());
        let applied = Mutex::new(Applied { head: Head::default(), ages, trail: VecDeque::new() });
        let reached = AtomicBool::new(true);
        View {
            client,
            keys,
            visible,
            clock,
            retention,
            applied,
            reached,
            turns: Turns::default(),
            followed: Followed::default(),
            rows_at_once: AtomicI64::new(PAGE),
        }
    }

    /// How long to ask: not long when nobody answered before.
    pub(super) fn patience(&self) -> Duration {
        if self.reached.load(Ordering::Relaxed) { PATIENCE } else { IMPATIENCE }
    }

    pub(super) fn head(&self) -> Head {
        self.applied.lock().head
    }

    /// Returns when this replica has seen everything that anybody was answered before the call.
    pub(super) async fn fresh(&self) -> Result<()> {
        let wanted = self.turns.begun.load(Ordering::SeqCst) + 1;
        let mut last = self.turns.running.lock().await;
        if let Some((turn, outcome)) = &*last
            && *turn >= wanted
        {
            return outcome.clone().map_err(Error::Unavailable);
        }
        let turn = self.turns.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let result = self.catch_up().await;
        self.reached.store(result.is_ok(), Ordering::Relaxed);
        let told = match &result {
            Ok(()) => Ok(()),
            Err(Error::Unavailable(why)) => Err(why.clone()),
            Err(error) => Err(format!("etcd: {}", cause(error))),
        };
        *last = Some((turn, told));
        result
    }

    /// Reads and applies what is new.
    pub(super) async fn catch_up(&self) -> Result<()> {
        let mut limit = self.rows_at_once.load(Ordering::Relaxed);
        loop {
            let known = self.head();
            let mut page = self.page(known, limit).await?;
            check(known, &page)?;
            if let Some(found) = page.followed.take() {
                // Before anybody sees a row that was written under it.
                self.followed.found(found);
            }
            let unseen = page.head.revision > known.revision;
            if page.head.oldest > known.revision || (unseen && known.revision > 0 && page.joint.is_none()) {
                // Rows that we have not seen are gone already, or what says that those after ours follow them.
                crate::engine::etcd::load::reload(self).await?;
                continue;
            }
            let more = page.more;
            if more && !page.cut() {
                // One revision alone has more rows.
                limit *= 8;
                continue;
            }
            self.take_in(page).await?;
            if !more {
                self.rows_at_once.store(PAGE, Ordering::Relaxed);
                return Ok(());
            }
            limit = limit.max(more_than(limit).min(PAGE));
        }
    }

    /// The head, and if it is another than the known one, the rows above that, at one moment.
    async fn page(&self, known: Head, limit: i64) -> Result<Page> {
        let rows = RangeRequest {
            key: self.keys.row(Place(Place::last_of(known.revision).0 + 1)),
            range_end: self.keys.end_of_rows(),
            limit,
            ..RangeRequest::default()
        };
        let mut success = vec![get(self.keys.head.clone())];
        let question = self.followed.question();
        let follows = question.is_some();
        success.extend(question);
        let mut failure = success.clone();
        failure.push(get(self.keys.row(Place::new(known.revision, 0))));
        failure.push(Request::Range(rows).into());
        let compare = vec![holds(self.keys.head.clone(), (known.revision > 0).then(|| known.encode()))];
        let request = TxnRequest { compare, success, failure };
        let answer = self.client.txn(&request, tokio::time::Instant::now() + self.patience()).await;
        if let Err(Trouble::Silent { .. }) = answer {
            self.rows_at_once.store(fewer(limit), Ordering::Relaxed);
        }
        let mut found = answer.map_err(Trouble::of_read)?.ranges();
        let mut first = || found.next().and_then(|range| range.kvs.into_iter().next());
        let head = match first() {
            Some(kv) => Head::decode(&kv.value).ok_or_else(|| Broken::Bytes("head".to_owned()))?,
            None => Head::default(),
        };
        let followed = if follows { Some(first().map(|kv| kv.value)) } else { None };
        let joint = first().map(|kv| self.stored(&kv.key, kv.value)).transpose()?.map(|stored| stored.nonce);
        let range = found.next().unwrap_or_default();
        let rows = range.kvs.into_iter().map(|kv| self.stored(&kv.key, kv.value)).collect::<Result<Vec<_>>>()?;
        Ok(Page { head, joint, rows, more: range.more, followed })
    }

    pub(super) fn stored(&self, key: &[u8], value: bytes::Bytes) -> Result<Stored> {
        let stored = self.keys.place(key).and_then(|place| decode(place, value));
        stored.ok_or_else(|| {
            self.visible.found_damage();
            Broken::Bytes(String::from_utf8_lossy(key).into_owned()).into()
        })
    }

    /// Makes a page visible that follows what is applied; what is already is passed over.
    async fn take_in(&self, page: Page) -> Result<()> {
        let rows: Vec<Row> = page.rows.into_iter().map(|stored| stored.row).collect();
        let before = self.before(&rows).await?;
        self.apply(rows, page.head, &before)
    }

    /// Makes rows visible that lead to `head`, in one step with it. Rows that are visible already are passed over.
    pub(super) fn apply(&self, mut rows: Vec<Row>, head: Head, before: &HashMap<Place, Record>) -> Result<()> {
        let mut applied = self.applied.lock();
        let known = applied.head;
        if head.revision > known.revision {
            rows.retain(|row| row.place.revision() > known.revision);
            contiguous(known.revision, head.revision, rows.iter().map(|row| row.place.revision()))?;
            let size = rows.iter().map(Row::size).sum();
            applied.trail.extend(rows.iter().map(|row| (row.place, row.kind, row.previous)));
            let batch = Batch::of(head.revision, rows);
            self.visible.apply(&batch, |place| before.get(&place).cloned());
            applied.ages.record(head.revision, size, (self.clock)());
            applied.head = Head { oldest: known.oldest, ..head };
        }
        self.forget(&mut applied, head.oldest);
        Ok(())
    }

    /// History starts later now.
    fn forget(&self, applied: &mut Applied, oldest: Revision) {
        if oldest <= applied.head.oldest {
            return;
        }
        applied.head.oldest = oldest;
        while applied.trail.front().is_some_and(|(place, _, _)| place.revision() <= oldest) {
            applied.trail.pop_front();
        }
        if applied.trail.capacity() > 4096 && applied.trail.len() * 4 < applied.trail.capacity() {
            let most = applied.trail.len() * 2;
            applied.trail.shrink_to(most);
        }
        self.visible.compact(oldest);
    }

    /// Starts over with what [`crate::engine::etcd::load`] found, which is newer than what is applied.
    pub(super) fn replace(&self, loaded: crate::engine::etcd::load::Loaded) {
        let mut applied = self.applied.lock();
        if loaded.head.revision < applied.head.revision {
            return;
        }
        let (oldest, newest) = (loaded.head.oldest, loaded.head.revision);
        applied.ages = Ages::new(self.retention, oldest, newest, loaded.history_bytes, (self.clock)());
        applied.trail = loaded.trail;
        applied.head = loaded.head;
        let mut index = self.visible.index.write();
        *index = loaded.index;
        // Another history may have other objects in the same places.
        self.visible.cache.replace(loaded.cache);
        drop(index);
        self.visible.hub.restart(newest);
    }

    /// The states that rows replace, which watchers with selectors need to know.
    pub(super) async fn before(&self, rows: &[Row]) -> Result<HashMap<Place, Record>> {
        let mut before = HashMap::new();
        let mut missing = Vec::new();
        let own: std::collections::HashSet<Place> = rows.iter().map(|row| row.place).collect();
        for place in rows.iter().map(|row| row.previous).filter(|place| !place.is_none() && !own.contains(place)) {
            match self.visible.cache.get(place) {
                Some(record) => drop(before.insert(place, record)),
                None => missing.push(place),
            }
        }
        for stored in self.rows(&missing).await? {
            before.insert(stored.row.place, stored.row.record());
        }
        Ok(before)
    }

    /// Rows by their places, in the order asked for; those that are gone are passed over.
    pub(super) async fn rows(&self, places: &[Place]) -> Result<Vec<Stored>> {
        let mut found = Vec::with_capacity(places.len());
        for places in places.chunks(MOST_OPS) {
            let started = Instant::now();
            let ops = places.iter().map(|place| get(self.keys.row(*place))).collect();
            let answer = self.client.read(ops, self.patience()).await.map_err(Trouble::of_read)?;
            for kv in answer.ranges().flat_map(|range| range.kvs) {
                found.push(self.stored(&kv.key, kv.value)?);
            }
            self.visible.observer.statement(Statement::Get, started.elapsed());
        }
        Ok(found)
    }
}

impl Page {
    /// Leaves out the last revision, which may go on in the next page; says whether anything is left.
    fn cut(&mut self) -> bool {
        let last = self.rows.last().map_or(0, |stored| stored.row.place.revision());
        self.rows.retain(|stored| stored.row.place.revision() < last);
        let Some(end) = self.rows.last() else { return false };
        self.head = Head { revision: end.row.place.revision(), oldest: 0, nonce: end.nonce };
        true
    }
}

/// The head in etcd belongs to the history that we have seen, and so do the rows behind what we know: two histories may be of the
/// same length, and one may have grown past the other.
fn check(known: Head, page: &Page) -> Result<()> {
    let found = page.head;
    if found.revision < known.revision {
        return Err(Broken::Back { known: known.revision, found: found.revision }.into());
    }
    let same = if found.revision == known.revision { Some(found.nonce) } else { page.joint };
    if same.is_some_and(|nonce| nonce != known.nonce) {
        return Err(Broken::Other(known.revision).into());
    }
    Ok(())
}

/// Every revision above `after` up to `last` has a row.
pub(super) fn contiguous(after: Revision, last: Revision, revisions: impl Iterator<Item = Revision>) -> Result<()> {
    let mut seen = after;
    for revision in revisions {
        if revision > seen + 1 {
            return Err(Broken::Missing(seen + 1).into());
        }
        seen = seen.max(revision);
    }
    if seen < last {
        return Err(Broken::Missing(seen + 1).into());
    }
    Ok(())
}

/// The innermost reason.
pub(super) fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
