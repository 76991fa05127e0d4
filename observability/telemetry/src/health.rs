//! What ails services.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    namespace: String,
    stack: String,
    service: String,
    reason: &'static str,
}

#[derive(Clone)]
pub struct HealthMetrics {
    task_failures: Family<Failed, Counter>,
}

impl HealthMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let new = Self { task_failures: Family::default() };
        let help = "Containers of tasks that ended though nobody wanted it";
        registry.register("otternauts_service_task_failures", help, new.task_failures.clone());
        new
    }

    /// `reason` is `oom`, `unhealthy`, `killed` or `exit`.
    pub fn task_failed(&self, namespace: &str, stack: &str, service: &str, reason: &'static str) {
        let (namespace, stack, service) = (namespace.to_owned(), stack.to_owned(), service.to_owned());
        self.task_failures.get_or_create(&Failed { namespace, stack, service, reason }).inc();
    }
}
