//! What a Stack says about itself that rules must respect. Pure.

use kube::ResourceExt as _;
use otternauts_types::Stack;
use otternauts_types::stack::StackPhase;

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
