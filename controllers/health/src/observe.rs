//! What engines tell, and one look at each engine when it is followed anew.

use crate::context::Context;
use futures::{Stream, StreamExt as _};
use kube::runtime::watcher;
use otternauts_fleet::docker::Event;
use otternauts_fleet::{End, News, Notice};
use otternauts_types::Server;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const STACK: &str = "com.docker.stack.namespace";
const SERVICE: &str = "com.docker.swarm.service.name";

/// An engine that does not answer by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes in what is told, for ever. A host that hangs delays what is told of itself alone.
pub async fn listen(ctx: Arc<Context>, notices: impl Stream<Item = Notice> + Send) {
    let hear = |notice: Notice| {
        let ctx = Arc::clone(&ctx);
        async move {
            for stack in hear(&ctx, notice).await {
                ctx.tell(&stack).await;
            }
        }
    };
    ctx.fleet.listen(notices, hear).await;
}

/// Keeps up with the Servers there are, for ever.
pub async fn follow_servers(
    ctx: Arc<Context>,
    servers: impl Stream<Item = Result<watcher::Event<Server>, watcher::Error>> + Send,
) {
    let mut servers = std::pin::pin!(servers);
    while let Some(event) = servers.next().await {
        match event {
            Ok(watcher::Event::Delete(_) | watcher::Event::InitDone) => ctx.keep_servers().await,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a watch was interrupted"),
        }
    }
}

/// Takes a notice in. Answers the stacks of the swarm that it concerns.
async fn hear(ctx: &Arc<Context>, notice: Notice) -> Vec<String> {
    match notice.news {
        News::Followed => {
            ctx.back(&notice.server);
            let concerned = look(ctx, &notice.server).await;
            ctx.heard(&notice.server);
            concerned
        }
        News::Missed => look(ctx, &notice.server).await,
        News::Event(event) => check(ctx, &notice.server, &event).await.into_iter().collect(),
        News::Ended(end) => ended(ctx, &end).into_iter().collect(),
        News::Lost(_) => {
            ctx.went(&notice.server);
            ctx.heard(&notice.server);
            Vec::new()
        }
        News::Doubted => Vec::new(),
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
    let asked = async { host.docker().await?.container(container).await };
    let Ok(Ok(Some(container))) = tokio::time::timeout(PATIENCE, asked).await else { return String::new() };
    container.health_log.last().cloned().unwrap_or_default()
}

/// The containers of a server whose health check fails now. When the engine does not answer, what was known stays: either its
/// stream is lost as well, or it is looked at again with the next notice that was missed.
async fn look(ctx: &Context, server: &str) -> Vec<String> {
    let Some(host) = ctx.fleet.followed(server) else { return Vec::new() };
    let asked = async { host.docker().await?.swarm_containers().await };
    let containers = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(containers)) => containers,
        Ok(Err(error)) => {
            tracing::debug!(server, %error, "the containers of an engine are not known");
            return Vec::new();
        }
        Err(_) => {
            tracing::debug!(server, "an engine did not name its containers in time");
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
