//! From a decision to the bytes of a status: pure.

use crate::decide::Decision;
use otternauts_types::server::{ServerPhase, ServerStatus};
use otternauts_types::{Condition, set_condition};
use serde_json::{Value, json};

/// The status as it should be written. `now` is RFC 3339.
pub fn build(before: &ServerStatus, decision: &Decision, generation: i64, now: &str) -> ServerStatus {
    let mut status = decision.status.clone();
    status.conditions = before.conditions.clone();
    for finding in &decision.findings {
        let condition = Condition {
            r#type: finding.kind.to_owned(),
            status: finding.status,
            reason: finding.reason.clone(),
            // An installer can say a lot; the API takes 32 KiB.
            message: otternauts_fleet::tail(&finding.message, 4096).to_owned(),
            last_transition_time: None,
            observed_generation: Some(generation),
        };
        set_condition(&mut status.conditions, condition, now);
    }
    status.observed_generation = Some(generation);
    if status.phase != before.phase && status.phase != ServerPhase::Unreachable {
        status.last_seen = Some(now.to_owned());
    }
    status
}

/// A merge patch that also removes what is absent now.
pub fn patch(status: &ServerStatus) -> Value {
    let mut value = serde_json::to_value(status).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        for key in ["hostKey", "os", "dockerVersion", "swarmNodeID", "swarmRole", "resources", "lastError", "lastSeen"]
        {
            map.entry(key).or_insert(Value::Null);
        }
    }
    json!({ "status": value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Finding, Retry};
    use otternauts_types::ConditionStatus;

    fn decision(phase: ServerPhase) -> Decision {
        let finding = Finding {
            kind: "Ready",
            status: ConditionStatus::False,
            reason: "Working".into(),
            message: "Installing Docker.".into(),
        };
        let status = ServerStatus { phase, ..Default::default() };
        Decision { status, findings: vec![finding], step: None, retry: Retry::Backoff }
    }

    #[test]
    fn the_same_decision_twice_gives_the_same_status() {
        let first = build(&ServerStatus::default(), &decision(ServerPhase::Provisioning), 3, "t1");
        let again = Decision { status: first.clone(), ..decision(ServerPhase::Provisioning) };
        assert_eq!(build(&first, &again, 3, "t2"), first);
        assert_eq!(first.last_seen.as_deref(), Some("t1"));
        assert_eq!(first.observed_generation, Some(3));
    }

    #[test]
    fn an_unreachable_server_was_last_seen_before() {
        let seen = build(&ServerStatus::default(), &decision(ServerPhase::Ready), 1, "t1");
        let mut lost = decision(ServerPhase::Unreachable);
        lost.status.last_seen = seen.last_seen.clone();
        assert_eq!(build(&seen, &lost, 1, "t2").last_seen.as_deref(), Some("t1"));
    }

    #[test]
    fn what_is_over_is_removed_by_the_patch() {
        let patch = patch(&ServerStatus::default());
        assert_eq!(patch["status"]["lastError"], Value::Null);
        assert!(patch["status"].get("lastError").is_some());
    }
}
