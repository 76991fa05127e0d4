//! A Server that is being deleted: its tasks move away, it leaves the swarm, the swarm forgets it, then the object may go
//! (OT-25). Every pass looks anew, so it does not matter where an earlier one stopped.

use crate::context::{Context, Manager, cluster_name};
use crate::decide::{Decision, Finding, Retry};
use crate::reconcile::{Error, patch_finalizers, write};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use otternauts_fleet::docker::{Docker, LocalNodeState, Node, NodeAvailability, NodeRole, SwarmState, TaskState};
use otternauts_types::server::SwarmRole;
use otternauts_types::{CLEANUP_FINALIZER, Cluster, ConditionStatus, FORCE_DELETE_ANNOTATION, Server};
use serde_json::json;
use std::time::Duration;

/// What a pass came to.
enum Pass {
    Gone,
    Waiting(String),
}

pub async fn remove(ctx: &Context, server: &Server) -> Result<Action, Error> {
    if !server.finalizers().iter().any(|f| f == CLEANUP_FINALIZER) {
        ctx.forget(&server.name_any());
        return Ok(Action::await_change());
    }
    let cluster = ctx.clusters.get_opt(cluster_name(server)).await?;
    let swarm = cluster.as_ref().and_then(|c| c.status.as_ref()).and_then(|s| s.swarm_id.clone());
    let node_id = server.status.as_ref().and_then(|s| s.swarm_node_id.clone());
    let forced = server.annotations().contains_key(FORCE_DELETE_ANNOTATION);
    let pass = match (&cluster, swarm) {
        // It never came as far as a swarm: it goes at once, reachable or not.
        _ if node_id.is_none() && !has_docker(server) => Pass::Gone,
        (Some(cluster), None) if may_have_begun(cluster, server) && !forced => unrecorded(ctx, server).await,
        (Some(cluster), Some(swarm)) => {
            let departure = Departure { ctx, server, cluster, swarm: &swarm, node_id: node_id.as_deref() };
            if forced { departure.force().await } else { departure.pass().await? }
        }
        _ => Pass::Gone,
    };
    match pass {
        Pass::Gone => release(ctx, server).await,
        Pass::Waiting(why) => {
            let mut written = server.clone();
            write(ctx, &mut written, &waiting(server, why)).await?;
            Ok(Action::requeue(Duration::from_secs(3)))
        }
    }
}

/// The claim is written before the swarm is made, and the swarm is recorded after: in between, only the server knows of it.
fn may_have_begun(cluster: &Cluster, server: &Server) -> bool {
    let status = cluster.status.as_ref();
    let claimed = status.and_then(|s| s.init_server.as_deref()) == Some(&server.name_any());
    claimed && status.is_none_or(|s| s.swarm_id.is_none())
}

/// Ends a swarm that this server made and nobody wrote down. A server claims only while it is in no swarm, and nobody joins one
/// that is not recorded: whatever swarm it is alone in now is ours.
async fn unrecorded(ctx: &Context, server: &Server) -> Pass {
    let docker = match ctx.host(server).await {
        Some(host) => host.docker().await.ok(),
        None => None,
    };
    let Some(docker) = docker else {
        return Pass::Waiting(format!(
            "The server cannot be reached to end the swarm it may have begun. If it is gone for good, set the annotation {FORCE_DELETE_ANNOTATION}."
        ));
    };
    match docker.info().await {
        Ok(info) if info.swarm.state == LocalNodeState::Inactive => return Pass::Gone,
        Ok(_) => {}
        Err(_) => return Pass::Waiting("Docker does not answer.".to_owned()),
    }
    match docker.nodes().await.map(|nodes| nodes.len().saturating_sub(1)) {
        Ok(0) => left(docker.swarm_leave(true).await),
        // Not what we made.
        Ok(_) => Pass::Gone,
        Err(e) => Pass::Waiting(format!(
            "The swarm cannot decide: {e}. To give it up, set the annotation {FORCE_DELETE_ANNOTATION}."
        )),
    }
}

fn has_docker(server: &Server) -> bool {
    let conditions = server.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|c| c.r#type == "DockerReady" && c.status == ConditionStatus::True)
}

fn waiting(server: &Server, message: String) -> Decision {
    let finding = Finding { kind: "Ready", status: ConditionStatus::False, reason: "Removing".to_owned(), message };
    let status = server.status.clone().unwrap_or_default();
    Decision { status, findings: vec![finding], step: None, retry: Retry::Backoff }
}

async fn release(ctx: &Context, server: &Server) -> Result<Action, Error> {
    release_claim(ctx, server).await?;
    let rest: Vec<String> = server.finalizers().iter().filter(|f| *f != CLEANUP_FINALIZER).cloned().collect();
    patch_finalizers(ctx, server, &rest).await?;
    tracing::info!(server = server.name_any(), "removed from the fleet");
    ctx.forget(&server.name_any());
    Ok(Action::await_change())
}

/// A claim to make the swarm must not outlive its Server while there is no swarm, nor a swarm its last manager: else no other
/// could ever be made.
async fn release_claim(ctx: &Context, server: &Server) -> Result<(), Error> {
    let of = cluster_name(server);
    let Some(cluster) = ctx.clusters.get_opt(of).await? else { return Ok(()) };
    let status = cluster.status.clone().unwrap_or_default();
    let name = server.name_any();
    let last = !ctx.store.state().iter().any(|s| cluster_name(s) == of && s.name_any() != name);
    let claimed = status.swarm_id.is_none() && status.init_server.as_deref() == Some(&name);
    let was_manager = server.status.as_ref().and_then(|s| s.swarm_role) == Some(SwarmRole::Manager);
    let last_manager = was_manager && ctx.managers(of, Some(&name)).is_empty();
    if claimed || (status.swarm_id.is_some() && (last || last_manager)) {
        clear(ctx, &cluster).await?;
    }
    Ok(())
}

async fn clear(ctx: &Context, cluster: &Cluster) -> Result<(), Error> {
    let meta = json!({ "resourceVersion": cluster.resource_version() });
    let patch = json!({ "metadata": meta, "status": { "swarmID": null, "initServer": null } });
    ctx.clusters.patch_status(&cluster.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

struct Departure<'a> {
    ctx: &'a Context,
    server: &'a Server,
    cluster: &'a Cluster,
    swarm: &'a str,
    node_id: Option<&'a str>,
}

impl Departure<'_> {
    async fn manager(&self) -> Option<Manager> {
        let cluster = self.cluster.name_any();
        self.ctx.manager(&cluster, self.swarm, Some(&self.server.name_any())).await.ok()
    }

    /// The host is gone for good: only the swarm is told, if anybody there answers.
    async fn force(&self) -> Pass {
        let (Some(id), Some(manager)) = (self.node_id, self.manager().await) else { return Pass::Gone };
        let node = match manager.docker.node(id).await {
            Ok(Some(node)) => node,
            Ok(None) => return Pass::Gone,
            Err(e) => return Pass::Waiting(format!("The managers do not answer: {e}.")),
        };
        if let Some(why) = demote(&manager.docker, &node).await {
            return Pass::Waiting(why);
        }
        self.forget_node(id).await
    }

    async fn pass(&self) -> Result<Pass, Error> {
        let own = match self.ctx.host(self.server).await {
            Some(host) => host.docker().await.ok(),
            None => None,
        };
        let Some(own) = own else {
            return Ok(match self.node_id {
                None => Pass::Gone,
                Some(id) => self.without_host(id).await,
            });
        };
        let Ok(info) = own.info().await else { return Ok(Pass::Waiting("Docker does not answer.".to_owned())) };
        let local = info.swarm;
        if local.state == LocalNodeState::Inactive {
            return Ok(match self.node_id {
                Some(id) => self.forget_node(id).await,
                None => Pass::Gone,
            });
        }
        let ours = local.cluster_id.as_deref() == Some(self.swarm) || self.node_id == Some(local.node_id.as_str());
        if !ours {
            return Ok(Pass::Gone);
        }
        match self.manager().await {
            Some(manager) => Ok(self.leave(&own, &manager.docker, &local).await),
            None => self.last_manager(&own).await,
        }
    }

    async fn without_host(&self, id: &str) -> Pass {
        if let Some(manager) = self.manager().await
            && matches!(manager.docker.node(id).await, Ok(None))
        {
            return Pass::Gone;
        }
        Pass::Waiting(format!(
            "The server cannot be reached to leave the swarm. If it is gone for good, set the annotation {FORCE_DELETE_ANNOTATION}."
        ))
    }

    async fn forget_node(&self, id: &str) -> Pass {
        let Some(manager) = self.manager().await else {
            return match self.ctx.managers(&self.cluster.name_any(), Some(&self.server.name_any())).is_empty() {
                true => Pass::Gone,
                false => Pass::Waiting("No manager answers that could remove the node.".to_owned()),
            };
        };
        match manager.docker.node_remove(id, true).await {
            Ok(()) => Pass::Gone,
            Err(e) => Pass::Waiting(format!("The swarm does not let go of the node: {e}.")),
        }
    }

    /// Drain, demote, wait for the tasks to move, leave, remove.
    async fn leave(&self, own: &Docker, manager: &Docker, local: &SwarmState) -> Pass {
        let id = local.node_id.as_str();
        let node = match manager.node(id).await {
            Ok(Some(node)) => node,
            Ok(None) => return left(own.swarm_leave(true).await),
            Err(e) => return Pass::Waiting(format!("The managers do not answer: {e}.")),
        };
        if let Some(why) = demote(manager, &node).await {
            return Pass::Waiting(why);
        }
        let running = |t: &&otternauts_fleet::docker::Task| t.node_id == id && t.state == TaskState::Running;
        match manager.tasks(None).await {
            Ok(tasks) if tasks.iter().filter(running).count() > 0 => {
                return Pass::Waiting("Waiting for the last tasks to move away.".to_owned());
            }
            Ok(_) => {}
            Err(e) => return Pass::Waiting(format!("The managers do not answer: {e}.")),
        }
        // Leaving while the others still count its vote could cost them their majority.
        if local.control_available {
            return Pass::Waiting("The swarm is taking the manager's role away.".to_owned());
        }
        if let Pass::Waiting(why) = left(own.swarm_leave(true).await) {
            return Pass::Waiting(why);
        }
        self.forget_node(id).await
    }

    /// Nobody else has a say: the swarm ends with this server, unless others would be left behind.
    async fn last_manager(&self, own: &Docker) -> Result<Pass, Error> {
        let others = own.nodes().await.map(|nodes| nodes.len().saturating_sub(1));
        match others {
            Ok(0) => {
                let pass = left(own.swarm_leave(true).await);
                if matches!(pass, Pass::Gone) {
                    clear(self.ctx, self.cluster).await?;
                }
                Ok(pass)
            }
            Ok(n) => Ok(Pass::Waiting(format!(
                "This is the only manager that can be reached, and {n} more nodes are in the swarm: remove them first, or add a manager."
            ))),
            Err(e) => Ok(Pass::Waiting(format!(
                "The swarm cannot decide: {e}. To give it up, set the annotation {FORCE_DELETE_ANNOTATION}."
            ))),
        }
    }
}

/// Drains and demotes the node; None when that is done. A manager that left before the others let it go would take their
/// majority along: its part in their decisions ends some seconds after its role does.
async fn demote(manager: &Docker, node: &Node) -> Option<String> {
    if node.role == NodeRole::Manager || node.availability != NodeAvailability::Drain {
        let wish = Node { role: NodeRole::Worker, availability: NodeAvailability::Drain, ..node.clone() };
        let why = manager.node_update(&wish).await.err().map(|e| format!(" {e}.")).unwrap_or_default();
        return Some(format!("Moving the tasks away.{why}"));
    }
    node.reachable.is_some().then(|| "Waiting for the other managers to let this one go.".to_owned())
}

fn left(result: otternauts_fleet::Result<()>) -> Pass {
    match result {
        Ok(()) => Pass::Gone,
        // Not part of a swarm (any more).
        Err(otternauts_fleet::Error::Docker { status: 503, .. }) => Pass::Gone,
        Err(e) => Pass::Waiting(format!("The server does not leave the swarm: {e}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otternauts_types::{ClusterSpec, ClusterStatus, ServerSpec};

    #[test]
    fn a_swarm_that_was_begun_and_not_recorded_is_looked_for_ot_25() {
        let server = Server::new("h1", ServerSpec::default());
        let with = |init: Option<&str>, swarm: Option<&str>| {
            let mut cluster = Cluster::new("default", ClusterSpec::default());
            let (init_server, swarm_id) = (init.map(str::to_owned), swarm.map(str::to_owned));
            cluster.status = Some(ClusterStatus { init_server, swarm_id, ..ClusterStatus::default() });
            may_have_begun(&cluster, &server)
        };
        assert!(with(Some("h1"), None));
        assert!(!with(Some("h2"), None), "another server's claim");
        assert!(!with(None, None), "nobody claimed");
        assert!(!with(Some("h1"), Some("s")), "recorded: it leaves as a member");
        assert!(!may_have_begun(&Cluster::new("default", ClusterSpec::default()), &server));
    }
}
