//! Watches: how many, how much goes out, how fast, and who could not keep up.

use crate::requests::InFlight;
use crate::series::{Registrar, Series};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watched {
    group: String,
    version: String,
    resource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Resource {
    resource: String,
}

/// 1 KiB to 128 KiB, as the reference has them.
const BYTES: &[f64] = &[1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 65536.0, 131_072.0];
/// Half a millisecond to ten seconds; the objective is 100 ms.
const DELIVERY: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Clone)]
pub struct WatchMetrics {
    events: Series<Watched, Counter>,
    sizes: Series<Watched, Histogram>,
    terminated: Series<Watched, Counter>,
    watchers: Series<Resource, Gauge>,
    delivery: Series<Resource, Histogram>,
    overflows: Series<Resource, Counter>,
}

impl WatchMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            events: registrar.counters("apiserver_watch_events_total"),
            sizes: registrar.histograms("apiserver_watch_events_sizes", BYTES),
            terminated: registrar.counters("apiserver_terminated_watchers_total"),
            watchers: registrar.gauges("otternauts_watchers"),
            delivery: registrar.histograms("otternauts_watch_delivery_seconds", DELIVERY),
            overflows: registrar.counters("otternauts_watch_buffer_overflows_total"),
        }
    }

    /// A watch begins; it ends when what is returned is dropped.
    pub fn open(&self, group: &str, version: &str, resource: &str) -> Watch {
        let watched = Watched { group: group.to_owned(), version: version.to_owned(), resource: resource.to_owned() };
        let of = Resource { resource: resource.to_owned() };
        Watch {
            events: self.events.get_or_create(&watched),
            sizes: self.sizes.get_or_create(&watched),
            terminated: self.terminated.get_or_create(&watched),
            delivery: self.delivery.get_or_create(&of),
            _open: InFlight::start(self.watchers.get_or_create(&of)),
        }
    }

    /// A watcher fell out of the window in memory and is caught up from the log.
    pub fn overflowed(&self, resource: &str) {
        self.overflows.get_or_create(&Resource { resource: resource.to_owned() }).inc();
    }
}

/// One open watch.
pub struct Watch {
    events: Counter,
    sizes: Histogram,
    terminated: Counter,
    delivery: Histogram,
    _open: InFlight,
}

impl Watch {
    /// One event of so many bytes is about to be sent.
    #[allow(clippy::cast_precision_loss, reason = "a size for a histogram")]
    pub fn event(&self, bytes: usize) {
        self.events.inc();
        self.sizes.observe(bytes as f64);
    }

    /// A write went out, so long after the commit of the oldest event in it.
    pub fn delivered(&self, seconds: f64) {
        self.delivery.observe(seconds);
    }

    /// The watch ends because the history it needs is gone: it was slower than that is long.
    pub fn could_not_keep_up(&self) {
        self.terminated.inc();
    }
}
