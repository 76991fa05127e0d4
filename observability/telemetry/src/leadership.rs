//! Which replica leads.

use crate::series::{Registrar, Series};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lease {
    name: &'static str,
}

#[derive(Clone)]
pub struct LeadershipMetrics {
    master: Series<Lease, Gauge>,
    slow: Series<Lease, Counter>,
}

impl LeadershipMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            master: registrar.gauges("leader_election_master_status"),
            slow: registrar.counters("leader_election_slowpath_total"),
        }
    }

    /// Whether this replica holds the Lease.
    pub fn leads(&self, lease: &'static str, leads: bool) {
        self.master.get_or_create(&Lease { name: lease }).set(i64::from(leads));
    }

    /// The Lease could not be read or written.
    pub fn slow(&self, lease: &'static str) {
        self.slow.get_or_create(&Lease { name: lease }).inc();
    }
}
