//! The keys of one controller: which wait since when, and which are under work.

use super::{Controller, ControllerMetrics, Named, Outcome, Reconciled};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a queue holds at a moment.
#[derive(Default)]
pub(super) struct State {
    /// Key -> since when it waits.
    waiting: Mutex<HashMap<String, Instant>>,
    /// Number of a reconcile -> when it began.
    running: Mutex<(u64, HashMap<u64, Instant>)>,
}

impl State {
    /// Keys that wait, seconds under work in all, seconds of the longest.
    pub(super) fn now(&self) -> (i64, f64, f64) {
        let now = Instant::now();
        let depth = self.waiting.lock().len();
        let running = self.running.lock();
        let seconds = running.1.values().map(|began| now.saturating_duration_since(*began).as_secs_f64());
        let (sum, most) = seconds.fold((0.0, 0.0), |(sum, most), s| (sum + s, f64::max(most, s)));
        (i64::try_from(depth).unwrap_or(i64::MAX), sum, most)
    }
}

/// The queue of one controller, as its metrics see it. Holds one entry for each key that waits, no more than there are objects.
#[derive(Clone)]
pub struct Queue {
    metrics: ControllerMetrics,
    name: &'static str,
    state: Arc<State>,
}

impl Queue {
    pub(super) fn new(metrics: ControllerMetrics, name: &'static str, state: Arc<State>) -> Self {
        Self { metrics, name, state }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A key is to be looked at now. One that waits already waits on.
    pub fn added(&self, key: &str) {
        let mut waiting = self.state.waiting.lock();
        if waiting.contains_key(key) {
            return;
        }
        waiting.insert(key.to_owned(), Instant::now());
        drop(waiting);
        self.metrics.adds.get_or_create(&Named { name: self.name }).inc();
    }

    /// A key that waited is gone: nobody will look at it.
    pub fn forget(&self, key: &str) {
        self.state.waiting.lock().remove(key);
    }

    /// A key is taken up. One that is dropped without [`Work::end`] counts as an error.
    pub fn start(&self, key: &str) -> Work {
        let now = Instant::now();
        let since = self.state.waiting.lock().remove(key);
        let waited = since.map(|since| now.saturating_duration_since(since));
        if let Some(waited) = waited {
            self.metrics.wait_seconds.get_or_create(&Named { name: self.name }).observe(waited.as_secs_f64());
        }
        self.metrics.active.get_or_create(&Controller { controller: self.name }).inc();
        let mut running = self.state.running.lock();
        running.0 += 1;
        let number = running.0;
        running.1.insert(number, now);
        drop(running);
        Work { queue: self.clone(), number, began: now, waited, outcome: None }
    }
}

/// One reconcile under way.
pub struct Work {
    queue: Queue,
    number: u64,
    began: Instant,
    waited: Option<Duration>,
    outcome: Option<Outcome>,
}

impl Work {
    /// How long its key was in the queue; none when it was put back by itself.
    pub fn waited(&self) -> Option<Duration> {
        self.waited
    }

    /// How it ended.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let (m, controller) = (&self.queue.metrics, self.queue.name);
        let name = controller;
        let seconds = self.began.elapsed().as_secs_f64();
        let outcome = self.outcome.unwrap_or(Outcome::Error);
        let result = match outcome {
            Outcome::Success => "success",
            Outcome::RequeueAfter => "requeue_after",
            Outcome::Error => "error",
        };
        m.total.get_or_create(&Reconciled { controller, result }).inc();
        if outcome == Outcome::Error {
            m.errors.get_or_create(&Controller { controller }).inc();
        }
        if self.outcome.is_none() && std::thread::panicking() {
            m.panics.get_or_create(&Controller { controller }).inc();
        }
        if outcome != Outcome::Success {
            m.retries.get_or_create(&Named { name }).inc();
        }
        m.seconds.get_or_create(&Controller { controller }).observe(seconds);
        m.work_seconds.get_or_create(&Named { name }).observe(seconds);
        m.active.get_or_create(&Controller { controller }).dec();
        self.queue.state.running.lock().1.remove(&self.number);
    }
}
