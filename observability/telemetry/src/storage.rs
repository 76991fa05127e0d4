//! The store's instruments.

use crate::series::{Registrar, Series};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Statement {
    statement: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
    r#type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Checkpoint {
    mode: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct File {
    file: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cluster {
    storage_cluster_id: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stored {
    resource: String,
}

/// 50 microseconds to about 1.6 seconds: commits sit at the low end.
const SECONDS: &[f64] = &[
    50e-6, 100e-6, 200e-6, 400e-6, 800e-6, 1.6e-3, 3.2e-3, 6.4e-3, 12.8e-3, 25.6e-3, 51.2e-3, 0.1, 0.25, 0.5, 1.0, 2.0,
];
const OPERATION_SECONDS: &[f64] =
    &[50e-6, 200e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const WRITES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0];

#[derive(Clone)]
pub struct StorageMetrics {
    statements: Series<Statement, Histogram>,
    operations: Series<Operation, Histogram>,
    checkpoints: Series<Checkpoint, Histogram>,
    /// Writes in one group commit.
    pub batch_writes: Histogram,
    files: Series<File, Gauge>,
    free: Series<File, Gauge>,
    size: Series<Cluster, Gauge>,
    objects: Series<Stored, Gauge>,
    /// 1 until a checksum is found wrong.
    pub integrity: Gauge,
    pub current_revision: Gauge,
    pub compact_revision: Gauge,
}

impl StorageMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            statements: registrar.histograms("otternauts_storage_statement_seconds", SECONDS),
            operations: registrar.histograms("etcd_request_duration_seconds", OPERATION_SECONDS),
            checkpoints: registrar.histograms("otternauts_storage_checkpoint_seconds", SECONDS),
            batch_writes: registrar.histogram("otternauts_storage_commit_batch_writes", WRITES),
            files: registrar.gauges("otternauts_storage_file_bytes"),
            free: registrar.gauges("otternauts_storage_free_bytes"),
            size: registrar.gauges("apiserver_storage_size_bytes"),
            objects: registrar.gauges("apiserver_storage_objects"),
            integrity: registrar.gauge("otternauts_storage_integrity_check_ok"),
            current_revision: registrar.gauge("otternauts_storage_current_revision"),
            compact_revision: registrar.gauge("otternauts_storage_compact_revision"),
        }
    }

    /// One statement of the engine: `commit`, `get`, `list`, `history`, `compact`, `checkpoint`.
    pub fn statement(&self, statement: &'static str, ok: bool, seconds: f64) {
        self.statements.get_or_create(&Statement { statement, result: result(ok) }).observe(seconds);
    }

    /// One operation as the registry asked for it: `get`, `list`, `create`, `update`, `delete` of a resource.
    pub fn operation(&self, operation: &'static str, resource: &str, seconds: f64) {
        self.operations.get_or_create(&Operation { operation, r#type: resource.to_owned() }).observe(seconds);
    }

    /// `passive` or `truncate`.
    pub fn checkpoint(&self, mode: &'static str, ok: bool, seconds: f64) {
        self.checkpoints.get_or_create(&Checkpoint { mode, result: result(ok) }).observe(seconds);
    }

    /// `main` or `wal`. The size of the database is that of its main file.
    pub fn file_bytes(&self, file: &'static str, bytes: u64) {
        self.files.get_or_create(&File { file }).set(gauge(bytes));
        if file == "main" {
            self.size.get_or_create(&Cluster { storage_cluster_id: "sqlite" }).set(gauge(bytes));
        }
    }

    /// What of a file holds nothing.
    pub fn free_bytes(&self, file: &'static str, bytes: u64) {
        self.free.get_or_create(&File { file }).set(gauge(bytes));
    }

    /// How many objects a resource (`stacks.otternauts.dev`) has.
    pub fn objects(&self, resource: &str, count: u64) {
        self.objects.get_or_create(&Stored { resource: resource.to_owned() }).set(gauge(count));
    }
}

fn result(ok: bool) -> &'static str {
    if ok { "success" } else { "error" }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
