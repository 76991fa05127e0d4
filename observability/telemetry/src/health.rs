//! What ails services.

use crate::series::{Registrar, Series};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    namespace: String,
    stack: String,
    service: String,
    reason: &'static str,
}

#[derive(Clone)]
pub struct HealthMetrics {
    task_failures: Series<Failed, Counter>,
}

impl HealthMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self { task_failures: registrar.counters("otternauts_service_task_failures_total") }
    }

    /// `reason` is `oom`, `unhealthy`, `killed` or `exit`.
    pub fn task_failed(&self, namespace: &str, stack: &str, service: &str, reason: &'static str) {
        let (namespace, stack, service) = (namespace.to_owned(), stack.to_owned(), service.to_owned());
        self.task_failures.get_or_create(&Failed { namespace, stack, service, reason }).inc();
    }
}
