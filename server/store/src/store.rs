//! The handle everybody holds.

#[cfg(feature = "etcd")]
use crate::engine::etcd::{Etcd, EtcdOptions};
use crate::engine::memory::{Memory, MemoryOptions};
use crate::engine::sqlite::{Sqlite, SqliteOptions};
use crate::engine::{BodyRef, Engine};
use crate::error::{Error, Result, Unreadable};
use crate::index::Index;
use crate::key::{Key, Range, Revision};
use crate::list::{PAGE_BYTES, list, lost};
use crate::log::{Header, Place};
use crate::observer::{Operation, Statement};
use crate::record::{Committed, List, Op, Page, Precondition, Record, Write};
use crate::visible::Visible;
use crate::watcher::Watcher;
use bytes::Bytes;
use otternauts_telemetry::traces::{Kind, Origin, Span};
use std::sync::Arc;
use std::time::Instant;

/// The name of the small value that counts restores.
pub(crate) const META_EPOCH: &str = ".epoch";
/// Rows a scan reads in one snapshot (R39).
const SCAN_ROWS: usize = 500;

/// How often a read looks again for a row that compaction took between index and log.
const TRIES: usize = 100;

/// A handle to the store; cheap to clone. The engine (SQLite, memory, later etcd) is chosen when it is opened.
///
/// Its methods run inside a tokio runtime. The last handle (or watcher) that goes lets go of the files; [`Store::close`]
/// does it in an orderly way and at a known moment.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub visible: Arc<Visible>,
    pub engine: Engine,
}

impl Inner {
    /// Runs reads, away from the reactor unless they are short or the engine does not block.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        short: bool,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if (short && !self.engine.is_far()) || !self.engine.blocks() {
            return work(self);
        }
        let inner = self.clone();
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Error::Closed),
        }
    }
}

impl Store {
    /// A store that lives and dies with the process.
    pub fn memory() -> Store {
        Store::memory_with(&MemoryOptions::default())
    }

    /// [`Store::memory`] with another retention, clock or observer.
    pub fn memory_with(options: &MemoryOptions) -> Store {
        let visible = Arc::new(Visible::new(Index::default(), options.observer.clone()));
        Store { inner: Arc::new(Inner { visible, engine: Engine::Memory(Memory::new(options)) }) }
    }

    /// Opens or makes a store in one SQLite file. Blocks while the index is rebuilt (seconds for a million objects).
    /// Refused when the file is open already, in this process or another, or is not ours, or is newer than we are.
    pub fn sqlite(options: SqliteOptions) -> Result<Store> {
        let (visible, engine) = Sqlite::open(options)?;
        Ok(Store { inner: Arc::new(Inner { visible, engine: Engine::Sqlite(engine) }) })
    }

    /// A store in an etcd cluster, shared with whoever opens the same prefix. Blocks while the cluster is reached and the
    /// index is built. [`Error::Unavailable`] when no member answers.
    #[cfg(feature = "etcd")]
    pub fn etcd(options: EtcdOptions) -> Result<Store> {
        let (visible, engine) = Etcd::open(options)?;
        Ok(Store { inner: Arc::new(Inner { visible, engine: Engine::Etcd(Box::new(engine)) }) })
    }

    /// Whether other processes may write to the same store.
    pub fn is_shared(&self) -> bool {
        self.inner.engine.is_far()
    }

    /// Returns when this process has seen every commit that anybody was answered before the call (P8): at once, where nobody else
    /// writes. [`Error::Unavailable`] when the cluster does not say.
    pub async fn fresh(&self) -> Result<()> {
        self.inner.engine.fresh().await
    }

    /// Whether the cluster behind the store answered when it was last asked; always true where there is none.
    pub fn is_reached(&self) -> bool {
        self.inner.engine.is_reached()
    }

    /// The newest state of one object: never older than any answered commit, whoever made it.
    pub async fn get(&self, key: &Key) -> Result<Option<Record>> {
        self.inner.engine.fresh().await?;
        self.get_seen(key).await
    }

    /// The state of one object as this process last saw it: with several replicas perhaps an older one, but at once, and also
    /// while the cluster cannot be reached (`resourceVersion=0`).
    pub async fn get_seen(&self, key: &Key) -> Result<Option<Record>> {
        let started = Instant::now();
        let result = self.read(key).await;
        self.inner.visible.observer.operation(Operation::Get, &key.resource, started.elapsed());
        result
    }

    async fn read(&self, key: &Key) -> Result<Option<Record>> {
        for _ in 0..TRIES {
            let Some(place) = self.inner.visible.index.read().get(key) else { return Ok(None) };
            if let Some(record) = self.inner.visible.cache.get(place) {
                return Ok(Some(record));
            }
            // One row by its id is about ten microseconds: cheaper here than the way to another thread and back.
            let wanted = key.clone();
            let found = match self.inner.run(true, move |inner| row(inner, wanted, place)).await {
                // A damaged row may have lost its name: the index knows it.
                Err(Error::Corrupt { revision, .. }) => return Err(Error::Corrupt { key: key.clone(), revision }),
                found => found?,
            };
            if let Some(record) = found {
                self.inner.visible.cache.put(place, record.clone());
                return Ok(Some(record));
            }
        }
        Err(lost(self.revision()))
    }

    /// A page in the order namespace, name (bytes). Without `at`: the newest revision, never older than an answered commit.
    pub async fn list(&self, wanted: List) -> Result<Page> {
        if wanted.at.is_none_or(|at| at > self.revision()) {
            self.inner.engine.fresh().await?;
        }
        self.list_seen(wanted).await
    }

    /// [`Store::list`] of what this process last saw; see [`Store::get_seen`].
    pub async fn list_seen(&self, wanted: List) -> Result<Page> {
        self.list_within(wanted, PAGE_BYTES).await
    }

    /// [`Store::list_seen`], a page with a limit holding no more than so many bytes, but one object always: for who keeps it in memory
    /// until somebody takes it (P7).
    pub async fn list_within(&self, wanted: List, bytes: usize) -> Result<Page> {
        let span = self.span("list", &wanted.range.resource);
        let (started, resource) = (Instant::now(), wanted.range.resource.clone());
        let done = span.run(list(&self.inner, wanted, bytes)).await;
        self.inner.visible.observer.operation(Operation::List, &resource, started.elapsed());
        match done? {
            (page, unreadable) if unreadable.is_empty() => Ok(page),
            // Never a list that leaves something out: who reads it would take that for deleted (P16).
            (_, unreadable) => Err(Error::Unreadable(unreadable)),
        }
    }

    /// Whatever of a page can be read, and what cannot: for those who must go on without it. The page may end with one that cannot.
    pub async fn readable(&self, wanted: List) -> Result<(Page, Vec<Unreadable>)> {
        self.inner.engine.fresh().await?;
        list(&self.inner, wanted, PAGE_BYTES).await
    }

    /// Whether anything stored was found damaged since the start.
    pub fn is_damaged(&self) -> bool {
        self.inner.visible.is_damaged()
    }

    /// All or nothing, at one new revision. Answers after the fsync; a failed precondition writes nothing. A transaction
    /// names each key at most once. Dropping the future leaves it unknown whether the write happens (P4).
    pub async fn commit(&self, writes: Vec<Write>) -> Result<Committed> {
        if writes.is_empty() {
            return Ok(Committed { revision: self.revision(), records: Vec::new() });
        }
        let (started, operation, resource) = (Instant::now(), operation(&writes[0]), writes[0].key.resource.clone());
        let span = self.span("commit", &resource);
        if writes.len() > 1 {
            span.set("db.operation.batch.size", i64::try_from(writes.len()).unwrap_or(i64::MAX));
        }
        let done = span.run(self.inner.engine.commit(&self.inner.visible, writes)).await;
        self.inner.visible.observer.operation(operation, &resource, started.elapsed());
        if done.is_err() {
            span.fail("refused");
        }
        done
    }

    /// The span of one operation, below the request's; gets of single objects take microseconds and have none.
    pub(crate) fn span(&self, operation: &'static str, resource: &str) -> Span {
        let span = Span::begin(Kind::Client, || format!("{operation} {resource}"), Origin::Current);
        if span.is_recorded() {
            span.set("db.system.name", self.inner.engine.name());
            span.set("db.operation.name", operation);
            span.set("db.collection.name", resource.to_owned());
        }
        span
    }

    /// Every change of the range with a revision above `after`. [`Error::Compacted`] when that history is gone;
    /// a future `after` waits (row W20). Dropping the watcher ends it.
    pub async fn watch(&self, range: Range, after: Revision) -> Result<Watcher> {
        Watcher::new(self.inner.clone(), range, after)
    }

    /// The newest committed revision.
    pub fn revision(&self) -> Revision {
        self.inner.visible.revision()
    }

    /// The oldest revision that `list` and `watch` can still start from.
    pub fn oldest(&self) -> Revision {
        self.inner.visible.oldest()
    }

    /// Small values of the server itself, outside the API (the wrapped data key, the store's id); durable like a commit.
    pub async fn meta(&self, name: &str) -> Result<Option<Bytes>> {
        self.inner.engine.meta(name).await
    }

    /// The small value there is, or else this one, which is kept: of several replicas that start at once, all get the same.
    pub async fn claim_meta(&self, name: &str, value: Bytes) -> Result<Bytes> {
        self.inner.engine.claim_meta(name, value).await
    }

    /// Sets a small value; see [`Store::meta`].
    pub async fn set_meta(&self, name: &str, value: Bytes) -> Result<()> {
        self.inner.engine.set_meta(name, value).await
    }

    /// Sets a small value that is still `before`; `false`: it is another by now, and stays. Of two replicas that do it, one succeeds.
    pub async fn replace_meta(&self, name: &str, before: &Bytes, value: Bytes) -> Result<bool> {
        self.inner.engine.replace_meta(name, before, value).await
    }

    /// Follows one small value that what is written depends on: tells it now, and again whenever another process has changed it, before
    /// anything can be seen here that was written after. A commit that was asked for under a former value gets [`Error::Outdated`]. Who
    /// answers `false` cannot use the value, and commits nothing more.
    pub async fn follow(&self, name: &str, tell: Arc<dyn Fn(Bytes) -> bool + Send + Sync>) -> Result<()> {
        self.inner.engine.follow(name, tell).await
    }

    /// All small values by name, but the engine's own: for a backup.
    pub async fn metas(&self) -> Result<Vec<(String, Bytes)>> {
        self.inner.engine.metas().await
    }

    /// How often the store was restored from a backup; it changes with nothing else (R44).
    pub async fn epoch(&self) -> Result<u64> {
        let value = self.meta(META_EPOCH).await?;
        Ok(value.and_then(|value| value.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    /// Where everything was moved to, by [`Store::leave`]. What is here is old then, and not to be served.
    pub async fn moved(&self) -> Result<Option<String>> {
        self.inner.engine.moved().await
    }

    /// Marks the store as moved away, durably; `note` says where to and when. Refused when anything was written after revision `at`.
    /// Whoever has it open in another process can write no more.
    pub async fn leave(&self, at: Revision, note: &str) -> Result<()> {
        self.inner.engine.leave(&self.inner.visible, at, note).await
    }

    /// Keeps the newest revision listable for as long as the hold lives, whatever the retention of this or another replica says. For a
    /// backup: not for long. [`Store::forget`] goes past it; and where the cluster cannot be reached for half a minute it runs out. Who
    /// lists there then gets [`Error::Compacted`].
    pub async fn hold(&self) -> Result<Hold> {
        let shared = self.inner.engine.hold().await?;
        let revision = {
            // The index first: nothing can be compacted between the look at it and the hold.
            let index = self.inner.visible.index.read();
            let revision = shared.as_ref().map_or(index.revision, |(revision, _)| *revision);
            self.inner.visible.holds.lock().push(revision);
            revision
        };
        Ok(Hold { inner: self.inner.clone(), revision, _shared: shared.map(|(_, held)| held) })
    }

    /// Forgets history up to a revision now (at most the newest), rather than when its time comes. Answers when it is gone from the
    /// log and from the files behind it; watches and lists of older revisions get [`Error::Compacted`]. [`Error::HeldBack`]: it is forgotten,
    /// but another program keeps the old bytes where they are.
    pub async fn forget(&self, upto: Revision) -> Result<()> {
        self.inner.engine.forget(&self.inner.visible, upto).await
    }

    /// Shows the body of every row of a resource that the log still has, live or history. What is committed meanwhile may be missed.
    pub async fn scan(&self, resource: &str, visit: impl FnMut(&Key, Revision, &[u8]) + Send + 'static) -> Result<()> {
        let resource = resource.to_owned();
        self.inner.run(false, move |inner| scan(inner, &resource, visit)).await
    }

    /// How many objects each resource has: `(resource, count)`.
    pub fn counts(&self) -> Vec<(Arc<str>, u64)> {
        self.inner.visible.index.read().counts()
    }

    /// The sizes in bytes of the files behind the store, by a short name fit for a label; none for memory.
    pub fn file_bytes(&self) -> Vec<(&'static str, u64)> {
        self.inner.engine.file_bytes()
    }

    /// How much of those files holds nothing, by the same names.
    pub fn free_bytes(&self) -> Vec<(&'static str, u64)> {
        self.inner.engine.free_bytes()
    }

    /// Finishes what is queued, ends the watches, checkpoints, and lets go of the files.
    pub async fn close(&self) -> Result<()> {
        let result = self.inner.engine.close().await;
        self.inner.visible.hub.close();
        result
    }
}

/// See [`Store::hold`].
pub struct Hold {
    inner: Arc<Inner>,
    /// What can be listed while this lives.
    pub revision: Revision,
    _shared: Option<Box<dyn Send + Sync>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut holds = self.inner.visible.holds.lock();
        if let Some(at) = holds.iter().position(|held| *held == self.revision) {
            holds.swap_remove(at);
        }
    }
}

/// The places first, then the rows in short snapshots (R39).
fn scan(inner: &Inner, resource: &str, mut visit: impl FnMut(&Key, Revision, &[u8])) -> Result<()> {
    let Inner { visible, engine } = inner;
    let mut places: Vec<Place> = {
        let index = visible.index.read();
        let live = index.walk(&Range::resource(resource), None, usize::MAX);
        let history = index.history(resource, index.oldest, usize::MAX);
        // What a row of the history replaced is in the log too.
        live.into_iter().map(|(_, _, place)| place).chain(history).collect()
    };
    let mut replaced = Vec::new();
    places.sort_unstable();
    places.dedup();
    for chunk in places.chunks(SCAN_ROWS) {
        engine.headers(visible, chunk, &mut |header| {
            replaced.extend((!header.previous.is_none()).then_some(header.previous));
        })?;
    }
    places.extend(replaced);
    places.sort_unstable();
    places.dedup();
    for chunk in places.chunks(SCAN_ROWS) {
        engine.rows(visible, Statement::History, chunk, &mut |header, body| {
            let key = Key::new(header.resource, header.namespace, header.name);
            visit(&key, header.place.revision(), &body.bytes());
        })?;
    }
    Ok(())
}

fn row(inner: &Inner, key: Key, place: Place) -> Result<Option<Record>> {
    let mut found = None;
    let visit = &mut |header: &Header<'_>, body: &BodyRef<'_>| {
        let (revision, schema) = (header.place.revision(), header.schema);
        found = Some(Record { key: key.clone(), revision, body: body.bytes(), schema });
    };
    inner.engine.rows(&inner.visible, Statement::Get, &[place], visit)?;
    Ok(found)
}

fn operation(write: &Write) -> Operation {
    match (&write.op, &write.precondition) {
        (Op::Delete { .. }, _) => Operation::Delete,
        (Op::Put(_), Precondition::Absent) => Operation::Create,
        (Op::Put(_), _) => Operation::Update,
    }
}
