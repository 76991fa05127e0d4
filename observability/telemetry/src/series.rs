//! Families with a bound on their series, registered by the name that the table gives them.

use crate::names::{self, Kind};
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The most series that one family has (ecosystem, section 1).
pub const MOST_SERIES: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FamilyName {
    family: &'static str,
}

/// Counts what got no series.
#[derive(Clone, Default)]
pub struct Dropped(Family<FamilyName, Counter>);

impl Dropped {
    pub fn add(&self, family: &'static str, count: u64) {
        self.0.get_or_create(&FamilyName { family }).inc_by(count);
    }

    #[cfg(test)]
    pub(crate) fn of(&self, family: &'static str) -> u64 {
        self.0.get(&FamilyName { family }).map_or(0, |counter| counter.get())
    }
}

/// A metric that a [`Series`] can make.
pub trait Instrument: Clone {
    #[doc(hidden)]
    fn make(buckets: &'static [f64]) -> Self;
}

impl Instrument for Counter {
    fn make(_: &'static [f64]) -> Self {
        Self::default()
    }
}

impl Instrument for Gauge {
    fn make(_: &'static [f64]) -> Self {
        Self::default()
    }
}

impl Instrument for Gauge<f64, AtomicU64> {
    fn make(_: &'static [f64]) -> Self {
        Self::default()
    }
}

impl Instrument for Histogram {
    fn make(buckets: &'static [f64]) -> Self {
        Self::new(buckets.iter().copied())
    }
}

/// Makes the metrics of one family.
#[derive(Clone)]
struct Maker(&'static [f64]);

impl<M: Instrument> MetricConstructor<M> for Maker {
    fn new_metric(&self) -> M {
        M::make(self.0)
    }
}

/// One family: a metric for each set of labels, up to [`MOST_SERIES`]. What comes later is observed by nobody, and counted.
pub struct Series<L, M> {
    family: Family<L, M, Maker>,
    made: Arc<AtomicUsize>,
    /// Takes what has no series of its own; never shown.
    spare: M,
    name: &'static str,
    dropped: Dropped,
}

impl<L, M: Clone> Clone for Series<L, M> {
    fn clone(&self) -> Self {
        let Self { family, made, spare, name, dropped } = self;
        let (family, made, spare, dropped) = (family.clone(), made.clone(), spare.clone(), dropped.clone());
        Self { family, made, spare, name, dropped }
    }
}

impl<L: Clone + Hash + Eq, M: Instrument> Series<L, M> {
    /// The metric of these labels; cheap to keep for who observes often.
    pub fn get_or_create(&self, labels: &L) -> M {
        self.bounded(labels).unwrap_or_else(|| self.spare.clone())
    }

    /// The metric of these labels, if there is a place for it: what gets none is counted.
    fn bounded(&self, labels: &L) -> Option<M> {
        if let Some(metric) = self.family.get(labels) {
            return Some(metric.clone());
        }
        // Two that come at once with the same labels may take two places for one series: the bound holds, a little early.
        let place = self
            .made
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |made| (made < MOST_SERIES).then_some(made + 1));
        if place.is_err() {
            self.dropped.add(self.name, 1);
            return None;
        }
        Some(self.family.get_or_create_owned(labels))
    }

    /// Lets go of the series of something that is no more.
    pub fn remove(&self, labels: &L) {
        if self.family.remove(labels) {
            self.made.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// One metric of a family, looked for when it is first observed and kept from then on: not for a family whose series are
/// removed, for it would go on counting where nobody sees.
pub struct Kept<M>(OnceLock<M>);

impl<M> Default for Kept<M> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<M: Instrument> Kept<M> {
    /// The metric of the labels, which must be the same each time.
    pub fn of<L: Clone + Hash + Eq>(&self, series: &Series<L, M>, labels: impl FnOnce() -> L) -> M {
        if let Some(metric) = self.0.get() {
            return metric.clone();
        }
        // One without a place asks again, so that each is counted.
        let Some(metric) = series.bounded(&labels()) else { return series.spare.clone() };
        self.0.get_or_init(|| metric).clone()
    }
}

/// A family with one label set for each of `N` values, which are told by their numbers.
pub struct Each<L, M, const N: usize> {
    series: Series<L, M>,
    kept: [Kept<M>; N],
}

impl<L: Clone + Hash + Eq, M: Instrument, const N: usize> Each<L, M, N> {
    pub fn new(series: Series<L, M>) -> Self {
        Self { series, kept: std::array::from_fn(|_| Kept::default()) }
    }

    /// The metric of the value with this number, below `N`, and these labels.
    pub fn of(&self, number: usize, labels: impl FnOnce() -> L) -> M {
        self.kept[number].of(&self.series, labels)
    }
}

/// Registers metrics under names of the table.
pub struct Registrar<'a> {
    registry: &'a mut Registry,
    dropped: Dropped,
    names: Vec<&'static str>,
}

impl<'a> Registrar<'a> {
    pub(crate) fn new(registry: &'a mut Registry) -> Self {
        let dropped = Dropped::default();
        let mut new = Self { registry, dropped: dropped.clone(), names: Vec::new() };
        new.add("otternauts_metrics_series_dropped_total", Kind::Counter, dropped.0);
        new
    }

    pub fn counters<L: Labels>(&mut self, name: &'static str) -> Series<L, Counter> {
        self.series(name, Kind::Counter, &[])
    }

    pub fn gauges<L: Labels>(&mut self, name: &'static str) -> Series<L, Gauge> {
        self.series(name, Kind::Gauge, &[])
    }

    /// Gauges of seconds.
    pub fn float_gauges<L: Labels>(&mut self, name: &'static str) -> Series<L, Gauge<f64, AtomicU64>> {
        self.series(name, Kind::Gauge, &[])
    }

    pub fn histograms<L: Labels>(&mut self, name: &'static str, buckets: &'static [f64]) -> Series<L, Histogram> {
        self.series(name, Kind::Histogram, buckets)
    }

    /// A family without labels.
    pub fn counter(&mut self, name: &'static str) -> Counter {
        self.single(name, Kind::Counter, Counter::default())
    }

    /// A family without labels.
    pub fn gauge(&mut self, name: &'static str) -> Gauge {
        self.single(name, Kind::Gauge, Gauge::default())
    }

    /// A family without labels.
    pub fn float_gauge(&mut self, name: &'static str) -> Gauge<f64, AtomicU64> {
        self.single(name, Kind::Gauge, Gauge::default())
    }

    /// A family without labels.
    pub fn histogram(&mut self, name: &'static str, buckets: &'static [f64]) -> Histogram {
        self.single(name, Kind::Histogram, Histogram::make(buckets))
    }

    /// Anything else that can be encoded, under a name of the table.
    pub(crate) fn add(&mut self, name: &'static str, kind: Kind, metric: impl Metric) {
        let family = names::find(name).unwrap_or_else(|| panic!("{name} is not in the table of names"));
        assert_eq!(family.kind, kind, "{name} is not what the table says");
        self.names.push(name);
        self.registry.register(family.base(), family.described(), metric);
    }

    /// Names that a collector writes when scraped.
    pub(crate) fn collected(&mut self, names: impl IntoIterator<Item = &'static str>) {
        self.names.extend(names);
    }

    pub(crate) fn finish(self) -> (Dropped, Vec<&'static str>) {
        (self.dropped, self.names)
    }

    fn single<M: Metric + Clone>(&mut self, name: &'static str, kind: Kind, metric: M) -> M {
        self.add(name, kind, metric.clone());
        metric
    }

    fn series<L: Labels, M>(&mut self, name: &'static str, kind: Kind, buckets: &'static [f64]) -> Series<L, M>
    where
        M: Instrument + EncodeMetric + TypedMetric + Debug + Send + Sync + 'static,
    {
        let family = Family::new_with_constructor(Maker(buckets));
        self.add(name, kind, family.clone());
        Series { family, made: Arc::default(), spare: M::make(buckets), name, dropped: self.dropped.clone() }
    }
}

/// What can be the labels of a family.
pub trait Labels: Clone + Hash + Eq + EncodeLabelSet + Debug + Send + Sync + 'static {}
impl<T: Clone + Hash + Eq + EncodeLabelSet + Debug + Send + Sync + 'static> Labels for T {}
