//! Steps as data: what is about to be done to a server. Each may be run twice without harm, and after each we look again.

use crate::facts::Recipe;
use otternauts_types::server::{Availability, SwarmRole};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    InstallDocker(Recipe),
    StartDocker,
    JoinDockerGroup,
    /// Leave the swarm the server is in: asked for by a person.
    LeaveSwarm,
    /// Write into the Cluster that this server, and no other, may make the swarm.
    ClaimInit,
    InitSwarm,
    /// Write the swarm's identity into the Cluster.
    RecordSwarm {
        id: String,
    },
    ProbePorts,
    JoinSwarm {
        role: SwarmRole,
    },
    UpdateNode(NodeWish),
}

/// What a node should look like; none: as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeWish {
    pub role: SwarmRole,
    pub availability: Availability,
    pub labels: BTreeMap<String, String>,
}

impl Step {
    /// The label of the metric and the word in the log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InstallDocker(_) => "install-docker",
            Self::StartDocker => "start-docker",
            Self::JoinDockerGroup => "join-docker-group",
            Self::LeaveSwarm => "leave-swarm",
            Self::ClaimInit => "claim-init",
            Self::InitSwarm => "init-swarm",
            Self::RecordSwarm { .. } => "record-swarm",
            Self::ProbePorts => "probe-ports",
            Self::JoinSwarm { .. } => "join-swarm",
            Self::UpdateNode(_) => "update-node",
        }
    }

    /// For people, while it is under way.
    pub const fn doing(&self) -> &'static str {
        match self {
            Self::InstallDocker(_) => "Installing Docker.",
            Self::StartDocker => "Starting Docker.",
            Self::JoinDockerGroup => "Letting the SSH user use Docker.",
            Self::LeaveSwarm => "Leaving the swarm the server was in.",
            Self::ClaimInit | Self::InitSwarm | Self::RecordSwarm { .. } => "Initializing the swarm.",
            Self::ProbePorts => "Checking the ports between the servers.",
            Self::JoinSwarm { .. } => "Joining the swarm.",
            Self::UpdateNode(_) => "Updating the node.",
        }
    }

    /// The Event after success: reason and note. None for steps nobody asks about.
    pub const fn done(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::InstallDocker(_) => Some(("DockerInstalled", "Docker was installed")),
            Self::StartDocker => Some(("DockerStarted", "Docker was started")),
            Self::LeaveSwarm => Some(("SwarmLeft", "The server left the swarm it was in")),
            Self::InitSwarm => Some(("SwarmInitialized", "The swarm was initialized")),
            Self::JoinSwarm { .. } => Some(("SwarmJoined", "The server joined the swarm")),
            Self::UpdateNode(_) => Some(("NodeUpdated", "Role, availability or labels of the node were updated")),
            Self::JoinDockerGroup | Self::ClaimInit | Self::RecordSwarm { .. } | Self::ProbePorts => None,
        }
    }
}
