//! Lists that are sets or maps hold nothing twice (row X14).

use crate::schema::{ListType, Schema};
use otternauts_meta::{ErrorList, FieldError, Path};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Duplicates in lists that are sets or maps. An object that had some before may keep having them (row X14).
pub fn validate_lists(schema: &Schema, new: &Value, old: Option<&Value>, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    if let Some(old) = old {
        let mut before = ErrorList::new();
        walk(schema, old, path, &mut before);
        if !before.is_empty() {
            return errors;
        }
    }
    walk(schema, new, path, &mut errors);
    errors
}

fn walk(schema: &Schema, value: &Value, path: &Path, errors: &mut ErrorList) {
    match value {
        Value::Array(list) => {
            duplicates(schema, list, path, errors);
            let Some(items) = &schema.items else { return };
            for (i, item) in list.iter().enumerate() {
                walk(items, item, &path.index(i), errors);
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                // Metadata has its own rules: duplicates of owners and finalizers are merged, not refused (row C17).
                if schema.is_resource() && name == "metadata" {
                    continue;
                }
                if let Some(property) = schema.property(name) {
                    walk(property, value, &path.child(name), errors);
                }
            }
        }
        _ => {}
    }
}

fn duplicates(schema: &Schema, list: &[Value], path: &Path, errors: &mut ErrorList) {
    let identity = |item: &Value| match (&schema.list_type, &schema.items) {
        (ListType::Set, _) => Some(item.clone()),
        (ListType::Map(keys), Some(items)) => key(items, keys, item),
        _ => None,
    };
    if schema.list_type == ListType::Atomic {
        return;
    }
    let mut seen = HashSet::new();
    let mut reported = HashSet::new();
    for (i, item) in list.iter().enumerate() {
        if item.is_null() && schema.list_type != ListType::Set {
            continue;
        }
        let Some(id) = identity(item) else {
            let why = "must be an object for an array of list-type map";
            errors.push(FieldError::invalid(&path.index(i), item.clone(), why));
            return;
        };
        let text = id.to_string();
        if !seen.insert(text.clone()) && reported.insert(text) {
            errors.push(FieldError::duplicate(&path.index(i), id));
        }
    }
}

/// The keys of an item with their values, defaults for absent ones; `None` for what is no object.
pub(super) fn key(items: &Schema, keys: &[String], item: &Value) -> Option<Value> {
    let map = item.as_object()?;
    let mut sorted: Vec<&String> = keys.iter().collect();
    sorted.sort();
    let mut out = Map::new();
    for name in sorted {
        let value = map.get(name).or_else(|| items.declared(name).and_then(|s| s.default.as_ref()));
        if let Some(value) = value {
            out.insert(name.clone(), value.clone());
        }
    }
    Some(Value::Object(out))
}

/// The items of a list by their keys: how an item finds itself in the list before.
pub(super) fn by_key<'a>(items: &Schema, keys: &[String], list: &'a [Value]) -> HashMap<String, &'a Value> {
    list.iter().filter_map(|item| Some((key(items, keys, item)?.to_string(), item))).collect()
}
