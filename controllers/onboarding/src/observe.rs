//! Asks the world: as far as the first thing that stands in the way.

use crate::context::{Context, Manager, cluster_name, is_going};
use crate::facts::{Os, disk_free};
use crate::observed::{ClusterView, Engine, Link, Managers, Observed};
use kube::ResourceExt as _;
use otternauts_fleet::docker::{Docker, LocalNodeState};
use otternauts_fleet::{Command, Endpoint, Error, Host};
use otternauts_types::server::Connection;
use otternauts_types::{Cluster, Server};
use std::time::Duration;

/// How long a server that was away has for its swarm to notice that it is back.
const RETURN: Duration = Duration::from_secs(120);

/// What is there now, and the way to the server when there is one.
pub async fn observe(
    ctx: &Context,
    server: &Server,
    cluster: Option<&Cluster>,
) -> Result<(Observed, Option<Host>), kube::Error> {
    let mut seen = Observed { cluster: cluster.map(|c| cluster_view(ctx, c)), ..Observed::default() };
    if cluster.is_none() {
        return Ok((seen, None));
    }
    let Some(host) = connect(ctx, server, &mut seen).await? else {
        ctx.disconnected(&server.name_any());
        return Ok((seen, None));
    };
    let fresh = matches!(seen.link, Link::Up { took: Some(_), .. });
    seen.returning = ctx.connected_for(&server.name_any(), fresh) < RETURN;
    seen.returning |= ctx.elected_for(cluster_name(server)).is_some_and(|d| d < RETURN);
    if let Err(e) = Box::pin(facts(&host, &mut seen)).await {
        ctx.disconnected(&server.name_any());
        seen.link = lost(&e);
        return Ok((seen, Some(host)));
    }
    if let Some(docker) = Box::pin(engine(&host, &mut seen)).await {
        Box::pin(swarm(ctx, server, &docker, &mut seen)).await;
    }
    Ok((seen, Some(host)))
}

fn cluster_view(ctx: &Context, cluster: &Cluster) -> ClusterView {
    let status = cluster.status.clone().unwrap_or_default();
    let docker = cluster.spec.docker.clone().unwrap_or_default();
    let lives = |name: &String| ctx.store.state().iter().any(|s| s.name_any() == *name && !is_going(&s.metadata));
    ClusterView {
        init_server_lives: status.init_server.as_ref().is_some_and(lives),
        swarm_id: status.swarm_id,
        init_server: status.init_server,
        min_docker: docker.min_version,
        install: docker.install,
    }
}

async fn connect(ctx: &Context, server: &Server, seen: &mut Observed) -> Result<Option<Host>, kube::Error> {
    let spec = &server.spec;
    if spec.connection == Connection::Local {
        seen.link = Link::Local;
        return Ok(Some(ctx.fleet.host(&server.name_any(), &Endpoint::Local)));
    }
    if spec.host_key.is_none() {
        seen.link = match ctx.fleet.observe_host_key(&spec.address, spec.port).await {
            Ok(key) => Link::Shown(key),
            Err(e) => lost(&e),
        };
        return Ok(None);
    }
    let key = match ctx.private_key(server).await {
        Ok(key) => key,
        Err(Ok(why)) => {
            seen.link = Link::NoPrivateKey(why);
            return Ok(None);
        }
        Err(Err(e)) => return Err(e),
    };
    let host = match Endpoint::of(spec, Some(key)) {
        Ok(Some(endpoint)) => ctx.fleet.host(&server.name_any(), &endpoint),
        Ok(None) => return Ok(None),
        Err(e) => {
            seen.link = Link::NoPrivateKey(e.to_string());
            return Ok(None);
        }
    };
    match host.connect().await {
        Ok(connected) => {
            seen.link = Link::Up { key: connected.host_key, took: connected.took };
            Ok(Some(host))
        }
        Err(e) => {
            seen.link = lost(&e);
            Ok(None)
        }
    }
}

fn lost(e: &Error) -> Link {
    match e {
        Error::HostKeyMismatch { observed, .. } => Link::OtherKey(observed.clone()),
        Error::AuthenticationFailed { .. } | Error::KeyUnusable { .. } => Link::Refused(format!("{e}.")),
        other => Link::Unreachable(format!("{other}.")),
    }
}

async fn facts(host: &Host, seen: &mut Observed) -> Result<(), Error> {
    let (sudo, os, disk, groups) = tokio::join!(
        host.run(Command::SudoCheck),
        host.run(Command::OsRelease),
        host.run(Command::DiskFree),
        host.run(Command::Groups)
    );
    let sudo = sudo?;
    seen.sudo = Some(if sudo.succeeded() { Ok(()) } else { Err(sudo.tail(512).to_owned()) });
    seen.os = Some(Os::parse(&os?.stdout));
    seen.disk_free = disk_free(&disk?.stdout);
    seen.in_docker_group = groups?.stdout.split_whitespace().any(|g| g == "docker" || g == "root");
    Ok(())
}

async fn engine(host: &Host, seen: &mut Observed) -> Option<Docker> {
    if matches!(seen.sudo, Some(Err(_))) {
        return None;
    }
    let why = match host.docker().await {
        Ok(docker) => {
            seen.engine = Some(Engine::Up { version: docker.engine().version.clone() });
            return Some(docker);
        }
        Err(e) => e,
    };
    match tokio::try_join!(host.run(Command::DockerClient), host.run(Command::DockerDaemon)) {
        Ok((client, daemon)) if client.succeeded() && daemon.succeeded() => {
            seen.engine = Some(Engine::Down(why.to_string()));
        }
        Ok(_) => seen.engine = Some(Engine::Missing),
        Err(e) => seen.link = lost(&e),
    }
    None
}

async fn swarm(ctx: &Context, server: &Server, docker: &Docker, seen: &mut Observed) {
    let info = match docker.info().await {
        Ok(info) => info,
        Err(e) => {
            seen.engine = Some(Engine::Down(e.to_string()));
            return;
        }
    };
    seen.machine = Some((info.cpus, info.memory_bytes));
    let local = info.swarm.clone();
    let ours = seen.cluster.as_ref().and_then(|c| c.swarm_id.clone());
    if let Some(ours) = ours {
        let (cluster, name) = (cluster_name(server), server.name_any());
        let itself = local.control_available && local.cluster_id.as_deref() == Some(&ours);
        let manager = if itself {
            Some(Manager { docker: docker.clone(), info })
        } else {
            let found = ctx.manager(cluster, &ours, Some(&name)).await;
            seen.managers = match &found {
                Ok(_) => Managers::Reachable,
                // It has a say itself, and does not know its swarm's id: only a leader does.
                Err(_) if local.control_available && local.cluster_id.is_none() => ctx.leaderless(cluster),
                Err(_) if ctx.managers(cluster, Some(&name)).is_empty() => Managers::Nobody,
                Err(why) => *why,
            };
            found.ok()
        };
        if let Some(manager) = manager
            && local.state != LocalNodeState::Inactive
            && !local.node_id.is_empty()
        {
            seen.node = match manager.docker.node(&local.node_id).await {
                Ok(node) => Some(node),
                Err(e) => {
                    if e.is_without_leader() {
                        seen.managers = ctx.leaderless(cluster_name(server));
                    }
                    None
                }
            };
            let managers = |nodes: Vec<otternauts_fleet::docker::Node>| {
                nodes.iter().filter(|n| n.role == otternauts_fleet::docker::NodeRole::Manager).count()
            };
            seen.manager_count = manager.docker.nodes().await.ok().map(managers);
        }
    }
    seen.swarm = Some(local);
}
