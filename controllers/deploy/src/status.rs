//! What people and programs read: built from facts, written only when it differs.

use crate::converge::{Problem, ServiceProgress};
use crate::error::{Error, Result};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use otternauts_types::deployment::{DeploymentPhase, DeploymentStatus, Step, StepState};
use otternauts_types::stack::{ServiceStatus, StackPhase, StackStatus, TaskFailure};
use otternauts_types::{Condition, ConditionStatus, set_condition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One facet of a Stack, in the words of its conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    pub status: ConditionStatus,
    pub reason: String,
    pub message: String,
}

impl Facet {
    pub fn new(status: bool, reason: &str, message: impl Into<String>) -> Self {
        let status = if status { ConditionStatus::True } else { ConditionStatus::False };
        Self { status, reason: reason.to_owned(), message: message.into() }
    }
}

/// Everything a reconcile learned about a Stack.
pub struct Facts {
    pub phase: StackPhase,
    pub revision: Option<(String, i64)>,
    pub swarm_stack: Option<String>,
    /// `None`: not looked at this time; the list of before stays.
    pub services: Option<Vec<ServiceStatus>>,
    pub drift: Option<String>,
    pub last_error: Option<String>,
    pub ready: Facet,
    pub progressing: Facet,
    pub available: Facet,
}

/// The next status: `old` with the facts in it. `now` is RFC 3339.
pub fn stack(old: &StackStatus, facts: Facts, generation: Option<i64>, now: &str) -> StackStatus {
    let mut new = old.clone();
    new.phase = facts.phase;
    if let Some((name, version)) = facts.revision {
        (new.current_revision, new.current_version) = (Some(name), Some(version));
    }
    new.swarm_stack = facts.swarm_stack.or(new.swarm_stack);
    new.services = facts.services.map_or(new.services, |services| with_health(&old.services, services));
    let last_error = facts.last_error.or_else(|| of_domains(old));
    (new.drift, new.last_error, new.observed_generation) = (facts.drift, last_error, generation);
    for (kind, facet) in [("Ready", facts.ready), ("Progressing", facts.progressing), ("Available", facts.available)] {
        let condition = Condition {
            r#type: kind.to_owned(),
            status: facet.status,
            reason: facet.reason,
            message: facet.message,
            last_transition_time: None,
            observed_generation: generation,
        };
        set_condition(&mut new.conditions, condition, now);
    }
    new
}

/// What the health controller said of each service stays: the list is replaced whole.
fn with_health(old: &[ServiceStatus], mut new: Vec<ServiceStatus>) -> Vec<ServiceStatus> {
    for service in &mut new {
        let Some(known) = old.iter().find(|s| s.name == service.name) else { continue };
        (service.unhealthy, service.probe_failures) = (known.unhealthy, known.probe_failures);
    }
    new
}

/// What is wrong with a domain (OT-F13 to OT-F15): found by the ingress controller, which writes `domains` and no `lastError`.
pub fn of_domains(status: &StackStatus) -> Option<String> {
    status.domains.iter().find_map(|domain| domain.message.clone())
}

/// Services as they stand. A failure's log is asked for once per failed task, so it comes from outside.
pub fn services(progress: &[ServiceProgress], failures: &BTreeMap<String, TaskFailure>) -> Vec<ServiceStatus> {
    let one = |p: &ServiceProgress| ServiceStatus {
        name: p.name.clone(),
        image: Some(p.image.clone()),
        desired: i32::try_from(p.desired).unwrap_or(i32::MAX),
        running: i32::try_from(p.running).unwrap_or(i32::MAX),
        last_failure: failures.get(&p.name).cloned(),
        ..ServiceStatus::default()
    };
    progress.iter().map(one).collect()
}

/// Moves one step of a rollout; times are set when it starts and when it ends.
pub fn step(status: &mut DeploymentStatus, name: &str, state: StepState, message: Option<String>, now: &str) {
    let index = match status.steps.iter().position(|s| s.name == name) {
        Some(index) => index,
        None => {
            status.steps.push(Step { name: name.to_owned(), ..Step::default() });
            status.steps.len() - 1
        }
    };
    let step = &mut status.steps[index];
    if state == StepState::Started && step.started_at.is_none() {
        step.started_at = Some(now.to_owned());
    }
    if matches!(state, StepState::Done | StepState::Failed) && step.state != state {
        step.finished_at = Some(now.to_owned());
    }
    (step.state, step.message) = (state, message);
}

pub fn step_state(status: &DeploymentStatus, name: &str) -> StepState {
    status.steps.iter().find(|s| s.name == name).map(|s| s.state).unwrap_or_default()
}

/// Ends a rollout.
pub fn finish(status: &mut DeploymentStatus, phase: DeploymentPhase, problem: Option<&Problem>, now: &str) {
    status.phase = phase;
    status.last_error = problem.map(|p| p.sentence.clone());
    let complete = phase == DeploymentPhase::Succeeded;
    let condition = Condition {
        r#type: "Complete".into(),
        status: if complete { ConditionStatus::True } else { ConditionStatus::False },
        reason: problem.map_or(if complete { "Deployed" } else { "Superseded" }, |p| p.reason).to_owned(),
        message: problem.map(Problem::message).unwrap_or_default(),
        last_transition_time: None,
        observed_generation: status.observed_generation,
    };
    set_condition(&mut status.conditions, condition, now);
}

/// Writes a status as the smallest merge patch, and not at all when nothing differs. Lists are replaced whole: where others write
/// to the same status, `of` is the object's version that `old` was read at, and a conflict says that it is to be read again.
pub async fn write<K, S>(api: &Api<K>, name: &str, of: Option<&str>, old: &S, new: &S) -> Result<bool>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    S: Serialize,
{
    let broken = |e: serde_json::Error| Error::Broken(format!("a status cannot be written as JSON: {e}"));
    let (old, new) = (serde_json::to_value(old).map_err(broken)?, serde_json::to_value(new).map_err(broken)?);
    let Some(patch) = difference(&old, &new) else { return Ok(false) };
    let patch = match of {
        Some(version) => json!({"metadata": {"resourceVersion": version}, "status": patch}),
        None => json!({ "status": patch }),
    };
    let patch = Patch::Merge(patch);
    api.patch_status(name, &PatchParams::default(), &patch).await.map_err(Error::api("write a status"))?;
    Ok(true)
}

/// The merge patch that turns `old` into `new`; `None` when they are equal.
fn difference(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    let (Value::Object(a), Value::Object(b)) = (old, new) else { return Some(new.clone()) };
    let mut patch = Map::new();
    for (key, value) in b {
        match a.get(key) {
            None => drop(patch.insert(key.clone(), value.clone())),
            Some(before) => {
                if let Some(change) = difference(before, value) {
                    patch.insert(key.clone(), change);
                }
            }
        }
    }
    for key in a.keys().filter(|key| !b.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_patch_says_only_what_differs_and_removes_what_is_gone() {
        let check = |old: Value, new: Value, expected: Option<Value>| assert_eq!(difference(&old, &new), expected);
        check(json!({"a": 1}), json!({"a": 1}), None);
        check(json!({"a": 1, "b": 2}), json!({"a": 1}), Some(json!({"b": null})));
        check(json!({"a": {"x": 1, "y": 2}}), json!({"a": {"x": 1, "y": 3}}), Some(json!({"a": {"y": 3}})));
        check(json!({"a": [1]}), json!({"a": [1, 2]}), Some(json!({"a": [1, 2]})));
        check(json!({}), json!({"phase": "running"}), Some(json!({"phase": "running"})));
    }

    #[test]
    fn what_the_health_controller_said_of_a_service_outlives_a_look_at_it() {
        let service = |name: &str, running| ServiceStatus { name: name.into(), running, ..ServiceStatus::default() };
        let sick = ServiceStatus { unhealthy: Some(true), probe_failures: Some(3), ..service("web", 1) };
        let old = StackStatus { services: vec![sick.clone(), service("gone", 1)], ..StackStatus::default() };
        let said = Facet::new(true, "Deployed", "");
        let facts = Facts {
            phase: StackPhase::Running,
            revision: None,
            swarm_stack: None,
            services: Some(vec![service("web", 2), service("new", 1)]),
            drift: None,
            last_error: None,
            ready: said.clone(),
            progressing: said.clone(),
            available: said,
        };
        let new = stack(&old, facts, Some(1), "t1");
        assert_eq!(new.services, [ServiceStatus { running: 2, ..sick }, service("new", 1)]);
    }

    #[test]
    fn a_step_keeps_when_it_started_and_ended() {
        let mut status = DeploymentStatus::default();
        step(&mut status, "deploy", StepState::Started, None, "t1");
        step(&mut status, "deploy", StepState::Started, Some("again".into()), "t2");
        step(&mut status, "deploy", StepState::Done, None, "t3");
        step(&mut status, "deploy", StepState::Done, None, "t4");
        let s = &status.steps[0];
        assert_eq!(
            (s.started_at.as_deref(), s.finished_at.as_deref(), s.state),
            (Some("t1"), Some("t3"), StepState::Done)
        );
        assert_eq!(step_state(&status, "converge"), StepState::Pending);
    }
}
