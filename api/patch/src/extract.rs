//! The fields an applied object sets (row A10), and whether it fits its schema (row A18).

use crate::element;
use crate::ownership::{Ownership, is_owned_metadata};
use crate::set::{FieldSet, Node};
use crate::shape::{Shape, is_declared, member, shape};
use otternauts_meta::Object;
use otternauts_schema::{ListType, Schema, Type};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Every field the object sets: leaves, items, and members that the schema does not name.
pub fn extract(object: &Object, context: &Ownership<'_>) -> FieldSet {
    let mut set = members(&object.0, Some(context.schema), &|name| context.owns(name));
    if context.owns_metadata()
        && let Some(Value::Object(metadata)) = object.0.get("metadata")
    {
        let below = members(metadata, member(Some(context.schema), "metadata"), &is_owned_metadata);
        set.attach(element::field("metadata"), Node { owned: false, children: below });
    }
    set
}

fn members(map: &Map<String, Value>, schema: Option<&Schema>, counts: &dyn Fn(&str) -> bool) -> FieldSet {
    let parts = map.iter().filter(|(name, _)| counts(name)).map(|(name, value)| {
        let mut node = below(value, member(schema, name));
        let is_bare = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        node.owned |= is_bare || !is_declared(schema, name);
        (element::field(name).into(), node)
    });
    FieldSet::of(parts.collect())
}

fn below(value: &Value, schema: Option<&Schema>) -> Node {
    match (shape(value, schema), value) {
        (Shape::Members, Value::Object(map)) => Node { owned: false, children: members(map, schema, &|_| true) },
        (Shape::Items(list), Value::Array(all)) => Node { owned: false, children: items(all, list) },
        (Shape::Leaf, _) => Node::leaf(),
        _ => Node::default(),
    }
}

/// An identity that occurs twice is owned as a whole.
fn items(all: &[Value], list: &Schema) -> FieldSet {
    let mut times: HashMap<String, (usize, &Value)> = HashMap::new();
    for item in all {
        if let Ok(element) = element::of_item(item, list) {
            times.entry(element).or_insert((0, item)).0 += 1;
        }
    }
    let parts = times.into_iter().map(|(element, (count, item))| {
        let children = if count > 1 { FieldSet::default() } else { below(item, list.items.as_deref()).children };
        (element.into(), Node { owned: true, children })
    });
    FieldSet::of(parts.collect())
}

/// Checks an applied object against its schema as server-side apply does. The error is the part of the text after the
/// colon: one problem, or `errors:` and one problem a line.
pub(crate) fn check(object: &Object, schema: &Schema) -> Result<(), String> {
    let mut problems = Vec::new();
    for (name, value) in &object.0 {
        if name == "apiVersion" || name == "kind" {
            continue;
        }
        if !check_member(schema, name, value, "", &mut problems) {
            break;
        }
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err(problems.remove(0)),
        _ => Err(format!("errors:\n  {}", problems.join("\n  "))),
    }
}

/// False when the member is not declared; Kubernetes looks no further in that object then.
fn check_member(schema: &Schema, name: &str, value: &Value, path: &str, problems: &mut Vec<String>) -> bool {
    let path = format!("{path}.{name}");
    match schema.property(name) {
        Some(below) => check_value(value, below, &path, problems),
        None if schema.preserve_unknown || (schema.r#type.is_none() && !schema.int_or_string) => {}
        None => {
            problems.push(format!("{path}: field not declared in schema"));
            return false;
        }
    }
    true
}

fn check_value(value: &Value, schema: &Schema, path: &str, problems: &mut Vec<String>) {
    match (schema.r#type, value) {
        (_, Value::Null) => {}
        (Some(Type::Object), Value::Object(map)) | (None, Value::Object(map)) if !schema.int_or_string => {
            for (name, value) in map {
                if !check_member(schema, name, value, path, problems) {
                    break;
                }
            }
        }
        (Some(Type::Array), Value::Array(items)) => check_items(items, schema, path, problems),
        (None, _)
        | (Some(Type::String), Value::String(_))
        | (Some(Type::Boolean), Value::Bool(_))
        | (Some(Type::Integer | Type::Number), Value::Number(_)) => {}
        (Some(expected), _) => problems.push(format!("{path}: {}", mismatch(expected, value))),
    }
}

fn check_items(items: &[Value], list: &Schema, path: &str, problems: &mut Vec<String>) {
    let mut seen = HashSet::new();
    for (i, item) in items.iter().enumerate() {
        let element = if list.list_type == ListType::Atomic {
            format!("i:{i}")
        } else {
            match element::of_item(item, list) {
                Ok(element) => element,
                Err(problem) => {
                    problems.push(format!("{path}: element {i}: {problem}"));
                    continue;
                }
            }
        };
        let printed = element::printed(&element);
        if !seen.insert(element) {
            problems.push(format!("{path}: duplicate entries for key {printed}"));
        }
        if let Some(below) = list.items.as_deref() {
            check_value(item, below, &format!("{path}{printed}"), problems);
        }
    }
}

/// What was expected and what came, as Kubernetes' implementation happens to print values.
fn mismatch(expected: Type, value: &Value) -> String {
    match expected {
        Type::Integer | Type::Number => {
            let found = match value {
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                Value::Array(_) => "[]interface {}",
                _ => "map[string]interface {}",
            };
            format!("expected numeric (int or float), got {found}")
        }
        Type::String => {
            let found = match value {
                Value::Object(_) => format!("map[string]interface {{}}{value}"),
                Value::Array(items) => {
                    let inner: Vec<String> = items.iter().map(ToString::to_string).collect();
                    format!("[]interface {{}}{{{}}}", inner.join(", "))
                }
                scalar => scalar.to_string(),
            };
            format!("expected string, got &value.valueUnstructured{{Value:{found}}}")
        }
        Type::Boolean => format!("expected boolean, got &{{{}}}", go_print(value)),
        Type::Object => format!("expected map, got &{{{}}}", go_print(value)),
        Type::Array => format!("expected list, got &{{{}}}", go_print(value)),
    }
}

fn go_print(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_print).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut parts: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", go_print(v))).collect();
            parts.sort();
            format!("map[{}]", parts.join(" "))
        }
        other => other.to_string(),
    }
}
