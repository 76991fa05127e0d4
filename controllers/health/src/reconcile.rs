//! One look at a Stack: what was heard of its containers, and what there is to say.

use crate::context::Context;
use crate::decide::decide;
use crate::error::Result;
use crate::{probes, status, swarm_stack};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt as _};
use otternauts_types::Stack;
use std::sync::Arc;
use std::time::Duration;

/// The watch tells what overtook us before that.
const OVERTAKEN: Duration = Duration::from_millis(500);

pub async fn reconcile(stack: Arc<Stack>, ctx: Arc<Context>) -> Result<Action> {
    run(&stack, &ctx).await
}

async fn run(stack: &Stack, ctx: &Arc<Context>) -> Result<Action> {
    let Some(name) = swarm_stack(stack) else { return Ok(Action::await_change()) };
    probes::keep(ctx, stack, name).await?;
    if stack.metadata.deletion_timestamp.is_some() {
        ctx.wards(|wards| wards.remove(name));
        return Ok(Action::await_change());
    }
    let Some(old) = stack.status.as_ref() else { return Ok(Action::await_change()) };
    let now = ctx.now();
    let verdict = ctx.wards(|wards| decide(wards.entry(name.to_owned()).or_default(), old, now));
    let written = jiff::Timestamp::from_second(now / 1_000_000_000).unwrap_or_default().to_string();
    let settles = ctx.settles(name, stack.spec.cluster_ref.as_ref().map_or("default", |r| r.name.as_str()));
    let verdict = if settles.is_some() { status::settling(old, verdict) } else { verdict };
    let again = verdict.again.into_iter().chain(settles).min();
    let (conditions, changed) = status::next(old, &verdict.findings, stack.metadata.generation, &written);
    if changed || status::differs(old, &verdict.services) {
        let api: Api<Stack> = Api::namespaced(ctx.client.clone(), &stack.namespace().unwrap_or_default());
        if !status::write(&api, stack, &conditions, &verdict.services).await? {
            return Ok(Action::requeue(OVERTAKEN));
        }
        if let Some((warning, reason, note)) = status::news(old, &conditions) {
            ctx.say(stack, warning, &reason, &note).await;
        }
    }
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}
