//! What is left of a long list: read as it is sent, so that a list costs no more memory than the part under way.

use crate::registry::{page, store_status};
use crate::shape::Shape;
use bytes::Bytes;
use otternauts_meta::Status;
use otternauts_store::{List, Page, Range, Revision, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Objects read at once by all long lists under way, by one alone, and at the least. Rows lie in the order of writing: the more
/// are read at once, the fewer pages of the file are read twice.
const ALL: usize = 8000;
const ONE: usize = 4000;
const LEAST: usize = 250;

/// The objects of a range that have not been read yet, all as they were at one revision. History is kept for minutes, so only a
/// reader that takes longer can find that it is gone.
pub struct Rest {
    store: Store,
    shape: Shape,
    wanted: List,
    turn: Turn,
}

/// One of the long lists under way.
struct Turn(Arc<AtomicUsize>);

impl Turn {
    fn new(lists: &Arc<AtomicUsize>) -> Self {
        lists.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(lists))
    }

    /// How many objects it may read at once now.
    fn share(&self) -> usize {
        (ALL / self.0.load(Ordering::Relaxed).max(1)).clamp(LEAST, ONE)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rest after {:?}", self.wanted.after)
    }
}

impl Rest {
    /// The first objects of a range, the revision it is read at, and what is left. `at`: `None` is the newest.
    pub(crate) async fn begin(
        store: &Store,
        lists: &Arc<AtomicUsize>,
        shape: Shape,
        range: Range,
        at: Option<Revision>,
    ) -> Result<(Vec<Bytes>, Revision, Option<Self>), Status> {
        // Few at first: the answer begins at once, and a short list is whole.
        let wanted = List { range, at, after: None, limit: LEAST };
        let mut rest = Self { store: store.clone(), shape, wanted, turn: Turn::new(lists) };
        let (items, revision, more) = rest.read().await?;
        Ok((items, revision, more.then_some(rest)))
    }

    /// The next objects, and whether more follow.
    pub async fn next(&mut self) -> Result<(Vec<Bytes>, bool), Status> {
        self.wanted.limit = self.turn.share();
        let (items, _, more) = self.read().await?;
        Ok((items, more))
    }

    async fn read(&mut self) -> Result<(Vec<Bytes>, Revision, bool), Status> {
        let read = page(&self.store, self.wanted.clone()).await.map_err(|error| store_status(&error))?;
        let Page { records, revision, more, .. } = read;
        self.wanted.at = Some(revision);
        self.wanted.after = records.last().map(|r| (r.key.namespace.clone(), r.key.name.clone()));
        let items = self.shape.serve_all(&records)?;
        Ok((items, revision, more))
    }
}
