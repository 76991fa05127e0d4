//! A Deployment as a span: made when it has ended, from what its status says of its beginning and its steps, so that it lives across
//! looks and across restarts of ours.

use jiff::Timestamp;
use kube::ResourceExt as _;
use otternauts_telemetry::traces::{self, Kind, Origin, Span};
use otternauts_types::deployment::{DeploymentPhase, DeploymentStatus, StepState};
use otternauts_types::{Deployment, Stack};
use std::time::SystemTime;

/// Tells the trace of the change that caused it how a Deployment went.
pub fn ended(stack: &Stack, deployment: &Deployment, status: &DeploymentStatus) {
    if !traces::is_on() {
        return;
    }
    let cause = deployment.annotations().get(traces::ANNOTATION).map(String::as_str);
    let began = deployment.creation_timestamp().map(|made| SystemTime::from(made.0));
    let name = || format!("deploy {}", stack.name_any());
    let span = Span::since(Kind::Internal, name, Origin::Parent(cause), began);
    span.set("deployment.id", deployment.uid().unwrap_or_default());
    span.set("deployment.name", deployment.name_any());
    span.set("deployment.status", word(status.phase));
    span.set("k8s.namespace.name", stack.namespace().unwrap_or_default());
    if matches!(status.phase, DeploymentPhase::Failed | DeploymentPhase::RolledBack) {
        span.fail("deployment_failed");
    }
    span.enter(|| {
        for step in &status.steps {
            let Some(start) = time(step.started_at.as_deref()) else { continue };
            let one = Span::since(Kind::Internal, || step.name.clone(), Origin::Current, Some(start));
            if step.state == StepState::Failed {
                one.fail("step_failed");
            }
            one.end_at(time(step.finished_at.as_deref()).unwrap_or_else(SystemTime::now));
        }
    });
}

/// As OpenTelemetry has it.
fn word(phase: DeploymentPhase) -> &'static str {
    match phase {
        DeploymentPhase::Pending | DeploymentPhase::Running => "running",
        DeploymentPhase::Succeeded => "succeeded",
        DeploymentPhase::Failed | DeploymentPhase::RolledBack => "failed",
        DeploymentPhase::Superseded => "superseded",
    }
}

fn time(text: Option<&str>) -> Option<SystemTime> {
    Some(SystemTime::from(text?.parse::<Timestamp>().ok()?))
}
