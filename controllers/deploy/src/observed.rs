//! The Swarm as it is: only what decisions need.

use std::collections::BTreeMap;

/// Everything on the Swarm that carries the stack's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    pub services: Vec<ObservedService>,
    /// Configs and secrets of the stack, by name.
    pub files: Vec<ObservedFile>,
    pub networks: Vec<ObservedNetwork>,
    /// Everything that exists under `networks`, `configs` and `secrets`, with the stack of ours that made it, if one did.
    pub existing: BTreeMap<(&'static str, String), Option<Owner>>,
}

/// The stack whose labels something carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub namespace: String,
    /// Empty on what was made before it was noted.
    pub stack: String,
}

impl Observed {
    pub fn service(&self, name: &str) -> Option<&ObservedService> {
        self.services.iter().find(|s| s.name == name)
    }

    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && self.files.is_empty() && self.networks.is_empty()
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedService {
    pub id: String,
    /// Moves with every change of it.
    pub version: u64,
    /// The compose file's name for it.
    pub name: String,
    /// Our label; `None` on a service that somebody else made.
    pub spec_sha256: Option<String>,
    /// With its digest, as it runs.
    pub image: String,
    pub job: bool,
    /// How many tasks should run (or, for a job, complete).
    pub desired: u64,
    /// How many tasks of a job have completed.
    pub completed: u64,
    pub update: Update,
    pub update_message: String,
    pub constraints: Vec<String>,
    pub tasks: Vec<ObservedTask>,
}

/// What Swarm says of the last update of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Update {
    /// Never updated, or done.
    #[default]
    Settled,
    Updating,
    Paused,
    RollingBack,
    RolledBack,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedTask {
    pub id: String,
    /// The slot, or the node of a global service.
    pub slot: String,
    pub node: String,
    pub container: Option<String>,
    pub state: TaskState,
    /// Swarm wants it to run (or, for a job, to complete).
    pub wanted: bool,
    /// It was made from the service's spec as it is now.
    pub current: bool,
    /// Swarm's error text.
    pub error: String,
    pub exit_code: Option<i64>,
    /// RFC 3339, by the host's clock: only good for ordering tasks.
    pub timestamp: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskState {
    /// Not placed on a node yet.
    #[default]
    Pending,
    /// On its way: assigned to starting.
    Preparing,
    Running,
    Complete,
    Failed,
    Rejected,
    /// Stopped, removed or lost with its node.
    Gone,
}

impl TaskState {
    /// It becomes something else by itself.
    pub fn is_moving(self) -> bool {
        matches!(self, Self::Pending | Self::Preparing)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedFile {
    pub secret: bool,
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedNetwork {
    pub id: String,
    pub name: String,
}
