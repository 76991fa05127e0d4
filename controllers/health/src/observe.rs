//! What engines tell, and one look at each engine when it is followed anew.

use crate::context::Context;
use otternauts_fleet::docker::Event;
use otternauts_fleet::{End, News, Notice};
use std::collections::{BTreeMap, BTreeSet};

const STACK: &str = "com.docker.stack.namespace";
const SERVICE: &str = "com.docker.swarm.service.name";

/// Takes a notice in. Answers the stacks of the swarm that it concerns.
pub async fn hear(ctx: &Context, notice: Notice) -> Vec<String> {
    match notice.news {
        News::Followed => look(ctx, &notice.server).await,
        News::Missed => {
            let mut all = Vec::new();
            for server in ctx.fleet.all_followed() {
                all.extend(look(ctx, &server).await);
            }
            all
        }
        News::Event(event) => check(ctx, &notice.server, &event).await.into_iter().collect(),
        News::Ended(end) => ended(ctx, &end).into_iter().collect(),
        // What runs there is not known now; the Server's own condition says so.
        News::Lost(_) | News::Doubted => Vec::new(),
    }
}

/// The stack and the compose file's name of the service that a container is of.
fn place(attributes: &BTreeMap<String, String>) -> Option<(&str, &str)> {
    let stack = attributes.get(STACK)?;
    let service = attributes.get(SERVICE)?.strip_prefix(stack.as_str())?.strip_prefix('_')?;
    Some((stack, service))
}

/// A health check that changed its mind.
async fn check(ctx: &Context, server: &str, event: &Event) -> Option<String> {
    let (stack, service) = place(&event.attributes)?;
    let output = match event.action.as_str() {
        "health_status: unhealthy" => Some(last_output(ctx, server, &event.id).await),
        "health_status: healthy" => None,
        _ => return None,
    };
    ctx.service(stack, service, |service| match output {
        Some(output) => service.unhealthy(server, &event.id, output),
        None => service.healthy(&event.id),
    });
    Some(stack.to_owned())
}

fn ended(ctx: &Context, end: &End) -> Option<String> {
    let (stack, service) = place(&end.attributes)?;
    let now = ctx.now();
    let new = ctx.service(stack, service, |service| service.ended(end, now));
    if new == Some(true)
        && let Some((namespace, name)) = ctx.stack_of(stack)
    {
        ctx.fleet.metrics().health.task_failed(&namespace, &name, service, reason(end));
    }
    Some(stack.to_owned())
}

fn reason(end: &End) -> &'static str {
    match end {
        End { oom: true, .. } => "oom",
        End { unhealthy: true, .. } => "unhealthy",
        End { exit_code: Some(137), .. } => "killed",
        _ => "exit",
    }
}

/// What the health check of a container said last; empty when that cannot be had.
async fn last_output(ctx: &Context, server: &str, container: &str) -> String {
    let Some(host) = ctx.fleet.followed(server) else { return String::new() };
    let Ok(docker) = host.docker().await else { return String::new() };
    let Ok(Some(container)) = docker.container(container).await else { return String::new() };
    container.health_log.last().cloned().unwrap_or_default()
}

/// The containers of a server whose health check fails now. Its stacks are looked at all the same when the engine does not answer.
async fn look(ctx: &Context, server: &str) -> Vec<String> {
    let Some(host) = ctx.fleet.followed(server) else { return Vec::new() };
    let Ok(docker) = host.docker().await else { return Vec::new() };
    let containers = match docker.swarm_containers().await {
        Ok(containers) => containers,
        Err(error) => {
            tracing::debug!(server, %error, "the containers of an engine are not known");
            return Vec::new();
        }
    };
    let unhealthy: Vec<String> = containers.iter().filter(|c| c.unhealthy).map(|c| c.id.clone()).collect();
    let mut outputs = BTreeMap::new();
    for id in &unhealthy {
        outputs.insert(id.clone(), last_output(ctx, server, id).await);
    }
    ctx.wards(|wards| {
        wards.values_mut().flat_map(|w| w.0.values_mut()).for_each(|service| service.seen(server, &unhealthy));
    });
    for container in &containers {
        let Some((stack, service)) = place(&container.labels) else { continue };
        ctx.service(stack, service, |service| match outputs.remove(&container.id) {
            Some(output) => service.unhealthy(server, &container.id, output),
            None if container.healthy => service.healthy(&container.id),
            None => {}
        });
    }
    let stacks: BTreeSet<&str> = containers.iter().filter_map(|c| Some(place(&c.labels)?.0)).collect();
    stacks.into_iter().map(str::to_owned).collect()
}
