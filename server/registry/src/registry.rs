//! The registry itself: what every verb shares.

use crate::definitions::{Catalog, Definitions};
use crate::facts::{self, Facts};
use crate::request::Target;
use crate::resealing;
use crate::shape::Shape;
use crate::unreadable;
use otternauts_auth::RoleSnapshot;
use otternauts_meta::{Cause, Details, Status, Timestamp};
use otternauts_store::{Committed, Key, List, Op, Page, Store, Write};
use otternauts_vault::Vault;
use parking_lot::Mutex;
use ring::hmac;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, watch};

/// Where "now" comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Patches of one object wait for one another here instead of losing races (row P7).
const LANES: usize = 64;
/// A commit meets so many changes of the keys at most: a rotation makes two.
const KEY_CHANGES: usize = 5;
/// How long a read waits for a version that does not exist yet (rows C16, L6).
const FUTURE_WAIT: Duration = Duration::from_secs(3);
const FUTURE_STEP: Duration = Duration::from_millis(10);

/// Why the registry could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the store could not be read")]
    Store(#[from] otternauts_store::Error),
    #[error("{0} could not be made on first start")]
    Bootstrap(String, #[source] Status),
    #[error("the stored {0} could not be read")]
    Stored(String, #[source] Status),
    #[error("the system gave no random bytes")]
    Random,
}

/// The generic verbs over any kind; cheap to clone.
#[derive(Clone)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub store: Store,
    pub vault: Arc<Vault>,
    pub clock: Clock,
    pub facts: Facts,
    pub catalog: Mutex<Catalog>,
    pub definitions: arc_swap::ArcSwap<Definitions>,
    pub changed: watch::Sender<u64>,
    pub token_key: hmac::Key,
    /// How many long lists are under way.
    pub long_lists: Arc<AtomicUsize>,
    gate: Arc<RwLock<()>>,
    /// Held by commits of sealed objects, and alone by who changes the key that seals.
    pub(crate) sealing: RwLock<()>,
    lanes: [tokio::sync::Mutex<()>; LANES],
}

/// Leave to write. Creates hold the gate together, writes of what creates depend on (namespaces, CRDs, roles) hold it alone: so
/// nothing is created in a namespace or under a CRD that is gone by then (rows B4, B5, X6).
pub(crate) enum Permit {
    Free,
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

impl Registry {
    pub(crate) fn assemble(store: Store, vault: Arc<Vault>, clock: Clock, token_key: hmac::Key) -> Self {
        let catalog = Catalog::default();
        let definitions = Arc::new(catalog.snapshot());
        let inner = Inner {
            store,
            vault,
            clock,
            facts: Facts::default(),
            changed: watch::Sender::new(definitions.revision()),
            definitions: arc_swap::ArcSwap::new(definitions),
            catalog: Mutex::new(catalog),
            token_key,
            long_lists: Arc::default(),
            gate: Arc::new(RwLock::new(())),
            sealing: RwLock::new(()),
            lanes: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The kinds as they are now.
    pub fn definitions(&self) -> Arc<Definitions> {
        self.inner.definitions.load_full()
    }

    /// Carries [`Definitions::revision`]; await `changed()` to rebuild what is derived from the kinds.
    pub fn definitions_changed(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    /// Who may do what, in step with every committed write of a role or binding.
    pub fn roles(&self) -> Arc<RoleSnapshot> {
        self.inner.facts.roles()
    }

    /// For metrics.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.inner.facts
    }

    pub(crate) fn shape(&self, target: &Target) -> Shape {
        Shape::new(&self.definitions(), &self.inner.vault, &target.definition, &target.version)
    }

    /// `creating`: the write may make an object.
    pub(crate) async fn enter(&self, resource: &str, creating: bool) -> Permit {
        if facts::is_kept(resource) {
            return Permit::Alone { _guard: Arc::clone(&self.inner.gate).write_owned().await };
        }
        if creating {
            return Permit::Shared { _guard: Arc::clone(&self.inner.gate).read_owned().await };
        }
        Permit::Free
    }

    /// The queue that unconditional writes of this object stand in.
    pub(crate) async fn lane(&self, key: &Key) -> tokio::sync::MutexGuard<'_, ()> {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        #[allow(clippy::cast_possible_truncation)]
        let lane = hash as usize % LANES;
        self.inner.lanes[lane].lock().await
    }

    /// Commits, and keeps what is derived from objects in step before anybody is answered. Writes of kept resources go on to the
    /// end even when their caller goes away, so that memory never lags behind the disk.
    pub(crate) async fn commit(
        &self,
        permit: Permit,
        writes: Vec<Write>,
    ) -> Result<Committed, otternauts_store::Error> {
        // Held until the commit is durable: behind a change of the key nothing comes that the old one sealed (R28).
        let sealed = writes.iter().any(|write| resealing::is_sealed(&write.key.resource));
        let _sealing = if sealed { Some(self.inner.sealing.read().await) } else { None };
        let writes = if sealed { self.sealed_under_the_active_key(writes)? } else { writes };
        if !writes.iter().any(|write| facts::is_kept(&write.key.resource)) {
            let committed = self.commit_anew(writes).await;
            drop(permit);
            return committed;
        }
        let this = self.clone();
        let work = tokio::spawn(async move {
            let committed = this.commit_kept(writes).await;
            drop(permit);
            committed
        });
        match work.await {
            Ok(committed) => committed,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(otternauts_store::Error::Closed),
        }
    }

    /// Commits; when another replica has changed the keys meanwhile, what is sealed is sealed anew and it is tried again (R28).
    async fn commit_anew(&self, mut writes: Vec<Write>) -> Result<Committed, otternauts_store::Error> {
        if !self.inner.store.is_shared() {
            return self.inner.store.commit(writes).await;
        }
        for _ in 0..KEY_CHANGES {
            match self.inner.store.commit(writes.clone()).await {
                Err(otternauts_store::Error::Outdated) => writes = self.sealed_under_the_active_key(writes)?,
                done => return done,
            }
        }
        Err(otternauts_store::Error::Outdated)
    }

    async fn commit_kept(&self, writes: Vec<Write>) -> Result<Committed, otternauts_store::Error> {
        let deleted: Vec<bool> = writes.iter().map(|write| matches!(write.op, Op::Delete { .. })).collect();
        let committed = self.commit_anew(writes).await?;
        for (record, gone) in committed.records.iter().zip(deleted) {
            self.note(record, gone).await;
        }
        Ok(committed)
    }

    /// Publishes the catalogue when it is not what it was.
    pub(crate) fn publish(&self, catalog: &Catalog) {
        let next = catalog.snapshot();
        let revision = next.revision();
        if revision != self.inner.definitions.load().revision() {
            self.inner.definitions.store(Arc::new(next));
            self.inner.changed.send_replace(revision);
        }
    }

    /// Waits until the store is at `revision`, as long as a read may (rows C16, L6, E13).
    pub(crate) async fn wait_for(&self, revision: u64) -> Result<(), Status> {
        let deadline = tokio::time::Instant::now() + FUTURE_WAIT;
        if self.inner.store.is_shared() && self.inner.store.revision() < revision {
            // Another replica may have told it.
            self.inner.store.fresh().await.map_err(|error| store_status(&error))?;
        }
        loop {
            let current = self.inner.store.revision();
            if current >= revision {
                return Ok(());
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(too_large(revision, current));
            }
            tokio::time::sleep(FUTURE_STEP).await;
        }
    }
}

/// A page of what has been seen: who starts a list has made sure that this is enough, and later pages name their version.
pub(crate) async fn page(store: &Store, wanted: List) -> Result<Page, otternauts_store::Error> {
    if wanted.at.is_none() { store.list_seen(wanted).await } else { store.list(wanted).await }
}

/// Row E13.
pub(crate) fn too_large(asked: u64, current: u64) -> Status {
    let cause = Cause {
        reason: "ResourceVersionTooLarge".into(),
        message: "Too large resource version".into(),
        field: String::new(),
    };
    Status::timeout(format!("Timeout: Too large resource version: {asked}, current: {current}"))
        .with_details(Details { causes: vec![cause], ..Details::default() })
        .retry_after(1)
}

/// What a client learns of a failing store; the rest is for the log.
pub(crate) fn store_status(error: &otternauts_store::Error) -> Status {
    use otternauts_store::Error;
    match error {
        Error::Compacted { .. } => Status::expired("The resourceVersion for the provided list is too old."),
        Error::Future { asked, current } => too_large(*asked, *current),
        Error::LowOnSpace { free, needed } => Status::insufficient_storage(format!(
            "the disk of the server is nearly full ({} MiB free, {} MiB are to stay free): reads and deletions go on, creates and \
             updates are refused",
            free >> 20,
            needed >> 20
        )),
        Error::Full => Status::insufficient_storage(
            "the disk of the server is full: reads and deletions go on, creates and updates are refused",
        ),
        // Without a time to come back after: clients would try ten times before they tell the reason.
        Error::Unavailable(why) => Status::unavailable(format!("the store cannot be reached: {why}")),
        Error::Unknown(why) => Status::timeout(format!("the write may have happened or not: {why}")),
        Error::TooLarge(why) => Status::too_large(format!("the object is larger than the store takes: {why}")),
        Error::Outdated => Status::unavailable("the keys are being changed").retry_after(1),
        Error::Closed => Status::unavailable("the server is shutting down").retry_after(1),
        Error::Conflict { .. } => Status::internal("a write lost a race it could not lose"),
        Error::Corrupt { key, revision } => unreadable::one(key, *revision),
        Error::Unreadable(objects) => unreadable::some(objects),
        error => {
            tracing::error!(%error, "the store failed");
            Status::internal("the store failed")
        }
    }
}
