//! Garbage collection by owner (rows G11 to G17): background, foreground, orphan.
//!
//! The graph only says what to look at; every decision is taken on what the store holds at that moment.

use super::collect_graph::Graph;
use super::drop_finalizer;
use super::follow::{Follower, Seen};
use crate::registry::{Registry, store_status};
use crate::shape::as_object;
use crate::verbs::delete::{FOREGROUND, ORPHAN};
use otternauts_meta::{GroupVersion, Object, OwnerReference, Status};
use otternauts_schema::Definition;
use otternauts_store::{Key, List, Range, Record};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

const QUEUE: usize = 256;
const RETRY: Duration = Duration::from_secs(2);

/// What is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    /// Are its owners still there?
    Dependent(Key),
    /// It waits for its dependents: `foregroundDeletion` or `orphan`.
    Owner(Key),
}

struct Collector {
    registry: Registry,
    graph: Graph,
    work: BTreeSet<Work>,
    /// Owners in foreground deletion by uid.
    waiting: HashMap<String, Key>,
    /// Dependents with an owner of a kind that is not known (row G16).
    unknown: HashSet<Key>,
}

pub(super) async fn run(registry: Registry) {
    let (sender, mut receiver) = mpsc::channel(QUEUE);
    let mut followed: HashMap<String, AbortHandle> = HashMap::new();
    // Dropped with this task, and the followers with it.
    let mut tasks: JoinSet<()> = JoinSet::new();
    let mut changes = registry.definitions_changed();
    let mut collector = Collector {
        registry: registry.clone(),
        graph: Graph::default(),
        work: BTreeSet::new(),
        waiting: HashMap::new(),
        unknown: HashSet::new(),
    };
    follow_all(&registry, &mut followed, &mut tasks, &sender);
    loop {
        tokio::select! {
            biased;
            Some((resource, seen)) = receiver.recv() => collector.note(&resource, seen),
            changed = changes.changed() => {
                if changed.is_err() {
                    break;
                }
                follow_all(&registry, &mut followed, &mut tasks, &sender);
                collector.work.extend(collector.unknown.drain().map(Work::Dependent));
            }
            () = std::future::ready(()), if !collector.work.is_empty() => collector.step().await,
        }
    }
}

type Batch = (String, Vec<Seen>);

/// One follower a storage; those of kinds that went are ended.
fn follow_all(
    registry: &Registry,
    followed: &mut HashMap<String, AbortHandle>,
    tasks: &mut JoinSet<()>,
    sender: &mpsc::Sender<Batch>,
) {
    while tasks.try_join_next().is_some() {}
    let wanted: HashSet<String> = stored_kinds(registry).iter().map(|d| d.group_resource().to_string()).collect();
    followed.retain(|resource, task| {
        let keep = wanted.contains(resource);
        if !keep {
            task.abort();
        }
        keep
    });
    for resource in wanted {
        followed.entry(resource.clone()).or_insert_with(|| {
            let mut follower = Follower::new(registry.store(), Range::resource(resource.as_str()));
            let sender = sender.clone();
            tasks.spawn(async move {
                while let Some(seen) = follower.next().await {
                    if sender.send((resource.clone(), seen)).await.is_err() {
                        return;
                    }
                }
            })
        });
    }
}

fn stored_kinds(registry: &Registry) -> Vec<Arc<Definition>> {
    let own = |d: &&Arc<Definition>| crate::kinds::of(d).stored_as().is_none();
    registry.definitions().all().iter().filter(own).map(Arc::clone).collect()
}

/// Stored bodies are JSON, so they are text.
fn contains(body: &[u8], text: &str) -> bool {
    std::str::from_utf8(body).is_ok_and(|body| body.contains(text))
}

fn parse(record: &Record) -> Option<Object> {
    serde_json::from_slice(&record.body).map(as_object).ok()
}

impl Collector {
    fn note(&mut self, resource: &str, seen: Vec<Seen>) {
        for one in seen {
            match one {
                Seen::Start => self.graph.forget(resource),
                Seen::Object(record) => self.note_object(&record),
                Seen::Gone(record) => self.note_gone(&record),
            }
        }
    }

    /// Most objects have no owners and no deletion under way: a look at the bytes is enough for them.
    fn note_object(&mut self, record: &Record) {
        let owned = contains(&record.body, "\"ownerReferences\"");
        let leaving = contains(&record.body, "\"deletionTimestamp\"");
        if !owned && !leaving {
            self.graph.remove(&record.key);
            return;
        }
        let Some(object) = parse(record) else { return };
        let owners: Vec<String> = object.owner_references().into_iter().map(|owner| owner.uid).collect();
        let has_owners = !owners.is_empty();
        self.graph.set(&record.key, owners);
        if has_owners {
            self.work.insert(Work::Dependent(record.key.clone()));
        }
        if object.is_terminating() && object.finalizers().iter().any(|f| *f == FOREGROUND || *f == ORPHAN) {
            self.work.insert(Work::Owner(record.key.clone()));
        }
    }

    fn note_gone(&mut self, record: &Record) {
        for uid in self.graph.remove(&record.key) {
            if let Some(owner) = self.waiting.get(&uid) {
                self.work.insert(Work::Owner(owner.clone()));
            }
        }
        if self.graph.is_empty() && self.waiting.is_empty() {
            return;
        }
        let Some(object) = parse(record) else { return };
        self.waiting.remove(object.uid());
        self.work.extend(self.graph.dependents(object.uid()).into_iter().map(Work::Dependent));
    }

    async fn step(&mut self) {
        let Some(work) = self.work.pop_first() else { return };
        let done = match &work {
            Work::Dependent(key) => self.dependent(key).await,
            Work::Owner(key) => self.owner(key).await,
        };
        if let Err(status) = done {
            tracing::warn!(?work, %status, "garbage collection will try again");
            tokio::time::sleep(RETRY).await;
            self.work.insert(work);
        }
    }

    async fn read(&self, key: &Key) -> Result<Option<Object>, Status> {
        let record = self.registry.store().get(key).await.map_err(|e| store_status(&e))?;
        Ok(record.as_ref().and_then(parse))
    }

    fn definition(&self, key: &Key) -> Option<Arc<Definition>> {
        let (plural, group) = key.resource.split_once('.').unwrap_or((&key.resource, ""));
        self.registry.definitions().resource(group, plural).map(Arc::clone)
    }

    /// Rows G11, G12, G15, G16.
    async fn dependent(&mut self, key: &Key) -> Result<(), Status> {
        let (Some(object), Some(definition)) = (self.read(key).await?, self.definition(key)) else { return Ok(()) };
        let owners = object.owner_references();
        let (mut alive, mut foreground, mut gone) = (0, 0, Vec::new());
        for owner in &owners {
            match self.find(owner, &object, &definition).await? {
                Found::Alive => alive += 1,
                Found::WaitsForUs => foreground += 1,
                Found::Gone => gone.push(owner.uid.clone()),
                Found::Unknown => {
                    self.unknown.insert(key.clone());
                    return Ok(());
                }
                Found::NotAllowed => return Ok(()),
            }
        }
        if owners.is_empty() || (gone.is_empty() && foreground == 0) {
            return Ok(());
        }
        if alive > 0 {
            return if gone.is_empty() { Ok(()) } else { self.forget_owners(&definition, key, &gone).await };
        }
        if object.is_terminating() {
            return Ok(());
        }
        let policy = if foreground > 0 { "Foreground" } else { "" };
        self.registry.remove(&definition, &object, policy).await.map(drop)
    }

    async fn find(&self, owner: &OwnerReference, dependent: &Object, definition: &Definition) -> Result<Found, Status> {
        let Some(version) = GroupVersion::parse(&owner.api_version) else { return Ok(Found::Unknown) };
        let definitions = self.registry.definitions();
        let Some(kind) = definitions.kind(&version.group, &owner.kind) else { return Ok(Found::Unknown) };
        if kind.is_namespaced() && !definition.is_namespaced() {
            tracing::warn!(
                owner = owner.name,
                dependent = dependent.name(),
                reason = "OwnerRefInvalidNamespace",
                "a cluster-scoped object names an owner in a namespace: it is never collected"
            );
            return Ok(Found::NotAllowed);
        }
        let namespace = if kind.is_namespaced() { dependent.namespace() } else { "" };
        let stored =
            crate::kinds::of(kind).stored_as().map_or_else(|| kind.group_resource().to_string(), str::to_owned);
        let key = Key::new(stored, namespace, owner.name.as_str());
        Ok(match self.read(&key).await? {
            Some(found) if found.uid() == owner.uid => {
                let waits = found.is_terminating() && found.finalizers().contains(&FOREGROUND);
                if waits && owner.block_owner_deletion { Found::WaitsForUs } else { Found::Alive }
            }
            _ => Found::Gone,
        })
    }

    async fn forget_owners(&self, definition: &Arc<Definition>, key: &Key, uids: &[String]) -> Result<(), Status> {
        let change = |object: &mut Object| {
            let Some(list) = object.metadata_mut().get_mut("ownerReferences").and_then(|v| v.as_array_mut()) else {
                return false;
            };
            let before = list.len();
            list.retain(|owner| {
                !owner.get("uid").and_then(|u| u.as_str()).is_some_and(|uid| uids.iter().any(|u| u == uid))
            });
            let changed = list.len() != before;
            if list.is_empty() {
                object.metadata_mut().shift_remove("ownerReferences");
            }
            changed
        };
        self.registry.amend_object(definition, &key.namespace, &key.name, change).await.map(drop)
    }

    /// Rows G13, G14, G17.
    async fn owner(&mut self, key: &Key) -> Result<(), Status> {
        let (Some(object), Some(definition)) = (self.read(key).await?, self.definition(key)) else { return Ok(()) };
        if !object.is_terminating() {
            return Ok(());
        }
        let finalizers = object.finalizers();
        if finalizers.contains(&ORPHAN) {
            for (kind, dependent, _) in self.dependents_of(&object).await? {
                self.forget_owners(&kind, &dependent, &[object.uid().to_owned()]).await?;
            }
            return self.finish(&definition, key, ORPHAN).await;
        }
        if !finalizers.contains(&FOREGROUND) {
            return Ok(());
        }
        self.waiting.insert(object.uid().to_owned(), key.clone());
        let mut blocked = false;
        for (_, dependent, found) in self.dependents_of(&object).await? {
            let refers = |o: &OwnerReference| o.uid == object.uid() && o.block_owner_deletion;
            let in_cycle = object.owner_references().iter().any(|owner| owner.uid == found.uid());
            blocked |= found.owner_references().iter().any(refers) && !in_cycle;
            if !found.is_terminating() {
                self.work.insert(Work::Dependent(dependent));
            }
        }
        if blocked {
            return Ok(());
        }
        self.waiting.remove(object.uid());
        self.finish(&definition, key, FOREGROUND).await
    }

    async fn finish(&self, definition: &Arc<Definition>, key: &Key, finalizer: &str) -> Result<(), Status> {
        let change = |object: &mut Object| drop_finalizer(object, finalizer);
        self.registry.amend_object(definition, &key.namespace, &key.name, change).await.map(drop)
    }

    /// Every object that names this owner, read from the store: the graph may be a moment behind.
    async fn dependents_of(&self, owner: &Object) -> Result<Vec<(Arc<Definition>, Key, Object)>, Status> {
        let mut found = Vec::new();
        for kind in stored_kinds(&self.registry) {
            let resource = kind.group_resource().to_string();
            let range = match owner.namespace() {
                "" => Range::resource(resource),
                _ if !kind.is_namespaced() => continue,
                namespace => Range::namespace(resource, namespace),
            };
            let list = List { range, at: None, after: None, limit: 0 };
            let page = self.registry.store().list(list).await.map_err(|e| store_status(&e))?;
            for record in page.records {
                if !contains(&record.body, owner.uid()) {
                    continue;
                }
                let Some(object) = parse(&record) else { continue };
                if object.owner_references().iter().any(|o| o.uid == owner.uid()) {
                    found.push((Arc::clone(&kind), record.key, object));
                }
            }
        }
        Ok(found)
    }
}

/// What became of an owner.
enum Found {
    Alive,
    /// Alive, in foreground deletion, and this dependent blocks it.
    WaitsForUs,
    Gone,
    /// Its kind is not known (row G16).
    Unknown,
    /// A cluster-scoped dependent of a namespaced owner (row G15).
    NotAllowed,
}
