//! What the verbs answer: exact bytes, wherever that is possible.

use crate::rest::Rest;
use bytes::Bytes;
use otternauts_meta::Status;

/// An object on its way out, in the version asked for. `bytes` are exact; parse them only for tables and partial metadata.
#[derive(Clone, Debug)]
pub struct Served {
    pub bytes: Bytes,
    /// 201 instead of 200.
    pub created: bool,
}

/// A list on its way out: items as exact bytes, in the version asked for.
#[derive(Debug)]
pub struct ServedList {
    /// The first of them, or all.
    pub items: Vec<Bytes>,
    /// The others, of a long list.
    pub rest: Option<Rest>,
    /// Items of built-in kinds stand in lists without `kind` and `apiVersion` (row L1): when this is not 0, a plain JSON list
    /// writes `{` in the place of so many leading bytes of each item. Tables and partial metadata read the whole item.
    pub item_cut: usize,
    pub resource_version: String,
    pub continue_token: String,
    pub remaining: Option<u64>,
}

impl ServedList {
    /// Reads the rest, for who needs all items at once.
    pub async fn read_all(&mut self) -> Result<(), Status> {
        while let Some(mut rest) = self.rest.take() {
            let (items, more) = rest.next().await?;
            self.items.extend(items);
            self.rest = more.then_some(rest);
        }
        Ok(())
    }
}

/// What a delete did.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// Gone: answer a `Status` with these details (row G1).
    Gone { uid: String, name: String },
    /// Waits for finalizers: answer the object (row G2).
    Waiting(Served),
}

/// One thing a watch sends. The HTTP side turns it into a line, a table row or partial metadata.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    Added(Bytes),
    Modified(Bytes),
    Deleted(Bytes),
    /// `initial_end` carries the annotation of row W14.
    Bookmark {
        resource_version: String,
        initial_end: bool,
    },
    /// An ERROR event; the watch ends after it (row W10).
    Error(Status),
}
