//! What JSON values have in common here: equality as Kubernetes sees it, size and depth.

use serde_json::{Map, Number, Value};
use std::collections::HashSet;

/// The deepest nesting a patched object may reach; a request body is parsed with the same bound.
pub const MAX_DEPTH: usize = 128;

/// Equal in content: numbers by value (`1` is `1.0`), objects whatever the order of their keys.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        _ => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    a == b || ((a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64())
}

/// About as many bytes as the value takes as JSON. Stops counting beyond `limit`.
pub(crate) fn size_up_to(value: &Value, limit: usize) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(s) => s.len() + 2,
        Value::Array(items) => {
            let mut total = 2;
            for item in items {
                if total > limit {
                    break;
                }
                total += 1 + size_up_to(item, limit);
            }
            total
        }
        Value::Object(map) => {
            let mut total = 2;
            for (key, item) in map {
                if total > limit {
                    break;
                }
                total += key.len() + 4 + size_up_to(item, limit);
            }
            total
        }
    }
}

/// True when nothing lies deeper than `levels` containers.
pub(crate) fn fits(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|v| fits(v, levels - 1)),
        Value::Object(map) => levels > 0 && map.values().all(|v| fits(v, levels - 1)),
        _ => true,
    }
}

/// Removes members in one go; one by one, each would move all that come after it.
pub(crate) fn remove_members(map: &mut Map<String, Value>, names: &[impl AsRef<str>]) {
    if names.len() <= 4 {
        for name in names {
            map.shift_remove(name.as_ref());
        }
        return;
    }
    let gone: HashSet<&str> = names.iter().map(AsRef::as_ref).collect();
    map.retain(|name, _| !gone.contains(name.as_str()));
}
