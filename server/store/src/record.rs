//! Stored objects, the writes that make them, and pages of them.

use crate::key::{Key, Range, Revision};
use bytes::Bytes;
use std::sync::Arc;

/// The bytes of an object as they will be served, with the place where the writer puts the revision's digits.
#[derive(Clone, Debug)]
pub struct Body {
    /// Everything before the digits of `resourceVersion` (ends with the opening quote).
    pub head: Bytes,
    /// Everything after them (begins with the closing quote).
    pub tail: Bytes,
    /// The hash of the definition it was written under ([`Record::schema`]).
    pub schema: u64,
    /// The object is on its way out, and this write brings that on: it is taken in on a full disk too (R41).
    pub leaving: bool,
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
    Delete {
        last: Body,
    },
}

/// One write. A transaction is a list of them, all or nothing, at one revision.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: Key,
    pub precondition: Precondition,
    pub op: Op,
}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Committed {
    pub revision: Revision,
    /// One per write, in order: the record as stored, or for a deletion its last state.
    pub records: Vec<Record>,
}

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
    /// 0: no limit. A page of very large objects can be shorter although more follow.
    pub limit: usize,
}
