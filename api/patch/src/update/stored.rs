//! Booking a change in the list as it is stored, without reading the entries it does not touch.
//!
//! What is stored was written by this crate, so elements are canonical there and can be looked up by their text. Most
//! writes come from the owner of what they change: then only a time moves.

use crate::compare::Comparison;
use crate::managed::{Entry, MAX_UPDATE_ENTRIES, Operation};
use crate::ownership::Ownership;
use crate::set::FieldSet;
use otternauts_meta::Timestamp;
use serde_json::{Map, Value};

fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// False where booking needs the whole picture: versions that are gone, entries about to be folded.
pub(super) fn can_book(list: &Value, context: &Ownership<'_>) -> bool {
    let Value::Array(entries) = list else {
        return false;
    };
    let updates = entries.iter().filter(|e| text(e, "operation") == Operation::Update.as_str()).count();
    let known = |e: &Value| context.versions.is_empty() || context.versions.contains(&text(e, "apiVersion"));
    !entries.is_empty() && updates < MAX_UPDATE_ENTRIES && entries.iter().all(known)
}

/// Does to the stored list what `ManagedFields::take` does to a read one.
pub(super) fn book(list: &mut Value, diff: Comparison, manager: &str, context: &Ownership<'_>, now: Timestamp) {
    let Value::Array(entries) = list else {
        return;
    };
    let Comparison { changed, removed } = diff;
    let mut has_own = false;
    entries.retain_mut(|entry| {
        let is_own = !has_own && is_of(entry, manager, context);
        let fields = entry.get("fieldsV1").and_then(Value::as_object);
        let is_timed = entry.get("time").is_some();
        if is_own && is_timed && fields.is_some_and(|f| covers(f, &changed) && !touches(f, &removed)) {
            if !changed.is_empty() {
                set_time(entry, now);
            }
            has_own = true;
            return true;
        }
        if !is_own && fields.is_some_and(|f| !touches(f, &changed) && !touches(f, &removed)) {
            return true;
        }
        let Ok(mut read) = Entry::decode(entry) else {
            return false;
        };
        read.fields.difference(&removed);
        if is_own {
            has_own = true;
            if !changed.is_empty() {
                read.fields.union(changed.clone());
                read.time = Some(now);
            }
        } else {
            read.fields.difference(&changed);
        }
        *entry = read.encode(context.sorted_keys);
        !read.fields.is_empty()
    });
    if !has_own && !changed.is_empty() {
        entries.push(Entry::of_update(manager, context, now, changed).encode(context.sorted_keys));
    }
    entries.sort_by(|a, b| rank(a).cmp(&rank(b)));
}

/// Times are stored in one form, in whole seconds, so their text sorts as they do.
fn rank(entry: &Value) -> [&str; 5] {
    ["operation", "time", "manager", "apiVersion", "subresource"].map(|key| text(entry, key))
}

fn is_of(entry: &Value, manager: &str, context: &Ownership<'_>) -> bool {
    text(entry, "manager") == manager
        && text(entry, "operation") == Operation::Update.as_str()
        && text(entry, "apiVersion") == context.api_version
        && text(entry, "subresource") == context.subresource
}

fn set_time(entry: &mut Value, now: Timestamp) {
    if let Some(time) = entry.get_mut("time") {
        *time = Value::String(now.to_string());
    }
}

/// A field is in a stored set when it is a leaf there or marked by a dot.
fn has(fields: &Map<String, Value>, element: &str) -> bool {
    let Some(Value::Object(below)) = fields.get(element) else {
        return false;
    };
    below.is_empty() || below.contains_key(".")
}

fn below<'a>(fields: &'a Map<String, Value>, element: &str) -> Option<&'a Map<String, Value>> {
    fields.get(element).and_then(Value::as_object)
}

/// True when every field of `set` is stored in `fields`.
fn covers(fields: &Map<String, Value>, set: &FieldSet) -> bool {
    set.iter().all(|(element, node)| {
        (!node.owned || has(fields, element))
            && (node.children.is_empty() || below(fields, element).is_some_and(|b| covers(b, &node.children)))
    })
}

/// True when some field of `set` is stored in `fields`.
fn touches(fields: &Map<String, Value>, set: &FieldSet) -> bool {
    set.iter().any(|(element, node)| {
        (node.owned && has(fields, element))
            || (!node.children.is_empty() && below(fields, element).is_some_and(|b| touches(b, &node.children)))
    })
}
