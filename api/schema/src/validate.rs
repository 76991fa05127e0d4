//! Judges values by a schema, in Kubernetes' words (rows X11, X12, X14, E9).

use crate::schema::{ListType, Schema, Type};
use otternauts_meta::{ErrorList, FieldError, FieldErrorKind, Path};
use serde_json::{Map, Value};
use std::collections::HashMap;

mod composition;
mod lists;
mod resource;
mod scalars;

pub use lists::validate_lists;

/// What is wrong with `new`. With `old`, a value that did not change is not judged again (row X12).
/// `path` is where `new` stands; the root of an object has the empty path. List sets and maps are [`validate_lists`]' matter;
/// what all metadata must satisfy is `otternauts_meta::metadata`'s.
pub fn validate(schema: &Schema, new: &Value, old: Option<&Value>, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    node(schema, new, old, path, &mut errors);
    if path.as_str().is_empty() && schema.is_root && hides_rules(&errors) && has_cel(schema) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors to \
                   complete validation";
        errors.push(FieldError::invalid(&Path::root(), Value::Null, why));
    }
    errors
}

fn hides_rules(errors: &[FieldError]) -> bool {
    use FieldErrorKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
    errors.iter().any(|e| matches!(e.kind, TypeInvalid | Required | NotSupported(_) | TooLong | TooMany))
}

fn has_cel(schema: &Schema) -> bool {
    !schema.rules.cel.is_empty()
        || schema.properties.iter().any(|(_, s)| has_cel(s))
        || schema.items.as_deref().is_some_and(has_cel)
        || schema.additional_properties.as_deref().is_some_and(has_cel)
}

/// The word for a value's type in messages.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if is_integer(n) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_integer(n: &serde_json::Number) -> bool {
    n.is_i64() || n.is_u64() || n.as_f64().is_some_and(|f| f.fract() == 0.0 && f.abs() < 9_007_199_254_740_992.0)
}

fn node(schema: &Schema, new: &Value, old: Option<&Value>, path: &Path, errors: &mut ErrorList) {
    if old == Some(new) {
        return;
    }
    if schema.nullable && new.is_null() {
        scalars::check_enum(schema, new, path, errors);
        return;
    }
    check_type(schema, new, path, errors);
    scalars::check_enum(schema, new, path, errors);
    composition::check(schema, new, path, errors);
    match new {
        Value::String(text) => scalars::check_string(schema, text, path, errors),
        Value::Number(n) => scalars::check_number(schema, n, path, errors),
        Value::Array(list) => check_array(schema, list, old, path, errors),
        Value::Object(map) => check_object(schema, map, old, path, errors),
        Value::Null | Value::Bool(_) => {}
    }
}

fn check_type(schema: &Schema, value: &Value, path: &Path, errors: &mut ErrorList) {
    let fits = match (schema.r#type, value) {
        _ if schema.int_or_string && schema.r#type.is_none() => matches!(type_name(value), "integer" | "string"),
        (None, _) => true,
        (Some(Type::Integer), Value::Number(n)) => is_integer(n),
        (Some(Type::Number), Value::Number(_)) => true,
        (Some(t), _) => t.as_str() == type_name(value),
    };
    if fits {
        return;
    }
    let mut wanted = match schema.r#type {
        Some(t) => t.as_str(),
        None => "integer,string",
    };
    let mut found = type_name(value);
    // A number where a format was asked for is named by its own format.
    if let (Some(format), Value::Number(n)) = (&schema.rules.format, value) {
        wanted = format;
        found = if n.is_i64() || n.is_u64() { "int64" } else { "float64" };
    }
    let text = format!("{path} in body must be of type {wanted}: \"{found}\"", path = path.as_str());
    errors.push(FieldError::type_invalid(path, found, text));
}

fn check_array(schema: &Schema, list: &[Value], old: Option<&Value>, path: &Path, errors: &mut ErrorList) {
    if let Some(min) = schema.rules.min_items
        && (list.len() as u64) < min
    {
        let text = format!("{} in body should have at least {min} items", path.as_str());
        errors.push(FieldError::invalid(path, list.len(), text));
    }
    if let Some(max) = schema.rules.max_items
        && (list.len() as u64) > max
    {
        errors.push(FieldError::too_many(path, list.len(), usize::try_from(max).unwrap_or(usize::MAX)));
    }
    let Some(items) = &schema.items else { return };
    let before = match (&schema.list_type, old.and_then(Value::as_array)) {
        (ListType::Map(keys), Some(old)) => lists::by_key(items, keys, old),
        _ => HashMap::new(),
    };
    for (i, item) in list.iter().enumerate() {
        let old = match &schema.list_type {
            ListType::Map(keys) if !before.is_empty() => {
                lists::key(items, keys, item).and_then(|k| before.get(&k.to_string()).copied())
            }
            _ => None,
        };
        node(items, item, old, &path.index(i), errors);
    }
}

fn check_object(schema: &Schema, map: &Map<String, Value>, old: Option<&Value>, path: &Path, errors: &mut ErrorList) {
    let rules = &schema.rules;
    if let Some(min) = rules.min_properties
        && (map.len() as u64) < min
    {
        let text = format!("{} in body should have at least {min} properties", path.as_str());
        errors.push(FieldError::invalid(path, map.len(), text));
    }
    if let Some(max) = rules.max_properties
        && (map.len() as u64) > max
    {
        errors.push(FieldError::too_many(path, map.len(), usize::try_from(max).unwrap_or(usize::MAX)));
    }
    for name in rules.required.iter().filter(|n| !map.contains_key(*n)) {
        errors.push(FieldError::required(&path.child(name), ""));
    }
    if schema.embedded_resource {
        resource::check(map, path, errors);
    }
    let old = old.and_then(Value::as_object);
    for (name, value) in map {
        if let Some(property) = schema.property(name) {
            node(property, value, old.and_then(|o| o.get(name)), &path.child(name), errors);
        }
    }
}

#[cfg(test)]
mod tests;
