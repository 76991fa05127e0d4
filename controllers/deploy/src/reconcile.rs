//! One look at a Stack: its wish, its history, the rollout under way, and what there is to tell.

use crate::context::Context;
use crate::converge::{Problem, reason};
use crate::error::{Error, Result};
use crate::history::{self, History, Source, is_terminal, phase};
use crate::inputs::{self, Inputs};
use crate::rollout::{self, Standing};
use crate::status::{self, Facet, Facts};
use crate::{cleanup, swarm};
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt as _};
use otternauts_types::deployment::{DeploymentPhase, Trigger};
use otternauts_types::stack::{StackPhase, StackStatus};
use otternauts_types::{CLEANUP_FINALIZER, Deployment, Stack};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How often an unreachable cluster is tried.
const UNREACHABLE: Duration = Duration::from_secs(10);

pub async fn reconcile(stack: Arc<Stack>, ctx: Arc<Context>) -> Result<Action> {
    run(&stack, &ctx).await
}

async fn run(stack: &Stack, ctx: &Context) -> Result<Action> {
    let api: Api<Stack> = Api::namespaced(ctx.client.clone(), &stack.namespace().unwrap_or_default());
    if stack.metadata.deletion_timestamp.is_some() {
        return cleanup::run(ctx, &api, stack).await;
    }
    if !stack.finalizers().iter().any(|f| f == CLEANUP_FINALIZER) {
        let all: Vec<&str> = stack.finalizers().iter().map(String::as_str).chain([CLEANUP_FINALIZER]).collect();
        let patch = json!({"metadata": {"finalizers": all, "resourceVersion": stack.resource_version()}});
        api.patch(&stack.name_any(), &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map_err(Error::api("add the finalizer"))?;
        // The change comes back as an event, with everything else that happened meanwhile.
        return Ok(Action::await_change());
    }
    let old = stack.status.clone().unwrap_or_default();
    let (facts, recheck) = match wish(ctx, stack, &old).await {
        Ok(outcome) => outcome,
        Err(error) if is_without_leader(&error) => (stalled(stack, &old, reason::ELECTING, &error), Some(UNREACHABLE)),
        Err(error) if is_unreachable(&error) => (stalled(stack, &old, reason::MANAGERS, &error), Some(UNREACHABLE)),
        // Somebody's object is in the way: who looks at the Stack must see it.
        Err(error @ Error::Broken(_)) => (stalled(stack, &old, reason::CONFIGURATION, &error), Some(UNREACHABLE)),
        Err(error) => return Err(error),
    };
    let new = status::stack(&old, facts, stack.metadata.generation, &ctx.now());
    if status::write(&api, &stack.name_any(), stack.metadata.resource_version.as_deref(), &old, &new).await? {
        tell(ctx, stack, &old, &new).await;
    }
    Ok(recheck.map_or_else(Action::await_change, Action::requeue))
}

fn is_unreachable(error: &Error) -> bool {
    match error {
        Error::Managers { .. } => true,
        Error::Swarm { source, .. } => source.is_unreachable(),
        _ => false,
    }
}

fn is_without_leader(error: &Error) -> bool {
    matches!(error, Error::Swarm { source, .. } if source.is_without_leader())
}

type Told = (Facts, Option<Duration>);

async fn wish(ctx: &Context, stack: &Stack, old: &StackStatus) -> Result<Told> {
    if stack.spec.suspend {
        return suspend(ctx, stack).await;
    }
    let asked = inputs::gather(&ctx.client, stack).await?;
    let mut history = History::of(&ctx.client, stack).await?;
    let mut refused = asked.as_ref().err().cloned();
    if let Some(problem) = fill(ctx, stack, &history, asked.as_ref().ok()).await? {
        refused = refused.or(Some(problem));
    }
    if history.unfilled().next().is_some() {
        history = History::of(&ctx.client, stack).await?;
    }
    if let Ok(inputs) = &asked
        && history.needs_new(stack, &inputs.spec_sha256, old.phase == StackPhase::Stopped)
    {
        history::create(&ctx.client, stack, inputs, history.next_version(stack), Trigger::Automatic).await?;
        for warning in &inputs.warnings {
            ctx.say(stack, true, "ComposeWarning", &warning.to_string()).await;
        }
        history = History::of(&ctx.client, stack).await?;
    }
    let Some(current) = history.current() else { return Ok((nothing_yet(refused), None)) };
    supersede(ctx, &history, current).await?;
    let standing = rollout::advance(ctx, stack, current).await?;
    for old in history.surplus(stack.spec.revision_history_limit) {
        history::delete(&ctx.client, old).await?;
    }
    let recheck = standing.recheck;
    Ok((facts(stack, current, standing, refused), recheck))
}

/// Gives people's Deployments their snapshot. Answers what keeps one from getting it.
async fn fill(ctx: &Context, stack: &Stack, history: &History, inputs: Option<&Inputs>) -> Result<Option<Problem>> {
    let mut newest = history.newest_version(stack);
    for deployment in history.unfilled() {
        // What a person wrote there cannot change any more: it must be usable as it is.
        let version = deployment.spec.version.unwrap_or(newest.saturating_add(1));
        if version <= newest {
            let text =
                format!("Configuration error: version {version} is not newer than {newest}: leave spec.version out");
            let problem = Problem::new(reason::CONFIGURATION, text, "");
            end(ctx, deployment, DeploymentPhase::Failed, Some(&problem)).await?;
            continue;
        }
        let source = match (deployment.spec.rollback_to, inputs) {
            (Some(version), _) => match history.version(version) {
                Some(old) => Source::Version(old),
                None => {
                    let text = format!("Configuration error: version {version} to roll back to does not exist");
                    let problem = Problem::new(reason::CONFIGURATION, text, "");
                    end(ctx, deployment, DeploymentPhase::Failed, Some(&problem)).await?;
                    continue;
                }
            },
            (None, Some(inputs)) => Source::Inputs(inputs),
            // The Stack itself cannot be deployed now; its own status says why, and this one waits.
            (None, None) => continue,
        };
        history::fill(&ctx.client, stack, deployment, source, version).await?;
        newest = version;
    }
    Ok(None)
}

async fn supersede(ctx: &Context, history: &History, current: &Deployment) -> Result<()> {
    let name = current.name_any();
    for old in history.0.iter().filter(|d| d.spec.snapshot.is_some() && d.name_any() != name) {
        if phase(old) != DeploymentPhase::Superseded
            && (!is_terminal(phase(old)) || phase(old) == DeploymentPhase::Succeeded)
        {
            end(ctx, old, DeploymentPhase::Superseded, None).await?;
        }
    }
    Ok(())
}

async fn end(ctx: &Context, deployment: &Deployment, phase: DeploymentPhase, problem: Option<&Problem>) -> Result<()> {
    let api: Api<Deployment> = Api::namespaced(ctx.client.clone(), &deployment.namespace().unwrap_or_default());
    let old = deployment.status.clone().unwrap_or_default();
    let mut new = old.clone();
    new.observed_generation = deployment.metadata.generation;
    status::finish(&mut new, phase, problem, &ctx.now());
    if status::write(&api, &deployment.name_any(), None, &old, &new).await? {
        rollout::measured(ctx, deployment, old.phase, phase);
    }
    Ok(())
}

/// Nothing of a suspended stack runs; its volumes and its history stay.
async fn suspend(ctx: &Context, stack: &Stack) -> Result<Told> {
    let history = History::of(&ctx.client, stack).await?;
    if let Some(recheck) = cleanup::remove_from_swarm(ctx, stack, &history).await? {
        let text = "the stack is being stopped";
        let mut facts = plain(StackPhase::Deploying, Facet::new(false, "Stopping", text));
        facts.progressing = Facet::new(true, "Stopping", text);
        return Ok((facts, Some(recheck)));
    }
    for deployment in history.0.iter().filter(|d| !is_terminal(phase(d)) || phase(d) == DeploymentPhase::Succeeded) {
        end(ctx, deployment, DeploymentPhase::Superseded, None).await?;
    }
    let mut facts = plain(StackPhase::Stopped, Facet::new(false, "Suspended", "spec.suspend is true"));
    facts.services = Some(Vec::new());
    Ok((facts, None))
}

fn plain(phase: StackPhase, ready: Facet) -> Facts {
    Facts {
        phase,
        revision: None,
        swarm_stack: None,
        services: None,
        drift: None,
        last_error: None,
        progressing: Facet::new(false, &ready.reason, ready.message.clone()),
        available: Facet::new(false, &ready.reason, ready.message.clone()),
        ready,
    }
}

/// No Deployment exists: the Stack waits for a person, or cannot be deployed.
fn nothing_yet(refused: Option<Problem>) -> Facts {
    match refused {
        Some(problem) => {
            let mut facts = plain(StackPhase::Failed, Facet::new(false, problem.reason, problem.message()));
            facts.last_error = Some(problem.sentence);
            facts
        }
        None => plain(StackPhase::Pending, Facet::new(false, "WaitingForDeployment", "deployPolicy is Manual")),
    }
}

/// Nothing could be learned: what was known stays, but for the reason. A wish that no manager has heard yet is not "running".
fn stalled(stack: &Stack, old: &StackStatus, reason: &'static str, error: &Error) -> Facts {
    let facet = Facet::new(false, reason, error.chain());
    let heard = old.observed_generation == stack.metadata.generation;
    let phase = if heard { old.phase } else { StackPhase::Deploying };
    Facts { last_error: Some(error.chain()), drift: old.drift.clone(), ..plain(phase, facet) }
}

fn facts(stack: &Stack, current: &Deployment, standing: Standing, refused: Option<Problem>) -> Facts {
    let phase = match standing.phase {
        DeploymentPhase::Pending | DeploymentPhase::Running => StackPhase::Deploying,
        DeploymentPhase::Succeeded | DeploymentPhase::Superseded => StackPhase::Running,
        DeploymentPhase::Failed | DeploymentPhase::RolledBack => StackPhase::Failed,
    };
    let version = current.spec.version.unwrap_or_default();
    // What the author must mend comes first: it hides nothing, for the rollout's own error is in its Deployment.
    let problem = refused.or(standing.problem);
    let about = |p: &Problem| (p.reason, p.message());
    let deploying = phase == StackPhase::Deploying;
    let (why, message) = match (&problem, phase) {
        (Some(p), _) => about(p),
        (None, StackPhase::Deploying) => ("Deploying", format!("version {version} is being deployed")),
        (None, _) if !standing.available => ("Unavailable", "not all services run".to_owned()),
        (None, _) => ("Deployed", format!("version {version} runs")),
    };
    let ready = problem.is_none() && phase == StackPhase::Running && standing.available;
    let progress = if deploying {
        "Deploying"
    } else if ready {
        "Complete"
    } else {
        why
    };
    let name = stack.name_any();
    Facts {
        phase,
        revision: Some((current.name_any(), version)),
        swarm_stack: Some(otternauts_compose::swarm_stack_name(&stack.namespace().unwrap_or_default(), &name)),
        services: standing.services,
        drift: standing.drift,
        last_error: problem.as_ref().map(|p| p.sentence.clone()),
        ready: Facet::new(ready, why, message.clone()),
        progressing: Facet::new(deploying, progress, message.clone()),
        available: match standing.available {
            true => Facet::new(true, "AllServicesRun", ""),
            false => Facet::new(false, if deploying { "Deploying" } else { why }, message),
        },
    }
}

/// Events on what changed, not on every look.
async fn tell(ctx: &Context, stack: &Stack, old: &StackStatus, new: &StackStatus) {
    let ready = |s: &StackStatus| s.conditions.iter().find(|c| c.r#type == "Ready").cloned();
    let (before, after) = (ready(old), ready(new));
    // What is wrong with a domain is told by who found it.
    if old.last_error != new.last_error
        && new.last_error != status::of_domains(new)
        && let (Some(error), Some(condition)) = (&new.last_error, &after)
    {
        let note = if condition.message.is_empty() { error } else { &condition.message };
        ctx.say(stack, true, &condition.reason, note).await;
    }
    if old.phase != new.phase && new.phase == StackPhase::Running {
        let text = format!("version {} runs", new.current_version.unwrap_or_default());
        ctx.say(stack, false, "Deployed", &text).await;
    }
    if old.phase != new.phase && new.phase == StackPhase::Stopped {
        ctx.say(stack, false, "Stopped", "nothing of the stack runs; its volumes stay").await;
    }
    if before.as_ref().map(|c| c.status) != after.as_ref().map(|c| c.status) {
        tracing::info!(stack = %stack.name_any(), namespace = %stack.namespace().unwrap_or_default(),
            phase = ?new.phase, error = new.last_error, "stack changed");
    }
}

/// Whether a cluster has any server that could run something.
pub async fn has_managers(ctx: &Context, cluster: &str) -> Result<bool> {
    Ok(!swarm::servers(&ctx.client, cluster).await?.is_empty())
}
