//! What a reconcile works with: the API, the fleet, and a little memory that may be lost at any time.

use crate::observed::Managers;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::Secret as SecretObject;
use kube::api::{Api, ObjectMeta};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::reflector::Store;
use kube::{Client, Resource, ResourceExt as _};
use otternauts_fleet::docker::Info;
use otternauts_fleet::{Docker, Endpoint, Fleet, Host};
use otternauts_meta::Secret;
use otternauts_types::server::{Connection, SwarmRole};
use otternauts_types::{Cluster, Server};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a swarm may be without a leader before that counts as a failure: elections take 10 to 40 s.
const ELECTION: Duration = Duration::from_secs(120);
/// How long a manager may take to answer before the next one is asked (OT-27).
const MANAGER_PATIENCE: Duration = Duration::from_secs(5);
/// How long they may take when all others do not answer either: a busy machine is slow, not gone.
const LAST_PATIENCE: Duration = Duration::from_secs(30);

pub struct Context {
    pub client: Client,
    pub fleet: Fleet,
    pub recorder: Recorder,
    pub servers: Api<Server>,
    pub clusters: Api<Cluster>,
    /// All Servers as the watch has them.
    pub store: Store<Server>,
    memory: Mutex<HashMap<String, Memory>>,
    lost: Mutex<HashSet<String>>,
    /// By cluster.
    elections: Mutex<HashMap<String, Election>>,
}

/// A time without a leader.
struct Election {
    /// None: it is over.
    began: Option<Instant>,
    /// When a manager last said so.
    heard: Instant,
}

#[derive(Default)]
struct Memory {
    /// When its connection was made.
    connected: Option<Instant>,
    failures: u32,
    settled: Option<Settled>,
}

/// A server that needs no work as long as the objects are these.
struct Settled {
    versions: (String, String),
    /// None: until something changes.
    until: Option<Instant>,
}

/// A manager that answered.
pub struct Manager {
    pub docker: Docker,
    pub info: Info,
}

impl Context {
    pub fn new(client: Client, fleet: Fleet, recorder: Recorder, store: Store<Server>) -> Self {
        Self {
            servers: Api::all(client.clone()),
            clusters: Api::all(client.clone()),
            client,
            fleet,
            recorder,
            store,
            memory: Mutex::default(),
            lost: Mutex::default(),
            elections: Mutex::default(),
        }
    }

    /// The private key of a Server, or why there is none. Err(Ok(text)): for people; Err(Err(e)): the API failed.
    pub async fn private_key(&self, server: &Server) -> Result<Secret<String>, Result<String, kube::Error>> {
        let Some(reference) = &server.spec.private_key_secret_ref else {
            return Err(Ok("spec.privateKeySecretRef is not set.".to_owned()));
        };
        let api: Api<SecretObject> = Api::namespaced(self.client.clone(), reference.namespace());
        let which = format!("{}/{}", reference.namespace(), reference.name);
        let Some(object) = api.get_opt(&reference.name).await.map_err(Err)? else {
            return Err(Ok(format!("Secret {which} does not exist.")));
        };
        let mut data = object.data.unwrap_or_default();
        let Some(bytes) = data.remove(reference.key()) else {
            return Err(Ok(format!("Secret {which} has no key {:?}.", reference.key())));
        };
        match String::from_utf8(bytes.0) {
            Ok(text) => Ok(Secret::new(text)),
            Err(_) => Err(Ok(format!("Key {:?} of Secret {which} is not text.", reference.key()))),
        }
    }

    /// The way to a Server, when everything for it is there.
    pub async fn host(&self, server: &Server) -> Option<Host> {
        let key = match server.spec.connection {
            Connection::Local => None,
            Connection::Ssh => Some(self.private_key(server).await.ok()?),
        };
        let endpoint = Endpoint::of(&server.spec, key).ok()??;
        Some(self.fleet.host(&server.name_any(), &endpoint))
    }

    /// Servers of a cluster that are managers by their status, the ready ones first.
    pub fn managers(&self, cluster: &str, except: Option<&str>) -> Vec<Arc<Server>> {
        let role = |s: &Server| s.status.as_ref().and_then(|s| s.swarm_role);
        let mut found: Vec<Arc<Server>> = self
            .store
            .state()
            .into_iter()
            .filter(|s| cluster_name(s) == cluster && role(s) == Some(SwarmRole::Manager))
            .filter(|s| Some(s.name_any().as_str()) != except)
            .collect();
        found.sort_by_key(|s| (s.status.as_ref().map_or(9, |s| s.phase as u8 ^ 2), s.name_any()));
        found
    }

    /// The first manager of the swarm that answers and has a say (OT-F16); else why there is none.
    pub async fn manager(&self, cluster: &str, swarm: &str, except: Option<&str>) -> Result<Manager, Managers> {
        let ask = |server: Arc<Server>| async move {
            let docker = self.host(&server).await?.docker().await.ok()?;
            let info = docker.info().await.ok()?;
            Some(Manager { docker, info })
        };
        let (mut leaderless, mut late) = (false, Vec::new());
        let mut has_a_say = |manager: &Manager| match manager.info.swarm.cluster_id.as_deref() {
            _ if !manager.info.swarm.control_available => false,
            Some(id) => id == swarm,
            // Only a leader knows the swarm's id.
            None => {
                leaderless = true;
                false
            }
        };
        for server in self.managers(cluster, except) {
            match tokio::time::timeout(MANAGER_PATIENCE, ask(Arc::clone(&server))).await {
                Ok(answer) => {
                    if let Some(manager) = answer.filter(&mut has_a_say) {
                        return Ok(self.led(cluster, manager));
                    }
                }
                Err(_) => late.push(tokio::time::timeout(LAST_PATIENCE, ask(server))),
            }
        }
        let mut late: FuturesUnordered<_> = late.into_iter().collect();
        while let Some(answer) = late.next().await {
            if let Some(manager) = answer.ok().flatten().filter(&mut has_a_say) {
                return Ok(self.led(cluster, manager));
            }
        }
        Err(if leaderless { self.leaderless(cluster) } else { Managers::Unreachable })
    }

    /// Its swarm has a leader: no election goes on.
    fn led(&self, cluster: &str, manager: Manager) -> Manager {
        let mut elections = self.elections.lock().unwrap_or_else(PoisonError::into_inner);
        elections.entry(cluster.to_owned()).and_modify(|e| e.began = None);
        manager
    }

    /// A manager answers that its swarm has no leader: an election, unless that has been so for long.
    pub fn leaderless(&self, cluster: &str) -> Managers {
        let mut elections = self.elections.lock().unwrap_or_else(PoisonError::into_inner);
        let election =
            elections.entry(cluster.to_owned()).or_insert_with(|| Election { began: None, heard: Instant::now() });
        election.heard = Instant::now();
        let began = election.began.get_or_insert_with(Instant::now);
        if began.elapsed() < ELECTION { Managers::Electing } else { Managers::Unreachable }
    }

    /// How long ago the swarm last had no leader. A new leader knows no node before it has reported.
    pub fn elected_for(&self, cluster: &str) -> Option<Duration> {
        let elections = self.elections.lock().unwrap_or_else(PoisonError::into_inner);
        elections.get(cluster).map(|e| e.heard.elapsed())
    }

    /// How long the connection to a server has stood; `fresh` when it was made just now.
    pub fn connected_for(&self, name: &str, fresh: bool) -> Duration {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let connected = &mut memory.entry(name.to_owned()).or_default().connected;
        if fresh {
            *connected = Some(Instant::now());
        }
        connected.get_or_insert_with(Instant::now).elapsed()
    }

    /// The connection is gone: whoever makes the next one, it is new.
    pub fn disconnected(&self, name: &str) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = memory.get_mut(name) {
            known.connected = None;
        }
    }

    /// Whether nothing has changed since this server was last looked at; with the pause that is left.
    pub fn is_settled(&self, name: &str, versions: &(String, String)) -> Option<Option<Duration>> {
        if self.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(name) {
            return None;
        }
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = memory.get(name)?.settled.as_ref().filter(|s| s.versions == *versions)?;
        let Some(until) = settled.until else { return Some(None) };
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(Some(left))
    }

    pub fn settle(&self, name: &str, versions: (String, String), pause: Option<Duration>) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let until = pause.map(|p| Instant::now() + p);
        memory.entry(name.to_owned()).or_default().settled = Some(Settled { versions, until });
    }

    /// The pause before the next try: 1 s, doubling to 15 s, so that a mended cause is noticed soon.
    pub fn backoff(&self, name: &str) -> Duration {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = memory.entry(name.to_owned()).or_default();
        let pause = Duration::from_secs(1 << memory.failures.min(4)).min(Duration::from_secs(15));
        memory.failures += 1;
        pause
    }

    pub fn calm(&self, name: &str) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.entry(name.to_owned()).or_default().failures = 0;
    }

    pub fn forget(&self, name: &str) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.fleet.forget(name);
    }

    /// The connection to this server ended: look again whatever the objects say.
    pub fn mark_lost(&self, name: String) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// An Event for people; its loss is not worth a retry.
    pub async fn event(&self, server: &Server, warning: bool, reason: &str, note: &str) {
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(otternauts_fleet::tail(note, 1000).to_owned()),
            action: "Onboard".to_owned(),
            secondary: None,
        };
        if let Err(e) = self.recorder.publish(&event, &server.object_ref(&())).await {
            tracing::debug!(server = server.name_any(), error = %e, "an Event was not recorded");
        }
    }
}

/// The Cluster a Server belongs to.
pub fn cluster_name(server: &Server) -> &str {
    server.spec.cluster_ref.as_ref().map_or("default", |r| &r.name)
}

pub fn is_going(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some()
}
