//! What everything here shares: the API as the watches know it, the fleet, and the board.

use crate::audit::{Acted, Audit};
use crate::board::Board;
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use otternauts_fleet::Fleet;
use otternauts_reconciler::watch;
use otternauts_telemetry::Metrics;
use otternauts_types::heal_rule::HealActionRecord;
use otternauts_types::{HealRule, Server, Stack};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::Notify;

/// An Event's note must be shorter than 1 KiB.
const NOTE: usize = 250;

pub struct Context {
    pub client: Client,
    pub fleet: Fleet,
    pub rules: Store<HealRule>,
    pub stacks: Store<Stack>,
    pub servers: Store<Server>,
    /// Something happened: the rules are to be looked at.
    pub wake: Arc<Notify>,
    pub recorder: Recorder,
    /// Held by whoever takes a Server out of service: the next one sees what is left.
    pub drains: tokio::sync::Mutex<()>,
    audit: Audit,
    board: Mutex<Board>,
}

impl Context {
    pub fn new(
        client: Client,
        fleet: Fleet,
        stores: (Store<HealRule>, Store<Stack>, Store<Server>),
        wake: Arc<Notify>,
        recorder: Recorder,
        audit: Audit,
    ) -> Self {
        let (rules, stacks, servers) = stores;
        let (drains, board) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { client, fleet, rules, stacks, servers, wake, recorder, drains, audit, board }
    }

    pub fn audit(&self, acted: &Acted<'_>) {
        (self.audit)(acted);
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        self.fleet.metrics()
    }

    pub fn board<R>(&self, work: impl FnOnce(&mut Board) -> R) -> R {
        work(&mut self.board.lock())
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }

    pub fn stack(&self, namespace: &str, name: &str) -> Option<Arc<Stack>> {
        self.stacks.find(|s| s.namespace().as_deref() == Some(namespace) && s.name_any() == name)
    }

    pub fn server(&self, name: &str) -> Option<Arc<Server>> {
        self.servers.find(|s| s.name_any() == name)
    }

    /// Everything is known that there is.
    pub async fn until_known(&self) -> crate::Result<()> {
        let ended = |_| crate::Error::Watch;
        self.rules.wait_until_ready().await.map_err(ended)?;
        self.stacks.wait_until_ready().await.map_err(ended)?;
        self.servers.wait_until_ready().await.map_err(ended)
    }

    /// Events on a rule and on what it acted upon. Those that cannot be written are logged and forgotten: Events are for reading.
    pub async fn say(&self, rule: &HealRule, record: &HealActionRecord, warning: bool, reason: &str, note: &str) {
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        let note = Some(note.chars().take(NOTE).collect());
        let event = Event { type_, reason: reason.to_owned(), note, action: "Heal".into(), secondary: None };
        for about in [Some(rule.object_ref(&())), self.reference(&record.target)].into_iter().flatten() {
            if let Err(e) = self.recorder.publish(&event, &about).await {
                tracing::debug!(error = %e, "an Event was not written");
            }
        }
    }

    fn reference(&self, target: &str) -> Option<ObjectReference> {
        match crate::plan::Target::parse(target)? {
            crate::plan::Target::Stack { namespace, name, .. } => Some(self.stack(namespace, name)?.object_ref(&())),
            crate::plan::Target::Server(name) => Some(self.server(name)?.object_ref(&())),
        }
    }
}

/// All objects of a kind, kept as they are now, and the work of keeping them.
pub fn keep<K>(client: &Client, wake: &Arc<Notify>) -> (Store<K>, impl Future<Output = ()> + Send + 'static)
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let objects = watch(Api::<K>::all(client.clone()), watcher::Config::default());
    (store, tell(objects.default_backoff().reflect(writer), Arc::clone(wake)))
}

async fn tell<T>(watch: impl Stream<Item = Result<T, watcher::Error>> + Send, wake: Arc<Notify>) {
    let mut watch = std::pin::pin!(watch);
    while let Some(event) = watch.next().await {
        match event {
            Ok(_) => wake.notify_one(),
            Err(error) => tracing::debug!(%error, "a watch was interrupted"),
        }
    }
}
