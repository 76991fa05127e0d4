//! `otter store migrate`: every object from one engine to the other, with nobody serving meanwhile.
//!
//! The order makes it safe to be killed at any moment: the target opens for nobody until it is complete, the source is marked as moved
//! before that and only if nobody wrote since it was read, so there is never more than one of the two that can be served. Run again, it
//! starts over with an empty target.

pub mod arrived;
pub mod live;
pub mod place;
pub mod tally;
pub mod target;
#[cfg(test)]
mod tests;

use crate::config::EtcdConfig;
use crate::data_dir::DataDir;
use crate::ending::Ending;
use crate::seal::{self, Found};
use crate::{clock, storage};
use anyhow::{Context as _, bail};
use arrived::Arrived;
use otternauts_backup::REVISION_BUMP;
use otternauts_meta::Secret;
use otternauts_store::{Purpose, Store};
use place::Place;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tally::{Tally, each};
use target::{Target, Wanted};
use tokio::runtime::Handle;

/// Objects between two lines of progress.
const LINE: u64 = 1000;

/// What is asked for.
pub struct Order {
    pub from: Place,
    pub to: Place,
    /// The PEM files for etcd; endpoints and prefix are in the place.
    pub tls: EtcdConfig,
    pub secret_key_file: Option<PathBuf>,
    pub dry_run: bool,
}

/// What was done, or with `dry_run` would be.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub from: String,
    pub to: String,
    pub dry_run: bool,
    pub objects: u64,
    /// Of the objects as they are stored.
    pub bytes: u64,
    pub small_values: u64,
    /// Of all objects with their names and revisions; of source and target, which were compared.
    pub sha256: String,
    pub resources: BTreeMap<String, u64>,
    pub source_revision: u64,
    /// Where history starts in the target: clients that hold a version list anew.
    pub target_revision: u64,
    /// The data keys under each of which something opened in the target.
    pub keys: Vec<u32>,
    /// Objects whose secrets did not open before either.
    pub damaged: Vec<String>,
    /// Authority, token key and administrator's token are where the target's servers look for them.
    pub pki: bool,
}

/// Moves everything. `tell` gets lines of progress.
pub async fn run(
    order: Order,
    secret_key: Option<Secret<String>>,
    tell: impl Fn(&str) + Clone + Send + Sync + 'static,
) -> anyhow::Result<Report> {
    let migration = Migration::open(&order)?;
    let found = seal::find(&migration.data, secret_key, order.secret_key_file.clone())?;
    let done = migration.go(found, order.dry_run, tell).await;
    let closed = migration.source.close().await;
    let report = done?;
    closed.context("cannot close the source")?;
    Ok(report)
}

struct Migration {
    from: String,
    to: String,
    source: Store,
    wanted: Wanted,
    /// Of the side that has a directory; locked.
    data: Arc<DataDir>,
}

impl Migration {
    fn open(order: &Order) -> anyhow::Result<Self> {
        let (from, to) = (order.from.to_string(), order.to.to_string());
        let options = |endpoints: &[String], prefix: &str, purpose: Purpose| {
            let config = EtcdConfig { endpoints: endpoints.to_vec(), prefix: prefix.to_owned(), ..order.tls.clone() };
            storage::etcd_options(&config, purpose)
        };
        match (&order.from, &order.to) {
            (Place::Etcd { endpoints, prefix }, Place::Sqlite(dir)) => {
                let data = Arc::new(DataDir::open(dir)?);
                let source = Store::etcd(options(endpoints, prefix, Purpose::Leave));
                let source = source.with_context(|| format!("cannot open {from}"))?;
                Ok(Self { from, to, source, wanted: Wanted::Sqlite(Arc::clone(&data)), data })
            }
            (Place::Sqlite(dir), Place::Etcd { endpoints, prefix }) => {
                let path = dir.join(storage::DATABASE);
                if !path.is_file() {
                    return Err(Ending::not_found(format!("there is no {}", path.display())).into());
                }
                let data = Arc::new(DataDir::open(dir)?);
                storage::refuse_arriving(&data)?;
                let source = storage::open_file(&path)?;
                let wanted = Wanted::Etcd(Box::new(options(endpoints, prefix, Purpose::Serve)));
                Ok(Self { from, to, source, wanted, data })
            }
            _ => bail!(
                "one of --from and --to is sqlite:DIR, the other etcd:URL,...: for a copy of the same kind see otter backup"
            ),
        }
    }

    async fn go(
        &self,
        found: Found,
        dry_run: bool,
        tell: impl Fn(&str) + Clone + Send + Sync + 'static,
    ) -> anyhow::Result<Report> {
        // All that can be refused is refused before anything is written.
        let destination = format!("to {} at ", self.to);
        let moved = self.source.moved().await.context("cannot read the source")?;
        if let Some(note) = moved.filter(|note| !note.starts_with(&destination)) {
            return Err(Ending::conflict(format!("{} was moved {note}: what is there is old", self.from)).into());
        }
        let keyring = self.source.meta(seal::META).await.context("cannot read the keyring")?;
        if let Some(keyring) = &keyring {
            found.fits(keyring)?;
        }
        let wanted = self.wanted.clone();
        tokio::task::spawn_blocking(move || wanted.look()).await??;
        if self.source.is_shared() {
            live::refuse_live(&self.source, &tell).await?;
        }
        let at = self.source.revision();
        let mut report = Report {
            from: self.from.clone(),
            to: self.to.clone(),
            dry_run,
            objects: 0,
            bytes: 0,
            small_values: self.source.metas().await.context("cannot read the source")?.len() as u64,
            sha256: String::new(),
            resources: BTreeMap::new(),
            source_revision: at,
            target_revision: at + REVISION_BUMP,
            keys: Vec::new(),
            damaged: Vec::new(),
            pki: false,
        };
        if dry_run {
            let (source, runtime) = (self.source.clone(), Handle::current());
            let read = tokio::task::spawn_blocking(move || {
                let mut tally = Tally::default();
                each(&source, at, &runtime, |record| {
                    tally.add(record);
                    Ok(())
                })?;
                anyhow::Ok(tally)
            });
            report.count(&read.await??);
            return Ok(report);
        }
        let (target, sent) = self.copy(at, tell.clone()).await?;
        report.count(&sent);
        tell("comparing what arrived with what was sent");
        let (target, Arrived { keys, damaged, pki }) = arrived::check(target, &self.data, found, sent).await?;
        (report.keys, report.damaged, report.pki) = (keys, damaged, pki);
        // The order of these two is what makes it safe: never are there two stores that can be served.
        self.source.leave(at, &format!("{destination}{}", clock::now())).await.context("cannot leave the source")?;
        tokio::task::spawn_blocking(move || target.complete()).await??;
        Ok(report)
    }

    /// Takes every object and small value over, and says what was sent.
    async fn copy(&self, at: u64, tell: impl Fn(&str) + Send + Sync + 'static) -> anyhow::Result<(Target, Tally)> {
        let (source, wanted, runtime) = (self.source.clone(), self.wanted.clone(), Handle::current());
        let note = format!("a migration from {}", self.from);
        let work = move || {
            let mut target = wanted.begin(&note)?;
            let total: u64 = source.counts().iter().map(|(_, count)| count).sum();
            let mut tally = Tally::default();
            // What is read stays readable for as long as it takes.
            let _hold = runtime.block_on(source.hold()).context("cannot read the source")?;
            each(&source, at, &runtime, |record| {
                tally.add(record);
                target.put(record)?;
                if tally.objects.is_multiple_of(LINE) {
                    tell(&format!("copied {} of {total} objects", tally.objects));
                }
                Ok(())
            })?;
            for (name, value) in runtime.block_on(source.metas()).context("cannot read the source")? {
                target.set_meta(&name, &value)?;
            }
            let epoch = runtime.block_on(source.epoch()).context("cannot read the source")?;
            target.finish(at + REVISION_BUMP, epoch + 1)?;
            tell(&format!("copied {} of {total} objects", tally.objects));
            anyhow::Ok((target, tally))
        };
        tokio::task::spawn_blocking(work).await.context("the copy has failed")?
    }
}

impl Report {
    fn count(&mut self, tally: &Tally) {
        self.objects = tally.objects;
        self.bytes = tally.bytes;
        self.sha256 = tally.sha256();
        self.resources.clone_from(&tally.resources);
    }
}
