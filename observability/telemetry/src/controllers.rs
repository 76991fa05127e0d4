//! Reconciles and queues, under the names of controller-runtime and client-go.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Controller {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconciled {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    name: &'static str,
}

const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Clone)]
pub struct ControllerMetrics {
    total: Family<Reconciled, Counter>,
    errors: Family<Controller, Counter>,
    seconds: Histograms<Controller>,
    active: Family<Controller, Gauge>,
    adds: Family<Queue, Counter>,
    retries: Family<Queue, Counter>,
    depth: Family<Queue, Gauge>,
    work_seconds: Histograms<Queue>,
}

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    RequeueAfter,
    Error,
}

impl ControllerMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let new = Self {
            total: Family::default(),
            errors: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            active: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            depth: Family::default(),
            work_seconds: Family::new_with_constructor(seconds),
        };
        registry.register("controller_runtime_reconcile", "Reconciles by result", new.total.clone());
        registry.register("controller_runtime_reconcile_errors", "Failed reconciles", new.errors.clone());
        registry.register("controller_runtime_reconcile_time_seconds", "Time of a reconcile", new.seconds.clone());
        registry.register("controller_runtime_active_workers", "Reconciles under way", new.active.clone());
        registry.register("workqueue_adds", "Keys taken up for work", new.adds.clone());
        registry.register("workqueue_retries", "Keys put back to be tried again", new.retries.clone());
        registry.register("workqueue_depth", "Keys under work", new.depth.clone());
        registry.register("workqueue_work_duration_seconds", "Time a key was under work", new.work_seconds.clone());
        new
    }

    /// A reconcile begins; say how it ended with [`Reconcile::end`]. One that is dropped without counts as an error.
    pub fn start(&self, controller: &'static str) -> Reconcile<'_> {
        self.active.get_or_create(&Controller { controller }).inc();
        self.adds.get_or_create(&Queue { name: controller }).inc();
        self.depth.get_or_create(&Queue { name: controller }).inc();
        Reconcile { metrics: self, controller, started: std::time::Instant::now(), outcome: Outcome::Error }
    }
}

/// One reconcile under way.
pub struct Reconcile<'a> {
    metrics: &'a ControllerMetrics,
    controller: &'static str,
    started: std::time::Instant,
    outcome: Outcome,
}

impl Reconcile<'_> {
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Reconcile<'_> {
    fn drop(&mut self) {
        let (m, controller, name) = (self.metrics, self.controller, self.controller);
        let seconds = self.started.elapsed().as_secs_f64();
        let result = match self.outcome {
            Outcome::Success => "success",
            Outcome::RequeueAfter => "requeue_after",
            Outcome::Error => "error",
        };
        m.total.get_or_create(&Reconciled { controller, result }).inc();
        if self.outcome == Outcome::Error {
            m.errors.get_or_create(&Controller { controller }).inc();
        }
        if self.outcome != Outcome::Success {
            m.retries.get_or_create(&Queue { name }).inc();
        }
        m.seconds.get_or_create(&Controller { controller }).observe(seconds);
        m.work_seconds.get_or_create(&Queue { name }).observe(seconds);
        m.active.get_or_create(&Controller { controller }).dec();
        m.depth.get_or_create(&Queue { name }).dec();
    }
}
