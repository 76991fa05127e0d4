//! Membership: exactly one server makes the swarm, the others join it, and nobody leaves one without being told to (OT-19 to
//! OT-26).

use super::draft::{Draft, Verdict};
use super::{Desired, failed};
use crate::observed::{ClusterView, Managers, Observed};
use crate::plan::{NodeWish, Step};
use crate::text::{self, reason};
use otternauts_fleet::docker::{LocalNodeState, Node, NodeAvailability, NodeRole, SwarmState};
use otternauts_types::server::{AdoptSwarm, Availability, ServerPhase, SwarmRole};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

type Flow = ControlFlow<Verdict>;

/// Names the labels of a node that we put there, so that others' stay.
pub const OWN_LABELS: &str = "otternauts.dev/labels";
const SERVER_LABEL: &str = "otternauts.dev/server";

pub(super) fn decide(desired: Desired<'_>, cluster: &ClusterView, seen: &Observed, draft: &mut Draft) -> Flow {
    let Some(local) = &seen.swarm else {
        return draft.poll(reason::WORKING, "The swarm was not looked at yet.".to_owned());
    };
    match local.state {
        LocalNodeState::Inactive => {
            draft.no_node();
            no_conflict(draft);
            outside(desired, cluster, seen, draft)
        }
        LocalNodeState::Pending => draft.poll(reason::WORKING, "Docker is still joining the swarm.".to_owned()),
        LocalNodeState::Locked => {
            let sentence = "The swarm on this server is locked. Unlock it with `docker swarm unlock`.".to_owned();
            draft.bad("SwarmReady", "SwarmLocked", sentence.clone());
            draft.fail(ServerPhase::Failed, "SwarmLocked", sentence, "")
        }
        LocalNodeState::Active | LocalNodeState::Error => inside(desired, cluster, local, seen, draft),
    }
}

fn no_conflict(draft: &mut Draft) {
    // Negative like NodePressure: False is the good state.
    draft.bad("SwarmConflict", "None", "The server is in no other swarm.".to_owned());
}

/// The server is in no swarm.
fn outside(desired: Desired<'_>, cluster: &ClusterView, seen: &Observed, draft: &mut Draft) -> Flow {
    if cluster.swarm_id.is_some() {
        return join(desired, seen, draft);
    }
    match &cluster.init_server {
        _ if desired.spec.role == SwarmRole::Worker => {
            let message = "The cluster has no manager yet.".to_owned();
            draft.bad("SwarmReady", reason::WAITING_FOR_MANAGER, message.clone());
            draft.poll(reason::WAITING_FOR_MANAGER, message)
        }
        Some(name) if name == desired.name => init(seen, draft),
        Some(name) if cluster.init_server_lives => {
            let message = format!("Server {name:?} is initializing the swarm.");
            draft.bad("SwarmReady", reason::WAITING_FOR_MANAGER, message.clone());
            draft.poll(reason::WAITING_FOR_MANAGER, message)
        }
        _ => draft.act(Step::ClaimInit),
    }
}

fn init(seen: &Observed, draft: &mut Draft) -> Flow {
    let step = Step::InitSwarm;
    let Some(failure) = seen.failure.as_ref().filter(|f| f.step == step.name()) else {
        draft.bad("SwarmReady", reason::WORKING, step.doing().to_owned());
        return draft.act(step);
    };
    draft.bad("SwarmReady", reason::SWARM_INIT_FAILED, format!("{} {}", text::SWARM_INIT, failure.detail));
    draft.fail(ServerPhase::Failed, reason::SWARM_INIT_FAILED, text::SWARM_INIT.to_owned(), &failure.detail)
}

fn join(desired: Desired<'_>, seen: &Observed, draft: &mut Draft) -> Flow {
    if seen.managers != Managers::Reachable {
        return no_manager(seen, draft);
    }
    let Some(ports) = &seen.ports else {
        if failed(seen, Step::ProbePorts.name()) {
            // Not being able to test is no reason not to try.
            draft.put_unknown("PortsOpen", "NotTested", "The ports could not be tested.");
            return join_now(desired, seen, draft);
        }
        return draft.act(Step::ProbePorts);
    };
    let closed: Vec<String> = ports
        .iter()
        .filter(|p| !p.open)
        .map(|p| format!("{}/{} at {}", p.port, if p.udp { "udp" } else { "tcp" }, p.address))
        .collect();
    if !closed.is_empty() {
        let detail = format!("Not reachable: {}.", closed.join(", "));
        draft.bad("PortsOpen", "PortsClosed", detail.clone());
        draft.bad("SwarmReady", reason::SWARM_JOIN_FAILED, format!("{} {detail}", text::SWARM_JOIN));
        return draft.fail(ServerPhase::Failed, reason::SWARM_JOIN_FAILED, text::SWARM_JOIN.to_owned(), &detail);
    }
    draft.good("PortsOpen", "Open", "2377/tcp, 7946/tcp, 7946/udp and 4789/udp are open between the servers.");
    join_now(desired, seen, draft)
}

fn join_now(desired: Desired<'_>, seen: &Observed, draft: &mut Draft) -> Flow {
    let step = Step::JoinSwarm { role: desired.spec.role };
    let Some(failure) = seen.failure.as_ref().filter(|f| f.step == step.name()) else {
        draft.bad("SwarmReady", reason::WORKING, step.doing().to_owned());
        return draft.act(step);
    };
    draft.bad("SwarmReady", reason::SWARM_JOIN_FAILED, format!("{} {}", text::SWARM_JOIN, failure.detail));
    draft.fail(ServerPhase::Failed, reason::SWARM_JOIN_FAILED, text::SWARM_JOIN.to_owned(), &failure.detail)
}

fn no_manager(seen: &Observed, draft: &mut Draft) -> Flow {
    if seen.managers == Managers::Electing {
        draft.bad("SwarmReady", reason::ELECTING, text::ELECTING.to_owned());
        return draft.poll(reason::ELECTING, text::ELECTING.to_owned());
    }
    let sentence = "No manager of the cluster can be reached.".to_owned();
    draft.bad("SwarmReady", reason::MANAGERS_UNREACHABLE, sentence.clone());
    draft.fail(ServerPhase::Failed, reason::MANAGERS_UNREACHABLE, sentence, "")
}

/// The server is in a swarm: ours, or one we have to ask about.
fn inside(desired: Desired<'_>, cluster: &ClusterView, local: &SwarmState, seen: &Observed, draft: &mut Draft) -> Flow {
    let Some(ours) = &cluster.swarm_id else {
        return unrecorded(desired, cluster, local, draft);
    };
    match (&local.cluster_id, &seen.node) {
        (Some(id), _) if id == ours => {}
        (None, Some(Some(_))) => {}
        // A worker does not know its swarm's id, and nobody who does can be asked.
        (None, None) => return no_manager(seen, draft),
        _ if failed(seen, Step::LeaveSwarm.name()) || desired.spec.adopt_swarm != Some(AdoptSwarm::Leave) => {
            return conflict(desired, local, seen, draft);
        }
        _ => return draft.act(Step::LeaveSwarm),
    }
    no_conflict(draft);
    match &seen.node {
        Some(Some(node)) => member(desired, node, seen, draft),
        // A manager whose swarm has lost its majority cannot say.
        _ => no_manager(seen, draft),
    }
}

/// The Cluster has no swarm yet, but the server is in one.
fn unrecorded(desired: Desired<'_>, cluster: &ClusterView, local: &SwarmState, draft: &mut Draft) -> Flow {
    let made_by_us = cluster.init_server.as_deref() == Some(desired.name);
    let adopt = desired.spec.adopt_swarm == Some(AdoptSwarm::Adopt);
    match (&local.cluster_id, desired.spec.adopt_swarm) {
        // Claimed while the server was in no swarm: this one is ours, made before we could write it down.
        (Some(id), _) if made_by_us || adopt => draft.act(Step::RecordSwarm { id: id.clone() }),
        (_, Some(AdoptSwarm::Leave)) => draft.act(Step::LeaveSwarm),
        _ => conflict(desired, local, &Observed::default(), draft),
    }
}

fn conflict(desired: Desired<'_>, local: &SwarmState, seen: &Observed, draft: &mut Draft) -> Flow {
    let which = local.cluster_id.as_deref().unwrap_or("unknown to a worker");
    let mut message = format!("The server is already part of another swarm ({which}).");
    message.push_str(match desired.spec.adopt_swarm {
        None => " Set spec.adoptSwarm to leave (give that swarm up) or adopt (make it this cluster's).",
        Some(AdoptSwarm::Join) => " spec.adoptSwarm is join, but that swarm is not this cluster's.",
        Some(AdoptSwarm::Adopt) => {
            " spec.adoptSwarm is adopt, but only a manager of a cluster without a swarm can bring its own."
        }
        Some(AdoptSwarm::Leave) => " Leaving it failed.",
    });
    if let Some(failure) = &seen.failure {
        message = format!("{message} {}", failure.detail);
    }
    draft.no_node();
    draft.put_true("SwarmConflict", "OtherSwarm", message.clone());
    draft.bad("SwarmReady", reason::SWARM_CONFLICT, message.clone());
    let retry = desired.spec.adopt_swarm == Some(AdoptSwarm::Leave);
    if retry { draft.poll(reason::SWARM_CONFLICT, message) } else { draft.wait(reason::SWARM_CONFLICT, message) }
}

/// The server is a node of our swarm: make the node what the spec says.
fn member(desired: Desired<'_>, node: &Node, seen: &Observed, draft: &mut Draft) -> Flow {
    draft.node(node);
    draft.keep_good("PortsOpen", "Member", "The server takes part in the swarm.");
    let wish = wish(desired, node);
    let last_manager = node.role == NodeRole::Manager && seen.manager_count == Some(1);
    if last_manager && wish.role == SwarmRole::Worker {
        let sentence = "The last manager of a swarm cannot become a worker. Add another manager first.".to_owned();
        draft.bad("SwarmReady", "LastManager", sentence.clone());
        return draft.fail(ServerPhase::Failed, "LastManager", sentence, "");
    }
    if differs(node, &wish) {
        let step = Step::UpdateNode(wish);
        if let Some(failure) = seen.failure.as_ref().filter(|f| f.step == step.name()) {
            let sentence = "The node could not be updated.".to_owned();
            draft.bad("SwarmReady", "NodeUpdateFailed", format!("{sentence} {}", failure.detail));
            return draft.fail(ServerPhase::Failed, "NodeUpdateFailed", sentence, &failure.detail);
        }
        return draft.act(step);
    }
    if node.state != "ready" {
        let message = format!("The swarm says that the node is {}.", node.state);
        // A leader that is new calls every node unknown, until it has heard of it or knows that it is down.
        if seen.returning || node.state == "unknown" {
            draft.bad("SwarmReady", reason::REJOINING, message.clone());
            return draft.poll(reason::REJOINING, message);
        }
        draft.bad("SwarmReady", "NodeNotReady", message.clone());
        return draft.poll("NodeNotReady", message);
    }
    if seen.returning && node.reachable == Some(false) {
        let message = "The swarm's other managers do not reach this one yet.".to_owned();
        draft.bad("SwarmReady", reason::REJOINING, message.clone());
        return draft.poll(reason::REJOINING, message);
    }
    let role = if node.role == NodeRole::Manager { "manager" } else { "worker" };
    draft.good("SwarmReady", "Member", &format!("The server is a {role} of the swarm."));
    ControlFlow::Continue(())
}

/// The spec's role and availability; the Server's labels and its name as node labels, others' labels kept.
fn wish(desired: Desired<'_>, node: &Node) -> NodeWish {
    let own: Vec<&str> = node.labels.get(OWN_LABELS).map(|l| l.split(',').collect()).unwrap_or_default();
    let mut labels: BTreeMap<String, String> =
        node.labels.iter().filter(|(k, _)| !own.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    labels.extend(desired.labels.clone());
    labels.insert(SERVER_LABEL.to_owned(), desired.name.to_owned());
    labels.remove(OWN_LABELS);
    let names: Vec<&str> = desired.labels.keys().map(String::as_str).collect();
    if !names.is_empty() {
        labels.insert(OWN_LABELS.to_owned(), names.join(","));
    }
    NodeWish { role: desired.spec.role, availability: desired.spec.availability, labels }
}

fn differs(node: &Node, wish: &NodeWish) -> bool {
    let role = match node.role {
        NodeRole::Manager => SwarmRole::Manager,
        NodeRole::Worker => SwarmRole::Worker,
    };
    let availability = match node.availability {
        NodeAvailability::Active => Availability::Active,
        NodeAvailability::Pause => Availability::Pause,
        NodeAvailability::Drain => Availability::Drain,
    };
    role != wish.role || availability != wish.availability || node.labels != wish.labels
}
