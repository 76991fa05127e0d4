//! A terminating CustomResourceDefinition: its objects go, then the definition (row X6).

use super::follow::{Follower, Seen};
use super::{drop_finalizer, system};
use crate::crds::{CLEANUP_FINALIZER, GROUP, PLURAL, set_condition};
use crate::facts::CRDS;
use crate::registry::{Registry, store_status};
use crate::request::Target;
use crate::shape::{Shape, as_object};
use otternauts_meta::{Object, Status};
use otternauts_schema::Definition;
use otternauts_store::{Key, List, Op, Precondition, Range, Record, WatchItem, Write};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const RETRY: Duration = Duration::from_secs(2);

pub(super) async fn run(registry: Registry) {
    let mut follower = Follower::new(registry.store(), Range::resource(CRDS));
    let mut busy: HashSet<String> = HashSet::new();
    let mut workers: JoinSet<String> = JoinSet::new();
    loop {
        let seen = tokio::select! {
            seen = follower.next() => seen,
            Some(done) = workers.join_next(), if !workers.is_empty() => {
                match done {
                    Ok(name) => drop(busy.remove(&name)),
                    Err(error) => tracing::error!(%error, "emptying a kind failed"),
                }
                continue;
            }
        };
        let Some(seen) = seen else { return };
        for one in seen {
            let Seen::Object(record) = one else { continue };
            let Ok(crd) = serde_json::from_slice(&record.body).map(as_object) else { continue };
            let ours = crd.is_terminating() && crd.finalizers().contains(&CLEANUP_FINALIZER);
            if ours && busy.insert(crd.name().to_owned()) {
                let (registry, name) = (registry.clone(), crd.name().to_owned());
                workers.spawn(async move {
                    empty(&registry, &crd).await;
                    name
                });
            }
        }
    }
}

async fn empty(registry: &Registry, crd: &Object) {
    loop {
        match pass(registry, crd).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(status) => {
                tracing::warn!(crd = crd.name(), %status, "the objects of a kind cannot be removed yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

fn instances_of(registry: &Registry, crd: &Object) -> Option<Arc<Definition>> {
    let text = |path: &[&str]| crd.at(path).and_then(Value::as_str).unwrap_or_default();
    let definitions = registry.definitions();
    definitions.resource(text(&["spec", "group"]), text(&["spec", "names", "plural"])).map(Arc::clone)
}

async fn records(registry: &Registry, resource: &str) -> Result<Vec<Record>, Status> {
    let list = List { range: Range::resource(resource), at: None, after: None, limit: 0 };
    Ok(registry.store().list(list).await.map_err(|e| store_status(&e))?.records)
}

async fn pass(registry: &Registry, crd: &Object) -> Result<bool, Status> {
    let mark = registry.store().revision();
    let mut waiting = false;
    if let Some(definition) = instances_of(registry, crd) {
        let resource = definition.group_resource().to_string();
        for record in records(registry, &resource).await? {
            let Ok(object) = serde_json::from_slice(&record.body).map(as_object) else { continue };
            waiting |= registry.remove(&definition, &object, "Background").await?;
        }
        if waiting {
            report(registry, crd.name()).await?;
            let watcher = registry.store().watch(Range::resource(resource), mark).await;
            let mut watcher = watcher.map_err(|e| store_status(&e))?;
            while let Ok(WatchItem::Progress(_)) = watcher.next().await {}
            return Ok(false);
        }
    }
    let_go(registry, crd).await
}

async fn report(registry: &Registry, name: &str) -> Result<(), Status> {
    let definitions = registry.definitions();
    let Some(definition) = definitions.resource(GROUP, PLURAL) else { return Ok(()) };
    let target = Target { subresource: crate::Subresource::Status, ..Target::object(definition, "", name) };
    let now = registry.now();
    let set = |object: &mut Object| {
        let message = "CustomResource deletion is in progress";
        set_condition(object, "Terminating", true, "InstanceDeletionInProgress", message, now);
        true
    };
    registry.amend(&system(), &target, &set).await?;
    Ok(())
}

/// Takes the finalizer off, under the gate: no object can be made while this looks.
async fn let_go(registry: &Registry, crd: &Object) -> Result<bool, Status> {
    let permit = registry.enter(CRDS, false).await;
    if let Some(definition) = instances_of(registry, crd)
        && !records(registry, &definition.group_resource().to_string()).await?.is_empty()
    {
        return Ok(false);
    }
    let definitions = registry.definitions();
    let Some(definition) = definitions.resource(GROUP, PLURAL) else { return Ok(true) };
    let shape = Shape::new(&definitions, &registry.inner.vault, definition, "v1");
    let key = Key::new(CRDS, "", crd.name());
    let Some(record) = registry.store().get(&key).await.map_err(|e| store_status(&e))? else { return Ok(true) };
    let old = shape.read(&record)?;
    let mut object = old.clone();
    if !old.is_terminating() || !drop_finalizer(&mut object, CLEANUP_FINALIZER) {
        return Ok(true);
    }
    let free = object.finalizers().is_empty();
    let op = if free { Op::Delete { last: shape.body(&old)? } } else { Op::Put(shape.body(&object)?) };
    let write = Write { key, precondition: Precondition::At(record.revision), op };
    registry.commit(permit, vec![write]).await.map_err(|e| store_status(&e))?;
    Ok(true)
}
