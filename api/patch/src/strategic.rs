//! Strategic merge patch of built-in kinds (rows P5, P6).
//!
//! A merge patch that knows from the schema which lists are merged by a key, and that carries directives:
//! `$patch`, `$retainKeys`, `$setElementOrder/f` and `$deleteFromPrimitiveList/f`.

mod list;

use crate::error::PatchError;
use crate::value::remove_members;
use otternauts_schema::Schema;
use serde_json::{Map, Value};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER_PREFIX: &str = "$setElementOrder/";
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList/";

/// Merges `patch` into `doc`; null deletes, merged lists find their elements by the key the schema names.
pub fn strategic_merge(doc: Value, patch: Value, schema: &Schema) -> Result<Value, PatchError> {
    let Value::Object(patch) = patch else {
        return bad("json: cannot unmarshal the patch into Go value of type map[string]interface {}");
    };
    let live = match doc {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    merge_maps(live, patch, Some(schema)).map(Value::Object)
}

fn bad<T>(text: impl Into<String>) -> Result<T, PatchError> {
    Err(PatchError::BadDirective(text.into()))
}

fn has_strategy(schema: Option<&Schema>, strategy: &str) -> bool {
    let declared = schema.and_then(|s| s.patch_strategy.as_deref()).unwrap_or_default();
    declared.split(',').any(|s| s == strategy)
}

fn merge_maps(
    mut live: Map<String, Value>,
    mut patch: Map<String, Value>,
    schema: Option<&Schema>,
) -> Result<Map<String, Value>, PatchError> {
    match patch.get(PATCH).map(|d| d.as_str().unwrap_or_default()) {
        None => {}
        Some("delete") => return Ok(Map::new()),
        Some("replace") => {
            patch.shift_remove(PATCH);
            return Ok(patch);
        }
        Some("merge") => {
            patch.shift_remove(PATCH);
        }
        Some(other) => {
            let text = format!("unknown patch type: {other} in map: {}", list::go_map(&patch));
            return Err(PatchError::Unmergeable(text));
        }
    }
    retain_keys(&mut live, &mut patch)?;
    set_element_orders(&mut live, &mut patch, schema)?;
    let mut gone = Vec::new();
    for (key, change) in patch {
        if let Some(field) = key.strip_prefix(DELETE_PREFIX) {
            list::delete_primitives(&mut live, field, &change);
            continue;
        }
        if change.is_null() {
            gone.push(key);
            continue;
        }
        let field_schema = schema.and_then(|s| s.property(&key));
        let merged = match (live.get_mut(&key).map(Value::take), change) {
            (Some(Value::Object(old)), Value::Object(new)) if !has_strategy(field_schema, "replace") => {
                Value::Object(merge_maps(old, new, field_schema)?)
            }
            (Some(Value::Array(old)), Value::Array(new)) if has_strategy(field_schema, "merge") => {
                Value::Array(list::merge(old, new, field_schema)?)
            }
            (_, new) => without_directives(new).unwrap_or(Value::Null),
        };
        live.insert(key, merged);
    }
    remove_members(&mut live, &gone);
    Ok(live)
}

/// `$retainKeys` clears what it does not name; every other key of the patch must be named.
fn retain_keys(live: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), PatchError> {
    let Some(directive) = patch.shift_remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let wrong = "invalid patch format of retainKeys";
    let Value::Array(names) = directive else {
        return bad(wrong);
    };
    let named = |key: &str| names.iter().any(|n| n.as_str() == Some(key));
    if patch.keys().any(|key| !key.starts_with('$') && !named(key)) {
        return bad(wrong);
    }
    live.retain(|key, _| named(key));
    Ok(())
}

/// Merges every list that has a `$setElementOrder` beside it and puts it into that order.
fn set_element_orders(
    live: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    schema: Option<&Schema>,
) -> Result<(), PatchError> {
    let directives: Vec<String> = patch.keys().filter(|k| k.starts_with(ORDER_PREFIX)).cloned().collect();
    for directive in directives {
        let Some(Value::Array(order)) = patch.shift_remove(&directive) else {
            return Err(PatchError::Unmergeable("expected a []interface {}, but received something else".to_owned()));
        };
        let field = &directive[ORDER_PREFIX.len()..];
        let field_schema = schema.and_then(|s| s.property(field));
        let key = field_schema.and_then(|s| s.patch_merge_key.as_deref());
        let changes = match patch.shift_remove(field) {
            None => None,
            Some(Value::Array(items)) => Some(items),
            Some(other) => {
                patch.insert(field.to_owned(), other);
                continue;
            }
        };
        list::check_order(changes.as_deref().unwrap_or_default(), &order, key)?;
        let old = match live.get_mut(field).map(Value::take) {
            Some(Value::Array(items)) => Some(items),
            _ => None,
        };
        let merged = match (old.clone(), changes) {
            (None, None) => continue,
            (Some(items), None) => items,
            (None, Some(items)) => list::without_directives(items),
            (Some(items), Some(new)) if has_strategy(field_schema, "merge") => list::merge(items, new, field_schema)?,
            (Some(_), Some(new)) => new,
        };
        let ordered = list::in_order(merged, &order, &old.unwrap_or_default(), key);
        live.insert(field.to_owned(), Value::Array(ordered));
    }
    Ok(())
}

/// A new value as it is stored: no nulls in objects, no directives; `None` for one that says "delete me".
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) => {
            if map.get(PATCH).and_then(Value::as_str) == Some("delete") {
                return None;
            }
            let kept = map
                .into_iter()
                .filter(|(k, v)| !v.is_null() && !is_directive(k))
                .filter_map(|(k, v)| Some((k, without_directives(v)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(Value::Array(list::without_directives(items))),
        other => Some(other),
    }
}

fn is_directive(key: &str) -> bool {
    key == PATCH || key == RETAIN_KEYS || key.starts_with(ORDER_PREFIX) || key.starts_with(DELETE_PREFIX)
}

#[cfg(test)]
mod tests;
