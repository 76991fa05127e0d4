//! Why the store says no.

use crate::key::{Key, Revision};

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
    /// Objects of a list do not match their checksums; the others can be had by [`Store::readable`](crate::Store::readable).
    #[error("{} stored objects cannot be read, the first is {:?}", .0.len(), .0.first())]
    Unreadable(Vec<Unreadable>),
    /// The disk is nearly full: creates and updates are refused, reads and deletions go on (R41).
    #[error("the disk has {free} bytes free, and {needed} are to stay free")]
    LowOnSpace { free: u64, needed: u64 },
    /// The disk is full: reads go on, writes are refused.
    #[error("the disk is full")]
    Full,
    /// History is forgotten, but lies in the write-ahead log still: it could not be emptied.
    #[error(
        "old revisions are still in the write-ahead log, which another program that reads the database keeps from being emptied: \
         end that program (fuser names it) and try again"
    )]
    HeldBack,
    /// The cluster behind the store cannot be reached or has no leader: nothing was written, nothing current can be read.
    #[error("{0}")]
    Unavailable(String),
    /// No answer came in time: the write may have happened or not, and whoever asked must look.
    #[error("the outcome of the write is not known: {0}")]
    Unknown(String),
    /// More than the engine takes at once.
    #[error("{0}")]
    TooLarge(String),
    /// Nothing was written: the small value that is followed is another by now. Make the write anew.
    #[error("what the write was made under has changed meanwhile")]
    Outdated,
    #[error("the store is shutting down")]
    Closed,
    /// Anything the engine reports that is none of the above; the process should not go on after most of them (R4).
    #[error("the storage engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An object whose newest row is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub key: Key,
    pub revision: Revision,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
