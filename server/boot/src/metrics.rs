//! What the store reports, under the names that telemetry gives it.

use otternauts_auth::audit::AuditLog;
use otternauts_store::{Observer, Operation, Statement, Store};
use otternauts_telemetry::{Metrics, StorageMetrics, WatchMetrics};
use std::sync::Arc;
use std::time::Duration;

/// Counts the store's work as it happens.
pub struct StoreObserver {
    pub storage: StorageMetrics,
    pub watches: WatchMetrics,
}

impl Observer for StoreObserver {
    fn committed(&self, writes: usize, elapsed: Duration) {
        // A batch has at most some thousands of writes.
        self.storage.batch_writes.observe(writes as f64);
        self.storage.statement("commit", true, elapsed.as_secs_f64());
    }

    fn statement(&self, statement: Statement, elapsed: Duration) {
        self.storage.statement(statement.as_str(), true, elapsed.as_secs_f64());
    }

    fn operation(&self, operation: Operation, resource: &str, elapsed: Duration) {
        self.storage.operation(operation.as_str(), resource, elapsed.as_secs_f64());
    }

    fn checkpointed(&self, truncate: bool, ok: bool, elapsed: Duration) {
        self.storage.checkpoint(if truncate { "truncate" } else { "passive" }, ok, elapsed.as_secs_f64());
    }

    fn corrupted(&self) {
        self.storage.integrity.set(0);
    }

    fn fell_behind(&self, resource: &str) {
        self.watches.overflowed(resource);
    }
}

/// Reads counts, revisions and file sizes when somebody scrapes.
pub fn read_store(metrics: &Metrics, store: Store) {
    let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    // The start has verified the chain of checksums.
    metrics.storage.integrity.set(1);
    metrics.before_scrape(move |metrics| {
        let storage = &metrics.storage;
        for (resource, count) in store.counts() {
            storage.objects(&resource, count);
        }
        storage.current_revision.set(gauge(store.revision()));
        storage.compact_revision.set(gauge(store.oldest()));
        for (file, bytes) in store.file_bytes() {
            storage.file_bytes(file, bytes);
        }
        for (file, bytes) in store.free_bytes() {
            storage.free_bytes(file, bytes);
        }
    });
}

/// Takes over how many lines the audit log has lost.
pub fn read_audit(metrics: &Metrics, audit: Arc<AuditLog>) {
    metrics.before_scrape(move |metrics| {
        let counted = &metrics.requests.audit_lost;
        counted.inc_by(audit.lost().saturating_sub(counted.get()));
    });
}
