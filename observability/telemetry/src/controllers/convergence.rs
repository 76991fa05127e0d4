//! From a new generation of an object until it is Ready.

use super::ControllerMetrics;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// Watches the objects of one kind converge. What was under way when the process started is not measured: when it began is not known.
#[derive(Clone)]
pub struct Convergence {
    metrics: ControllerMetrics,
    kind: &'static str,
    objects: Arc<Mutex<HashMap<String, Seen>>>,
}

struct Seen {
    generation: i64,
    /// When the generation was first seen; `None` once it is Ready, or when its beginning was not seen.
    since: Option<Instant>,
}

impl Convergence {
    pub fn new(metrics: &ControllerMetrics, kind: &'static str) -> Self {
        Self { metrics: metrics.clone(), kind, objects: Arc::default() }
    }

    /// An object as it is now. `observed`: the generation that its status speaks of, `None` before it has one.
    pub fn see(&self, uid: &str, generation: i64, observed: Option<i64>, ready: bool) {
        let mut objects = self.objects.lock();
        let seen = objects.entry(uid.to_owned()).or_insert_with(|| Seen {
            generation,
            // New to us and to everybody, or only to us?
            since: observed.is_none().then(Instant::now),
        });
        if seen.generation != generation {
            if let Some(since) = seen.since {
                self.metrics.converged(self.kind, "superseded", since.elapsed().as_secs_f64());
            }
            *seen = Seen { generation, since: Some(Instant::now()) };
        }
        if ready
            && observed.is_some_and(|observed| observed >= generation)
            && let Some(since) = seen.since.take()
        {
            self.metrics.converged(self.kind, "success", since.elapsed().as_secs_f64());
        }
    }

    /// An object is on its way out.
    pub fn forget(&self, uid: &str) {
        self.objects.lock().remove(uid);
    }
}
