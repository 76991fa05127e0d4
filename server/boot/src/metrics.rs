//! What the store reports, under the names that telemetry gives it.

use otternauts_store::{Observer, Statement, Store};
use otternauts_telemetry::{Metrics, StorageMetrics};
use std::time::Duration;

/// Counts the store's work as it happens.
pub struct StoreObserver(pub StorageMetrics);

impl Observer for StoreObserver {
    fn committed(&self, writes: usize, elapsed: Duration) {
        // A batch has at most some thousands of writes.
        self.0.batch_writes.observe(writes as f64);
        self.0.statement("commit", true, elapsed.as_secs_f64());
    }

    fn statement(&self, statement: Statement, elapsed: Duration) {
        self.0.statement(statement.as_str(), true, elapsed.as_secs_f64());
    }
}

/// Reads counts, revisions and file sizes when somebody scrapes.
pub fn read_store(metrics: &Metrics, store: Store) {
    let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
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
    });
}
