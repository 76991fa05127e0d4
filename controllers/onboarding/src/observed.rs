//! What was seen, as data: the input of `decide`. Facts that could not be asked yet are absent.

use crate::facts::{Os, Probe};
use otternauts_fleet::ObservedHostKey;
use otternauts_fleet::docker::{Node, SwarmState};
use otternauts_types::cluster::DockerInstall;
use std::time::Duration;

/// The way to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    #[default]
    NotTried,
    Unreachable(String),
    /// The server shows this key; nobody has confirmed one yet.
    Shown(ObservedHostKey),
    /// The server shows another key than the confirmed one.
    OtherKey(ObservedHostKey),
    /// The Secret or the key in it does not exist (yet).
    NoPrivateKey(String),
    Refused(String),
    /// Logged in; with the time that took when the connection is new.
    Up {
        key: Option<ObservedHostKey>,
        took: Option<Duration>,
    },
    /// This machine itself.
    Local,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    Missing,
    Down(String),
    Up { version: String },
}

/// What the Cluster says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    pub swarm_id: Option<String>,
    /// The server that may make the swarm.
    pub init_server: Option<String>,
    /// That server exists and is not being deleted.
    pub init_server_lives: bool,
    pub min_docker: Option<String>,
    pub install: DockerInstall,
}

/// The managers of the swarm that we can ask, other than the server itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Managers {
    /// No other server is a manager.
    #[default]
    Nobody,
    Unreachable,
    /// One answers, but they have had no leader for a short while.
    Electing,
    Reachable,
}

/// A step that went wrong in this round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub step: &'static str,
    pub detail: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Its connection was made, or its swarm got a leader, a short while ago: the swarm may not have noticed yet that it is there.
    pub returning: bool,
    /// None: there is no such Cluster.
    pub cluster: Option<ClusterView>,
    pub link: Link,
    /// Err: what sudo said.
    pub sudo: Option<Result<(), String>>,
    pub os: Option<Os>,
    pub disk_free: Option<i64>,
    pub engine: Option<Engine>,
    pub in_docker_group: bool,
    /// CPUs and bytes of memory.
    pub machine: Option<(i64, i64)>,
    pub swarm: Option<SwarmState>,
    pub managers: Managers,
    /// The server as its swarm's managers see it: None when it could not be asked, Some(None) when they do not know it.
    pub node: Option<Option<Node>>,
    /// How many managers the swarm has, when it could be asked.
    pub manager_count: Option<usize>,
    pub ports: Option<Vec<Probe>>,
    /// Steps done in this round, for those that cannot be seen to have worked.
    pub done: Vec<&'static str>,
    pub failure: Option<Failure>,
}
