//! Does what a plan says, and tells the proxy its configuration. No choices left.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::observe::{Swarm, host, stack};
use crate::observed::Claim;
use crate::plan::Action;
use crate::proxy::{Desired, STACK};
use crate::routes::Table;
use crate::traefik;
use kube::ResourceExt as _;
use otternauts_compose::{INGRESS_NETWORK, label};
use otternauts_fleet::{Error as FleetError, Host, ResolveImage, Script, ScriptData, StackDeployOptions};
use otternauts_types::SYSTEM_NAMESPACE;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Each may be repeated after a crash: what is there already is left alone.
pub async fn run(
    ctx: &Context,
    swarm: &Swarm,
    cluster: &str,
    desired: Option<&Desired>,
    plan: &[Action],
) -> Result<()> {
    for action in plan {
        tracing::info!(cluster, %action, "acting");
        match (action, desired) {
            (Action::CreateNetwork, _) => {
                let made = swarm.docker.network_create(INGRESS_NETWORK, &labels()).await.map(drop);
                unless_there(made).map_err(Error::swarm("create the network"))?;
            }
            (Action::PrepareHosts(servers), _) => prepare(ctx, swarm, servers).await?,
            (Action::CreateConfig { name }, Some(desired)) => {
                let Some(config) = desired.configs.iter().find(|c| c.name == *name) else { continue };
                let mut labels = labels();
                labels.insert("com.docker.stack.namespace".to_owned(), STACK.to_owned());
                let made = swarm.docker.config_create(name, &labels, config.content.as_bytes()).await.map(drop);
                unless_there(made).map_err(Error::swarm("create a config"))?;
            }
            (Action::Deploy, Some(desired)) => deploy(swarm, desired).await?,
            (Action::Remove, _) => {
                swarm.host.stack_remove(&stack()?).await.map_err(Error::swarm("remove the proxy"))?;
            }
            (Action::CreateConfig { .. } | Action::Deploy, None) => {
                return Err(Error::Broken("a plan deploys what nobody wants".to_owned()));
            }
        }
    }
    Ok(())
}

async fn deploy(swarm: &Swarm, desired: &Desired) -> Result<()> {
    // Prune: a service of another provider holds the ports.
    let options = StackDeployOptions { resolve_image: ResolveImage::Always, prune: true, registry_config: None };
    let document = desired.document();
    swarm.host.stack_deploy(&stack()?, document.as_bytes(), &options).await.map(drop).map_err(Error::swarm("deploy"))
}

/// One that cannot be reached is prepared at the next look, or when a task on it asks for it.
async fn prepare(ctx: &Context, swarm: &Swarm, servers: &[String]) -> Result<()> {
    for server in swarm.servers.iter().filter(|s| servers.contains(&s.name_any())) {
        let Some(host) = host(ctx, server).await? else { continue };
        match prepare_host(&host).await {
            Ok(()) => ctx.set_prepared(server),
            Err(error) => {
                tracing::warn!(server = server.name_any(), error = error.chain(), "not prepared for the ingress");
            }
        }
    }
    Ok(())
}

async fn prepare_host(host: &Host) -> Result<()> {
    let script = Script::PrepareIngress;
    let output = host.run_script(script, &ScriptData::default()).await.map_err(Error::swarm("prepare a manager"))?;
    if output.succeeded() {
        return Ok(());
    }
    let (command, exit, stderr) = (script.name(), output.exit, output.tail(1000).to_owned());
    Err(Error::swarm("prepare a manager")(FleetError::CommandFailed { command, exit, stderr }))
}

/// Brings the proxy to a configuration, which may depend on the hosts that it asks certificates for now; an equal one is not loaded
/// again. Answers whether anything was loaded.
pub async fn configure(host: &Host, wanted: impl Fn(&BTreeSet<String>) -> Value) -> Result<bool> {
    let current = match host.ingress_config().await {
        // The socket of a proxy that started again belongs to root.
        Err(FleetError::ChannelFailed { .. }) => {
            prepare_host(host).await?;
            host.ingress_config().await
        }
        other => other,
    };
    let current = current.map_err(Error::swarm("ask the proxy for its configuration"))?;
    let current: Value = serde_json::from_slice(&current).unwrap_or_default();
    let automated = current["apps"]["tls"]["certificates"]["automate"].as_array().into_iter().flatten();
    let wanted = wanted(&automated.filter_map(|h| h.as_str().map(str::to_owned)).collect());
    if current == wanted {
        return Ok(false);
    }
    let text = wanted.to_string().into_bytes();
    host.ingress_load(text).await.map_err(Error::swarm("load the proxy's configuration"))?;
    Ok(true)
}

/// Brings the labels of services to what Traefik shall read. A service that is being updated, or has changed since it was looked
/// at, waits for the next look: its change wakes us.
pub async fn label(swarm: &Swarm, claims: &[Claim], table: &Table, gate: impl Fn(&str) -> Option<bool>) -> Result<()> {
    let changes: Vec<_> = claims.iter().map(|claim| (claim, traefik::labels(claim, table, &gate))).collect();
    for (claim, changes) in changes {
        if changes.is_empty() || claim.updating {
            continue;
        }
        let done = swarm.docker.service_label(&claim.id, claim.version, &changes).await;
        let done = done.map_err(Error::swarm("label a service"))?;
        tracing::info!(service = claim.service, labels = changes.len(), ?done, "told Traefik");
    }
    Ok(())
}

fn labels() -> BTreeMap<String, String> {
    let labels = [(label::NAMESPACE, SYSTEM_NAMESPACE), (label::STACK, STACK)];
    labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

fn unless_there(made: otternauts_fleet::Result<()>) -> otternauts_fleet::Result<()> {
    match made {
        Err(FleetError::Docker { status: 409, .. }) => Ok(()),
        other => other,
    }
}
