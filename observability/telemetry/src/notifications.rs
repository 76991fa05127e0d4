//! Messages to people and programs.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sent {
    channel: &'static str,
    result: &'static str,
}

#[derive(Clone)]
pub struct NotificationMetrics {
    sent: Family<Sent, Counter>,
}

impl NotificationMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let new = Self { sent: Family::default() };
        registry.register(
            "otternauts_notifications",
            "Attempts to deliver a message to a Notifier's channel",
            new.sent.clone(),
        );
        new
    }

    /// One attempt: `channel` is `webhook`, `email`, `slack`, `discord` or `ntfy`; `result` is `delivered`, `retried`, `dead`,
    /// `test_delivered` or `test_failed`.
    pub fn sent(&self, channel: &'static str, result: &'static str) {
        self.sent.get_or_create(&Sent { channel, result }).inc();
    }
}
