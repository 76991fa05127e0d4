//! What a Stack says about itself that rules must respect. Pure.

use kube::ResourceExt as _;
use otternauts_types::stack::{ServiceStatus, StackPhase};
use otternauts_types::{ConditionStatus, Stack};

/// Whether it must be left alone: somebody else is at work on it.
pub fn is_busy(stack: &Stack) -> bool {
    let Some(status) = &stack.status else { return true };
    let behind = status.observed_generation.is_some() && status.observed_generation < stack.metadata.generation;
    stack.metadata.deletion_timestamp.is_some()
        || stack.spec.suspend
        || behind
        || matches!(status.phase, StackPhase::Pending | StackPhase::Deploying | StackPhase::Stopped)
}

/// When its last deployment ended, in milliseconds since 1970: what was before is of other containers.
pub fn last_deployment(stack: &Stack) -> i64 {
    let conditions = stack.status.iter().flat_map(|s| &s.conditions);
    let ended = conditions.filter(|c| c.r#type == "Progressing").filter_map(|c| c.last_transition_time.as_deref());
    let ended = ended.filter_map(|t| t.parse::<jiff::Timestamp>().ok()).map(jiff::Timestamp::as_millisecond);
    ended.max().unwrap_or(i64::MIN)
}

/// Whether a check of this service of it fails: the container's own, or one that the Stack declares. Where nobody has said so of the
/// service itself, as the condition `Unhealthy` has it, which names one (OT-F12).
pub fn is_unhealthy(stack: &Stack, service: &ServiceStatus) -> bool {
    service.unhealthy.unwrap_or_else(|| named(stack) == Some(service.name.as_str()))
}

fn named(stack: &Stack) -> Option<&str> {
    let conditions = stack.status.iter().flat_map(|s| &s.conditions);
    let mut holding = conditions.filter(|c| c.r#type == "Unhealthy" && c.status == ConditionStatus::True);
    let (service, _) = holding.next()?.message.strip_prefix("Service ")?.split_once(" is unhealthy")?;
    Some(service)
}

/// The Cluster it runs on.
pub fn cluster(stack: &Stack) -> &str {
    stack.spec.cluster_ref.as_ref().map_or("default", |r| r.name.as_str())
}

/// The stack's name in the swarm, once it has one.
pub fn in_swarm(stack: &Stack) -> Option<&str> {
    stack.status.as_ref()?.swarm_stack.as_deref()
}

/// `namespace/name`.
pub fn full_name<K: kube::Resource>(object: &K) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use otternauts_types::stack::StackStatus;
    use otternauts_types::{Condition, StackSpec};

    fn stack(conditions: &[(&str, ConditionStatus, &str)], phase: StackPhase) -> Stack {
        let mut stack = Stack::new("shop", StackSpec::default());
        stack.metadata.generation = Some(2);
        let one = |(kind, status, message): &(&str, ConditionStatus, &str)| Condition {
            r#type: (*kind).to_owned(),
            status: *status,
            reason: String::new(),
            message: (*message).to_owned(),
            last_transition_time: Some("2026-11-21T07:00:00Z".to_owned()),
            observed_generation: Some(2),
        };
        let conditions = conditions.iter().map(one).collect();
        stack.status = Some(StackStatus { phase, conditions, observed_generation: Some(2), ..StackStatus::default() });
        stack
    }

    #[test]
    fn a_stack_is_left_alone_while_somebody_is_at_work_on_it() {
        use StackPhase::{Deploying, Failed, Pending, Running, Stopped};
        for (phase, expected) in
            [(Pending, true), (Deploying, true), (Running, false), (Failed, false), (Stopped, true)]
        {
            assert_eq!(is_busy(&stack(&[], phase)), expected, "{phase:?}");
        }
        let mut edited = stack(&[], Running);
        edited.metadata.generation = Some(3);
        assert!(is_busy(&edited), "what was asked for has not been looked at");
        let mut suspended = stack(&[], Running);
        suspended.spec.suspend = true;
        assert!(is_busy(&suspended));
        assert!(is_busy(&Stack::new("new", StackSpec::default())));
    }

    #[test]
    fn what_it_says_of_itself_is_read() {
        let sick = "Service web is unhealthy (Service db is unhealthy)";
        let told = stack(&[("Unhealthy", ConditionStatus::True, sick)], StackPhase::Running);
        let well = stack(&[("Unhealthy", ConditionStatus::False, sick)], StackPhase::Running);
        let service =
            |name: &str, unhealthy| ServiceStatus { name: name.into(), unhealthy, ..ServiceStatus::default() };
        for (of, name, said, expected, why) in [
            (&told, "web", None, true, "the condition names it"),
            (&told, "db", None, false, "what a check printed names nobody"),
            (&told, "db", Some(true), true, "the condition names the first one only"),
            (&told, "web", Some(false), false, "what is said of the service itself counts"),
            (&well, "web", None, false, "nothing holds"),
            (&well, "web", Some(true), true, "it is said of the service itself"),
        ] {
            assert_eq!(is_unhealthy(of, &service(name, said)), expected, "{why}");
        }
        assert_eq!(last_deployment(&well), i64::MIN);
        let done = stack(&[("Progressing", ConditionStatus::False, "")], StackPhase::Running);
        assert_eq!(last_deployment(&done), 1_795_244_400_000);
    }
}
