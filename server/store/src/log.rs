//! The rows of the log: what every engine keeps, and how a row is named and checked.

use crate::event::EventKind;
use crate::key::{Key, Revision};
use crate::record::Record;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// How many low bits of a [`Place`] count the writes inside one transaction.
const POSITION_BITS: u32 = 16;

/// The most writes one transaction can hold.
pub(crate) const MOST_WRITES: usize = 1 << POSITION_BITS;

/// Where a row is in the log: its revision, and its position in the transaction. Rows sort by it, and it is SQLite's
/// row id, so the log needs no second index. [`Place::NONE`] is before every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place(pub(crate) u64);

impl Place {
    pub(crate) const NONE: Place = Place(0);

    pub(crate) fn new(revision: Revision, position: usize) -> Place {
        debug_assert!(position < MOST_WRITES);
        Place(revision << POSITION_BITS | position as u64)
    }

    /// The place before the first row of the next revision: every row of `revision` or below is at or before it.
    pub(crate) fn last_of(revision: Revision) -> Place {
        Place(revision << POSITION_BITS | (MOST_WRITES as u64 - 1))
    }

    pub(crate) fn revision(self) -> Revision {
        self.0 >> POSITION_BITS
    }

    pub(crate) fn is_none(self) -> bool {
        self == Place::NONE
    }
}

/// One change in the log, with the object's bytes.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub place: Place,
    pub key: Key,
    pub kind: EventKind,
    pub schema: u64,
    /// The row it replaces; none for a creation.
    pub previous: Place,
    pub body: Bytes,
}

impl Row {
    pub(crate) fn record(&self) -> Record {
        Record { key: self.key.clone(), revision: self.place.revision(), body: self.body.clone(), schema: self.schema }
    }

    /// What the row costs in the log, roughly: history is bounded by it.
    pub(crate) fn size(&self) -> u64 {
        row_size(self.key.resource.len() + self.key.namespace.len() + self.key.name.len(), self.body.len())
    }
}

/// What a row costs in the log and its index, in bytes.
pub(crate) fn row_size(key: usize, body: usize) -> u64 {
    (key + body) as u64 + 64
}

/// The part of a row that is read without its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a> {
    pub place: Place,
    pub resource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub kind: EventKind,
    pub schema: u64,
    pub previous: Place,
}

impl<'a> Header<'a> {
    pub(crate) fn of(row: &'a Row) -> Header<'a> {
        Header {
            place: row.place,
            resource: &row.key.resource,
            namespace: &row.key.namespace,
            name: &row.key.name,
            kind: row.kind,
            schema: row.schema,
            previous: row.previous,
        }
    }

    /// CRC-32 of everything but the body in the high half, of the body in the low half: any single flipped bit, and any
    /// burst of up to 32, is found, at a cost that a list of thousands of objects does not feel (R2).
    pub(crate) fn checksum(&self, body: &[u8]) -> u64 {
        u64::from(self.crc()) << 32 | u64::from(crc32fast::hash(body))
    }

    /// Whether everything but the body is as it was when this checksum was made.
    pub(crate) fn is_whole(&self, checksum: u64) -> bool {
        u64::from(self.crc()) == checksum >> 32
    }

    fn crc(&self) -> u32 {
        let numbers = [self.place.0, kind_code(self.kind) as u64, self.schema, self.previous.0];
        let mut head = crc32fast::Hasher::new();
        head.update(numbers.map(u64::to_be_bytes).as_flattened());
        for text in [self.resource, self.namespace, self.name] {
            head.update(&(text.len() as u64).to_be_bytes());
            head.update(text.as_bytes());
        }
        head.finalize()
    }
}

/// The number that stands for a kind in a stored row.
pub(crate) fn kind_code(kind: EventKind) -> i64 {
    match kind {
        EventKind::Created => 1,
        EventKind::Updated => 2,
        EventKind::Deleted => 3,
    }
}

pub(crate) fn kind_of(code: i64) -> Option<EventKind> {
    match code {
        1 => Some(EventKind::Created),
        2 => Some(EventKind::Updated),
        3 => Some(EventKind::Deleted),
        _ => None,
    }
}

/// The hash chain over revisions (R2): a revision that is missing, out of place or changed breaks it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain(pub(crate) u64);

impl Chain {
    /// The chain after one more revision, given the checksums of its rows in order.
    pub(crate) fn extend(self, revision: Revision, checksums: impl IntoIterator<Item = u64>) -> Chain {
        let mut hash = Sha256::new();
        hash.update(self.0.to_be_bytes());
        hash.update(revision.to_be_bytes());
        for checksum in checksums {
            hash.update(checksum.to_be_bytes());
        }
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Chain(u64::from_be_bytes(first))
    }
}
