//! Whether a server, a stack and each of its services is well. Pure.

use crate::ready::word;
use kube::ResourceExt as _;
use otternauts_types::server::ServerPhase;
use otternauts_types::stack::{ServiceStatus, StackPhase, StackStatus};
use otternauts_types::{Condition, ConditionStatus, Server, Stack};
use serde::Serialize;

/// Conditions of a Stack that are bad when they hold, the most telling first.
const AILMENTS: [&str; 4] = ["OOMKilled", "CrashLooping", "Unhealthy", "Degraded"];

/// How one thing does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vital {
    /// `server`, `stack` or `service`.
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The stack a service is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    pub name: String,
    pub healthy: bool,
    /// `2/3`: tasks that run, of those wanted; empty for servers.
    pub running: String,
    pub message: String,
}

impl Vital {
    /// `namespace/stack/service`, as far as it has them.
    pub fn path(&self) -> String {
        let parts = [self.namespace.as_deref(), self.stack.as_deref(), Some(self.name.as_str())];
        parts.into_iter().flatten().collect::<Vec<_>>().join("/")
    }
}

pub fn server(server: &Server) -> Vital {
    let status = server.status.clone().unwrap_or_default();
    let full = status.conditions.iter().find(|c| c.r#type == "DiskSpace" && c.status == ConditionStatus::False);
    let healthy = status.phase == ServerPhase::Ready && full.is_none();
    let message = if let Some(full) = full {
        full.message.clone()
    } else if healthy {
        String::new()
    } else {
        status.last_error.unwrap_or_else(|| word(&status.phase))
    };
    Vital {
        kind: "server",
        namespace: None,
        stack: None,
        name: server.name_any(),
        healthy,
        running: String::new(),
        message,
    }
}

/// The stack, then each of its services.
pub fn stack(stack: &Stack) -> Vec<Vital> {
    let status = stack.status.clone().unwrap_or_default();
    let (namespace, name) = (stack.namespace(), stack.name_any());
    // A person wants it so.
    let stopped = status.phase == StackPhase::Stopped;
    let ready = holds(&status, "Ready").is_some();
    let (running, desired) =
        status.services.iter().fold((0, 0), |(r, d), s| (r + i64::from(s.running), d + i64::from(s.desired)));
    let ailment = ailments(&status).next();
    let message = match ailment {
        Some(condition) => condition.message.clone(),
        None if ready || stopped => String::new(),
        None => status.last_error.clone().unwrap_or_else(|| word(&status.phase)),
    };
    let whole = Vital {
        kind: "stack",
        namespace: namespace.clone(),
        stack: None,
        name: name.clone(),
        healthy: stopped || (ready && ailment.is_none()),
        running: format!("{running}/{desired}"),
        message,
    };
    let services = status.services.iter().map(|service| Vital {
        kind: "service",
        namespace: namespace.clone(),
        stack: Some(name.clone()),
        name: service.name.clone(),
        healthy: service.running >= service.desired && ailment_of(&status, service).is_none(),
        running: format!("{}/{}", service.running, service.desired),
        message: why(&status, service),
    });
    std::iter::once(whole).chain(services).collect()
}

fn holds<'a>(status: &'a StackStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|c| c.r#type == kind && c.status == ConditionStatus::True)
}

fn ailments(status: &StackStatus) -> impl Iterator<Item = &Condition> {
    AILMENTS.iter().filter_map(|kind| holds(status, kind))
}

/// Conditions speak of a whole stack, and their sentences name the service.
fn ailment_of<'a>(status: &'a StackStatus, service: &ServiceStatus) -> Option<&'a Condition> {
    let named = |c: &&Condition| {
        let mut words = c.message.split_whitespace().skip_while(|w| !w.eq_ignore_ascii_case("service")).skip(1);
        words.next().is_some_and(|w| w.trim_end_matches(':') == service.name)
    };
    ailments(status).find(named)
}

fn why(status: &StackStatus, service: &ServiceStatus) -> String {
    if let Some(condition) = ailment_of(status, service) {
        return condition.message.clone();
    }
    if service.running >= service.desired {
        return String::new();
    }
    let failure = service.last_failure.as_ref().map(|f| f.reason.clone());
    failure.unwrap_or_else(|| format!("{} of {} tasks run", service.running, service.desired))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(phase: &str, services: serde_json::Value, conditions: serde_json::Value) -> Vec<Vital> {
        let object = json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack",
            "metadata": {"name": "shop", "namespace": "bay"}, "spec": {"compose": {}},
            "status": {"phase": phase, "services": services, "conditions": conditions}});
        stack(&serde_json::from_value(object).expect("a Stack"))
    }

    fn outline(vitals: &[Vital]) -> Vec<(String, bool, &str)> {
        vitals.iter().map(|v| (v.path(), v.healthy, v.message.as_str())).collect()
    }

    #[test]
    fn a_stack_is_well_when_it_is_ready_and_nothing_ails_it() {
        let ready = json!({"type": "Ready", "status": "True"});
        let both = json!([{"name": "web", "desired": 2, "running": 2}, {"name": "db", "desired": 1, "running": 1}]);
        let well = of("running", both.clone(), json!([ready]));
        assert_eq!(
            outline(&well),
            [("bay/shop".into(), true, ""), ("bay/shop/web".into(), true, ""), ("bay/shop/db".into(), true, "")]
        );
        let sick = json!({"type": "Unhealthy", "status": "True", "message": "Service db is unhealthy (no)"});
        let ailing = of("running", both.clone(), json!([ready, sick]));
        let message = "Service db is unhealthy (no)";
        assert_eq!(
            outline(&ailing),
            [
                ("bay/shop".into(), false, message),
                ("bay/shop/web".into(), true, ""),
                ("bay/shop/db".into(), false, message)
            ]
        );
        assert!(of("stopped", json!([]), json!([{"type": "Ready", "status": "False"}]))[0].healthy);
        let deploying = of("deploying", both, json!([{"type": "Ready", "status": "False"}]));
        assert_eq!(outline(&deploying)[0], ("bay/shop".into(), false, "deploying"));
    }

    #[test]
    fn a_service_short_of_tasks_says_why() {
        let short = json!([{"name": "web", "desired": 2, "running": 1, "lastFailure": {"reason": "exit 3"}}]);
        let vitals = of("running", short, json!([{"type": "Ready", "status": "False"}]));
        assert_eq!(
            (vitals[1].healthy, vitals[1].message.as_str(), vitals[1].running.as_str()),
            (false, "exit 3", "1/2")
        );
    }
}
