//! A store in etcd made from records that were taken elsewhere: the target of a migration or of a restore (R44).
//!
//! Until [`EtcdImporter::complete`] the format key names this import, and every transaction compares it: two imports into one prefix
//! cannot mix, no replica can start on a half, and one that was killed is thrown away by the next.

#[cfg(test)]
mod tests;

use crate::engine::etcd::client::{Client, PATIENCE, Trouble};
use crate::engine::etcd::proto::{RangeRequest, Request, RequestOp, TxnRequest, delete_range, get, holds, put};
use crate::engine::etcd::row::{FORMAT, Head, Keys, encode};
use crate::engine::etcd::state::{Purpose, State};
use crate::engine::etcd::view::MOST_OPS;
use crate::engine::etcd::{EtcdOptions, endpoints, own_runtime, wait_on};
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::import::{Refused, accept_name, accept_newest};
use crate::key::Revision;
use crate::log::{MOST_WRITES, Place, Row};
use crate::record::Record;
use crate::store::{META_EPOCH, Store};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// Bytes in one transaction: below etcd's limit by as much as keys and headers may take.
const BATCH_BYTES: usize = 1 << 20;
/// Keys that are looked at and deleted at once.
const WIPE: i64 = 1000;
/// How often the format key is looked at again because somebody was quicker.
const TRIES: usize = 5;

/// The prefix holds something that an import must not write over.
#[derive(Debug, thiserror::Error)]
#[error("{prefix} in etcd is not empty: {found}")]
pub struct NotEmpty {
    prefix: String,
    found: String,
}

#[derive(Debug, thiserror::Error)]
#[error("another import into the same place has begun meanwhile")]
struct TakenOver;

impl From<TakenOver> for Error {
    fn from(taken: TakenOver) -> Self {
        Error::Engine(Box::new(taken))
    }
}

/// Fills a prefix. It is a store only after [`EtcdImporter::complete`]. Blocks: use it on a thread that may.
pub struct EtcdImporter {
    /// Gone only while this is dropped.
    runtime: Option<Runtime>,
    place: Arc<Target>,
    options: EtcdOptions,
    batch: Vec<RequestOp>,
    bytes: usize,
    /// The next position of each revision.
    positions: HashMap<Revision, usize>,
    newest: Revision,
    nonce: u64,
}

/// Where it goes.
struct Target {
    client: Client,
    keys: Keys,
    prefix: String,
    /// What the format key holds until the import is complete.
    mark: Bytes,
}

impl EtcdImporter {
    /// Whether [`EtcdImporter::begin`] would take the prefix. Writes nothing.
    pub fn look(options: &EtcdOptions) -> Result<()> {
        let (runtime, place) = (own_runtime()?, Target::of(options, Bytes::new())?);
        let looked = wait_on(&runtime, async move { place.look().await.map(drop) });
        runtime.shutdown_background();
        looked
    }

    /// Takes an empty prefix, or one where an import was not finished: what that left is removed. [`NotEmpty`] for any other. `note` says
    /// what is imported, for who tries to open it meanwhile.
    pub fn begin(options: &EtcdOptions, note: &str) -> Result<EtcdImporter> {
        let place = Arc::new(Target::of(options, State::arriving(note))?);
        let importer = EtcdImporter {
            runtime: Some(own_runtime()?),
            place,
            options: options.clone(),
            batch: Vec::new(),
            bytes: 0,
            positions: HashMap::new(),
            newest: 0,
            nonce: rand::random(),
        };
        importer.wait(|place| async move { place.take().await })?;
        Ok(importer)
    }

    /// Takes in one live object, its bytes and its revision as they are. [`Error::TooLarge`] names one that etcd does not take.
    pub fn put(&mut self, record: &Record) -> Result<()> {
        let revision = record.revision;
        let position = self.positions.entry(revision).or_insert(0);
        if *position >= MOST_WRITES {
            return Err(Refused::Crowded(revision).into());
        }
        let row = Row {
            place: Place::new(revision, *position),
            key: record.key.clone(),
            kind: EventKind::Created,
            schema: record.schema,
            previous: Place::NONE,
            body: record.body.clone(),
        };
        *position += 1;
        self.newest = self.newest.max(revision);
        let value = encode(&row, self.nonce);
        if !self.batch.is_empty() && self.bytes + value.len() > BATCH_BYTES {
            self.flush()?;
        }
        let large = value.len() > BATCH_BYTES;
        self.bytes += value.len();
        self.batch.push(put(self.place.keys.row(row.place), value));
        if large || self.batch.len() >= MOST_OPS {
            let key = &record.key;
            return self.flush().map_err(|error| match error {
                Error::TooLarge(why) => {
                    Error::TooLarge(format!("{} {}/{}: {why}", key.resource, key.namespace, key.name))
                }
                error => error,
            });
        }
        Ok(())
    }

    /// Takes in one small value.
    pub fn set_meta(&mut self, name: &str, value: &[u8]) -> Result<()> {
        accept_name(name)?;
        self.flush()?;
        self.batch.push(put(self.place.keys.meta(name), Bytes::copy_from_slice(value)));
        self.flush()
    }

    /// Ends it at `revision`, above every record, with nothing below it left to watch from: whoever held a version from before gets
    /// [`Error::Compacted`] and lists anew (R44). It still opens for nobody but [`EtcdImporter::open`].
    pub fn finish(&mut self, revision: Revision, epoch: u64) -> Result<()> {
        accept_newest(self.newest, revision)?;
        self.flush()?;
        let head = Head { revision, oldest: revision, nonce: self.nonce };
        let epoch = Bytes::copy_from_slice(&epoch.to_be_bytes());
        self.batch.push(put(self.place.keys.meta(META_EPOCH), epoch));
        self.batch.push(put(self.place.keys.head.clone(), head.encode()));
        self.flush()
    }

    /// What was imported, to be looked at. Close it before [`EtcdImporter::complete`].
    pub fn open(&self) -> Result<Store> {
        Store::etcd(EtcdOptions { purpose: Purpose::Arriving(self.place.mark.clone()), ..self.options.clone() })
    }

    /// From now on it is a store like any other, and this cannot be taken back.
    pub fn complete(self) -> Result<()> {
        self.wait(|place| async move { place.give_free().await })
    }

    fn flush(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let success = std::mem::take(&mut self.batch);
        self.bytes = 0;
        self.wait(|place| async move { place.write(success).await })
    }

    fn wait<T: Send + 'static, F>(&self, work: impl FnOnce(Arc<Target>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let Some(runtime) = &self.runtime else { return Err(Error::Closed) };
        wait_on(runtime, work(self.place.clone()))
    }
}

impl Drop for EtcdImporter {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Target {
    fn of(options: &EtcdOptions, mark: Bytes) -> Result<Target> {
        let endpoints = endpoints(options).map_err(|error| Error::Engine(Box::new(error)))?;
        let (client, prefix) = (Client::new(endpoints), options.prefix.clone());
        Ok(Target { client, keys: Keys::under(&prefix), prefix, mark })
    }

    /// What the format key holds, if this prefix may be taken.
    async fn look(&self) -> Result<Option<Bytes>> {
        let first = RangeRequest {
            key: self.keys.first(),
            range_end: self.keys.end(),
            limit: 1,
            keys_only: true,
            ..RangeRequest::default()
        };
        let ops = vec![get(self.keys.format.clone()), Request::Range(first).into()];
        let mut found = self.client.read(ops, PATIENCE).await.map_err(Trouble::of_read)?.ranges();
        let mut key = || found.next().and_then(|range| range.kvs.into_iter().next());
        let (format, first) = (key(), key());
        let refuse = |found: String| {
            let prefix = self.prefix.clone();
            Err(Error::Engine(Box::new(NotEmpty { prefix, found })))
        };
        match (format.map(|kv| kv.value), first) {
            (None, None) => Ok(None),
            (None, Some(first)) => refuse(format!("it has the key {}", String::from_utf8_lossy(&first.key))),
            (Some(value), _) => match State::of(&value) {
                State::Arriving(_) => Ok(Some(value)),
                State::Ours => refuse("a control plane has its store there".to_owned()),
                State::Moved(note) => refuse(format!(
                    "it holds what was moved {note}; take another prefix, or remove it: etcdctl del --prefix {}/",
                    self.prefix.trim_end_matches('/')
                )),
                State::Foreign(text) => refuse(format!("its format is {text:?}")),
            },
        }
    }

    /// Makes the prefix this import's, and empties it.
    async fn take(&self) -> Result<()> {
        for _ in 0..TRIES {
            let found = self.look().await?;
            if found.as_ref() == Some(&self.mark) {
                return self.wipe().await;
            }
            let format = self.keys.format.clone();
            let request = TxnRequest {
                compare: vec![holds(format.clone(), found)],
                success: vec![put(format, self.mark.clone())],
                failure: Vec::new(),
            };
            // Whatever became of it, the next look tells.
            self.client.txn(&request, Instant::now() + PATIENCE).await.map_err(Trouble::of_read)?;
        }
        Err(TakenOver.into())
    }

    async fn wipe(&self) -> Result<()> {
        self.write(vec![delete_range(self.keys.head.clone(), Bytes::new())]).await?;
        for (key, range_end) in
            [(self.keys.row(Place::NONE), self.keys.end_of_rows()), (self.keys.meta(""), self.keys.end_of_meta())]
        {
            loop {
                let range = RangeRequest {
                    key: key.clone(),
                    range_end: range_end.clone(),
                    limit: WIPE,
                    keys_only: true,
                    ..RangeRequest::default()
                };
                let found = self.client.range(range).await.map_err(Trouble::of_read)?;
                let Some(last) = found.kvs.last() else { break };
                let mut end = last.key.to_vec();
                end.push(0);
                self.write(vec![delete_range(key.clone(), end.into())]).await?;
            }
        }
        Ok(())
    }

    /// Every one of these may be done twice, so a lost answer does not matter.
    async fn write(&self, success: Vec<RequestOp>) -> Result<()> {
        let compare = vec![holds(self.keys.format.clone(), Some(self.mark.clone()))];
        let request = TxnRequest { compare, success, failure: Vec::new() };
        let answer = self.client.txn(&request, Instant::now() + PATIENCE).await.map_err(Trouble::of_write)?;
        if answer.succeeded { Ok(()) } else { Err(TakenOver.into()) }
    }

    async fn give_free(&self) -> Result<()> {
        let format = self.keys.format.clone();
        let request = TxnRequest {
            compare: vec![holds(format.clone(), Some(self.mark.clone()))],
            success: vec![put(format.clone(), FORMAT.into())],
            failure: vec![get(format)],
        };
        let answer = self.client.decide(&request, Instant::now() + PATIENCE).await;
        let (answer, before) = answer.map_err(Trouble::of_write)?;
        let done = answer.succeeded;
        let found = answer.ranges().flat_map(|range| range.kvs).next();
        // An answer got lost: then it was done before.
        let done = done || (before && found.is_some_and(|kv| kv.value.as_ref() == FORMAT));
        if done { Ok(()) } else { Err(TakenOver.into()) }
    }
}
