//! Backups that the server makes by itself.

use crate::series::{Registrar, Series};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Target {
    target: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    target: &'static str,
    result: &'static str,
}

/// `target` is `directory` or `s3`.
#[derive(Clone)]
pub struct BackupMetrics {
    last_success: Series<Target, Gauge>,
    size: Series<Target, Gauge>,
    ended: Series<Ended, Counter>,
    tested: Series<Ended, Counter>,
    last_test: Series<Target, Gauge>,
}

impl BackupMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            last_success: registrar.gauges("otternauts_backup_last_success_timestamp_seconds"),
            size: registrar.gauges("otternauts_backup_size_bytes"),
            ended: registrar.counters("otternauts_backups_total"),
            tested: registrar.counters("otternauts_backup_restore_tests_total"),
            last_test: registrar.gauges("otternauts_backup_restore_test_last_success_timestamp_seconds"),
        }
    }

    /// Makes the series of a target, so that one that never succeeds is seen too. `last`, in seconds since 1970, is what was found there.
    pub fn expect(&self, target: &'static str, last: i64) {
        self.last_success.get_or_create(&Target { target }).set(last);
        for result in ["success", "failure"] {
            self.ended.get_or_create(&Ended { target, result });
        }
    }

    pub fn made(&self, target: &'static str, seconds: i64, bytes: u64) {
        self.last_success.get_or_create(&Target { target }).set(seconds);
        self.size.get_or_create(&Target { target }).set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.ended.get_or_create(&Ended { target, result: "success" }).inc();
    }

    pub fn failed(&self, target: &'static str) {
        self.ended.get_or_create(&Ended { target, result: "failure" }).inc();
    }

    /// A backup was restored to try it; `seconds` since 1970 when that was good.
    pub fn tested(&self, target: &'static str, good: Option<i64>) {
        let result = if good.is_some() { "success" } else { "failure" };
        self.tested.get_or_create(&Ended { target, result }).inc();
        if let Some(seconds) = good {
            self.last_test.get_or_create(&Target { target }).set(seconds);
        }
    }
}
