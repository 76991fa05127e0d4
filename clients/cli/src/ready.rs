//! What an object's status says to somebody who waits for it. Pure.

use crate::follow::Verdict;
use otternauts_types::deployment::DeploymentPhase;
use otternauts_types::stack::{ServiceStatus, StackPhase};
use otternauts_types::{Cluster, Condition, ConditionStatus, Deployment, Server, Stack};
use serde::Serialize;
use serde_json::Value;

/// A value of an enum as it stands in the API.
pub fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.r#type == kind)
}

/// `Ready=True`, and said about the newest spec.
fn is_ready(conditions: &[Condition], observed: Option<i64>, generation: Option<i64>) -> bool {
    let Some(ready) = condition(conditions, "Ready") else { return false };
    let seen = ready.observed_generation.or(observed);
    ready.status == ConditionStatus::True && (seen.is_none() || generation.is_none() || seen >= generation)
}

/// As `look`, of an object that may have been deleted meanwhile.
pub fn or_gone<K>(kind: &str, name: &str, object: Option<&K>, look: impl Fn(&K) -> Verdict) -> Verdict {
    match object {
        Some(object) => look(object),
        None => Verdict::Failed(format!("{kind} {name} was deleted meanwhile")),
    }
}

/// Failures of a server heal by themselves once their cause is gone: only the clock ends a wait.
pub fn server(server: &Server) -> Verdict {
    let name = server.metadata.name.as_deref().unwrap_or_default();
    let status = server.status.clone().unwrap_or_default();
    if is_ready(&status.conditions, status.observed_generation, server.metadata.generation) {
        return Verdict::Done(format!("server {name} is ready"));
    }
    let phase = word(&status.phase);
    if let (Some(shown), None) = (&status.host_key, &server.spec.host_key) {
        let key = &shown.fingerprint;
        return Verdict::Waiting(format!(
            "server {name}: {phase}: confirm its host key {key}: otter server confirm {name}"
        ));
    }
    if let Some(error) = &status.last_error {
        return Verdict::Waiting(format!("server {name}: {phase}: {error}"));
    }
    // SwarmConflict is good when it is False.
    let open = |c: &&Condition| c.status != ConditionStatus::True && c.r#type != "Ready" && c.r#type != "SwarmConflict";
    match status.conditions.iter().find(open) {
        Some(c) if c.message.is_empty() => Verdict::Waiting(format!("server {name}: {phase}: {}", c.r#type)),
        Some(c) => Verdict::Waiting(format!("server {name}: {phase}: {}: {}", c.r#type, c.message)),
        None => Verdict::Waiting(format!("server {name}: {phase}")),
    }
}

/// Where the removal of a server stands, and what it waits for.
pub fn leaving(name: &str, server: Option<&Server>) -> Verdict {
    let Some(server) = server else { return Verdict::Done(format!("server {name} is gone")) };
    let status = server.status.clone().unwrap_or_default();
    let why = removal(server).or(status.last_error).map(|why| format!(": {why}")).unwrap_or_default();
    Verdict::Waiting(format!("server {name} is being removed{why}"))
}

/// What the removal of a server waits for; None for one that stays.
pub fn removal(server: &Server) -> Option<String> {
    server.metadata.deletion_timestamp.as_ref()?;
    let conditions = server.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    condition(conditions, "Ready").filter(|c| c.reason == "Removing").map(|c| c.message.clone())
}

pub fn cluster(cluster: &Cluster) -> Verdict {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let status = cluster.status.clone().unwrap_or_default();
    if is_ready(&status.conditions, status.observed_generation, cluster.metadata.generation) {
        return Verdict::Done(format!("cluster {name} is ready"));
    }
    let why = condition(&status.conditions, "Ready").map(|c| format!(": {}", c.message)).unwrap_or_default();
    Verdict::Waiting(format!("cluster {name}: not ready{why}"))
}

/// Counts only when it is said about `generation`, or a newer one.
pub fn stack(stack: &Stack, generation: i64) -> Verdict {
    let name = stack.metadata.name.as_deref().unwrap_or_default();
    let status = stack.status.clone().unwrap_or_default();
    if status.observed_generation.unwrap_or_default() < generation {
        return Verdict::Waiting(format!("stack {name}: waiting for the control plane"));
    }
    let version = status.current_version.map(|v| format!(" version {v}")).unwrap_or_default();
    let what = format!("stack {name}:{version} {}{}", word(&status.phase), counts(&status.services));
    let ready = condition(&status.conditions, "Ready");
    let why = || {
        let said = status.last_error.clone().or_else(|| ready.map(|c| c.message.clone()));
        said.filter(|text| !text.is_empty()).map(|text| format!(": {text}")).unwrap_or_default()
    };
    let wrong = ready.is_some_and(|c| c.status == ConditionStatus::False && c.reason == "ConfigurationError");
    match status.phase {
        StackPhase::Running if is_ready(&status.conditions, status.observed_generation, Some(generation)) => {
            Verdict::Done(what)
        }
        StackPhase::Failed => Verdict::Failed(format!("{what}{}", why())),
        StackPhase::Stopped => Verdict::Failed(format!("{what}: spec.suspend is true")),
        _ if wrong => Verdict::Failed(format!("stack {name}{}", why())),
        // What is in the way may pass: it is told, and waited for. "Being deployed" is no news.
        StackPhase::Deploying if status.last_error.is_none() => Verdict::Waiting(what),
        _ => Verdict::Waiting(format!("{what}{}", why())),
    }
}

pub fn deployment(deployment: &Deployment) -> Verdict {
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let version = deployment.spec.version.map(|v| format!(" version {v}")).unwrap_or_default();
    let what = format!("deployment {name}:{version} {}{}", word(&status.phase), counts(&status.services));
    match status.phase {
        DeploymentPhase::Succeeded => Verdict::Done(what),
        DeploymentPhase::Failed | DeploymentPhase::RolledBack | DeploymentPhase::Superseded => {
            let why = status.last_error.map(|e| format!(": {e}")).unwrap_or_default();
            Verdict::Failed(format!("{what}{why}"))
        }
        DeploymentPhase::Pending | DeploymentPhase::Running => Verdict::Waiting(what),
    }
}

/// ` (db 1/1, web 1/2)`
fn counts(services: &[ServiceStatus]) -> String {
    let counts: Vec<String> = services.iter().map(|s| format!("{} {}/{}", s.name, s.running, s.desired)).collect();
    if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) }
}

#[cfg(test)]
mod tests;
