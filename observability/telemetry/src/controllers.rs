//! Reconciles and queues, under the names of controller-runtime and client-go.

mod convergence;
mod queue;
#[cfg(test)]
mod tests;

pub use convergence::Convergence;
pub use queue::{Queue, Work};

use crate::series::{Registrar, Series};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use queue::State;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

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
struct Named {
    name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Converged {
    kind: &'static str,
    result: &'static str,
}

const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0];
const WAITS: &[f64] = &[1e-4, 1e-3, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0];
/// The objective is 60 s for a Stack whose images are there.
const CONVERGENCE: &[f64] =
    &[0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 600.0, 1200.0, 3600.0];

/// A queue by name, for as long as its controller has it.
type Listed = (&'static str, Weak<State>);
/// Seconds that are set when scraped.
type Seconds = Gauge<f64, AtomicU64>;

/// Instruments of all controllers.
#[derive(Clone)]
pub struct ControllerMetrics {
    total: Series<Reconciled, Counter>,
    errors: Series<Controller, Counter>,
    panics: Series<Controller, Counter>,
    seconds: Series<Controller, Histogram>,
    active: Series<Controller, Gauge>,
    most: Series<Controller, Gauge>,
    adds: Series<Named, Counter>,
    retries: Series<Named, Counter>,
    depth: Series<Named, Gauge>,
    wait_seconds: Series<Named, Histogram>,
    work_seconds: Series<Named, Histogram>,
    unfinished: Series<Named, Seconds>,
    longest: Series<Named, Seconds>,
    convergence: Series<Converged, Histogram>,
    queues: Arc<Mutex<Vec<Listed>>>,
}

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    RequeueAfter,
    Error,
}

impl ControllerMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            total: registrar.counters("controller_runtime_reconcile_total"),
            errors: registrar.counters("controller_runtime_reconcile_errors_total"),
            panics: registrar.counters("controller_runtime_reconcile_panics_total"),
            seconds: registrar.histograms("controller_runtime_reconcile_time_seconds", SECONDS),
            active: registrar.gauges("controller_runtime_active_workers"),
            most: registrar.gauges("controller_runtime_max_concurrent_reconciles"),
            adds: registrar.counters("workqueue_adds_total"),
            retries: registrar.counters("workqueue_retries_total"),
            depth: registrar.gauges("workqueue_depth"),
            wait_seconds: registrar.histograms("workqueue_queue_duration_seconds", WAITS),
            work_seconds: registrar.histograms("workqueue_work_duration_seconds", SECONDS),
            unfinished: registrar.float_gauges("workqueue_unfinished_work_seconds"),
            longest: registrar.float_gauges("workqueue_longest_running_processor_seconds"),
            convergence: registrar.histograms("otternauts_convergence_seconds", CONVERGENCE),
            queues: Arc::default(),
        }
    }

    /// The queue of a controller. Its series are there from now on, so that the first failure is an increase; a controller that
    /// starts again gets a fresh queue under the same name.
    pub fn queue(&self, controller: &'static str) -> Queue {
        let name = controller;
        for result in ["success", "requeue_after", "error"] {
            self.total.get_or_create(&Reconciled { controller, result });
        }
        self.errors.get_or_create(&Controller { controller });
        self.panics.get_or_create(&Controller { controller });
        self.active.get_or_create(&Controller { controller });
        self.adds.get_or_create(&Named { name });
        self.retries.get_or_create(&Named { name });
        let state = Arc::<State>::default();
        let mut queues = self.queues.lock();
        queues.retain(|(_, state)| state.strong_count() > 0);
        queues.push((name, Arc::downgrade(&state)));
        Queue::new(self.clone(), controller, state)
    }

    /// How many reconciles a controller runs at once; 0: no bound.
    pub fn concurrency(&self, controller: &'static str, most: u16) {
        self.most.get_or_create(&Controller { controller }).set(most.into());
    }

    /// A new generation of an object was Ready after so long (`success`), or the next one came first (`superseded`).
    pub fn converged(&self, kind: &'static str, result: &'static str, seconds: f64) {
        self.convergence.get_or_create(&Converged { kind, result }).observe(seconds);
    }

    /// A reconcile begins, of a controller that has no [`Queue`]; say how it ended with [`Work::end`]. One that is dropped without
    /// counts as an error.
    pub fn start(&self, controller: &'static str) -> Work {
        self.queue(controller).start("")
    }

    /// Sets what is known only at the moment of the scrape.
    pub(crate) fn refresh(&self) {
        let mut sums = std::collections::BTreeMap::<&'static str, (i64, f64, f64)>::new();
        for (name, state) in self.queues.lock().iter() {
            let sum = sums.entry(name).or_default();
            if let Some(state) = state.upgrade() {
                let (depth, unfinished, longest) = state.now();
                *sum = (sum.0 + depth, sum.1 + unfinished, sum.2.max(longest));
            }
        }
        for (name, (depth, unfinished, longest)) in sums {
            self.depth.get_or_create(&Named { name }).set(depth);
            self.unfinished.get_or_create(&Named { name }).set(unfinished);
            self.longest.get_or_create(&Named { name }).set(longest);
        }
    }
}
