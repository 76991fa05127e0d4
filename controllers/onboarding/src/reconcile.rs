//! One Server: look, decide, write down, act, look again, until there is nothing to do or somebody else's turn.

use crate::act::act;
use crate::context::{Context, cluster_name, is_going};
use crate::decide::{Decision, Desired, Retry, decide};
use crate::observe::observe;
use crate::observed::{Failure, Observed};
use crate::plan::Step;
use crate::{removal, status};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use otternauts_types::server::ServerPhase;
use otternauts_types::{CLEANUP_FINALIZER, Condition, ConditionStatus, Server};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// No onboarding has that many steps; more would mean two of them undo each other.
const MAX_STEPS: usize = 24;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the API did not take or give an object")]
    Api(#[from] kube::Error),
}

impl Error {
    /// One line about a pass over `kind` `name` that did not end. A lost race is no fault: the next pass sees the winner's object.
    pub(crate) fn log(&self, kind: &str, name: &str) {
        let Self::Api(source) = self;
        match source {
            kube::Error::Api(status) if status.code == 409 => {
                tracing::debug!(kind, name, why = status.message, "somebody else was faster");
            }
            kube::Error::Api(status) => {
                tracing::warn!(kind, name, error = %self, why = status.message, "an object could not be reconciled");
            }
            other => tracing::warn!(kind, name, error = %self, why = %other, "an object could not be reconciled"),
        }
    }
}

pub async fn reconcile(server: Arc<Server>, ctx: Arc<Context>) -> Result<Action, Error> {
    let name = server.name_any();
    // As it is now: the watch may not have brought yet what we wrote last, and what was told with it would be told again.
    let Some(server) = ctx.servers.get_opt(&name).await? else { return Ok(Action::await_change()) };
    if is_going(&server.metadata) {
        Box::pin(removal::remove(&ctx, &server)).await
    } else {
        Box::pin(onboard(&ctx, &server, &name)).await
    }
}

#[allow(clippy::needless_pass_by_value)] // The shape that kube-rs wants.
pub fn on_error(server: Arc<Server>, error: &Error, ctx: Arc<Context>) -> Action {
    let name = server.name_any();
    error.log("Server", &name);
    Action::requeue(ctx.backoff(&name))
}

/// What this round knows beyond what can be seen.
#[derive(Default)]
struct Round {
    done: Vec<&'static str>,
    failure: Option<Failure>,
    ports: Option<Vec<crate::facts::Probe>>,
}

impl Round {
    fn lay_over(&self, seen: &mut Observed) {
        seen.done.clone_from(&self.done);
        seen.failure.clone_from(&self.failure);
        seen.ports.clone_from(&self.ports);
    }
}

async fn onboard(ctx: &Context, server: &Server, name: &str) -> Result<Action, Error> {
    let mut server = with_finalizer(ctx, server).await?;
    let mut cluster = ctx.clusters.get_opt(cluster_name(&server)).await?;
    let version =
        |c: &Option<otternauts_types::Cluster>| c.as_ref().and_then(|c| c.resource_version()).unwrap_or_default();
    let versions = (server.resource_version().unwrap_or_default(), version(&cluster));
    if let Some(pause) = ctx.is_settled(name, &versions) {
        return Ok(pause.map_or_else(Action::await_change, Action::requeue));
    }
    let mut round = Round::default();
    for _ in 0..MAX_STEPS {
        let (mut seen, host) = Box::pin(observe(ctx, &server, cluster.as_ref())).await?;
        round.lay_over(&mut seen);
        let before = server.status.clone().unwrap_or_default();
        let labels = server.labels().clone();
        let decision = decide(Desired { name, spec: &server.spec, labels: &labels }, &before, &seen);
        let decided_on = server.metadata.generation;
        write(ctx, &mut server, &decision).await?;
        // What was written comes back with what somebody else wrote since we looked: that is not settled by a decision made before it.
        if server.metadata.generation != decided_on || server.labels() != &labels {
            continue;
        }
        let ready = decision.status.phase == ServerPhase::Ready || decision.retry == Retry::OnChange;
        if let (None, true, Some(host)) = (&decision.step, ready, &host) {
            ctx.fleet.follow(host);
        }
        let next = decision.step.as_ref().filter(|s| round.failure.as_ref().is_none_or(|f| f.step != s.name()));
        let (Some(step), Some(host), Some(of)) = (next, host, &cluster) else {
            let versions = (server.resource_version().unwrap_or_default(), version(&cluster));
            return Ok(rest(ctx, name, versions, &decision));
        };
        let started = Instant::now();
        let outcome = Box::pin(act(ctx, &server, of, &host, step)).await?;
        record(ctx, &server, step, started, outcome.as_ref().err()).await;
        round.failure = None;
        match outcome {
            Ok(outcome) => {
                round.done.push(step.name());
                if outcome.ports.is_some() {
                    round.ports = outcome.ports;
                }
            }
            Err(detail) => round.failure = Some(Failure { step: step.name(), detail }),
        }
        cluster = ctx.clusters.get_opt(cluster_name(&server)).await?;
    }
    Ok(Action::requeue(ctx.backoff(name)))
}

fn rest(ctx: &Context, name: &str, versions: (String, String), decision: &Decision) -> Action {
    if decision.retry == Retry::OnChange {
        ctx.calm(name);
        ctx.settle(name, versions, None);
        return Action::await_change();
    }
    let pause = ctx.backoff(name);
    ctx.settle(name, versions, Some(pause));
    Action::requeue(pause)
}

/// One log line and one measurement for each step, and an Event where people want to know.
async fn record(ctx: &Context, server: &Server, step: &Step, started: Instant, failure: Option<&String>) {
    let seconds = started.elapsed().as_secs_f64();
    let result = if failure.is_some() { "failure" } else { "success" };
    ctx.fleet.metrics().fleet.onboarding_step(step.name(), result, seconds);
    let name = server.name_any();
    match failure {
        None => tracing::info!(server = name, step = step.name(), seconds, "step done"),
        Some(why) => tracing::warn!(server = name, step = step.name(), seconds, why, "step failed"),
    }
    if let (None, Some((reason, note))) = (failure, step.done()) {
        ctx.event(server, false, reason, note).await;
    }
}

/// Writes the status when more than a time would change, and tells people about a new reason.
pub(crate) async fn write(ctx: &Context, server: &mut Server, decision: &Decision) -> Result<(), Error> {
    let before = server.status.clone().unwrap_or_default();
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let generation = server.metadata.generation.unwrap_or_default();
    let after = status::build(&before, decision, generation, &now);
    if after == before && server.status.is_some() {
        return Ok(());
    }
    let patch = Patch::Merge(status::patch(&after));
    *server = ctx.servers.patch_status(&server.name_any(), &PatchParams::default(), &patch).await?;
    announce(ctx, server, &before.conditions, &after.conditions).await;
    Ok(())
}

async fn announce(ctx: &Context, server: &Server, before: &[Condition], after: &[Condition]) {
    let ready = |list: &[Condition]| list.iter().find(|c| c.r#type == "Ready").cloned();
    let Some(now) = ready(after) else { return };
    if ready(before).is_some_and(|c| c.reason == now.reason) || now.reason == crate::text::reason::WORKING {
        return;
    }
    let failed = server.status.as_ref().is_some_and(|s| s.last_error.is_some());
    let warning = now.status != ConditionStatus::True && failed;
    ctx.event(server, warning, &now.reason, &now.message).await;
}

/// The finalizer comes before anything is done to the server, so that nothing is left behind.
async fn with_finalizer(ctx: &Context, server: &Server) -> Result<Server, Error> {
    if server.finalizers().iter().any(|f| f == CLEANUP_FINALIZER) {
        return Ok(server.clone());
    }
    let mut finalizers = server.finalizers().to_vec();
    finalizers.push(CLEANUP_FINALIZER.to_owned());
    Ok(patch_finalizers(ctx, server, &finalizers).await?)
}

pub(crate) async fn patch_finalizers(ctx: &Context, server: &Server, list: &[String]) -> Result<Server, kube::Error> {
    let meta = json!({ "resourceVersion": server.resource_version(), "finalizers": list });
    let patch = Patch::Merge(json!({ "metadata": meta }));
    ctx.servers.patch(&server.name_any(), &PatchParams::default(), &patch).await
}
