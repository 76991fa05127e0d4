//! The store that was asked for: a file in the data directory, or an etcd cluster.

use crate::config::{EtcdConfig, StoreConfig};
use crate::data_dir::DataDir;
use crate::metrics::{StoreObserver, read_store};
use anyhow::Context as _;
use otternauts_http::HealthCheck;
use otternauts_store::{DiskGuard, SqliteOptions, Store};
use otternauts_telemetry::Metrics;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const DATABASE: &str = "otternauts.db";
/// There while a database is being filled by a migration; says which.
pub const ARRIVING: &str = "otternauts.arriving";

/// Opens it, and has its work counted.
pub async fn open(
    config: &StoreConfig,
    data: &DataDir,
    metrics: &Arc<Metrics>,
    disk: DiskGuard,
    high_water_mark: Option<PathBuf>,
) -> anyhow::Result<Store> {
    refuse_arriving(data)?;
    let observer = Arc::new(StoreObserver { storage: metrics.storage.clone(), watches: metrics.watches.clone() });
    let store = match config {
        StoreConfig::Sqlite => {
            let path = data.file(DATABASE);
            let options = SqliteOptions { observer, disk, high_water_mark, ..SqliteOptions::new(&path) };
            let store = Store::sqlite(options).with_context(|| format!("cannot open {}", path.display()))?;
            refuse_moved(&store, data).await?;
            store
        }
        StoreConfig::Etcd(etcd) => {
            if data.file(DATABASE).exists() && was_moved(data).await?.is_none() {
                anyhow::bail!(
                    "{} is there: this data directory belongs to a server with --store sqlite",
                    data.file(DATABASE).display()
                );
            }
            open_etcd(etcd, observer)?
        }
    };
    read_store(metrics, store.clone());
    Ok(store)
}

/// A directory that is being filled is no server's yet.
pub fn refuse_arriving(data: &DataDir) -> anyhow::Result<()> {
    let Some(note) = data.read(ARRIVING)? else { return Ok(()) };
    anyhow::bail!(
        "what is in {} is not whole: {} was not finished; run otter store migrate again with the same --from and --to",
        data.file(DATABASE).display(),
        note.trim_end()
    )
}

/// What is there is old, and whoever changed servers by it would undo what was done since.
async fn refuse_moved(store: &Store, data: &DataDir) -> anyhow::Result<()> {
    let Some(note) = store.moved().await.context("cannot read the store")? else { return Ok(()) };
    store.close().await.context("cannot close the store")?;
    anyhow::bail!(
        "what is in {} was moved {note}, and is not served any more: start with --store etcd, or move back with otter store migrate",
        data.file(DATABASE).display()
    )
}

/// Where the database of this directory was moved to.
async fn was_moved(data: &DataDir) -> anyhow::Result<Option<String>> {
    let store = open_file(&data.file(DATABASE))?;
    let moved = store.moved().await;
    store.close().await.context("cannot close the store")?;
    moved.context("cannot read the store")
}

/// A database that no server is to write into: a full disk is its owner's affair.
pub fn open_file(path: &Path) -> anyhow::Result<Store> {
    let disk = DiskGuard { free_bytes: 0, free_percent: 0, ballast_bytes: 0, ..DiskGuard::default() };
    let options = SqliteOptions { disk, ..SqliteOptions::new(path) };
    Store::sqlite(options).with_context(|| format!("cannot open {}", path.display()))
}

#[cfg(feature = "etcd")]
pub fn etcd_options(config: &EtcdConfig, purpose: otternauts_store::Purpose) -> otternauts_store::EtcdOptions {
    otternauts_store::EtcdOptions {
        endpoints: config.endpoints.clone(),
        prefix: config.prefix.clone(),
        ca_file: config.ca_file.clone(),
        certificate_file: config.certificate_file.clone(),
        key_file: config.key_file.clone(),
        purpose,
        ..otternauts_store::EtcdOptions::default()
    }
}

#[cfg(feature = "etcd")]
fn open_etcd(config: &EtcdConfig, observer: Arc<StoreObserver>) -> anyhow::Result<Store> {
    let purpose = otternauts_store::Purpose::Serve;
    let options = otternauts_store::EtcdOptions { observer, ..etcd_options(config, purpose) };
    Store::etcd(options).with_context(|| format!("cannot open the store in etcd at {}", config.endpoints.join(", ")))
}

#[cfg(not(feature = "etcd"))]
fn open_etcd(_: &EtcdConfig, _: Arc<StoreObserver>) -> anyhow::Result<Store> {
    anyhow::bail!("the etcd store is not in this build")
}

/// The store of a directory on which no server runs.
pub async fn open_plain(data: &DataDir) -> anyhow::Result<Store> {
    refuse_arriving(data)?;
    let path = data.file(DATABASE);
    let store = Store::sqlite(SqliteOptions::new(&path)).with_context(|| format!("cannot open {}", path.display()))?;
    refuse_moved(&store, data).await?;
    Ok(store)
}

/// Whether what was opened is still there: the file may have been removed under us, the cluster may be out of reach. The latter is no
/// reason to start anew.
pub fn check(config: &StoreConfig, data: &DataDir, store: &Store) -> HealthCheck {
    match config {
        StoreConfig::Sqlite => {
            let database = data.file(DATABASE);
            HealthCheck { name: "data-directory".to_owned(), live: true, check: Arc::new(move || database.exists()) }
        }
        StoreConfig::Etcd(_) => {
            let store = store.clone();
            HealthCheck { name: "etcd".to_owned(), live: false, check: Arc::new(move || store.is_reached()) }
        }
    }
}
