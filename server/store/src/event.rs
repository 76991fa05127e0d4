//! Committed changes, as watchers get them.

use crate::key::{Key, Revision};
use crate::record::Record;
use std::sync::Arc;
use std::time::Instant;

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
    /// When it was made durable, for who measures; `None` for what was read from the log.
    pub committed: Option<Instant>,
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
