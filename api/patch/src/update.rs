//! What an ordinary write does to ownership (rows A14, A17).

mod stored;

use crate::compare::{Comparison, compare};
use crate::managed::{Entry, ManagedFields, Operation, put};
use crate::ownership::Ownership;
use otternauts_meta::{Object, Timestamp};
use serde_json::Value;

/// Sets `metadata.managedFields` of `new` for a create (`live` absent), PUT or patch other than apply.
///
/// The writer takes the fields it changed as `Update`, everybody loses what changed or went. Times move only for an owner
/// that took something. An object whose ownership was cleared stays without.
pub fn update(live: Option<&Object>, new: &mut Object, manager: &str, context: &Ownership<'_>, now: Timestamp) {
    let live_list = live.and_then(Object::metadata).and_then(|m| m.get("managedFields"));
    let new_list = new.metadata().and_then(|m| m.get("managedFields"));
    let diff = compare(live, new, context);
    if let (Some(kept), false) = (live_list, is_reset(new_list)) {
        let is_kept = new_list == live_list;
        if diff.is_same() && is_kept {
            return;
        }
        if is_kept || new_list.is_none_or(is_nothing) {
            if diff.is_same() {
                put(new, kept.clone(), context.sorted_keys);
                return;
            }
            if stored::can_book(kept, context) {
                let mut list = if is_kept { take_list(new) } else { kept.clone() };
                stored::book(&mut list, diff, manager, context, now);
                store_list(new, list, context);
                return;
            }
        }
    }
    let mut managed = if is_reset(new_list) {
        ManagedFields::default()
    } else {
        match ManagedFields::decode(new_list) {
            Ok(managed) if !managed.0.is_empty() => managed,
            _ => ManagedFields::decode(live_list).unwrap_or_default(),
        }
    };
    if !managed.0.is_empty() || live.is_none() {
        managed.take(diff, manager, context, now);
        managed.tidy(context);
        managed.cap();
    }
    managed.store(new, context.sorted_keys);
}

fn take_list(object: &mut Object) -> Value {
    object.metadata_mut().get_mut("managedFields").map(Value::take).unwrap_or_default()
}

fn store_list(object: &mut Object, list: Value, context: &Ownership<'_>) {
    if is_nothing(&list) {
        object.metadata_mut().shift_remove("managedFields");
    } else {
        put(object, list, context.sorted_keys);
    }
}

/// `[{}]` clears ownership, `[]` does not (row A17).
fn is_reset(list: Option<&Value>) -> bool {
    let Some(Value::Array(entries)) = list else {
        return false;
    };
    matches!(entries.as_slice(), [Value::Object(only)] if only.is_empty())
}

fn is_nothing(list: &Value) -> bool {
    list.is_null() || list.as_array().is_some_and(Vec::is_empty)
}

impl ManagedFields {
    /// Books a change: everybody gives up what changed, the writer holds it.
    pub(crate) fn take(&mut self, diff: Comparison, manager: &str, context: &Ownership<'_>, now: Timestamp) {
        self.give_up(&diff.changed, &diff.removed);
        if diff.changed.is_empty() {
            return;
        }
        match self.0.iter_mut().find(|e| e.is(manager, Operation::Update, context)) {
            Some(entry) => {
                entry.fields.union(diff.changed);
                entry.time = Some(now);
            }
            None => self.0.push(Entry::of_update(manager, context, now, diff.changed)),
        }
    }
}
