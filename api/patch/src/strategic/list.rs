//! Lists in a strategic merge: elements found by key, removed, added and put into order.

use super::{PATCH, merge_maps};
use crate::element;
use crate::error::PatchError;
use otternauts_schema::Schema;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Merges two lists of a field whose strategy is `merge`. New elements come before the live ones.
pub(super) fn merge(live: Vec<Value>, patch: Vec<Value>, schema: Option<&Schema>) -> Result<Vec<Value>, PatchError> {
    let maps = live.iter().chain(&patch).filter(|v| v.is_object()).count();
    if maps != 0 && maps != live.len() + patch.len() {
        let text = format!("list element types are not identical: [{} {}]", go_list(&live), go_list(&patch));
        return Err(PatchError::Unmergeable(text));
    }
    if maps == 0 {
        let mut seen = HashSet::new();
        let both = live.iter().chain(&patch);
        let merged = both.filter(|v| seen.insert(element::of_value(v))).cloned().collect();
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
    let mut at = places(&result, Some(key));
    for item in &patch {
        let Value::Object(change) = item else {
            return Err(PatchError::Unmergeable("list elements are of different types".to_owned()));
        };
        let Some(wanted) = change.get(key) else {
            return Err(no_key(change, key));
        };
        let wanted = element::of_value(wanted);
        match at.get(&wanted) {
            Some(&i) => {
                let Value::Object(old) = result[i].take() else {
                    return Err(PatchError::Unmergeable("list elements are of different types".to_owned()));
                };
                result[i] = Value::Object(merge_maps(old, change.clone(), item_schema)?);
            }
            None => {
                at.insert(wanted, result.len());
                result.extend(super::without_directives(item.clone()));
            }
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
    let mut deleted = HashSet::new();
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
                deleted.insert(element::of_value(wanted));
            }
            "merge" => {
                return Err(PatchError::Unmergeable("merging lists cannot yet be specified in the patch".to_owned()));
            }
            _ => {
                let text = format!("unknown patch type: {directive} in map: {}", go_value(&item));
                return Err(PatchError::Unmergeable(text));
            }
        }
    }
    if !deleted.is_empty() {
        live.retain(|v| !v.get(key).is_some_and(|k| deleted.contains(&element::of_value(k))));
    }
    Ok(if replaced { Special::Replaced(plain) } else { Special::Merge { live, patch: plain } })
}

fn no_key(item: &Map<String, Value>, key: &str) -> PatchError {
    PatchError::Unmergeable(format!("map: {} does not contain declared merge key: {key}", go_map(item)))
}

/// A map as Go prints it, which is what clients see in this message: `map[a:1 b:map[c:2]]`, keys sorted.
pub(super) fn go_map(map: &Map<String, Value>) -> String {
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort();
    let parts: Vec<String> = keys.into_iter().map(|k| format!("{k}:{}", go_value(&map[k]))).collect();
    format!("map[{}]", parts.join(" "))
}

fn go_list(items: &[Value]) -> String {
    format!("[{}]", items.iter().map(go_value).collect::<Vec<_>>().join(" "))
}

fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(s) => s.clone(),
        Value::Object(map) => go_map(map),
        Value::Array(items) => go_list(items),
        other => other.to_string(),
    }
}

/// What tells an element apart: the text of its key's value, or of the whole scalar.
fn identity(item: &Value, key: Option<&str>) -> Option<String> {
    match key {
        None => Some(element::of_value(item)),
        Some(key) => item.get(key).map(element::of_value),
    }
}

/// Where each identity occurs first.
fn places(list: &[Value], key: Option<&str>) -> HashMap<String, usize> {
    let mut places = HashMap::with_capacity(list.len());
    for (i, item) in list.iter().enumerate() {
        if let Some(identity) = identity(item, key) {
            places.entry(identity).or_insert(i);
        }
    }
    places
}

/// Elements that `order` names come in that order; the others keep the live order and stand where it puts them
/// relative to the named ones. Named elements that are not live come first.
pub(super) fn in_order(merged: Vec<Value>, order: &[Value], live: &[Value], key: Option<&str>) -> Vec<Value> {
    let (order, live) = (places(order, key), places(live, key));
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in merged {
        let id = identity(&item, key).unwrap_or_default();
        let live_at = live.get(&id).copied();
        match order.get(&id) {
            Some(rank) => named.push((*rank, live_at, item)),
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
        let wanted = identity(item, key);
        match order[from..].iter().position(|o| wanted.is_some() && identity(o, key) == wanted) {
            Some(at) => from += at + 1,
            None => {
                return Err(PatchError::Unmergeable(format!(
                    "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                    go_list(patch),
                    go_list(order)
                )));
            }
        }
    }
    Ok(())
}

/// `$deleteFromPrimitiveList/field`: every equal scalar goes. What is no list deletes nothing.
pub(super) fn delete_primitives(live: &mut Map<String, Value>, field: &str, change: &Value) {
    if let (Some(Value::Array(items)), Some(gone)) = (live.get_mut(field), change.as_array()) {
        let gone: HashSet<String> = gone.iter().map(element::of_value).collect();
        items.retain(|v| !gone.contains(&element::of_value(v)));
    }
}

/// A list that was not there before, as it is stored.
pub(super) fn without_directives(items: Vec<Value>) -> Vec<Value> {
    let replaces = |v: &Value| v.as_object().is_some_and(|m| m.len() == 1 && m.contains_key(PATCH));
    items.into_iter().filter(|v| !replaces(v)).filter_map(super::without_directives).collect()
}
