//! From conditions to whether an object is well.

use crate::observed::{Problem, Standing};
use otternauts_types::notifier::Severity;
use otternauts_types::{Condition, ConditionStatus};

/// Conditions that are bad when they are true, the most telling first.
const BAD_WHEN_TRUE: [&str; 5] = ["OOMKilled", "CrashLooping", "SwarmConflict", "Unhealthy", "Degraded"];
/// Conditions that are bad when they are false though the object is ready.
const BAD_WHEN_FALSE: [&str; 1] = ["DiskSpace"];
/// Reasons of `Ready=False` while something is on its way, or waits for a person who knows.
const ON_THE_WAY: [&str; 10] = [
    "Deploying",
    "Stopping",
    "Removing",
    "WaitingForDeployment",
    "Working",
    "AwaitingConfirmation",
    "WaitingForManager",
    "NoSwarm",
    "Rejoining",
    "ElectingLeader",
];
/// Not running because a person wants it so: whatever was wrong is over.
const WANTED: &str = "Suspended";

/// One verdict over all conditions, so that one failure with many faces is one problem.
pub fn of(conditions: &[Condition]) -> Standing {
    let find = |name: &str| conditions.iter().find(|c| c.r#type == name);
    let bad = |c: &Condition| {
        let reason = if c.reason.is_empty() { &c.r#type } else { &c.reason };
        let problem = Problem { reason: reason.clone(), message: c.message.clone(), severity: Severity::Warning };
        Standing::Bad(problem)
    };
    let ready = find("Ready");
    if ready.is_some_and(|c| c.reason == WANTED) {
        return Standing::Well(ready.map(|c| c.message.clone()).unwrap_or_default());
    }
    let failing = ready.filter(|c| c.status == ConditionStatus::False);
    if failing.is_some_and(|c| ON_THE_WAY.contains(&c.reason.as_str())) {
        return Standing::Unsettled;
    }
    if let Some(c) = BAD_WHEN_TRUE.iter().filter_map(|n| find(n)).find(|c| c.status == ConditionStatus::True) {
        return bad(c);
    }
    // A Stack that runs, but whose domain has no certificate, is not well; one that waits for its first is on its way.
    let domains = find("DomainsReady").filter(|c| c.status == ConditionStatus::False);
    if let (Some(c), None) = (domains, failing) {
        return if c.reason == "CertificatePending" { Standing::Unsettled } else { bad(c) };
    }
    if let Some(c) = BAD_WHEN_FALSE.iter().filter_map(|n| find(n)).find(|c| c.status == ConditionStatus::False) {
        return bad(c);
    }
    match ready {
        Some(c) if c.status == ConditionStatus::True => Standing::Well(c.message.clone()),
        Some(c) if c.status == ConditionStatus::False => bad(c),
        _ => Standing::Unsettled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConditionStatus::{False, True, Unknown};

    fn condition(kind: &str, status: ConditionStatus, reason: &str) -> Condition {
        Condition {
            r#type: kind.into(),
            status,
            reason: reason.into(),
            message: format!("about {kind}"),
            last_transition_time: None,
            observed_generation: None,
        }
    }

    #[test]
    fn one_failure_with_many_faces_is_one_problem() {
        type Given = &'static [(&'static str, ConditionStatus, &'static str)];
        let cases: [(Given, &str); 16] = [
            (&[], "unsettled"),
            (&[("Ready", True, "Deployed")], "well"),
            (&[("Ready", Unknown, "Lost")], "unsettled"),
            (&[("Ready", False, "Deploying")], "unsettled"),
            (&[("Ready", False, "Deploying"), ("Degraded", True, "TaskFailed")], "unsettled"),
            (&[("Ready", False, "ImagePullFailed")], "ImagePullFailed"),
            (
                &[
                    ("Ready", False, "Unavailable"),
                    ("Available", False, "Unavailable"),
                    ("Degraded", True, "TaskFailed"),
                ],
                "TaskFailed",
            ),
            (
                &[
                    ("Ready", False, "Unavailable"),
                    ("Degraded", True, "TaskFailed"),
                    ("OOMKilled", True, "OutOfMemory"),
                ],
                "OutOfMemory",
            ),
            (&[("Ready", True, "Ready"), ("SwarmConflict", False, "None")], "well"),
            (&[("Ready", True, "Ready"), ("DiskSpace", False, "InsufficientDiskSpace")], "InsufficientDiskSpace"),
            (&[("Ready", True, "Ready"), ("Unhealthy", True, "")], "Unhealthy"),
            (&[("Ready", False, "Suspended"), ("Degraded", True, "TaskFailed")], "well"),
            (&[("Ready", True, "Deployed"), ("DomainsReady", False, "DNSMismatch")], "DNSMismatch"),
            (&[("Ready", True, "Deployed"), ("DomainsReady", False, "CertificatePending")], "unsettled"),
            (&[("Ready", False, "ImagePullFailed"), ("DomainsReady", False, "DNSMismatch")], "ImagePullFailed"),
            (&[("SSHReachable", False, "ConnectionFailed")], "unsettled"),
        ];
        for (given, expected) in cases {
            let conditions: Vec<Condition> = given.iter().map(|(k, s, r)| condition(k, *s, r)).collect();
            let got = match of(&conditions) {
                Standing::Well(_) => "well".to_owned(),
                Standing::Unsettled => "unsettled".to_owned(),
                Standing::Bad(problem) => problem.reason,
            };
            assert_eq!(got, expected, "{given:?}");
        }
    }
}
