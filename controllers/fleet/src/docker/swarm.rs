//! Membership: init, join, leave, nodes.

use super::types::{Info, LocalNodeState, Node, NodeAvailability, NodeRole, Swarm, SwarmState};
use super::{Docker, explain};
use crate::bareword::path_segment;
use crate::error::Result;
use bollard::models;
use bollard::query_parameters::{DeleteNodeOptions, LeaveSwarmOptions, ListNodesOptions, UpdateNodeOptions};
use otternauts_meta::Secret;

impl Docker {
    /// Makes a new swarm with this engine as its first manager; answers the node's id. Not idempotent: the engine answers
    /// 503 when it is in a swarm already.
    pub async fn swarm_init(&self, advertise: &str) -> Result<String> {
        let request = models::SwarmInitRequest {
            listen_addr: Some("0.0.0.0:2377".to_owned()),
            advertise_addr: Some(advertise.to_owned()),
            ..Default::default()
        };
        self.api.init_swarm(request).await.map_err(explain)
    }

    /// Managers only.
    pub async fn swarm(&self) -> Result<Swarm> {
        let swarm = self.api.inspect_swarm().await.map_err(explain)?;
        let tokens = swarm.join_tokens.unwrap_or_default();
        Ok(Swarm {
            id: swarm.id.unwrap_or_default(),
            worker_token: Secret::new(tokens.worker.unwrap_or_default()),
            manager_token: Secret::new(tokens.manager.unwrap_or_default()),
        })
    }

    /// Joins the swarm of the managers at `remotes` (`IP:2377`). The engine gives up after 20 s and goes on trying in the
    /// background: ask [`Docker::info`] what came of it.
    pub async fn swarm_join(&self, advertise: &str, remotes: &[String], token: &Secret<String>) -> Result<()> {
        let request = models::SwarmJoinRequest {
            listen_addr: Some("0.0.0.0:2377".to_owned()),
            advertise_addr: Some(advertise.to_owned()),
            data_path_addr: None,
            remote_addrs: Some(remotes.to_vec()),
            join_token: Some(token.expose().clone()),
        };
        self.api.join_swarm(request).await.map_err(explain)
    }

    pub async fn swarm_leave(&self, force: bool) -> Result<()> {
        self.api.leave_swarm(Some(LeaveSwarmOptions { force })).await.map_err(explain)
    }

    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let nodes = self.api.list_nodes(None::<ListNodesOptions>).await.map_err(explain)?;
        Ok(nodes.into_iter().map(Node::from).collect())
    }

    /// None when the swarm knows no such node.
    pub async fn node(&self, id: &str) -> Result<Option<Node>> {
        path_segment("the node id", id)?;
        match self.api.inspect_node(id).await.map_err(explain) {
            Ok(node) => Ok(Some(Node::from(node))),
            Err(crate::Error::Docker { status: 404, .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Sets role, availability and labels to what `node` says; refused when the node changed since it was read.
    pub async fn node_update(&self, node: &Node) -> Result<()> {
        path_segment("the node id", &node.id)?;
        let spec = models::NodeSpec {
            name: None,
            labels: Some(node.labels.clone().into_iter().collect()),
            role: Some(match node.role {
                NodeRole::Manager => models::NodeSpecRoleEnum::MANAGER,
                NodeRole::Worker => models::NodeSpecRoleEnum::WORKER,
            }),
            availability: Some(match node.availability {
                NodeAvailability::Active => models::NodeSpecAvailabilityEnum::ACTIVE,
                NodeAvailability::Pause => models::NodeSpecAvailabilityEnum::PAUSE,
                NodeAvailability::Drain => models::NodeSpecAvailabilityEnum::DRAIN,
            }),
        };
        let version = UpdateNodeOptions { version: i64::try_from(node.version).unwrap_or(i64::MAX) };
        self.api.update_node(&node.id, spec, version).await.map_err(explain)
    }

    /// A node that is gone already counts as removed.
    pub async fn node_remove(&self, id: &str, force: bool) -> Result<()> {
        path_segment("the node id", id)?;
        match self.api.delete_node(id, Some(DeleteNodeOptions { force })).await.map_err(explain) {
            Err(crate::Error::Docker { status: 404, .. }) => Ok(()),
            other => other,
        }
    }
}

/// 0 for what is no RFC 3339 time.
fn nanos(time: &str) -> i64 {
    let parsed = time.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_nanosecond);
    parsed.ok().and_then(|n| i64::try_from(n).ok()).unwrap_or_default()
}

impl From<models::SystemInfo> for Info {
    fn from(i: models::SystemInfo) -> Self {
        Self {
            name: i.name.unwrap_or_default(),
            operating_system: i.operating_system.unwrap_or_default(),
            cpus: i.ncpu.unwrap_or_default(),
            memory_bytes: i.mem_total.unwrap_or_default(),
            time_nanos: nanos(&i.system_time.unwrap_or_default()),
            swarm: i.swarm.map(SwarmState::from).unwrap_or_default(),
        }
    }
}

impl From<models::SwarmInfo> for SwarmState {
    fn from(s: models::SwarmInfo) -> Self {
        use models::LocalNodeState as L;
        Self {
            state: match s.local_node_state {
                None | Some(L::EMPTY | L::INACTIVE) => LocalNodeState::Inactive,
                Some(L::PENDING) => LocalNodeState::Pending,
                Some(L::ACTIVE) => LocalNodeState::Active,
                Some(L::ERROR) => LocalNodeState::Error,
                Some(L::LOCKED) => LocalNodeState::Locked,
            },
            node_id: s.node_id.unwrap_or_default(),
            node_address: s.node_addr.unwrap_or_default(),
            control_available: s.control_available.unwrap_or_default(),
            cluster_id: s.cluster.and_then(|c| c.id).filter(|id| !id.is_empty()),
            managers: s.remote_managers.unwrap_or_default().into_iter().filter_map(|p| p.addr).collect(),
            error: s.error.unwrap_or_default(),
        }
    }
}

impl From<models::Node> for Node {
    fn from(n: models::Node) -> Self {
        let spec = n.spec.unwrap_or_default();
        let status = n.status.unwrap_or_default();
        let description = n.description.unwrap_or_default();
        Self {
            id: n.id.unwrap_or_default(),
            version: n.version.and_then(|v| v.index).unwrap_or_default(),
            hostname: description.hostname.unwrap_or_default(),
            role: match spec.role {
                Some(models::NodeSpecRoleEnum::MANAGER) => NodeRole::Manager,
                _ => NodeRole::Worker,
            },
            availability: match spec.availability {
                Some(models::NodeSpecAvailabilityEnum::PAUSE) => NodeAvailability::Pause,
                Some(models::NodeSpecAvailabilityEnum::DRAIN) => NodeAvailability::Drain,
                _ => NodeAvailability::Active,
            },
            labels: spec.labels.unwrap_or_default().into_iter().collect(),
            state: status.state.map(|s| s.to_string()).unwrap_or_default(),
            address: status.addr.unwrap_or_default(),
            engine_version: description.engine.and_then(|e| e.engine_version).unwrap_or_default(),
            leader: n.manager_status.as_ref().and_then(|m| m.leader).unwrap_or_default(),
            reachable: n.manager_status.map(|m| m.reachability == Some(models::Reachability::REACHABLE)),
        }
    }
}
