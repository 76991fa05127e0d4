//! What every reconcile shares. What was heard may be lost at any time: the engines tell it again.

use crate::probes::Probing;
use crate::ward::{Service, Ward};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::reflector::Store;
use kube::{Client, Resource as _, ResourceExt as _};
use otternauts_fleet::Fleet;
use otternauts_types::Stack;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use tokio::sync::mpsc;

/// Stacks of swarms that are remembered, ours and others'.
const WARDS: usize = 10_000;
/// An Event's note must be shorter than 1 KiB.
const NOTE: usize = 250;

pub struct Context {
    pub client: Client,
    pub fleet: Fleet,
    recorder: Recorder,
    /// All Stacks, as the controller's own watch has them.
    stacks: Store<Stack>,
    /// Stacks about which a probe has news.
    news: mpsc::Sender<String>,
    probing: Mutex<HashMap<String, Probing>>,
    /// By the stack's name in the swarm.
    wards: Mutex<BTreeMap<String, Ward>>,
}

impl Context {
    pub fn new(
        client: Client,
        fleet: Fleet,
        recorder: Recorder,
        stacks: Store<Stack>,
        news: mpsc::Sender<String>,
    ) -> Self {
        Self { client, fleet, recorder, stacks, news, probing: Mutex::default(), wards: Mutex::default() }
    }

    pub fn wards<R>(&self, work: impl FnOnce(&mut BTreeMap<String, Ward>) -> R) -> R {
        work(&mut self.wards.lock())
    }

    /// What is probed, by the stack's name in the swarm.
    pub fn probing<R>(&self, work: impl FnOnce(&mut HashMap<String, Probing>) -> R) -> R {
        work(&mut self.probing.lock())
    }

    /// Has a stack looked at. When too much waits already, the next event or probe does it.
    pub fn tell(&self, stack: &str) {
        let _ = self.news.try_send(stack.to_owned());
    }

    /// What was heard of one service; `None` when there are too many already.
    pub fn service<R>(&self, stack: &str, service: &str, work: impl FnOnce(&mut Service) -> R) -> Option<R> {
        let mut wards = self.wards.lock();
        if wards.len() >= WARDS && !wards.contains_key(stack) {
            return None;
        }
        Some(work(wards.entry(stack.to_owned()).or_default().0.entry(service.to_owned()).or_default()))
    }

    /// Namespace and name of the Stack that has this name in the swarm.
    pub fn stack_of(&self, name: &str) -> Option<(String, String)> {
        let stacks = self.stacks.state();
        let stack = stacks.iter().find(|s| crate::swarm_stack(s) == Some(name))?;
        Some((stack.namespace().unwrap_or_default(), stack.name_any()))
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
