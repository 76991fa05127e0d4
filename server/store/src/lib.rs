//! The Store: revisioned objects, group-committed, watched from any retained revision. See README.md.
//!
//! What it promises (design section 5; P1 to P9 of the reliability page):
//! - a commit is answered only after its fsync, and is visible to nobody before that;
//! - one global, gap-free revision; each object's `resourceVersion` is the revision of its last write;
//! - the bytes stored are the bytes served;
//! - a watch delivers every change after its revision, in order, once, or says that its revision is gone.
//!
//! It knows nothing of HTTP, users, schemas or clocks beyond its own batching.

use bytes::Bytes;
use std::sync::Arc;

/// One object's place. `resource` is `plural.group` (`secrets` in the core group); `namespace` is empty for cluster scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub resource: Arc<str>,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

/// A collection: one resource, everywhere or in one namespace, or one object of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    pub resource: Arc<str>,
    /// `None`: every namespace (and the only form for cluster scope).
    pub namespace: Option<Arc<str>>,
    pub name: Option<Arc<str>>,
}

/// A global revision, the decimal number in `metadata.resourceVersion`. 0 is before the first write.
pub type Revision = u64;

/// The bytes of an object as they will be served, with the place where the writer puts the revision's digits.
#[derive(Clone, Debug)]
pub struct Body {
    /// Everything before the digits of `resourceVersion` (ends with the opening quote).
    pub head: Bytes,
    /// Everything after them (begins with the closing quote).
    pub tail: Bytes,
    /// The hash of the definition it was written under ([`Record::schema`]).
    pub schema: u64,
}

/// A stored object at one revision.
#[derive(Clone, Debug)]
pub struct Record {
    pub key: Key,
    /// Of the last write.
    pub revision: Revision,
    /// Exactly as served, the revision inside.
    pub body: Bytes,
    pub schema: u64,
}

/// What must be true of a key for a write to go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    Absent,
    /// The object's last write is this revision.
    At(Revision),
    Exists,
    None,
}

#[derive(Clone, Debug)]
pub enum Op {
    Put(Body),
    /// The final state goes into the DELETED event, its `resourceVersion` set to the revision of the deletion (row W7);
    /// `last` is that state, encoded like a [`Body`].
    Delete { last: Body },
}

/// One write. A transaction is a list of them, all or nothing, at one revision.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: Key,
    pub precondition: Precondition,
    pub op: Op,
}

/// Why the store said no.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A precondition of the write to `key` did not hold; `current` is its revision now, `None` when it is absent.
    #[error("precondition failed for {key:?}")]
    Conflict { key: Key, current: Option<Revision> },
    /// The revision asked for is compacted away; `oldest` can still be had.
    #[error("revision {asked} is compacted, the oldest is {oldest}")]
    Compacted { asked: Revision, oldest: Revision },
    /// The revision asked for does not exist yet.
    #[error("revision {asked} is in the future, the newest is {current}")]
    Future { asked: Revision, current: Revision },
    /// A stored row does not match its checksum.
    #[error("the stored bytes of {key:?} at revision {revision} do not match their checksum")]
    Corrupt { key: Key, revision: Revision },
    /// The disk is full: reads go on, writes are refused.
    #[error("the disk is full")]
    Full,
    #[error("the store is shutting down")]
    Closed,
    /// Anything the engine reports that is none of the above; the process should not go on after most of them (R4).
    #[error("the storage engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

pub type Result<T> = std::result::Result<T, Error>;

/// A page of a list at one revision.
#[derive(Clone, Debug)]
pub struct Page {
    pub records: Vec<Record>,
    /// The revision the whole list is at, the same on every page.
    pub revision: Revision,
    /// True when more follow the last record.
    pub more: bool,
    /// How many follow, when that is cheap to know.
    pub remaining: Option<u64>,
}

/// What to list.
#[derive(Clone, Debug)]
pub struct List {
    pub range: Range,
    /// Exactly at this revision; `None`: the newest.
    pub at: Option<Revision>,
    /// Only keys after this one (namespace, name), in byte order.
    pub after: Option<(Arc<str>, Arc<str>)>,
    /// 0: no limit.
    pub limit: usize,
}

/// One committed change, encoded once and shared by every watcher.
#[derive(Clone, Debug)]
pub struct Event {
    pub revision: Revision,
    pub key: Key,
    pub kind: EventKind,
    /// The object after the change; for a deletion its last state carrying the deletion's revision.
    pub record: Record,
    /// The object before the change, for selector edges (rows W7, W8).
    pub previous: Option<Record>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Created,
    Updated,
    Deleted,
}

/// What a watcher gets next.
#[derive(Clone, Debug)]
pub enum WatchItem {
    /// Changes in revision order; never empty. A transaction is never split over two batches.
    Events(Vec<Arc<Event>>),
    /// Nothing more up to this revision: everything of the range at or before it has been delivered.
    Progress(Revision),
}

/// A handle to the store; cheap to clone. The engine (SQLite, memory, later etcd) is chosen when it is opened.
#[derive(Clone)]
pub struct Store {}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Committed {
    pub revision: Revision,
    /// One per write, in order: the record as stored, or for a deletion its last state.
    pub records: Vec<Record>,
}

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// The newest state of one object.
    pub async fn get(&self, key: &Key) -> Result<Option<Record>> {
        todo!()
    }

    /// A page in the order namespace, name (bytes). Without `at`: the newest revision, never older than an answered commit.
    pub async fn list(&self, list: List) -> Result<Page> {
        todo!()
    }

    /// All or nothing, at one new revision. Answers after the fsync; a failed precondition writes nothing.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<Committed> {
        todo!()
    }

    /// Every change of the range with a revision above `after`. [`Error::Compacted`] when that history is gone;
    /// a future `after` waits (row W20). Dropping the watcher ends it.
    pub async fn watch(&self, range: Range, after: Revision) -> Result<Watcher> {
        todo!()
    }

    /// The newest committed revision.
    pub fn revision(&self) -> Revision {
        todo!()
    }

    /// The oldest revision that `list` and `watch` can still start from.
    pub fn oldest(&self) -> Revision {
        todo!()
    }

    /// Small values of the server itself, outside the API (the wrapped data key, the store's id); durable like a commit.
    pub async fn meta(&self, name: &str) -> Result<Option<Bytes>> {
        todo!()
    }

    pub async fn set_meta(&self, name: &str, value: Bytes) -> Result<()> {
        todo!()
    }

    /// How many objects each resource has: `(resource, count)`.
    pub fn counts(&self) -> Vec<(Arc<str>, u64)> {
        todo!()
    }

    /// Finishes what is queued, checkpoints, and lets go of the files.
    pub async fn close(&self) -> Result<()> {
        todo!()
    }
}

/// One watch. Slow readers are parked and caught up from the log; they never hold anybody up.
pub struct Watcher {}

impl Watcher {
    /// The next batch, or [`WatchItem::Progress`] after a quiet while. [`Error::Compacted`] ends the watch: the reader was
    /// slower than the history is long.
    pub async fn next(&mut self) -> Result<WatchItem> {
        todo!()
    }
}
