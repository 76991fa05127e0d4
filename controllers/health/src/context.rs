//! What every reconcile shares. What was heard may be lost at any time: the engines tell it again.

use crate::away::{Away, GRACE};
use crate::probes::{Errand, Probing};
use crate::ward::{Service, Ward};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::reflector::Store;
use kube::{Client, Resource as _, ResourceExt as _};
use otternauts_fleet::{Fleet, Host};
use otternauts_types::{Server, Stack};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Stacks of swarms that are remembered, ours and others'.
const WARDS: usize = 10_000;
/// What holds when we begin is not taken back before everybody was asked, or this has passed.
const SETTLED: Duration = Duration::from_secs(90);
/// An Event's note must be shorter than 1 KiB.
const NOTE: usize = 250;

pub struct Context {
    pub client: Client,
    pub fleet: Fleet,
    recorder: Recorder,
    /// All Stacks, as the controller's own watch has them.
    stacks: Store<Stack>,
    servers: Store<Server>,
    /// Stacks of which there is something new to say.
    news: mpsc::Sender<String>,
    probing: Mutex<HashMap<String, Probing>>,
    /// By the stack's name in the swarm. Taken after `probing`, never before it.
    wards: Mutex<BTreeMap<String, Ward>>,
    away: Mutex<Away>,
    /// Servers that were looked at, or do not answer, since we began.
    heard: Mutex<BTreeSet<String>>,
    /// It is known which servers there are.
    servers_known: AtomicBool,
    began: Instant,
}

impl Context {
    pub fn new(
        client: Client,
        fleet: Fleet,
        recorder: Recorder,
        (stacks, servers): (Store<Stack>, Store<Server>),
        news: mpsc::Sender<String>,
    ) -> Self {
        let (probing, wards, away) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (heard, servers_known, began) = (Mutex::default(), AtomicBool::new(false), Instant::now());
        Self { client, fleet, recorder, stacks, servers, news, probing, wards, away, heard, servers_known, began }
    }

    pub fn wards<R>(&self, work: impl FnOnce(&mut BTreeMap<String, Ward>) -> R) -> R {
        work(&mut self.wards.lock())
    }

    /// What is probed, by the stack's name in the swarm.
    pub fn probing<R>(&self, work: impl FnOnce(&mut HashMap<String, Probing>) -> R) -> R {
        work(&mut self.probing.lock())
    }

    /// Nothing goes on in the background any more.
    pub fn end(&self) {
        self.probing(HashMap::clear);
        *self.away.lock() = Away::default();
    }

    /// Has a stack looked at.
    pub async fn tell(&self, stack: &str) {
        // Nobody is left to be told when the controller ends.
        let _ = self.news.send(stack.to_owned()).await;
    }

    /// What was heard of one service; `None` when there are too many already.
    pub fn service<R>(&self, stack: &str, service: &str, work: impl FnOnce(&mut Service) -> R) -> Option<R> {
        let mut wards = self.wards.lock();
        if wards.len() >= WARDS && !wards.contains_key(stack) {
            return None;
        }
        Some(work(wards.entry(stack.to_owned()).or_default().0.entry(service.to_owned()).or_default()))
    }

    /// As [`Context::service`], for a probe; `None` as well when it is not the one that is asked any more.
    pub fn probed<R>(&self, errand: &Errand, work: impl FnOnce(&mut Service) -> R) -> Option<R> {
        let probing = self.probing.lock();
        probing.get(&errand.stack).filter(|p| p.is_of(errand))?;
        self.service(&errand.stack, &errand.service, work)
    }

    /// Namespace and name of the Stack that has this name in the swarm.
    pub fn stack_of(&self, name: &str) -> Option<(String, String)> {
        let stacks = self.stacks.state();
        let stack = stacks.iter().find(|s| crate::swarm_stack(s) == Some(name))?;
        Some((stack.namespace().unwrap_or_default(), stack.name_any()))
    }

    /// A server was looked at, or does not answer.
    pub fn heard(&self, server: &str) {
        if self.began.elapsed() < SETTLED {
            self.heard.lock().insert(server.to_owned());
        }
    }

    /// For how long at most it is not known yet, after our beginning, how a stack of a cluster is; `None` when it is known.
    pub fn settles(&self, swarm_stack: &str, cluster: &str) -> Option<Duration> {
        let left = SETTLED.checked_sub(self.began.elapsed()).filter(|left| !left.is_zero())?;
        let unheard = {
            let (servers, heard) = (self.servers.state(), self.heard.lock());
            let mut ours = servers.iter().filter(|s| cluster_of(s) == cluster);
            !self.servers_known.load(Ordering::Acquire) || ours.any(|s| !heard.contains(&s.name_any()))
        };
        let probed = self.probing(|all| all.get(swarm_stack).map(|p| p.services().to_vec()).unwrap_or_default());
        let asked = |name: &String| self.service(swarm_stack, name, |s| s.was_asked()) == Some(true);
        (unheard || !probed.iter().all(asked)).then_some(left)
    }

    /// The servers of a cluster that can be asked now.
    pub fn hosts_of(&self, cluster: &str) -> Vec<Host> {
        let servers = self.servers.state();
        let away = self.away.lock();
        let ours = servers.iter().filter(|s| cluster_of(s) == cluster);
        let there = ours.map(|s| s.name_any()).filter(|name| !away.has(name));
        there.filter_map(|name| self.fleet.followed(&name)).collect()
    }

    /// The engine of a server is not heard: when it stays so, what is on it says nothing any more.
    pub fn went(self: &Arc<Self>, server: &str) {
        let (ctx, name) = (Arc::downgrade(self), server.to_owned());
        let give_up = async move {
            if let Some(ctx) = ctx.upgrade() {
                ctx.forget_servers(|server| server == name).await;
            }
        };
        self.away.lock().went(server, GRACE, give_up);
    }

    pub fn back(&self, server: &str) {
        self.away.lock().back(server);
    }

    /// Servers that are no objects any more are forgotten.
    pub async fn keep_servers(&self) {
        self.servers_known.store(true, Ordering::Release);
        let known: BTreeSet<String> = self.servers.state().iter().map(|s| s.name_any()).collect();
        self.forget_servers(|server| !known.contains(server)).await;
    }

    async fn forget_servers(&self, gone: impl Fn(&str) -> bool) {
        let concerned: Vec<String> = self.wards(|wards| {
            let mut concerned = Vec::new();
            for (stack, ward) in wards.iter_mut() {
                let servers: BTreeSet<String> =
                    ward.0.values().flat_map(Service::servers).filter(|s| gone(s)).map(str::to_owned).collect();
                for server in &servers {
                    ward.0.values_mut().for_each(|service| service.forget_server(server));
                }
                concerned.extend((!servers.is_empty()).then(|| stack.clone()));
            }
            concerned
        });
        for stack in concerned {
            self.tell(&stack).await;
        }
    }

    /// Unix nanoseconds.
    pub fn now(&self) -> i64 {
        i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
    }

    /// An Event about a Stack. One that cannot be written is logged and forgotten: Events are for reading, not for relying on.
    pub async fn say(&self, stack: &Stack, warning: bool, reason: &str, note: &str) {
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        let note = Some(note.chars().take(NOTE).collect());
        let event = Event { type_, reason: reason.to_owned(), note, action: "Watch".into(), secondary: None };
        if let Err(e) = self.recorder.publish(&event, &stack.object_ref(&())).await {
            tracing::debug!(error = %e, "an Event was not written");
        }
    }
}

fn cluster_of(server: &Server) -> &str {
    server.spec.cluster_ref.as_ref().map_or("default", |r| r.name.as_str())
}
