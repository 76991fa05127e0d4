//! What the swarm shows of its ingress, and of the services that want to be reached through it.

use otternauts_compose::Route;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A service with domains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub namespace: String,
    pub stack: String,
    /// The service's name in the swarm, by which its tasks are found.
    pub service: String,
    pub routes: Vec<Route>,
    pub id: String,
    pub version: u64,
    /// A change of labels now would become what Swarm rolls back to.
    pub updating: bool,
    /// All labels of the service.
    pub labels: BTreeMap<String, String>,
}

/// The proxy as it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// Its service's name, without the stack's.
    pub service: String,
    /// Of the document it was made from.
    pub spec_sha256: Option<String>,
    pub updating: bool,
    /// The swarm's node that a running task of the newest version is on.
    pub running_on: Option<String>,
    /// The newest task that should run; for its log.
    pub task: Option<String>,
    /// What the newest task that does not run says.
    pub error: Option<String>,
}

/// Everything that a plan needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    pub claims: Vec<Claim>,
    /// None: no service of the ingress exists.
    pub proxy: Option<Proxy>,
    pub network: bool,
    /// Names of configs that exist.
    pub configs: BTreeSet<String>,
    /// Addresses of the cluster's machines.
    pub addresses: BTreeSet<IpAddr>,
}
