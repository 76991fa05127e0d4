//! What every reconcile shares: the API, the fleet, and a little memory that may be lost at any time.

use crate::observe::is_manager;
use crate::routes::StackKey;
use crate::verdict::Verdict;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::reflector::Store;
use kube::{Client, Resource, ResourceExt as _};
use otternauts_fleet::Fleet;
use otternauts_types::server::ServerPhase;
use otternauts_types::{Cluster, Server, Stack};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// An Event's note must be shorter than 1 KiB.
const NOTE: usize = 1000;
/// Most domains remembered; those of one cluster are at most a few thousand.
const DOMAINS: usize = 20_000;

pub struct Context {
    pub client: Client,
    pub fleet: Fleet,
    pub recorder: Recorder,
    pub stacks: Store<Stack>,
    pub servers: Store<Server>,
    /// Cluster and host -> what was found.
    verdicts: Mutex<HashMap<(String, String), Verdict>>,
    /// Uids of the Servers that have been prepared for the proxy since we started.
    prepared: Mutex<HashSet<String>>,
    /// A Cluster's uid -> how its ingress stood when we last looked.
    standings: Mutex<HashMap<String, Standing>>,
}

/// The task of the swarm that was seen running last as a Cluster's proxy, and the Server that it ran on.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    pub task: Option<String>,
    pub server: Option<String>,
}

impl Context {
    pub fn new(client: Client, fleet: Fleet, recorder: Recorder, stacks: Store<Stack>, servers: Store<Server>) -> Self {
        let (verdicts, prepared, standings) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { client, fleet, recorder, stacks, servers, verdicts, prepared, standings }
    }

    pub fn verdict(&self, cluster: &str, host: &str) -> Option<Verdict> {
        self.verdicts.lock().get(&(cluster.to_owned(), host.to_owned())).cloned()
    }

    pub fn remember(&self, cluster: &str, host: &str, verdict: Verdict) {
        let mut known = self.verdicts.lock();
        if known.len() >= DOMAINS {
            known.clear();
        }
        known.insert((cluster.to_owned(), host.to_owned()), verdict);
    }

    /// The Servers of a cluster on which the swarm may start the proxy, as far as they can be reached, and whether each has been
    /// prepared for it since we started.
    pub fn managers(&self, cluster: &str) -> BTreeMap<String, bool> {
        let prepared = self.prepared.lock();
        let reachable = |s: &&Arc<Server>| s.status.as_ref().is_some_and(|s| s.phase != ServerPhase::Unreachable);
        let servers = self.servers_of(cluster);
        let managers = servers.iter().filter(|s| is_manager(s)).filter(reachable);
        managers.map(|s| (s.name_any(), prepared.contains(&s.uid().unwrap_or_default()))).collect()
    }

    pub fn set_prepared(&self, server: &Server) {
        self.prepared.lock().insert(server.uid().unwrap_or_default());
    }

    /// Empty before the first look since we started.
    pub fn standing(&self, cluster: &Cluster) -> Standing {
        self.standings.lock().get(&cluster.uid().unwrap_or_default()).cloned().unwrap_or_default()
    }

    pub fn set_standing(&self, cluster: &Cluster, standing: Standing) {
        self.standings.lock().insert(cluster.uid().unwrap_or_default(), standing);
    }

    /// The Stacks of a cluster.
    pub fn stacks_of(&self, cluster: &str) -> Vec<Arc<Stack>> {
        self.stacks.state().into_iter().filter(|s| cluster_of(s) == cluster).collect()
    }

    /// The Servers of a cluster, by name.
    pub fn servers_of(&self, cluster: &str) -> Vec<Arc<Server>> {
        let mut all: Vec<_> = self.servers.state().into_iter().filter(|s| cluster_of_server(s) == cluster).collect();
        all.sort_by_key(|s| s.name_any());
        all
    }

    /// An Event for people; its loss is not worth a retry.
    pub async fn say<K: Resource<DynamicType = ()>>(&self, about: &K, warning: bool, reason: &str, note: &str) {
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(otternauts_fleet::tail(note, NOTE).to_owned()),
            action: "Route".to_owned(),
            secondary: None,
        };
        if let Err(e) = self.recorder.publish(&event, &about.object_ref(&())).await {
            tracing::debug!(error = %e, "an Event was not written");
        }
    }
}

/// The Cluster a Stack runs on.
pub fn cluster_of(stack: &Stack) -> &str {
    stack.spec.cluster_ref.as_ref().map_or("default", |r| r.name.as_str())
}

/// The Cluster a Server belongs to.
pub fn cluster_of_server(server: &Server) -> &str {
    server.spec.cluster_ref.as_ref().map_or("default", |r| r.name.as_str())
}

/// Namespace and name.
pub fn key(stack: &Stack) -> StackKey {
    (stack.namespace().unwrap_or_default(), stack.name_any())
}

/// Whether the cluster's ingress is a person's wish, whether or not a service has domains.
pub fn is_asked_for(cluster: &Cluster) -> bool {
    cluster.spec.ingress.is_some()
}
