//! Messages to people and programs.

use crate::series::{Registrar, Series};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sent {
    channel: &'static str,
    result: &'static str,
}

#[derive(Clone)]
pub struct NotificationMetrics {
    sent: Series<Sent, Counter>,
}

impl NotificationMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self { sent: registrar.counters("otternauts_notifications_total") }
    }

    /// One attempt: `channel` is `webhook`, `email`, `slack`, `discord` or `ntfy`; `result` is `delivered`, `retried`, `dead`,
    /// `test_delivered` or `test_failed`.
    pub fn sent(&self, channel: &'static str, result: &'static str) {
        self.sent.get_or_create(&Sent { channel, result }).inc();
    }
}
