//! The health checks that Stacks declare (`x-otternauts.health`): one task a service asks each of its containers, from its own
//! server, as often as the author says. Stacks without any cost nothing.

use crate::context::Context;
use crate::error::{Error, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use otternauts_compose::{Check, Level, Policy, Probe, Values};
use otternauts_fleet::Host;
use otternauts_types::stack::StackPhase;
use otternauts_types::{Deployment, Stack};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::task::AbortHandle;

const SERVICE: &str = "com.docker.swarm.service.name";

/// The probes of one stack, as of one of its Deployments; they end with it.
pub struct Probing {
    revision: String,
    tasks: Vec<AbortHandle>,
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Makes what is probed be what the Stack's current Deployment declares.
pub async fn keep(ctx: &Arc<Context>, stack: &Stack, swarm_stack: &str) -> Result<()> {
    let status = stack.status.clone().unwrap_or_default();
    let gone = stack.metadata.deletion_timestamp.is_some() || status.phase == StackPhase::Stopped;
    let Some(revision) = status.current_revision.filter(|_| !gone) else {
        ctx.probing(|all| all.remove(swarm_stack));
        return Ok(());
    };
    if ctx.probing(|all| all.get(swarm_stack).is_some_and(|p| p.revision == revision)) {
        return Ok(());
    }
    let Some(probes) = declared(ctx, stack, &revision).await? else { return Ok(()) };
    let start = |(service, probe): (String, Probe)| {
        let (ctx, stack) = (Arc::clone(ctx), swarm_stack.to_owned());
        tokio::spawn(async move { run(&ctx, &stack, &service, &probe).await }).abort_handle()
    };
    let tasks = probes.into_iter().map(start).collect();
    ctx.probing(|all| all.insert(swarm_stack.to_owned(), Probing { revision, tasks }));
    Ok(())
}

/// What a Deployment declares, by service; `None` while its snapshot cannot be read.
async fn declared(ctx: &Context, stack: &Stack, revision: &str) -> Result<Option<BTreeMap<String, Probe>>> {
    let namespace = stack.namespace().unwrap_or_default();
    let deployments: Api<Deployment> = Api::namespaced(ctx.client.clone(), &namespace);
    let deployment = deployments.get_opt(revision).await.map_err(Error::api("read a Deployment"))?;
    let Some(snapshot) = deployment.and_then(|d| d.spec.snapshot) else { return Ok(None) };
    // Most stacks declare none: their values need not be read.
    if !snapshot.compose.contains("x-otternauts") {
        return Ok(Some(BTreeMap::new()));
    }
    let mut values = Values::default();
    if let Some(at) = &snapshot.env_secret_ref {
        let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &namespace);
        let Some(secret) = secrets.get_opt(&at.name).await.map_err(Error::api("read the values of a Deployment"))?
        else {
            return Ok(None);
        };
        secret.data.into_iter().flatten().for_each(|(key, value)| values.insert(key, value.0));
    }
    // It was judged before it was deployed.
    let Ok(compiled) = otternauts_compose::compile(&snapshot.compose, &values, &Policy::of(Level::Privileged)) else {
        return Ok(Some(BTreeMap::new()));
    };
    Ok(Some(compiled.project.services.into_iter().filter_map(|s| Some((s.name, s.ingress.probe?))).collect()))
}

/// Asks all containers of a service, again and again.
async fn run(ctx: &Context, stack: &str, service: &str, probe: &Probe) {
    let mut failures: HashMap<String, u32> = HashMap::new();
    let mut ticks = tokio::time::interval(probe.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What has just been started is asked after one interval.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let containers = containers(ctx, &format!("{stack}_{service}")).await;
        failures.retain(|id, _| containers.iter().any(|(_, known)| known == id));
        let asked = containers.iter().map(|(host, id)| async move { (host, id, ask(host, id, probe).await) });
        for (host, id, answer) in futures::future::join_all(asked).await {
            let Some(answer) = answer else { continue };
            let before = failures.get(id).copied().unwrap_or_default();
            let changed = match answer {
                Ok(()) => {
                    failures.remove(id);
                    before >= probe.retries && ctx.service(stack, service, |s| s.healthy(id)).is_some()
                }
                Err(why) => {
                    failures.insert(id.clone(), before.saturating_add(1));
                    before.saturating_add(1) == probe.retries
                        && ctx.service(stack, service, |s| s.unhealthy(host.name(), id, why)).is_some()
                }
            };
            if changed {
                ctx.tell(stack);
            }
        }
    }
}

/// The running containers of a service, with their servers, as far as these can be asked.
async fn containers(ctx: &Context, swarm_service: &str) -> Vec<(Host, String)> {
    let mut found = Vec::new();
    for server in ctx.fleet.all_followed() {
        let Some(host) = ctx.fleet.followed(&server) else { continue };
        let Ok(docker) = host.docker().await else { continue };
        let Ok(all) = docker.swarm_containers().await else { continue };
        let ours = all.into_iter().filter(|c| c.labels.get(SERVICE).is_some_and(|s| s == swarm_service));
        found.extend(ours.map(|c| (host.clone(), c.id)));
    }
    found
}

/// `None`: it could not be asked, which says nothing about it.
async fn ask(host: &Host, container: &str, probe: &Probe) -> Option<std::result::Result<(), String>> {
    let asked = async {
        match &probe.check {
            Check::Http { path, port } => host.check_http(container, *port, path).await,
            Check::Tcp { port } => host.check_tcp(container, *port).await,
            Check::Command(words) => host.check_command(container, words).await,
        }
    };
    match tokio::time::timeout(probe.timeout, asked).await {
        Err(_) => Some(Err(format!("no answer within {:?}", probe.timeout))),
        Ok(Ok(())) => Some(Ok(())),
        Ok(Err(otternauts_fleet::Error::CheckFailed { why })) => Some(Err(why)),
        Ok(Err(error)) => {
            tracing::debug!(server = host.name(), %error, "a container could not be asked");
            None
        }
    }
}
