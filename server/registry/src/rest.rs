//! What is left of a long list: read as it is sent, so that a list costs no more memory than the part under way.

use crate::registry::{page, store_status};
use crate::shape::Shape;
use bytes::{Bytes, BytesMut};
use otternauts_meta::Status;
use otternauts_store::{Gathered, List, Page, Range, Revision, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Objects read at once by all long lists under way, by one alone, and at the least. Rows lie in the order of writing: the more
/// are read at once, the fewer pages of the file are read twice.
const ALL: usize = 8000;
const ONE: usize = 4000;
const LEAST: usize = 250;
/// What TLS takes at once. A part that fits goes out in whole records and one system call, and is small enough for the allocator
/// to use its memory again and again.
const BLOCK: usize = 64 << 10;
/// From so many bytes on a part is done: one more object of ordinary size still fits, and what HTTP puts around it.
const PART: usize = BLOCK - (2 << 10);

/// The objects of a range that have not been read yet, all as they were at one revision. History is kept for minutes, so only a
/// reader that takes longer can find that it is gone.
pub struct Rest {
    store: Store,
    shape: Shape,
    wanted: List,
    turn: Turn,
    /// So far every object was one whose stored bytes are served.
    exact: bool,
}

/// Items of a JSON list as they go out, commas between them, in parts that fit one write.
#[derive(Debug)]
pub struct Parts {
    done: Vec<Bytes>,
    part: BytesMut,
    cut: usize,
    first: bool,
}

impl Parts {
    /// `cut`: when not 0, `{` stands for so many leading bytes of each item.
    pub fn new(head: &[u8], cut: usize) -> Self {
        let mut part = BytesMut::with_capacity(BLOCK);
        part.extend_from_slice(head);
        Self { done: Vec::new(), part, cut, first: true }
    }

    /// Parts of the same list that follow others.
    fn following(cut: usize) -> Self {
        Self { first: false, ..Self::new(b"", cut) }
    }

    /// One more item.
    pub fn put(&mut self, item: &[u8]) {
        if self.part.len() >= PART {
            let full = std::mem::replace(&mut self.part, BytesMut::with_capacity(BLOCK));
            self.done.push(full.freeze());
        }
        if !std::mem::replace(&mut self.first, false) {
            self.part.extend_from_slice(b",");
        }
        match item.get(self.cut..) {
            Some(rest) if self.cut > 0 => {
                self.part.extend_from_slice(b"{");
                self.part.extend_from_slice(rest);
            }
            _ => self.part.extend_from_slice(item),
        }
    }

    /// All of them, in order; none is empty.
    pub fn into_vec(mut self) -> Vec<Bytes> {
        if !self.part.is_empty() {
            self.done.push(self.part.freeze());
        }
        self.done
    }
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
        let mut rest = Self { store: store.clone(), shape, wanted, turn: Turn::new(lists), exact: true };
        let (items, revision, more) = rest.read().await?;
        Ok((items, revision, more.then_some(rest)))
    }

    /// The next objects, and whether more follow.
    pub async fn next(&mut self) -> Result<(Vec<Bytes>, bool), Status> {
        self.wanted.limit = self.turn.share();
        let (items, _, more) = self.read().await?;
        Ok((items, more))
    }

    /// As [`Rest::next`], as parts of a list; the `cut` of [`Parts::new`].
    pub async fn parts(&mut self, cut: usize) -> Result<(Vec<Bytes>, bool), Status> {
        self.wanted.limit = self.turn.share();
        if let Some(schema) = self.shape.exact().filter(|_| self.exact) {
            let gathered = self.store.gather(self.wanted.clone(), schema, Parts::following(cut), Parts::put).await;
            if let Some(Gathered { into, last, more, .. }) = gathered.map_err(|error| store_status(&error))? {
                self.wanted.after = last;
                return Ok((into.into_vec(), more));
            }
            self.exact = false;
        }
        let (items, _, more) = self.read().await?;
        let mut parts = Parts::following(cut);
        items.iter().for_each(|item| parts.put(item));
        Ok((parts.into_vec(), more))
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
