//! The engines behind the one contract. Each keeps rows and small values; everything else is shared.

#[cfg(feature = "etcd")]
pub(crate) mod etcd;
pub(crate) mod memory;
pub(crate) mod sqlite;

use crate::error::{Error, Result};
use crate::key::Revision;
use crate::log::{Header, Place};
use crate::observer::Statement;
use crate::record::{Committed, Write};
use crate::visible::Visible;
use bytes::Bytes;
use std::sync::Arc;

/// The name of the small value that says where the store was moved to; etcd says it where it says whose the prefix is.
const META_MOVED: &str = ".moved";

/// Why a store cannot be left behind.
#[derive(Debug, thiserror::Error)]
#[error("somebody wrote meanwhile: it was read at revision {at}, and is at {newest} now")]
pub(crate) struct Written {
    pub at: Revision,
    pub newest: Revision,
}

impl From<Written> for Error {
    fn from(written: Written) -> Self {
        Error::Engine(Box::new(written))
    }
}

/// A closed set, so an enum.
pub(crate) enum Engine {
    Memory(memory::Memory),
    Sqlite(sqlite::Sqlite),
    #[cfg(feature = "etcd")]
    Etcd(Box<etcd::Etcd>),
}

/// A row's bytes, wherever they are.
pub(crate) enum BodyRef<'a> {
    Shared(&'a Bytes),
    Borrowed(&'a [u8]),
}

impl BodyRef<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            BodyRef::Shared(bytes) => bytes.len(),
            BodyRef::Borrowed(bytes) => bytes.len(),
        }
    }

    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            BodyRef::Shared(bytes) => (*bytes).clone(),
            BodyRef::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
        }
    }
}

/// Told of each row that was found; one that is gone is passed over in silence.
pub(crate) type Visit<'a> = &'a mut (dyn FnMut(&Header<'_>, &BodyRef<'_>) + 'a);
pub(crate) type VisitHeader<'a> = &'a mut (dyn FnMut(&Header<'_>) + 'a);

impl Engine {
    /// All or nothing; answers after the batch is durable and visible.
    pub(crate) async fn commit(&self, visible: &Arc<Visible>, writes: Vec<Write>) -> Result<Committed> {
        match self {
            Engine::Memory(engine) => engine.commit(visible, writes),
            Engine::Sqlite(engine) => engine.commit(writes).await,
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.commit(writes).await,
        }
    }

    /// Whether reading many rows must leave the calling thread.
    pub(crate) fn blocks(&self) -> bool {
        !matches!(self, Engine::Memory(_))
    }

    /// Whether reading even one row may take long: it is on another machine.
    pub(crate) fn is_far(&self) -> bool {
        !matches!(self, Engine::Memory(_) | Engine::Sqlite(_))
    }

    /// Whether the cluster answered when it was last asked.
    pub(crate) fn is_reached(&self) -> bool {
        match self {
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.is_reached(),
            _ => true,
        }
    }

    /// As `db.system.name` of OpenTelemetry.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Engine::Memory(_) => "memory",
            Engine::Sqlite(_) => "sqlite",
            #[cfg(feature = "etcd")]
            Engine::Etcd(_) => "etcd",
        }
    }

    /// Returns when everything is visible here that anybody was answered before the call (P8); where nobody else writes, at once.
    #[allow(clippy::unused_async, reason = "only a cluster is asked")]
    pub(crate) async fn fresh(&self) -> Result<()> {
        match self {
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.fresh().await,
            _ => Ok(()),
        }
    }

    /// Reads rows, their places ascending, in that order, checking each one's checksum.
    pub(crate) fn rows(&self, visible: &Visible, what: Statement, places: &[Place], visit: Visit<'_>) -> Result<()> {
        match self {
            Engine::Memory(engine) => engine.rows(places, visit),
            Engine::Sqlite(engine) => engine.rows(visible, what, places, visit),
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.rows(places, visit),
        }
    }

    /// Like [`Engine::rows`] without the bodies and so without their checksums.
    pub(crate) fn headers(&self, visible: &Visible, places: &[Place], visit: VisitHeader<'_>) -> Result<()> {
        match self {
            Engine::Memory(engine) => engine.headers(places, visit),
            Engine::Sqlite(engine) => engine.headers(visible, places, visit),
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.headers(places, visit),
        }
    }

    pub(crate) fn file_bytes(&self) -> Vec<(&'static str, u64)> {
        match self {
            Engine::Sqlite(engine) => engine.file_bytes(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn free_bytes(&self) -> Vec<(&'static str, u64)> {
        match self {
            Engine::Sqlite(engine) => engine.free_bytes(),
            _ => Vec::new(),
        }
    }

    pub(crate) async fn meta(&self, name: &str) -> Result<Option<Bytes>> {
        match self {
            Engine::Memory(engine) => engine.meta(name),
            Engine::Sqlite(engine) => engine.meta(name),
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.meta(name).await,
        }
    }

    /// The value there is, or else this one, which is kept.
    pub(crate) async fn claim_meta(&self, name: &str, value: Bytes) -> Result<Bytes> {
        #[cfg(feature = "etcd")]
        if let Engine::Etcd(engine) = self {
            return engine.claim_meta(name, value).await;
        }
        // Nobody else writes: the data directory is locked.
        if let Some(found) = self.meta(name).await? {
            return Ok(found);
        }
        self.set_meta(name, value.clone()).await?;
        Ok(value)
    }

    pub(crate) async fn set_meta(&self, name: &str, value: Bytes) -> Result<()> {
        match self {
            Engine::Memory(engine) => engine.set_meta(name, value),
            Engine::Sqlite(engine) => engine.set_meta(name, value).await,
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.set_meta(name, value).await,
        }
    }

    /// Another value in place of this one; `false`: there is another already.
    pub(crate) async fn replace_meta(&self, name: &str, before: &Bytes, value: Bytes) -> Result<bool> {
        #[cfg(feature = "etcd")]
        if let Engine::Etcd(engine) = self {
            return engine.replace_meta(name, before.clone(), value).await;
        }
        if self.meta(name).await?.as_ref() != Some(before) {
            return Ok(false);
        }
        self.set_meta(name, value).await.map(|()| true)
    }

    /// Every small value but the engine's own, by name.
    pub(crate) async fn metas(&self) -> Result<Vec<(String, Bytes)>> {
        match self {
            Engine::Memory(engine) => engine.metas(),
            Engine::Sqlite(engine) => engine.metas(),
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.metas().await,
        }
    }

    /// Tells one small value now, and where others can change it, whenever they do.
    pub(crate) async fn follow(&self, name: &str, tell: Arc<dyn Fn(Bytes) -> bool + Send + Sync>) -> Result<()> {
        #[cfg(feature = "etcd")]
        if let Engine::Etcd(engine) = self {
            return engine.follow(name, tell).await;
        }
        if let Some(value) = self.meta(name).await? {
            tell(value);
        }
        Ok(())
    }

    /// Where it was moved to, if it was.
    pub(crate) async fn moved(&self) -> Result<Option<String>> {
        match self {
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.moved().await,
            _ => Ok(self.meta(META_MOVED).await?.map(|note| String::from_utf8_lossy(&note).into_owned())),
        }
    }

    /// Marks it as moved, unless something was written after `at`.
    pub(crate) async fn leave(&self, visible: &Visible, at: Revision, note: &str) -> Result<()> {
        match self {
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.leave(at, note.to_owned()).await,
            _ if visible.revision() != at => Err(Written { at, newest: visible.revision() }.into()),
            _ => self.set_meta(META_MOVED, note.as_bytes().to_vec().into()).await,
        }
    }

    /// What keeps the newest revision from every other replica's compaction, where there are any.
    #[allow(clippy::unused_async, reason = "only a cluster is asked")]
    pub(crate) async fn hold(&self) -> Result<Option<(Revision, Box<dyn Send + Sync>)>> {
        match self {
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.hold().await.map(Some),
            _ => Ok(None),
        }
    }

    /// Answers when no history at or below `upto` is left, holds or not.
    pub(crate) async fn forget(&self, visible: &Arc<Visible>, upto: Revision) -> Result<()> {
        match self {
            Engine::Memory(engine) => engine.forget(visible, upto),
            Engine::Sqlite(engine) => engine.forget(upto).await,
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.forget(upto).await,
        }
    }

    pub(crate) async fn close(&self) -> Result<()> {
        match self {
            Engine::Memory(engine) => engine.close(),
            Engine::Sqlite(engine) => engine.close().await,
            #[cfg(feature = "etcd")]
            Engine::Etcd(engine) => engine.close().await,
        }
    }
}
