//! The registry itself: what every verb shares.

use crate::definitions::Definitions;
use otternauts_meta::Timestamp;
use otternauts_store::Store;
use std::sync::Arc;

/// Where "now" comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Why the registry could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the store could not be read")]
    Store(#[from] otternauts_store::Error),
    #[error("the object {0} could not be made on first start")]
    Bootstrap(String, #[source] otternauts_meta::Status),
}

/// The generic verbs over any kind; cheap to clone.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    definitions: arc_swap::ArcSwap<Definitions>,
    changed: tokio::sync::watch::Sender<u64>,
}

impl Registry {
    /// The kinds as they are now.
    pub fn definitions(&self) -> Arc<Definitions> {
        self.inner.definitions.load_full()
    }

    /// Carries [`Definitions::revision`]; await `changed()` to rebuild what is derived from the kinds.
    pub fn definitions_changed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    /// For metrics.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }
}
