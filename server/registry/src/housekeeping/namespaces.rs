//! Terminating namespaces are emptied, then let go (row B4). Each active one has its default ServiceAccount (row B7).

use super::follow::{Follower, Seen};
use super::system;
use crate::crds::set_condition;
use crate::facts::NAMESPACES;
use crate::registry::{Permit, Registry, store_status};
use crate::request::Target;
use crate::shape::{Shape, as_object};
use otternauts_meta::{Object, Status};
use otternauts_schema::Definition;
use otternauts_store::{Key, List, Op, Precondition, Range, Record, Write};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Before a namespace is tried again that could not be emptied because of an error.
const RETRY: Duration = Duration::from_secs(2);

pub(super) async fn run(registry: Registry) {
    let mut follower = Follower::new(registry.store(), Range::resource(NAMESPACES));
    let mut busy: HashSet<String> = HashSet::new();
    let mut workers: JoinSet<String> = JoinSet::new();
    loop {
        let seen = tokio::select! {
            seen = follower.next() => seen,
            Some(done) = workers.join_next(), if !workers.is_empty() => {
                match done {
                    Ok(name) => drop(busy.remove(&name)),
                    Err(error) => tracing::error!(%error, "emptying a namespace failed"),
                }
                continue;
            }
        };
        let Some(seen) = seen else { return };
        for one in seen {
            let Seen::Object(record) = one else { continue };
            let Ok(object) = serde_json::from_slice(&record.body).map(as_object) else { continue };
            if object.is_terminating() && holds_content(&object) && busy.insert(object.name().to_owned()) {
                let (registry, name) = (registry.clone(), object.name().to_owned());
                workers.spawn(async move {
                    empty(&registry, &name).await;
                    name
                });
            }
        }
    }
}

/// The `kubernetes` finalizer of the spec is the one this task takes off.
fn holds_content(namespace: &Object) -> bool {
    let finalizers = namespace.at(&["spec", "finalizers"]).and_then(Value::as_array);
    finalizers.is_some_and(|list| list.iter().any(|f| f == "kubernetes"))
}

/// Row B7, for accounts that are deleted: later, or while nobody looked.
pub(super) async fn keep_accounts(registry: Registry) {
    let range = Range { resource: "serviceaccounts".into(), namespace: None, name: Some("default".into()) };
    let mut follower = Follower::new(registry.store(), range);
    while let Some(seen) = follower.next().await {
        let mut missing: BTreeSet<String> = BTreeSet::new();
        for one in seen {
            match one {
                Seen::Start => missing.extend(registry.facts().active_namespaces()),
                Seen::Object(record) => drop(missing.remove(&*record.key.namespace)),
                Seen::Gone(record) => drop(missing.insert(record.key.namespace.to_string())),
            }
        }
        for namespace in missing {
            if registry.facts().namespace(&namespace).is_some_and(|found| !found.terminating) {
                make_account(&registry, &namespace).await;
            }
        }
    }
}

async fn make_account(registry: &Registry, namespace: &str) {
    let definitions = registry.definitions();
    let Some(definition) = definitions.resource("", "serviceaccounts") else { return };
    let target = Target::object(definition, namespace, "");
    let object = as_object(json!({"metadata": {"name": "default"}}));
    let body = crate::Body { object, duplicates: Vec::new() };
    let made = registry.create(&system(), &target, body, &crate::WriteOptions::default()).await;
    if let Err(status) = made
        && status.code != 409
    {
        tracing::warn!(namespace, %status, "a default ServiceAccount cannot be made");
    }
}

/// What is left in a namespace: objects by resource, and finalizers with how many objects have them.
#[derive(Default)]
struct Left {
    resources: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
}

async fn empty(registry: &Registry, name: &str) {
    loop {
        match pass(registry, name).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(status) => {
                tracing::warn!(namespace = name, %status, "a namespace cannot be emptied yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// `true` when the namespace is gone, or no longer this task's.
async fn pass(registry: &Registry, name: &str) -> Result<bool, Status> {
    let mark = registry.store().revision();
    let left = delete_all(registry, name).await?;
    if left.resources.is_empty() {
        return let_go(registry, name).await;
    }
    report(registry, name, &left).await?;
    wait_for_change(registry, name, &left, mark).await;
    Ok(false)
}

/// The kinds whose objects live in namespaces, each storage once.
fn namespaced(registry: &Registry) -> Vec<Arc<Definition>> {
    let definitions = registry.definitions();
    let own = |d: &&Arc<Definition>| d.is_namespaced() && crate::kinds::of(d).stored_as().is_none();
    definitions.all().iter().filter(own).map(Arc::clone).collect()
}

async fn records(registry: &Registry, definition: &Definition, namespace: &str) -> Result<Vec<Record>, Status> {
    let range = Range::namespace(definition.group_resource().to_string(), namespace);
    let list = List { range, at: None, after: None, limit: 0 };
    Ok(registry.store().list(list).await.map_err(|e| store_status(&e))?.records)
}

async fn delete_all(registry: &Registry, namespace: &str) -> Result<Left, Status> {
    let mut left = Left::default();
    for definition in namespaced(registry) {
        for record in records(registry, &definition, namespace).await? {
            let Ok(object) = serde_json::from_slice(&record.body).map(as_object) else { continue };
            if !registry.remove(&definition, &object, "Background").await? {
                continue;
            }
            *left.resources.entry(definition.group_resource().to_string()).or_default() += 1;
            for finalizer in object.finalizers() {
                *left.finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(left)
}

/// Waits until something of what is left changes; the store tells of every change since `mark`.
async fn wait_for_change(registry: &Registry, namespace: &str, left: &Left, mark: u64) {
    let mut watches = Vec::new();
    for resource in left.resources.keys() {
        let range = Range::namespace(resource.as_str(), namespace);
        let Ok(mut watcher) = registry.store().watch(range, mark).await else { return };
        watches.push(Box::pin(async move {
            // Everything but "nothing has happened" is worth a look.
            while let Ok(otternauts_store::WatchItem::Progress(_)) = watcher.next().await {}
        }));
    }
    if !watches.is_empty() {
        let _ = futures::future::select_all(watches).await;
    }
}

/// Takes the namespace's own finalizer off, unless something is in it: nothing can come in while this looks.
async fn let_go(registry: &Registry, name: &str) -> Result<bool, Status> {
    let permit = registry.enter(NAMESPACES, false).await;
    for definition in namespaced(registry) {
        if !records(registry, &definition, name).await?.is_empty() {
            return Ok(false);
        }
    }
    finish(registry, name, permit).await
}

async fn finish(registry: &Registry, name: &str, permit: Permit) -> Result<bool, Status> {
    let definitions = registry.definitions();
    let Some(definition) = definitions.resource("", NAMESPACES) else { return Ok(true) };
    let shape = Shape::new(&definitions, &registry.inner.vault, definition, "v1");
    let key = Key::new(NAMESPACES, "", name);
    let Some(record) = registry.store().get(&key).await.map_err(|e| store_status(&e))? else { return Ok(true) };
    let old = shape.read(&record)?;
    if !old.is_terminating() {
        return Ok(true);
    }
    let mut object = old.clone();
    let spec = object.0.get_mut("spec").and_then(Value::as_object_mut);
    let mut others = Vec::new();
    if let Some(spec) = spec {
        let list = spec.shift_remove("finalizers");
        others = list.and_then(|l| l.as_array().cloned()).unwrap_or_default();
        others.retain(|f| f != "kubernetes");
        if !others.is_empty() {
            spec.insert("finalizers".into(), others.clone().into());
        }
    }
    let free = others.is_empty() && object.finalizers().is_empty();
    let op = if free { Op::Delete { last: shape.body(&old)? } } else { Op::Put(shape.body(&object)?) };
    let write = Write { key, precondition: Precondition::At(record.revision), op };
    registry.commit(permit, vec![write]).await.map_err(|e| store_status(&e))?;
    Ok(true)
}

/// Row B4: what stands in the way, for people.
async fn report(registry: &Registry, name: &str, left: &Left) -> Result<(), Status> {
    let definitions = registry.definitions();
    let Some(definition) = definitions.resource("", NAMESPACES) else { return Ok(()) };
    let list = |counts: &BTreeMap<String, usize>, form: &dyn Fn(&str, usize) -> String| {
        counts.iter().map(|(name, count)| form(name, *count)).collect::<Vec<_>>().join(", ")
    };
    let content = list(&left.resources, &|name, count| format!("{name} has {count} resource instances"));
    let finalizers = list(&left.finalizers, &|name, count| format!("{name} in {count} resource instances"));
    let now = registry.now();
    let set = |object: &mut Object| {
        let before = object.clone();
        let good = [
            ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
            (
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
        ];
        for (kind, reason, message) in good {
            set_condition(object, kind, false, reason, message, now);
        }
        let text = format!("Some resources are remaining: {content}");
        set_condition(object, "NamespaceContentRemaining", true, "SomeResourcesRemain", &text, now);
        if !finalizers.is_empty() {
            let text = format!("Some content in the namespace has finalizers remaining: {finalizers}");
            set_condition(object, "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain", &text, now);
        }
        before != *object
    };
    let target = Target { subresource: crate::Subresource::Status, ..Target::object(definition, "", name) };
    registry.amend(&system(), &target, &set).await?;
    Ok(())
}
