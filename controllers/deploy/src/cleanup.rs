//! Removing a stack from its Swarm: before its object goes (finalizer), or because it is suspended.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::history::History;
use crate::inputs::cluster_of;
use crate::reconcile::has_managers;
use crate::status::{self, step_state};
use crate::swarm::{Swarm, stack_name};
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt as _};
use otternauts_types::deployment::StepState;
use otternauts_types::{CLEANUP_FINALIZER, Condition, ConditionStatus, FORCE_DELETE_ANNOTATION, Stack, set_condition};
use serde_json::json;
use std::time::Duration;

/// How often a stack on its way out is looked at.
const RECHECK: Duration = Duration::from_secs(1);
/// How often an unreachable cluster is tried.
const UNREACHABLE: Duration = Duration::from_secs(10);

/// A deleted Stack: away from the Swarm first, then the finalizer goes.
pub async fn run(ctx: &Context, api: &Api<Stack>, stack: &Stack) -> Result<Action> {
    if !stack.finalizers().iter().any(|f| f == CLEANUP_FINALIZER) {
        return Ok(Action::await_change());
    }
    if !stack.annotations().contains_key(FORCE_DELETE_ANNOTATION) {
        let history = History::of(&ctx.client, stack).await?;
        match remove_from_swarm(ctx, stack, &history).await {
            Ok(None) => {}
            Ok(Some(recheck)) => return Ok(Action::requeue(recheck)),
            Err(error @ (Error::Managers { .. } | Error::Swarm { .. })) => {
                waits(ctx, api, stack, &error).await?;
                return Ok(Action::requeue(UNREACHABLE));
            }
            Err(error) => return Err(error),
        }
    }
    let rest: Vec<&String> = stack.finalizers().iter().filter(|f| *f != CLEANUP_FINALIZER).collect();
    let patch = json!({"metadata": {"finalizers": rest, "resourceVersion": stack.resource_version()}});
    match api.patch(&stack.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Err(e) if crate::error::is_missing(&e) => {}
        other => drop(other.map_err(Error::api("remove the finalizer"))?),
    }
    tracing::info!(stack = %stack.name_any(), namespace = %stack.namespace().unwrap_or_default(), "stack removed");
    Ok(Action::await_change())
}

/// `None`: nothing of the stack is left on the Swarm. `Some`: look again then.
pub async fn remove_from_swarm(ctx: &Context, stack: &Stack, history: &History) -> Result<Option<Duration>> {
    let cluster = cluster_of(stack);
    let touched = |d: &otternauts_types::Deployment| {
        d.status.as_ref().is_some_and(|s| step_state(s, "deploy") != StepState::Pending)
    };
    let told = stack.status.as_ref().is_some_and(|s| s.swarm_stack.is_some());
    if !(told || history.0.iter().any(touched)) || !has_managers(ctx, cluster).await? {
        return Ok(None);
    }
    let swarm = Swarm::of(&ctx.client, &ctx.fleet, cluster).await?;
    let full = otternauts_compose::swarm_stack_name(&stack.namespace().unwrap_or_default(), &stack.name_any());
    let name = stack_name(&full)?;
    let observed = swarm.observe(&name).await?;
    if observed.is_empty() {
        return Ok(None);
    }
    swarm.remove(&name, &observed).await?;
    Ok(if swarm.observe(&name).await?.is_empty() { None } else { Some(RECHECK) })
}

/// Says what the deletion waits for, and the way out.
async fn waits(ctx: &Context, api: &Api<Stack>, stack: &Stack, error: &Error) -> Result<()> {
    let old = stack.status.clone().unwrap_or_default();
    let mut new = old.clone();
    let advice = format!("if the servers are gone for good: annotate the Stack with {FORCE_DELETE_ANNOTATION}=true");
    let condition = Condition {
        r#type: "Ready".into(),
        status: ConditionStatus::False,
        reason: crate::converge::reason::MANAGERS.into(),
        message: format!("the stack cannot be removed from the swarm: {}; {advice}", error.chain()),
        last_transition_time: None,
        observed_generation: stack.metadata.generation,
    };
    set_condition(&mut new.conditions, condition, &ctx.now());
    new.last_error = Some(error.chain());
    status::write(api, &stack.name_any(), stack.metadata.resource_version.as_deref(), &old, &new).await.map(drop)
}
