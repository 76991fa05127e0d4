//! The Cluster's status: how many nodes and managers, and whether they can decide (OT-26, OT-F17).

pub mod removal;

use crate::context::{Context, cluster_name, is_going};
use crate::observed::Managers;
use crate::text::{self, reason};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use otternauts_fleet::docker::{Node, NodeRole};
use otternauts_types::{Cluster, ClusterStatus, Condition, ConditionStatus, Server, set_condition};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// What a manager says about its swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    NoSwarm,
    /// The swarm exists, but none of its managers answers.
    Unreachable,
    /// They answer, and have had no leader for a short while.
    Electing,
    Nodes(Vec<Node>),
}

pub async fn reconcile(cluster: Arc<Cluster>, ctx: Arc<Context>) -> Result<Action, crate::reconcile::Error> {
    if is_going(&cluster.metadata) {
        return removal::remove(&ctx, &cluster).await;
    }
    removal::guard(&ctx, &cluster).await?;
    let name = cluster.name_any();
    let before = cluster.status.clone().unwrap_or_default();
    let seen = match &before.swarm_id {
        None => Seen::NoSwarm,
        Some(swarm) => match ctx.manager(&name, swarm, None).await {
            Err(Managers::Electing) => Seen::Electing,
            Err(_) => Seen::Unreachable,
            Ok(manager) => manager.docker.nodes().await.map_or_else(|e| silence(&ctx, &name, &e), Seen::Nodes),
        },
    };
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let after = status(&before, &seen, cluster.metadata.generation.unwrap_or_default(), &now);
    if after != before {
        let patch = json!({ "status": {
            "managers": after.managers, "nodes": after.nodes, "quorum": after.quorum,
            "observedGeneration": after.observed_generation, "conditions": after.conditions,
        }});
        ctx.clusters.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    }
    Ok(match seen {
        // The loss of a manager's connection is told; its return is not.
        Seen::Unreachable => Action::requeue(Duration::from_secs(15)),
        Seen::Electing => Action::requeue(Duration::from_secs(5)),
        _ => Action::await_change(),
    })
}

/// The manager that answered a moment ago does not say what its swarm is made of.
fn silence(ctx: &Context, cluster: &str, error: &otternauts_fleet::Error) -> Seen {
    match error.is_without_leader() && ctx.leaderless(cluster) == Managers::Electing {
        true => Seen::Electing,
        false => Seen::Unreachable,
    }
}

#[allow(clippy::needless_pass_by_value)] // The shape that kube-rs wants.
pub fn on_error(cluster: Arc<Cluster>, error: &crate::reconcile::Error, _: Arc<Context>) -> Action {
    error.log("Cluster", &cluster.name_any());
    Action::requeue(Duration::from_secs(5))
}

/// Pure: the status that follows from what was seen.
pub fn status(before: &ClusterStatus, seen: &Seen, generation: i64, now: &str) -> ClusterStatus {
    let mut after = before.clone();
    after.observed_generation = Some(generation);
    let mut set = |r#type: &str, status, reason: &str, message: String| {
        let condition = Condition {
            r#type: r#type.to_owned(),
            status,
            reason: reason.to_owned(),
            message,
            last_transition_time: None,
            observed_generation: Some(generation),
        };
        set_condition(&mut after.conditions, condition, now);
    };
    use ConditionStatus::{False, True};
    let nodes = match seen {
        Seen::NoSwarm => {
            set("Ready", False, "NoSwarm", "No server has initialized the swarm yet.".to_owned());
            // Without managers there is no number of them to judge.
            after.conditions.retain(|c| c.r#type != "QuorumRisk");
            (after.managers, after.nodes, after.quorum) = (Some(0), Some(0), Some(false));
            return after;
        }
        Seen::Unreachable => {
            set("Ready", False, reason::MANAGERS_UNREACHABLE, "No manager of the cluster can be reached.".to_owned());
            after.quorum = Some(false);
            return after;
        }
        Seen::Electing => {
            set("Ready", False, reason::ELECTING, text::ELECTING.to_owned());
            after.quorum = Some(false);
            return after;
        }
        Seen::Nodes(nodes) => nodes,
    };
    let managers: Vec<&Node> = nodes.iter().filter(|n| n.role == NodeRole::Manager).collect();
    let reachable = managers.iter().filter(|n| n.reachable == Some(true)).count();
    let quorum = reachable * 2 > managers.len();
    if quorum {
        set("Ready", True, reason::READY, "The swarm's managers can decide.".to_owned());
    } else {
        let message = format!("{reachable} of {} managers reach one another: no majority.", managers.len());
        set("Ready", False, "NoQuorum", message);
    }
    if managers.len().is_multiple_of(2) && !managers.is_empty() {
        let tolerated = (managers.len() - 1) / 2;
        let message = format!(
            "{} managers tolerate the loss of {tolerated}, as many as {} would: an even number only adds risk. 3 are recommended.",
            managers.len(),
            managers.len() - 1
        );
        set("QuorumRisk", True, "EvenManagers", message);
    } else {
        set("QuorumRisk", False, "OddManagers", "The number of managers is odd.".to_owned());
    }
    let count = |n: usize| i32::try_from(n).ok();
    (after.managers, after.nodes, after.quorum) = (count(managers.len()), count(nodes.len()), Some(quorum));
    after
}

/// The Cluster to look at when a Server changed.
pub fn of(server: &Server) -> kube::runtime::reflector::ObjectRef<Cluster> {
    kube::runtime::reflector::ObjectRef::new(cluster_name(server))
}

#[cfg(test)]
mod tests;
