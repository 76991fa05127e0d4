//! The store that was asked for: a file in the data directory, or an etcd cluster.

use crate::config::{EtcdConfig, StoreConfig};
use crate::data_dir::DataDir;
use crate::metrics::{StoreObserver, read_store};
use anyhow::Context as _;
use otternauts_http::HealthCheck;
use otternauts_store::{DiskGuard, SqliteOptions, Store};
use otternauts_telemetry::Metrics;
use std::sync::Arc;

pub const DATABASE: &str = "otternauts.db";

/// Opens it, and has its work counted.
pub fn open(config: &StoreConfig, data: &DataDir, metrics: &Arc<Metrics>, disk: DiskGuard) -> anyhow::Result<Store> {
    let observer = Arc::new(StoreObserver { storage: metrics.storage.clone(), watches: metrics.watches.clone() });
    let store = match config {
        StoreConfig::Sqlite => {
            let path = data.file(DATABASE);
            let options = SqliteOptions { observer, disk, ..SqliteOptions::new(&path) };
            Store::sqlite(options).with_context(|| format!("cannot open {}", path.display()))?
        }
        StoreConfig::Etcd(etcd) => {
            if data.file(DATABASE).exists() {
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

#[cfg(feature = "etcd")]
fn open_etcd(config: &EtcdConfig, observer: Arc<StoreObserver>) -> anyhow::Result<Store> {
    let options = otternauts_store::EtcdOptions {
        endpoints: config.endpoints.clone(),
        prefix: config.prefix.clone(),
        ca_file: config.ca_file.clone(),
        certificate_file: config.certificate_file.clone(),
        key_file: config.key_file.clone(),
        observer,
        ..otternauts_store::EtcdOptions::default()
    };
    Store::etcd(options).with_context(|| format!("cannot open the store in etcd at {}", config.endpoints.join(", ")))
}

#[cfg(not(feature = "etcd"))]
fn open_etcd(_: &EtcdConfig, _: Arc<StoreObserver>) -> anyhow::Result<Store> {
    anyhow::bail!("the etcd store is not in this build")
}

/// The store of a directory on which no server runs.
pub fn open_plain(data: &DataDir) -> anyhow::Result<Store> {
    let path = data.file(DATABASE);
    Store::sqlite(SqliteOptions::new(&path)).with_context(|| format!("cannot open {}", path.display()))
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
