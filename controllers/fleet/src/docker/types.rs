//! What callers see of the engine: only what we use, with absent values made explicit.

use otternauts_meta::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The answer to `GET /version`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Engine {
    #[serde(rename = "Version")]
    pub version: String,
    #[serde(rename = "ApiVersion")]
    pub api_version: String,
}

/// What the engine says about itself, its machine and its place in a swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The machine's host name, which is also the node's name.
    pub name: String,
    pub operating_system: String,
    pub cpus: i64,
    pub memory_bytes: i64,
    /// The engine's clock, nanoseconds since 1970.
    pub time_nanos: i64,
    pub swarm: SwarmState,
}

/// The engine's own view of its membership.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwarmState {
    pub state: LocalNodeState,
    pub node_id: String,
    pub node_address: String,
    /// A manager that takes part in decisions.
    pub control_available: bool,
    /// The swarm's identifier; managers only.
    pub cluster_id: Option<String>,
    /// Addresses (`IP:2377`) of the managers it knows.
    pub managers: Vec<String>,
    pub error: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalNodeState {
    #[default]
    Inactive,
    Pending,
    Active,
    Error,
    Locked,
}

/// The swarm as a manager sees it. The tokens let anybody in: fetched when needed, never stored (OT-20).
#[derive(Clone, Debug)]
pub struct Swarm {
    pub id: String,
    pub worker_token: Secret<String>,
    pub manager_token: Secret<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    Manager,
    Worker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeAvailability {
    Active,
    Pause,
    Drain,
}

/// One member of the swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: String,
    /// For updates: the version that was read.
    pub version: u64,
    pub hostname: String,
    pub role: NodeRole,
    pub availability: NodeAvailability,
    pub labels: BTreeMap<String, String>,
    /// `ready`, `down`, `disconnected` or `unknown`.
    pub state: String,
    pub address: String,
    pub engine_version: String,
    pub leader: bool,
    /// Managers only: whether the others reach it.
    pub reachable: Option<bool>,
}

/// How many tasks a service wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceMode {
    Replicated(u64),
    Global,
    ReplicatedJob(u64),
    GlobalJob,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    pub protocol: String,
    pub target: u16,
    pub published: u16,
    /// `ingress` or `host`.
    pub mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub id: String,
    pub name: String,
    /// Moves with every change of the service.
    pub version: u64,
    pub labels: BTreeMap<String, String>,
    pub image: String,
    pub mode: ServiceMode,
    pub constraints: Vec<String>,
    pub ports: Vec<PublishedPort>,
    /// The tasks that belong to the present version have the same digest of their spec.
    pub template_digest: String,
    /// `updating`, `paused`, `completed`, `rollback_started`, `rollback_paused` or `rollback_completed`; none before the
    /// first update.
    pub update_state: Option<String>,
    pub update_message: Option<String>,
    pub running_tasks: u64,
    pub desired_tasks: u64,
    pub completed_tasks: u64,
}

/// Where a task is in its life; later is greater, and from `Complete` on it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskState {
    New,
    Allocated,
    Pending,
    Assigned,
    Accepted,
    Preparing,
    Ready,
    Starting,
    Running,
    Complete,
    Shutdown,
    Failed,
    Rejected,
    Remove,
    Orphaned,
}

impl TaskState {
    pub fn is_over(self) -> bool {
        self >= Self::Complete
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub id: String,
    pub service_id: String,
    /// Replica number; none for global services.
    pub slot: Option<i64>,
    /// Empty until the scheduler has chosen.
    pub node_id: String,
    pub state: TaskState,
    pub desired_state: TaskState,
    pub message: String,
    pub error: String,
    pub exit_code: Option<i64>,
    pub container_id: Option<String>,
    pub image: String,
    /// See [`Service::template_digest`].
    pub spec_digest: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339: of the present state.
    pub state_since: String,
}

/// A container, asked of the engine it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    pub running: bool,
    pub oom_killed: bool,
    pub exit_code: Option<i64>,
    pub error: String,
    /// Its health check failed as often as it may. The engine calls every container unhealthy that has a check and has ended.
    pub unhealthy: bool,
    /// The last outputs of the health check, oldest first, cut to 1 KiB each.
    pub health_log: Vec<String>,
}

/// A running container of a task, as a list tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskContainer {
    pub id: String,
    pub labels: BTreeMap<String, String>,
    /// Both are false without a health check, and while it has not decided yet.
    pub healthy: bool,
    pub unhealthy: bool,
}

/// A container of the engine's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunningContainer {
    pub id: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// What one container uses, at one moment. Each is none where the engine does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// When it was read, nanoseconds since 1970 by the engine's clock.
    pub read_nanos: i64,
    /// Time on any core since it started.
    pub cpu_nanos: Option<u64>,
    /// Without the page cache that is not in use.
    pub memory_bytes: Option<u64>,
    /// Its limit; the memory of the machine where it has none.
    pub memory_limit: Option<u64>,
    pub received_bytes: Option<u64>,
    pub sent_bytes: Option<u64>,
    pub read_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
    pub processes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub id: String,
    pub name: String,
    pub driver: String,
    pub scope: String,
    pub attachable: bool,
    pub labels: BTreeMap<String, String>,
}

/// A swarm secret or config: the engine never gives a secret's data back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedObject {
    pub id: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// One line of the engine's event stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `service`, `node`, `container`, `network`, ...
    pub kind: String,
    pub action: String,
    pub id: String,
    pub attributes: BTreeMap<String, String>,
    /// Nanoseconds since 1970.
    pub time_nanos: i64,
}

/// A piece of a log; usually one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogChunk {
    pub stderr: bool,
    /// Without terminal control sequences; begins with an RFC 3339 time when asked for.
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    pub follow: bool,
    pub timestamps: bool,
    /// The last lines only; none: all.
    pub tail: Option<u32>,
    /// Unix seconds; 0: from the beginning.
    pub since: i32,
}
