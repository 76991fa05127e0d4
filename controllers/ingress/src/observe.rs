//! The way to a swarm, and what it shows of its ingress.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::observed::{Claim, Observed, Proxy};
use crate::preflight::resolve;
use crate::proxy::STACK;
use k8s_openapi::api::core::v1::Secret as SecretObject;
use kube::{Api, ResourceExt as _};
use otternauts_compose::{INGRESS_NETWORK, ROUTES_LABEL, label};
use otternauts_fleet::docker::{LogOptions, Service, Task, TaskState};
use otternauts_fleet::{Docker, Endpoint, Host, StackName};
use otternauts_meta::Secret;
use otternauts_types::server::SwarmRole;
use otternauts_types::{Cluster, Server};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How many lines of the proxy's log are read to find out why a certificate does not come.
const LOG_LINES: u32 = 300;
/// How long a log may take: the engine keeps that of a task which never started open for ever.
const LOG_PATIENCE: Duration = Duration::from_secs(5);

/// A manager that answers, and the servers of its cluster.
pub struct Swarm {
    pub host: Host,
    pub docker: Docker,
    pub servers: Vec<Arc<Server>>,
}

/// Why there is none.
pub enum NoSwarm {
    /// No Server is a manager yet.
    NoManager,
    /// None of them answers.
    Unreachable(Option<otternauts_fleet::Error>),
}

impl Swarm {
    /// The first manager that takes part in decisions (OT-F16: others are tried in turn).
    pub async fn of(ctx: &Context, cluster: &str) -> Result<std::result::Result<Self, NoSwarm>> {
        let servers = ctx.servers_of(cluster);
        let managers: Vec<&Arc<Server>> = servers.iter().filter(|s| is_manager(s)).collect();
        if managers.is_empty() {
            return Ok(Err(NoSwarm::NoManager));
        }
        let mut last = None;
        for server in managers {
            let Some(host) = host(ctx, server).await? else { continue };
            let info = match host.docker().await {
                Ok(docker) => docker.info().await.map(|info| (docker, info)),
                Err(e) => Err(e),
            };
            match info {
                Ok((docker, info)) if info.swarm.control_available => {
                    return Ok(Ok(Self { host, docker, servers: servers.clone() }));
                }
                Ok(_) => {}
                Err(e) => last = Some(e),
            }
        }
        Ok(Err(NoSwarm::Unreachable(last)))
    }

    /// Everything a plan needs.
    pub async fn observe(&self, cluster: &Cluster) -> Result<Observed> {
        let services = self.docker.services(None).await.map_err(Error::swarm("list services"))?;
        let networks = self.docker.networks(None).await.map_err(Error::swarm("list networks"))?;
        let configs = self.docker.configs(None).await.map_err(Error::swarm("list configs"))?;
        let nodes = self.docker.nodes().await.map_err(Error::swarm("list nodes"))?;
        let mut observed = Observed {
            claims: services.iter().filter_map(claim).collect(),
            network: networks.iter().any(|n| n.name == INGRESS_NETWORK && n.scope == "swarm"),
            configs: configs.into_iter().map(|c| c.name).collect(),
            addresses: nodes.iter().filter_map(|n| n.address.parse().ok()).collect(),
            proxy: None,
        };
        let named = cluster.spec.ingress.iter().flat_map(|i| i.addresses.iter().map(String::as_str));
        let own = self.servers.iter().map(|s| s.spec.address.as_str()).filter(|a| !a.is_empty());
        let all: Vec<&str> = named.chain(own).collect();
        for address in all {
            observed.addresses.extend(resolve(address).await);
        }
        let prefix = format!("{STACK}_");
        if let Some(service) = services.iter().find(|s| s.name.starts_with(&prefix)) {
            let tasks = self.docker.tasks(Some(&stack()?)).await.map_err(Error::swarm("list tasks"))?;
            observed.proxy = Some(proxy(service, &tasks));
        }
        Ok(observed)
    }

    /// The Server that a node of the swarm is.
    pub fn server_of(&self, node: &str) -> Option<&Arc<Server>> {
        let is = |s: &&Arc<Server>| s.status.as_ref().and_then(|s| s.swarm_node_id.as_deref()) == Some(node);
        self.servers.iter().find(is)
    }

    /// The end of a task's log.
    pub async fn log(&self, task: &str) -> String {
        use futures::StreamExt as _;
        let options = LogOptions { tail: Some(LOG_LINES), ..LogOptions::default() };
        let Ok(mut stream) = self.docker.task_logs(task, &options) else { return String::new() };
        let mut text = String::new();
        let read = async {
            while let Some(Ok(chunk)) = stream.next().await {
                text.push_str(&chunk.text);
            }
        };
        let _what_came_is_enough = tokio::time::timeout(LOG_PATIENCE, read).await;
        text
    }
}

/// Our name is always one that Docker takes; anything else is a bug worth an error, not a panic.
pub fn stack() -> Result<StackName> {
    StackName::new(STACK).map_err(|e| Error::Broken(format!("stack name {STACK:?}: {e}")))
}

pub fn is_manager(server: &Server) -> bool {
    server.status.as_ref().is_some_and(|s| s.swarm_node_id.is_some() && s.swarm_role == Some(SwarmRole::Manager))
}

/// The way to a server; `None` while its key is not confirmed or its private key is missing.
pub async fn host(ctx: &Context, server: &Server) -> Result<Option<Host>> {
    let mut private = None;
    if let Some(at) = &server.spec.private_key_secret_ref {
        let api: Api<SecretObject> = Api::namespaced(ctx.client.clone(), at.namespace());
        let held = api.get_opt(&at.name).await.map_err(Error::api("read a Secret"))?;
        let data = held.and_then(|s| s.data?.remove(at.key()));
        private = data.and_then(|k| String::from_utf8(k.0).ok()).map(Secret::new);
    }
    let endpoint = Endpoint::of(&server.spec, private).map_err(Error::swarm("reach a server"))?;
    Ok(endpoint.map(|endpoint| ctx.fleet.host(&server.name_any(), &endpoint)))
}

/// Where the proxy answers the control plane: the addresses of the Server it runs on.
pub async fn reachable_at(server: &Server) -> BTreeSet<IpAddr> {
    let address = match server.spec.address.as_str() {
        "" => "127.0.0.1",
        address => address,
    };
    resolve(address).await.into_iter().collect()
}

fn claim(service: &Service) -> Option<Claim> {
    let routes = service.labels.get(ROUTES_LABEL)?;
    let (namespace, stack) = (service.labels.get(label::NAMESPACE)?, service.labels.get(label::STACK)?);
    // Written by our renderer: anything else is somebody's own label.
    let routes = serde_json::from_str(routes).ok()?;
    Some(Claim {
        namespace: namespace.clone(),
        stack: stack.clone(),
        service: service.name.clone(),
        routes,
        id: service.id.clone(),
        version: service.version,
        updating: service.update_state.as_deref().is_some_and(|s| s == "updating" || s.starts_with("rollback_st")),
        labels: service.labels.clone(),
    })
}

fn proxy(service: &Service, tasks: &[Task]) -> Proxy {
    let mut own: Vec<&Task> = tasks.iter().filter(|t| t.service_id == service.id).collect();
    own.sort_by(|a, b| b.created_at.cmp(&a.created_at));
    own.retain(|t| t.spec_digest == service.template_digest);
    let wanted = |t: &&&Task| t.desired_state <= TaskState::Complete;
    let running = own.iter().find(|t| wanted(t) && t.state == TaskState::Running);
    let current = running.or_else(|| own.iter().find(wanted));
    let updating = service.update_state.as_deref() == Some("updating");
    let prefix = format!("{STACK}_");
    Proxy {
        service: service.name.strip_prefix(&prefix).unwrap_or(&service.name).to_owned(),
        spec_sha256: service.labels.get(label::SPEC).cloned(),
        updating,
        running_on: running.map(|t| t.node_id.clone()),
        task: current.map(|t| t.id.clone()),
        error: failure(&own, updating).filter(|_| running.is_none()),
    }
}

/// What keeps the newest version from running. One that ended once is started again by the swarm, and that is no failure yet; nor
/// is a place that the task before it still holds while it is being replaced.
fn failure(tasks: &[&Task], updating: bool) -> Option<String> {
    let ended = |t: &&&Task| t.state == TaskState::Failed;
    let loops = tasks.iter().filter(ended).count() > 1;
    let counts = |t: &Task| match t.state {
        TaskState::Rejected => true,
        TaskState::Failed => loops,
        TaskState::Pending => !updating,
        _ => false,
    };
    tasks.iter().find(|t| counts(t) && !t.error.is_empty()).map(|t| t.error.clone())
}
