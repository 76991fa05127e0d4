//! The Store: revisioned objects, group-committed, watched from any retained revision. See README.md.
//!
//! What it promises (design section 5; P1 to P9 of the reliability page):
//! - a commit is answered only after its fsync, and is visible to nobody before that;
//! - one global, gap-free revision; each object's `resourceVersion` is the revision of its last write;
//! - the bytes stored are the bytes served;
//! - a watch delivers every change after its revision, in order, once, or says that its revision is gone.
//!
//! It knows nothing of HTTP, users, schemas or clocks beyond its own batching.

mod batch;
mod bell;
mod bodies;
mod cache;
mod engine;
mod error;
mod event;
mod hub;
mod import;
mod index;
mod key;
mod list;
mod locked;
mod log;
mod observer;
mod planted;
mod record;
mod retention;
mod store;
mod visible;
mod watcher;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod measure;

pub use bodies::Gathered;
#[cfg(feature = "etcd")]
pub use engine::etcd::{EtcdImporter, EtcdOptions, NotEmpty, Purpose};
pub use engine::memory::MemoryOptions;
pub use engine::sqlite::{DiskGuard, Importer, Scrub, SqliteOptions};
pub use error::{Error, Result, Unreadable};
pub use event::{Event, EventKind, WatchItem};
pub use key::{Key, Range, Revision};
pub use locked::Locked;
pub use observer::{NoObserver, Observer, Operation, Statement};
pub use record::{Body, Committed, List, Op, Page, Precondition, Record, Write};
pub use retention::{Clock, Retention};
pub use store::{Hold, Store};
pub use watcher::Watcher;
