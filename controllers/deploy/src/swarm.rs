//! The way to a Swarm: a manager that answers, what is there, and the few things we do to it.

use crate::error::{Error, Result};
use crate::inputs::{self, Login};
use crate::observed::{
    Observed, ObservedFile, ObservedNetwork, ObservedService, ObservedTask, Owner, TaskState, Update,
};
use crate::plan::{Action, Plan};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use kube::{Api, Client, ResourceExt as _};
use otternauts_compose::{INGRESS_NETWORK, InlineKind, Rendered, label};
use otternauts_fleet::docker::{LogChunk, LogOptions, Service, ServiceMode, Task};
use otternauts_fleet::{Docker, Endpoint, Fleet, Host, ResolveImage, StackDeployOptions, StackName};
use otternauts_meta::Secret;
use otternauts_types::Server;
use otternauts_types::server::SwarmRole;
use otternauts_types::stack::TaskFailure;
use std::collections::BTreeMap;

/// The label `docker stack` keeps its own by.
const STACK_NAMESPACE: &str = "com.docker.stack.namespace";
/// Most bytes of a failed task's log that go into status.
const LOG_TAIL: usize = 8 * 1024;

/// A manager that answers, and the servers of its cluster.
pub struct Swarm {
    host: Host,
    docker: Docker,
    servers: Vec<Server>,
    client: Client,
    fleet: Fleet,
}

/// What is known about a task that ended.
#[derive(Clone, Debug, Default)]
pub struct Autopsy {
    pub failure: TaskFailure,
    /// It was ended for its health; what the check said last.
    pub unhealthy: Option<String>,
}

impl Swarm {
    /// The first manager of the cluster that takes part in decisions (OT-F16: others are tried in turn).
    pub async fn of(client: &Client, fleet: &Fleet, cluster: &str) -> Result<Self> {
        let servers = servers(client, cluster).await?;
        let mut last = None;
        for server in servers.iter().filter(|s| is_manager(s)) {
            let Some(endpoint) = endpoint(client, server).await? else { continue };
            let host = fleet.host(&server.name_any(), &endpoint);
            let docker = match host.docker().await {
                Ok(docker) => docker,
                Err(e) => {
                    last = Some(e);
                    continue;
                }
            };
            match docker.info().await {
                Ok(info) if info.swarm.control_available => {
                    return Ok(Self { host, docker, servers, client: client.clone(), fleet: fleet.clone() });
                }
                Ok(_) => {}
                Err(e) => last = Some(e),
            }
        }
        Err(Error::Managers { cluster: cluster.to_owned(), source: last })
    }

    /// Services and tasks of a stack: all that a convergence check needs.
    pub async fn running(&self, stack: &StackName) -> Result<Observed> {
        let services = self.docker.services(Some(stack)).await.map_err(Error::swarm("list services"))?;
        let tasks = self.docker.tasks(Some(stack)).await.map_err(Error::swarm("list tasks"))?;
        let services = services.iter().map(|s| observed_service(stack, s, &tasks)).collect();
        Ok(Observed { services, ..Observed::default() })
    }

    /// Everything a plan needs.
    pub async fn observe(&self, stack: &StackName) -> Result<Observed> {
        let mut observed = self.running(stack).await?;
        let networks = self.docker.networks(None).await.map_err(Error::swarm("list networks"))?;
        let configs = self.docker.configs(None).await.map_err(Error::swarm("list configs"))?;
        let secrets = self.docker.secrets(None).await.map_err(Error::swarm("list secrets"))?;
        let ours = |labels: &BTreeMap<String, String>| labels.get(STACK_NAMESPACE).is_some_and(|v| v == stack.as_str());
        let owner = |labels: &BTreeMap<String, String>| {
            let namespace = labels.get(label::NAMESPACE)?.clone();
            Some(Owner { namespace, stack: labels.get(label::STACK).cloned().unwrap_or_default() })
        };
        let mut existing = BTreeMap::new();
        for network in networks {
            if ours(&network.labels) {
                observed.networks.push(ObservedNetwork { id: network.id, name: network.name.clone() });
            }
            existing.insert(("networks", network.name), owner(&network.labels));
        }
        for (secret, section, list) in [(false, "configs", configs), (true, "secrets", secrets)] {
            for file in list {
                if ours(&file.labels) {
                    observed.files.push(ObservedFile { secret, id: file.id, name: file.name.clone() });
                }
                existing.insert((section, file.name), owner(&file.labels));
            }
        }
        observed.existing = existing;
        Ok(observed)
    }

    /// Executes a plan, action by action. Each may be repeated after a crash: what is there already is left alone.
    pub async fn act(&self, plan: &Plan, rendered: &Rendered, registry_config: Option<&Secret<String>>) -> Result<()> {
        for action in &plan.0 {
            tracing::info!(stack = rendered.stack_name, action = %action, "acting");
            match action {
                Action::CreateIngressNetwork => self.create_ingress_network().await?,
                Action::CreateFile { secret, name } => self.create_file(*secret, name, rendered).await?,
                Action::DeployServices(names) => self.deploy(names, rendered, registry_config).await?,
                Action::RemoveService { id, .. } => {
                    self.docker.service_remove(id).await.map_err(Error::swarm("remove a service"))?;
                }
                Action::RemoveFile { secret, id, name } => {
                    let removed = match secret {
                        true => self.docker.secret_remove(id).await,
                        false => self.docker.config_remove(id).await,
                    };
                    // A task that is still stopping may hold it: the next rollout tries again.
                    if let Err(e) = removed {
                        tracing::debug!(stack = rendered.stack_name, name, error = %e, "not removed yet");
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets the swarm go on with an update that it has paused.
    pub async fn resume(&self, service: &ObservedService) -> Result<()> {
        tracing::info!(service = service.name, "resuming a paused update");
        let resumed = self.docker.service_resume(&service.id, service.version).await;
        resumed.map(drop).map_err(Error::swarm("resume an update"))
    }

    async fn create_ingress_network(&self) -> Result<()> {
        match self.docker.network_create(INGRESS_NETWORK, &crate::ingress::labels()).await {
            Ok(_) | Err(otternauts_fleet::Error::Docker { status: 409, .. }) => Ok(()),
            Err(e) => Err(Error::swarm("create the network of the ingress")(e)),
        }
    }

    async fn create_file(&self, secret: bool, name: &str, rendered: &Rendered) -> Result<()> {
        let wanted = |i: &&otternauts_compose::Inline| i.name == name && (i.kind == InlineKind::Secret) == secret;
        let Some(inline) = rendered.inline.iter().find(wanted) else {
            return Err(Error::Broken(format!("the plan names {name:?}, which is not rendered")));
        };
        let labels = [
            (STACK_NAMESPACE, &rendered.stack_name),
            (label::NAMESPACE, &rendered.namespace),
            (label::STACK, &rendered.stack),
        ];
        let labels = labels.into_iter().map(|(k, v)| (k.to_owned(), v.clone())).collect();
        let made = match secret {
            true => self.docker.secret_create(name, &labels, &inline.data).await,
            false => self.docker.config_create(name, &labels, inline.data.expose()).await,
        };
        match made {
            Ok(_) | Err(otternauts_fleet::Error::Docker { status: 409, .. }) => Ok(()),
            Err(e) => Err(Error::swarm("create a config or secret")(e)),
        }
    }

    async fn deploy(&self, names: &[String], rendered: &Rendered, config: Option<&Secret<String>>) -> Result<()> {
        let stack = stack_name(&rendered.stack_name)?;
        let document = rendered.document_of(|name| names.iter().any(|n| n == name));
        // `changed` keeps the digest of a service that was sent already: repeating the command repeats no task.
        let resolve_image = ResolveImage::Changed;
        let options = StackDeployOptions { resolve_image, prune: false, registry_config: config.cloned() };
        let done = self.host.stack_deploy(&stack, document.expose().as_bytes(), &options).await;
        done.map(drop).map_err(Error::swarm("deploy"))
    }

    /// Removes services, networks, configs and secrets of a stack; volumes stay.
    pub async fn remove(&self, stack: &StackName, observed: &Observed) -> Result<()> {
        if !observed.services.is_empty() {
            match self.host.stack_remove(stack).await {
                Ok(_) => {}
                // A network can be in use for as long as the last tasks stop: looked at again, it goes below.
                Err(otternauts_fleet::Error::CommandFailed { stderr, .. }) => {
                    tracing::debug!(stack = stack.as_str(), stderr, "stack rm left something behind");
                }
                Err(e) => return Err(Error::swarm("remove the stack")(e)),
            }
        }
        let left = self.observe(stack).await?;
        for service in &left.services {
            self.docker.service_remove(&service.id).await.map_err(Error::swarm("remove a service"))?;
        }
        for file in &left.files {
            let removed = match file.secret {
                true => self.docker.secret_remove(&file.id).await,
                false => self.docker.config_remove(&file.id).await,
            };
            later(stack, &file.name, removed);
        }
        for network in &left.networks {
            later(stack, &network.name, self.docker.network_remove(&network.id).await);
        }
        Ok(())
    }

    /// Why a task died, asked of the engine it ran on, with the end of its log.
    pub async fn autopsy(&self, task: &ObservedTask) -> Autopsy {
        let mut failure = TaskFailure {
            reason: if task.error.is_empty() { "the container exited".to_owned() } else { task.error.clone() },
            // What was never started has no exit code, whatever Docker says.
            exit_code: task.exit_code.filter(|_| task.state != TaskState::Rejected).and_then(|c| i32::try_from(c).ok()),
            ..TaskFailure::default()
        };
        let mut unhealthy = None;
        if let Some(container) = &task.container
            && let Some(docker) = self.engine_of(&task.node).await
            && let Ok(Some(container)) = docker.container(container).await
        {
            failure.oom_killed = container.oom_killed;
            if container.unhealthy {
                let last = container.health_log.last().map(|l| l.trim().to_owned()).unwrap_or_default();
                failure.reason = format!("unhealthy container: {last}");
                unhealthy = Some(last);
            }
        }
        failure.log_tail = self.log_tail(&task.id).await;
        Autopsy { failure, unhealthy }
    }

    /// Why the image cannot be had, in the registry's words; `None` when the registry has it or says nothing.
    pub async fn registry_error(&self, image: &str, logins: &[Login]) -> Option<String> {
        let registry = otternauts_compose::registry(image);
        let login = logins.iter().map(|l| &l.login).find(|l| l.registry == registry);
        let asked = self.docker.registry_digest(image, login);
        match tokio::time::timeout(std::time::Duration::from_secs(15), asked).await {
            Ok(Err(otternauts_fleet::Error::Docker { message, .. })) => Some(message.trim().to_owned()),
            _ => None,
        }
    }

    pub fn service_log(
        &self,
        id: &str,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, otternauts_fleet::Result<LogChunk>>> {
        self.docker.service_logs(id, options).map_err(Error::swarm("read a log"))
    }

    pub fn task_log(
        &self,
        id: &str,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, otternauts_fleet::Result<LogChunk>>> {
        self.docker.task_logs(id, options).map_err(Error::swarm("read a log"))
    }

    /// A task failed for a reason that is the server's.
    pub fn doubt(&self, node: &str) {
        if let Some(server) = self.server_of(node) {
            self.fleet.doubt(&server.name_any());
        }
    }

    fn server_of(&self, node: &str) -> Option<&Server> {
        let named = |s: &&Server| s.status.as_ref().and_then(|s| s.swarm_node_id.as_deref()) == Some(node);
        self.servers.iter().find(named)
    }

    async fn engine_of(&self, node: &str) -> Option<Docker> {
        let server = self.server_of(node)?;
        let endpoint = endpoint(&self.client, server).await.ok()??;
        self.fleet.host(&server.name_any(), &endpoint).docker().await.ok()
    }

    async fn log_tail(&self, task: &str) -> Option<String> {
        let options = LogOptions { tail: Some(50), ..LogOptions::default() };
        let mut stream = self.docker.task_logs(task, &options).ok()?;
        let mut text = String::new();
        let read = async {
            while let Some(Ok(chunk)) = stream.next().await {
                text.push_str(&chunk.text);
            }
        };
        // The engine keeps a log stream of a task that never started open for ever.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), read).await;
        let tail = otternauts_fleet::tail(&text, LOG_TAIL);
        (!tail.is_empty()).then(|| tail.to_owned())
    }
}

fn later(stack: &StackName, name: &str, removed: otternauts_fleet::Result<()>) {
    if let Err(e) = removed {
        tracing::debug!(stack = stack.as_str(), name, error = %e, "not removed yet");
    }
}

/// Our name for a stack is always one that Docker takes; anything else is a bug worth an error, not a panic.
pub fn stack_name(name: &str) -> Result<StackName> {
    StackName::new(name).map_err(|e| Error::Broken(format!("stack name {name:?}: {e}")))
}

/// The Servers of a cluster.
pub async fn servers(client: &Client, cluster: &str) -> Result<Vec<Server>> {
    let api: Api<Server> = Api::all(client.clone());
    let all = api.list(&kube::api::ListParams::default()).await.map_err(Error::api("list Servers"))?;
    let of_cluster = |s: &Server| s.spec.cluster_ref.as_ref().map_or("default", |r| r.name.as_str()) == cluster;
    Ok(all.items.into_iter().filter(of_cluster).collect())
}

fn is_manager(server: &Server) -> bool {
    server.status.as_ref().is_some_and(|s| s.swarm_node_id.is_some() && s.swarm_role == Some(SwarmRole::Manager))
}

/// How to reach a server; `None` while its key is not confirmed or its private key is missing.
async fn endpoint(client: &Client, server: &Server) -> Result<Option<Endpoint>> {
    let mut key = None;
    if let Some(at) = &server.spec.private_key_secret_ref {
        let data = inputs::secret(client, at.namespace(), &at.name).await?.and_then(|s| s.data?.remove(at.key()));
        key = data.and_then(|k| String::from_utf8(k.0).ok()).map(Secret::new);
    }
    Endpoint::of(&server.spec, key).map_err(Error::swarm("reach a server"))
}

fn observed_service(stack: &StackName, service: &Service, tasks: &[Task]) -> ObservedService {
    let prefix = format!("{}_", stack.as_str());
    let desired = match service.mode {
        ServiceMode::Replicated(n) | ServiceMode::ReplicatedJob(n) => n,
        ServiceMode::Global | ServiceMode::GlobalJob => service.desired_tasks,
    };
    let update = match service.update_state.as_deref() {
        Some("updating") => Update::Updating,
        Some("paused" | "rollback_paused") => Update::Paused,
        Some("rollback_started") => Update::RollingBack,
        Some("rollback_completed") => Update::RolledBack,
        _ => Update::Settled,
    };
    let own = tasks.iter().filter(|t| t.service_id == service.id);
    ObservedService {
        id: service.id.clone(),
        version: service.version,
        name: service.name.strip_prefix(&prefix).unwrap_or(&service.name).to_owned(),
        spec_sha256: service.labels.get(label::SPEC).cloned(),
        image: service.image.clone(),
        job: matches!(service.mode, ServiceMode::ReplicatedJob(_) | ServiceMode::GlobalJob),
        desired,
        completed: service.completed_tasks,
        update,
        update_message: service.update_message.clone().unwrap_or_default(),
        constraints: service.constraints.clone(),
        tasks: own.map(|t| observed_task(service, t)).collect(),
    }
}

fn observed_task(service: &Service, task: &Task) -> ObservedTask {
    use otternauts_fleet::docker::TaskState as S;
    let state = match task.state {
        S::New | S::Allocated | S::Pending => TaskState::Pending,
        S::Assigned | S::Accepted | S::Preparing | S::Ready | S::Starting => TaskState::Preparing,
        S::Running => TaskState::Running,
        S::Complete => TaskState::Complete,
        S::Failed => TaskState::Failed,
        S::Rejected => TaskState::Rejected,
        S::Shutdown | S::Remove | S::Orphaned => TaskState::Gone,
    };
    ObservedTask {
        id: task.id.clone(),
        slot: task.slot.map_or_else(|| task.node_id.clone(), |n| n.to_string()),
        node: task.node_id.clone(),
        container: task.container_id.clone(),
        state,
        wanted: task.desired_state <= S::Complete,
        current: task.spec_digest == service.template_digest,
        error: task.error.clone(),
        exit_code: task.exit_code,
        timestamp: task.state_since.clone(),
    }
}
