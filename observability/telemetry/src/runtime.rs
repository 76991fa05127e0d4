//! How busy the threads are that run everything, read when scraped.

use crate::series::Registrar;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

#[derive(Clone)]
pub(crate) struct RuntimeMetrics {
    workers: Gauge,
    tasks: Gauge,
    busy: Gauge<f64, AtomicU64>,
    /// When somebody asked last, and how long all workers together had been busy by then.
    before: Arc<Mutex<(Instant, Duration)>>,
}

impl RuntimeMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            workers: registrar.gauge("otternauts_tokio_workers"),
            tasks: registrar.gauge("otternauts_tokio_alive_tasks"),
            busy: registrar.float_gauge("otternauts_tokio_busy_ratio"),
            before: Arc::new(Mutex::new((Instant::now(), Duration::ZERO))),
        }
    }

    /// Outside of a runtime there is nothing to say.
    pub(crate) fn refresh(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let metrics = runtime.metrics();
        let workers = metrics.num_workers();
        let busy = (0..workers).map(|worker| metrics.worker_total_busy_duration(worker)).sum();
        let now = Instant::now();
        let (then, before) = std::mem::replace(&mut *self.before.lock(), (now, busy));
        let passed = now.saturating_duration_since(then).as_secs_f64() * f64::from(u32::try_from(workers).unwrap_or(1));
        if passed > 0.0 {
            self.busy.set((busy.saturating_sub(before).as_secs_f64() / passed).min(1.0));
        }
        self.workers.set(i64::try_from(workers).unwrap_or(i64::MAX));
        self.tasks.set(i64::try_from(metrics.num_alive_tasks()).unwrap_or(i64::MAX));
    }
}
