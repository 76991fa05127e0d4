//! A CustomResourceDefinition becomes a kind: names accepted, established, served; and goes again (rows X3, X4, X6).

use crate::facts;
use crate::registry::Registry;
use crate::shape::Shape;
use otternauts_meta::{Object, Timestamp};
use otternauts_schema::crd::NameConflict;
use otternauts_schema::{Names, crd};
use otternauts_store::{Error, Key, Op, Precondition, Record, Write};
use serde_json::{Map, Value, json};

/// Row X6.
pub(crate) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";
pub(crate) const GROUP: &str = "apiextensions.k8s.io";
pub(crate) const PLURAL: &str = "customresourcedefinitions";

impl Registry {
    /// Called for every committed change of a CRD, under the gate: sets its conditions and publishes what is served now.
    pub(crate) async fn crd_changed(&self, object: &Object, record: &Record, gone: bool) {
        if gone {
            self.crd_gone(object).await;
            return;
        }
        let settled = self.settle(object, record).await;
        let mut catalog = self.inner.catalog.lock();
        catalog.set(settled.as_ref().unwrap_or(object));
        self.publish(&catalog);
    }

    /// Its names are free now: somebody may have waited for them.
    async fn crd_gone(&self, object: &Object) {
        let waiting = {
            let mut catalog = self.inner.catalog.lock();
            catalog.remove(object.name());
            self.publish(&catalog);
            catalog.waiting_for_names(object.at(&["spec", "group"]).and_then(Value::as_str).unwrap_or_default())
        };
        for name in waiting {
            let key = Key::new(facts::CRDS, "", name.as_str());
            let Ok(Some(record)) = self.inner.store.get(&key).await else { continue };
            let Ok(value) = serde_json::from_slice(&record.body) else { continue };
            let object = crate::shape::as_object(value);
            let settled = self.settle(&object, &record).await;
            let mut catalog = self.inner.catalog.lock();
            catalog.set(settled.as_ref().unwrap_or(&object));
            self.publish(&catalog);
        }
    }

    /// Writes the conditions when they are not what they should be; answers the object as it is then.
    async fn settle(&self, object: &Object, record: &Record) -> Option<Object> {
        if object.is_terminating() {
            return None;
        }
        let (names, conflict) = self.inner.catalog.lock().accept(object);
        let next = with_conditions(object, &names, conflict, self.now())?;
        let shape = self.crd_shape()?;
        let body = match shape.body(&next) {
            Ok(body) => body,
            Err(status) => {
                tracing::error!(name = object.name(), %status, "the conditions of a CustomResourceDefinition cannot be written");
                return None;
            }
        };
        let write =
            Write { key: record.key.clone(), precondition: Precondition::At(record.revision), op: Op::Put(body) };
        match self.inner.store.commit(vec![write]).await {
            Ok(_) => Some(next),
            // Another replica has settled it, and its change is on the way here.
            Err(Error::Conflict { .. }) if self.inner.store.is_shared() => None,
            Err(error) => {
                tracing::error!(name = object.name(), %error, "the conditions of a CustomResourceDefinition cannot be written");
                None
            }
        }
    }

    fn crd_shape(&self) -> Option<Shape> {
        let definitions = self.definitions();
        let definition = definitions.resource(GROUP, PLURAL)?;
        Some(Shape::new(&definitions, &self.inner.vault, definition, "v1"))
    }
}

/// The status a CRD should have; `None` when it has it. A kind once established stays so (row X3).
fn with_conditions(object: &Object, names: &Names, conflict: Option<NameConflict>, now: Timestamp) -> Option<Object> {
    let mut next = object.clone();
    let accepted = conflict.is_none();
    status(&mut next).insert("acceptedNames".into(), names_json(names));
    match conflict {
        None => set_condition(&mut next, "NamesAccepted", true, "NoConflicts", "no conflicts found", now),
        Some(conflict) => set_condition(&mut next, "NamesAccepted", false, conflict.reason, &conflict.message, now),
    }
    let established = crd::has_condition(object, "Established");
    if accepted && !established {
        let message = "the initial names have been accepted";
        set_condition(&mut next, "Established", true, "InitialNamesAccepted", message, now);
    } else if !accepted && !established {
        set_condition(&mut next, "Established", false, "NotAccepted", "not all names are accepted", now);
    }
    (next != *object).then_some(next)
}

fn names_json(names: &Names) -> Value {
    let mut map = Map::new();
    map.insert("plural".into(), names.plural.clone().into());
    for (key, value) in [("singular", &names.singular), ("listKind", &names.list_kind)] {
        if !value.is_empty() {
            map.insert(key.into(), value.clone().into());
        }
    }
    map.insert("kind".into(), names.kind.clone().into());
    for (key, list) in [("shortNames", &names.short_names), ("categories", &names.categories)] {
        if !list.is_empty() {
            map.insert(key.into(), list.clone().into());
        }
    }
    Value::Object(map)
}

/// Sets a condition of `status.conditions`; the time moves with the status only.
pub(crate) fn set_condition(object: &mut Object, kind: &str, holds: bool, reason: &str, message: &str, now: Timestamp) {
    let state = if holds { "True" } else { "False" };
    let slot = status(object).entry("conditions").or_insert_with(|| json!([]));
    if !slot.is_array() {
        *slot = json!([]);
    }
    let Some(conditions) = slot.as_array_mut() else { return };
    let found = conditions.iter_mut().find(|c| c.get("type").and_then(Value::as_str) == Some(kind));
    let time = match &found {
        Some(old) if old.get("status").and_then(Value::as_str) == Some(state) => old.get("lastTransitionTime").cloned(),
        _ => None,
    };
    let condition = json!({
        "type": kind,
        "status": state,
        "lastTransitionTime": time.unwrap_or_else(|| now.to_string().into()),
        "reason": reason,
        "message": message,
    });
    match found {
        Some(slot) => *slot = condition,
        None => conditions.push(condition),
    }
}

fn status(object: &mut Object) -> &mut Map<String, Value> {
    let slot = object.0.entry("status").or_insert_with(|| json!({}));
    if !slot.is_object() {
        *slot = json!({});
    }
    slot.as_object_mut().expect("made an object in the line above")
}
