//! The store's instruments.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Statement {
    statement: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct File {
    file: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stored {
    resource: String,
}

/// 50 microseconds to about 1.6 seconds: commits sit at the low end.
const SECONDS: [f64; 16] =
    [50e-6, 100e-6, 200e-6, 400e-6, 800e-6, 1.6e-3, 3.2e-3, 6.4e-3, 12.8e-3, 25.6e-3, 51.2e-3, 0.1, 0.2, 0.4, 0.8, 1.6];
const WRITES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Clone)]
pub struct StorageMetrics {
    statements: Histograms<Statement>,
    /// Writes in one group commit.
    pub batch_writes: Histogram,
    files: Family<File, Gauge>,
    objects: Family<Stored, Gauge>,
    pub current_revision: Gauge,
    pub compact_revision: Gauge,
}

impl StorageMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let new = Self {
            statements: Family::new_with_constructor(seconds),
            batch_writes: Histogram::new(WRITES),
            files: Family::default(),
            objects: Family::default(),
            current_revision: Gauge::default(),
            compact_revision: Gauge::default(),
        };
        registry.register(
            "otternauts_storage_statement_seconds",
            "Time of a storage operation",
            new.statements.clone(),
        );
        registry.register(
            "otternauts_storage_commit_batch_writes",
            "Writes in one group commit",
            new.batch_writes.clone(),
        );
        registry.register("otternauts_storage_file_bytes", "Size of the database files", new.files.clone());
        registry.register("apiserver_storage_objects", "Stored objects by resource", new.objects.clone());
        registry.register(
            "otternauts_storage_current_revision",
            "The newest committed revision",
            new.current_revision.clone(),
        );
        registry.register(
            "otternauts_storage_compact_revision",
            "Revisions below this one are compacted",
            new.compact_revision.clone(),
        );
        new
    }

    /// One operation of the engine: `commit`, `get`, `list`, `checkpoint`, `compact`.
    pub fn statement(&self, statement: &'static str, ok: bool, seconds: f64) {
        let result = if ok { "success" } else { "error" };
        self.statements.get_or_create(&Statement { statement, result }).observe(seconds);
    }

    /// `main` or `wal`.
    pub fn file_bytes(&self, file: &'static str, bytes: u64) {
        self.files.get_or_create(&File { file }).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// How many objects a resource (`stacks.otternauts.dev`) has.
    pub fn objects(&self, resource: &str, count: u64) {
        let labels = Stored { resource: resource.to_owned() };
        self.objects.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
