//! Merging an applied object into the live one, by schema.

use crate::element;
use crate::ownership::Ownership;
use crate::shape::{Shape, member, shape};
use otternauts_meta::Object;
use otternauts_schema::Schema;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The live object with everything the applied one sets. Fields this path never owns and managedFields stay as they are.
pub(crate) fn combine(live: Object, applied: &Object, context: &Ownership<'_>) -> Object {
    let mut merged = live;
    for (name, value) in &applied.0 {
        if context.reset.contains(&name.as_str()) {
            continue;
        }
        set_member(&mut merged.0, name, value, member(Some(context.schema), name));
    }
    merged
}

fn set_member(map: &mut Map<String, Value>, name: &str, value: &Value, schema: Option<&Schema>) {
    match map.get_mut(name) {
        Some(slot) => {
            let old = slot.take();
            *slot = merge(old, value, schema);
        }
        None => {
            map.insert(name.to_owned(), value.clone());
        }
    }
}

fn merge(live: Value, applied: &Value, schema: Option<&Schema>) -> Value {
    match (shape(&live, schema), live, applied) {
        (Shape::Members, Value::Object(mut map), Value::Object(changes))
            if !matches!(shape(applied, schema), Shape::Leaf) =>
        {
            for (name, value) in changes {
                set_member(&mut map, name, value, member(schema, name));
            }
            Value::Object(map)
        }
        (Shape::Items(list), Value::Array(old), Value::Array(new)) => Value::Array(merge_items(old, new, list)),
        // Null over something with content changes nothing: only dropping fields removes them.
        (Shape::Members, Value::Object(map), Value::Null) if !map.is_empty() => Value::Object(map),
        (Shape::Items(_), Value::Array(items), Value::Null) if !items.is_empty() => Value::Array(items),
        _ => applied.clone(),
    }
}

/// The applied order holds for applied items; items only the live list has keep their places between them.
fn merge_items(live: Vec<Value>, applied: &[Value], list: &Schema) -> Vec<Value> {
    let wanted: Vec<Option<String>> = applied.iter().map(|v| element::of_item(v, list).ok()).collect();
    let rank: HashMap<&str, usize> = wanted.iter().enumerate().filter_map(|(i, e)| Some((e.as_deref()?, i))).collect();
    let there: Vec<Option<String>> = live.iter().map(|v| element::of_item(v, list).ok()).collect();
    let mut live_at: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, element) in there.iter().enumerate() {
        if let Some(element) = element {
            live_at.entry(element).or_default().push(i);
        }
    }
    let applied_rank = |i: usize| there[i].as_deref().and_then(|e| rank.get(e)).copied();
    let mut live: Vec<Option<Value>> = live.into_iter().map(Some).collect();
    let mut result = Vec::with_capacity(live.len().max(applied.len()));
    let mut shared = wanted.iter().enumerate().filter(|(_, e)| e.as_deref().is_some_and(|e| live_at.contains_key(e)));
    let mut next_shared = shared.next().map(|(i, _)| i);
    let mut at = 0;
    for (i, item) in applied.iter().enumerate() {
        while at < live.len() {
            match applied_rank(at) {
                None => result.extend(live[at].take()),
                Some(r) if Some(r) == next_shared => break,
                Some(_) => {}
            }
            at += 1;
        }
        // An identity that the live list has twice is replaced, not merged.
        let old = match wanted[i].as_deref().and_then(|e| live_at.get(e)).map(Vec::as_slice) {
            Some([only]) => live[*only].take(),
            _ => None,
        };
        result.push(match old {
            Some(old) => merge(old, item, list.items.as_deref()),
            None => item.clone(),
        });
        if next_shared == Some(i) {
            next_shared = shared.next().map(|(i, _)| i);
            if at < live.len() && applied_rank(at) == Some(i) {
                at += 1;
            }
        }
    }
    let rest: Vec<usize> = (at..live.len()).filter(|i| applied_rank(*i).is_none()).collect();
    result.extend(rest.into_iter().filter_map(|i| live[i].take()));
    result
}
