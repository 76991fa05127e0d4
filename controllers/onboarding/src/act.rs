//! Carries out one step. No choices are left here; whoever calls looks at the world again afterwards.

use crate::context::{Context, Manager, cluster_name};
use crate::facts::{Probe, Recipe, probes, source_address};
use crate::plan::{NodeWish, Step};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use otternauts_fleet::docker::{NodeAvailability, NodeRole};
use otternauts_fleet::{Command, Error, Host, Script, ScriptData};
use otternauts_types::server::{Availability, Connection, SwarmRole};
use otternauts_types::{Cluster, Server};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};

/// Why a step did not work, in words for people.
pub type Failed = String;

/// What a step brought to light.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub ports: Option<Vec<Probe>>,
}

/// `Err(kube)`: the API failed; `Ok(Err(why))`: the server did.
pub async fn act(
    ctx: &Context,
    server: &Server,
    cluster: &Cluster,
    host: &Host,
    step: &Step,
) -> Result<Result<Outcome, Failed>, kube::Error> {
    let done = match step {
        Step::ClaimInit => return claim(ctx, server, cluster).await.map(Ok),
        Step::RecordSwarm { id } => return record(ctx, server, cluster, id).await.map(Ok),
        Step::InstallDocker(Recipe::Distribution) => script(host, Script::InstallDockerDebian).await,
        Step::InstallDocker(Recipe::Repository) => script(host, Script::InstallDockerRepository).await,
        Step::StartDocker => script(host, Script::StartDocker).await,
        Step::JoinDockerGroup => join_group(host).await,
        Step::LeaveSwarm => leave(host).await,
        Step::InitSwarm => init(server, host).await,
        Step::ProbePorts => return Ok(probe_ports(ctx, server, cluster, host).await),
        Step::JoinSwarm { role } => join(ctx, server, cluster, host, *role).await,
        Step::UpdateNode(wish) => update_node(ctx, server, cluster, host, wish).await,
    };
    Ok(done.map(|()| Outcome::default()))
}

#[allow(clippy::needless_pass_by_value)] // The shape that map_err wants.
fn say(e: Error) -> Failed {
    format!("{e}.")
}

async fn script(host: &Host, script: Script) -> Result<(), Failed> {
    let output = host.run_script(script, &ScriptData::default()).await.map_err(say)?;
    if output.succeeded() {
        return Ok(());
    }
    Err(format!("{} ended with {}: {}", script.name(), output.exit, output.tail(2048)))
}

async fn join_group(host: &Host) -> Result<(), Failed> {
    script(host, Script::JoinDockerGroup).await?;
    // A group comes into force at the next login.
    host.disconnect().await;
    Ok(())
}

async fn leave(host: &Host) -> Result<(), Failed> {
    host.docker().await.map_err(say)?.swarm_leave(true).await.map_err(say)
}

/// Only one server gets its name into the Cluster: the write holds only for the version that was read.
async fn claim(ctx: &Context, server: &Server, cluster: &Cluster) -> Result<Outcome, kube::Error> {
    patch_cluster(ctx, cluster, json!({ "initServer": server.name_any() })).await
}

async fn record(ctx: &Context, server: &Server, cluster: &Cluster, id: &str) -> Result<Outcome, kube::Error> {
    patch_cluster(ctx, cluster, json!({ "initServer": server.name_any(), "swarmID": id })).await
}

async fn patch_cluster(ctx: &Context, cluster: &Cluster, status: serde_json::Value) -> Result<Outcome, kube::Error> {
    let patch = json!({ "metadata": { "resourceVersion": cluster.resource_version() }, "status": status });
    match ctx.clusters.patch_status(&cluster.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        // Somebody was faster: look again.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Outcome::default()),
        other => other.map(|_| Outcome::default()),
    }
}

/// The address other servers reach this one at: the one people gave, else what the server itself uses towards the world. What a
/// name resolves to here need not be an address of that machine.
async fn advertise(server: &Server, host: &Host) -> Result<String, Failed> {
    if server.spec.connection == Connection::Ssh && server.spec.address.parse::<IpAddr>().is_ok() {
        return Ok(server.spec.address.clone());
    }
    let route = host.run(Command::PrimaryAddress).await.map_err(say)?;
    match source_address(&route.stdout) {
        Some(address) => Ok(address.to_string()),
        // A machine without any network still makes a swarm of one.
        None if host.is_local() => Ok("127.0.0.1".to_owned()),
        None => Err(format!("The server's own address could not be found: {}", route.tail(512))),
    }
}

async fn init(server: &Server, host: &Host) -> Result<(), Failed> {
    let address = advertise(server, host).await?;
    host.docker().await.map_err(say)?.swarm_init(&address).await.map(|_| ()).map_err(say)
}

async fn manager(ctx: &Context, server: &Server, cluster: &Cluster) -> Result<Manager, Failed> {
    let swarm = cluster.status.as_ref().and_then(|s| s.swarm_id.as_deref()).unwrap_or_default();
    let found = ctx.manager(cluster_name(server), swarm, Some(&server.name_any())).await;
    found.map_err(|_| "No manager of the cluster can be reached.".to_owned())
}

/// Where the managers can be joined, the one that answered first.
fn join_addresses(manager: &Manager) -> Vec<String> {
    let mut list = vec![format!("{}:2377", manager.info.swarm.node_address)];
    list.extend(manager.info.swarm.managers.iter().filter(|a| !list.contains(a)).cloned().collect::<Vec<_>>());
    list
}

async fn join(ctx: &Context, server: &Server, cluster: &Cluster, host: &Host, role: SwarmRole) -> Result<(), Failed> {
    let address = advertise(server, host).await?;
    let manager = manager(ctx, server, cluster).await?;
    let swarm = manager.docker.swarm().await.map_err(say)?;
    let token = match role {
        SwarmRole::Manager => &swarm.manager_token,
        SwarmRole::Worker => &swarm.worker_token,
    };
    let docker = host.docker().await.map_err(say)?;
    docker.swarm_join(&address, &join_addresses(&manager), token).await.map_err(say)
}

/// TCP from the joining server to the managers, where the engine listens; datagrams from a manager to echoes on the joining
/// server and back, where nobody listens yet.
async fn probe_ports(ctx: &Context, server: &Server, cluster: &Cluster, host: &Host) -> Result<Outcome, Failed> {
    let own = advertise(server, host).await?;
    let manager = manager(ctx, server, cluster).await?;
    let managers: Vec<IpAddr> =
        join_addresses(&manager).iter().filter_map(|a| a.parse::<SocketAddr>().ok()).map(|a| a.ip()).collect();
    let tcp: Vec<SocketAddr> = managers.iter().flat_map(|ip| [2377, 7946].map(|p| SocketAddr::new(*ip, p))).collect();
    let output = host.run_script(Script::ProbeTcp, &ScriptData::addresses(&tcp)).await.map_err(say)?;
    let mut ports = probes(&output.stdout, false);
    if ports.is_empty() {
        return Err(format!("The port test gave no result: {}", output.tail(512)));
    }
    if let (Ok(ip), Some(peer)) = (own.parse(), peer_host(ctx, server, &manager).await) {
        ports.extend(probe_udp(host, &peer, ip).await);
    }
    Ok(Outcome { ports: Some(ports) })
}

async fn peer_host(ctx: &Context, server: &Server, manager: &Manager) -> Option<Host> {
    let id = Some(manager.info.swarm.node_id.as_str());
    let peers = ctx.managers(cluster_name(server), Some(&server.name_any()));
    let peer = peers.iter().find(|s| s.status.as_ref().and_then(|s| s.swarm_node_id.as_deref()) == id)?;
    ctx.host(peer).await
}

/// Best effort: a port that somebody uses, or a machine without perl, gives no answer rather than a wrong one.
async fn probe_udp(joining: &Host, peer: &Host, own: IpAddr) -> Vec<Probe> {
    const PORTS: [u16; 2] = [7946, 4789];
    let addresses = PORTS.map(|p| SocketAddr::new(own, p));
    let (ports, addresses) = (ScriptData::ports(&PORTS), ScriptData::addresses(&addresses));
    let (echo, asked) =
        tokio::join!(joining.run_script(Script::UdpEcho, &ports), peer.run_script(Script::ProbeUdp, &addresses));
    let (Ok(echo), Ok(asked)) = (echo, asked) else { return Vec::new() };
    if !echo.stdout.contains("listening") {
        return Vec::new();
    }
    let taken = |port: u16| echo.stdout.lines().any(|l| l == format!("{port} taken"));
    probes(&asked.stdout, true).into_iter().filter(|p| !taken(p.port)).collect()
}

async fn update_node(
    ctx: &Context,
    server: &Server,
    cluster: &Cluster,
    host: &Host,
    wish: &NodeWish,
) -> Result<(), Failed> {
    let own = host.docker().await.map_err(say)?;
    let info = own.info().await.map_err(say)?;
    let docker = if info.swarm.control_available { own } else { manager(ctx, server, cluster).await?.docker };
    let node = docker.node(&info.swarm.node_id).await.map_err(say)?;
    let mut node = node.ok_or_else(|| "The swarm does not know the node.".to_owned())?;
    node.role = match wish.role {
        SwarmRole::Manager => NodeRole::Manager,
        SwarmRole::Worker => NodeRole::Worker,
    };
    node.availability = match wish.availability {
        Availability::Active => NodeAvailability::Active,
        Availability::Pause => NodeAvailability::Pause,
        Availability::Drain => NodeAvailability::Drain,
    };
    node.labels = wish.labels.clone();
    docker.node_update(&node).await.map_err(say)
}
