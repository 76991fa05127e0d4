//! Lists in a strategic merge: elements found by key, removed, added and put into order.

use super::{PATCH, merge_maps};
use crate::error::PatchError;
use crate::value::equal;
use otternauts_schema::Schema;
use serde_json::{Map, Value};

/// Merges two lists of a field whose strategy is `merge`. New elements come before the live ones.
pub(super) fn merge(live: Vec<Value>, patch: Vec<Value>, schema: Option<&Schema>) -> Result<Vec<Value>, PatchError> {
    let of_maps = live.iter().chain(&patch).any(Value::is_object);
    if !of_maps {
        let mut merged = live.clone();
        for item in &patch {
            if !merged.iter().any(|v| equal(v, item)) {
                merged.push(item.clone());
            }
        }
        return Ok(in_order(merged, &patch, &live, None));
    }
    let Some(key) = schema.and_then(|s| s.patch_merge_key.as_deref()) else {
        return Err(PatchError::Unmergeable("cannot merge lists without merge key".to_owned()));
    };
    let (merged, patch) = match special_elements(live, patch, key)? {
        Special::Replaced(items) => return Ok(items),
        Special::Merge { live, patch } => (live, patch),
    };
    let order = merged.clone();
    let item_schema = schema.and_then(|s| s.items.as_deref());
    let mut result = merged;
    for item in &patch {
        let Value::Object(change) = item else {
            return Err(PatchError::Unmergeable("list elements are of different types".to_owned()));
        };
        let Some(wanted) = change.get(key) else {
            return Err(no_key(change, key));
        };
        let found = result.iter().position(|v| v.get(key).is_some_and(|k| equal(k, wanted)));
        match found {
            Some(at) => {
                let Value::Object(old) = result[at].take() else {
                    return Err(PatchError::Unmergeable("list elements are of different types".to_owned()));
                };
                result[at] = Value::Object(merge_maps(old, change.clone(), item_schema)?);
            }
            None => result.extend(super::without_directives(item.clone())),
        }
    }
    Ok(in_order(result, &patch, &order, Some(key)))
}

enum Special {
    Replaced(Vec<Value>),
    Merge { live: Vec<Value>, patch: Vec<Value> },
}

/// Takes the elements with `$patch` out of the patch: they delete a live element or replace the whole list.
fn special_elements(mut live: Vec<Value>, patch: Vec<Value>, key: &str) -> Result<Special, PatchError> {
    let mut plain = Vec::with_capacity(patch.len());
    let mut replaced = false;
    for item in patch {
        let directive = match item.get(PATCH) {
            None => {
                plain.push(item);
                continue;
            }
            Some(directive) => directive.as_str().unwrap_or_default(),
        };
        match directive {
            "replace" => replaced = true,
            "delete" => {
                let Some(wanted) = item.get(key) else {
                    return Err(no_key(item.as_object().unwrap_or(&Map::new()), key));
                };
                live.retain(|v| !v.get(key).is_some_and(|k| equal(k, wanted)));
            }
            "merge" => {
                return Err(PatchError::Unmergeable("merging lists cannot yet be specified in the patch".to_owned()));
            }
            _ => return Err(PatchError::Unmergeable(format!("unknown patch type: {directive} in map: {item}"))),
        }
    }
    Ok(if replaced { Special::Replaced(plain) } else { Special::Merge { live, patch: plain } })
}

fn no_key(item: &Map<String, Value>, key: &str) -> PatchError {
    PatchError::Unmergeable(format!("map: {} does not contain declared merge key: {key}", go_map(item)))
}

/// A map as Go prints it, which is what clients see in this message: `map[a:1 b:map[c:2]]`, keys sorted.
fn go_map(map: &Map<String, Value>) -> String {
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort();
    let parts: Vec<String> = keys.into_iter().map(|k| format!("{k}:{}", go_value(&map[k]))).collect();
    format!("map[{}]", parts.join(" "))
}

fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(s) => s.clone(),
        Value::Object(map) => go_map(map),
        Value::Array(items) => format!("[{}]", items.iter().map(go_value).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

fn same_element(a: &Value, b: &Value, key: Option<&str>) -> bool {
    match key {
        None => equal(a, b),
        Some(key) => match (a.get(key), b.get(key)) {
            (Some(a), Some(b)) => equal(a, b),
            _ => false,
        },
    }
}

fn position(list: &[Value], item: &Value, key: Option<&str>) -> Option<usize> {
    list.iter().position(|v| same_element(v, item, key))
}

/// Elements that `order` names come in that order; the others keep the live order and stand where it puts them
/// relative to the named ones. Named elements that are not live come first.
pub(super) fn in_order(merged: Vec<Value>, order: &[Value], live: &[Value], key: Option<&str>) -> Vec<Value> {
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in merged {
        let live_at = position(live, &item, key);
        match position(order, &item, key) {
            Some(rank) => named.push((rank, live_at, item)),
            None => others.push((live_at.unwrap_or(usize::MAX), live_at, item)),
        }
    }
    named.sort_by_key(|(rank, _, _)| *rank);
    others.sort_by_key(|(rank, _, _)| *rank);
    let mut result = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, named_at, item) in named {
        while let (Some(at), Some((_, Some(other_at), _))) = (named_at, others.peek())
            && *other_at < at
        {
            result.extend(others.next().map(|(_, _, v)| v));
        }
        result.push(item);
    }
    result.extend(others.map(|(_, _, v)| v));
    result
}

/// Every element of the patch must stand in the order list, and in the same order.
pub(super) fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    let mut from = 0;
    for item in patch.iter().filter(|v| v.get(PATCH).is_none()) {
        match order[from..].iter().position(|o| same_element(o, item, key)) {
            Some(at) => from += at + 1,
            None => {
                let text = "The order in patch list and $setElementOrder list doesn't match";
                return super::bad(text);
            }
        }
    }
    Ok(())
}

/// `$deleteFromPrimitiveList/field`: every equal scalar goes.
pub(super) fn delete_primitives(live: &mut Map<String, Value>, field: &str, change: Value) -> Result<(), PatchError> {
    let Value::Array(gone) = change else {
        return super::bad("invalid patch format of primitive list");
    };
    if let Some(Value::Array(items)) = live.get_mut(field) {
        items.retain(|v| !gone.iter().any(|g| equal(g, v)));
    }
    Ok(())
}

/// A list that was not there before, as it is stored.
pub(super) fn without_directives(items: Vec<Value>) -> Vec<Value> {
    let replaces = |v: &Value| v.as_object().is_some_and(|m| m.len() == 1 && m.contains_key(PATCH));
    items.into_iter().filter(|v| !replaces(v)).filter_map(super::without_directives).collect()
}
