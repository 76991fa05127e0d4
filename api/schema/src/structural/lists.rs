//! Lists that are sets or maps (rows X7, A10).

use super::{Doc, flag, text, wrong_type};
use otternauts_meta::{ErrorList, FieldError, Path};
use serde_json::Value;

pub(super) fn check(doc: &Doc, path: &Path, errors: &mut ErrorList) {
    let here = path.child("x-kubernetes-list-type");
    let kind = text(doc, "x-kubernetes-list-type");
    let keys: Vec<&Value> =
        doc.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten().collect();
    if let Some(kind) = kind {
        wrong_type(doc, "array", "x-kubernetes-list-type", path, errors);
        if !["atomic", "set", "map"].contains(&kind) {
            errors.push(FieldError::not_supported(&here, kind, &["atomic", "set", "map"]));
        }
    }
    if !keys.is_empty() && kind != Some("map") {
        let why = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(match kind {
            Some(kind) => FieldError::invalid(&here, kind, why),
            None => FieldError::required(&here, why),
        });
    }
    let items = doc.get("items").and_then(Value::as_object);
    match kind {
        Some("map") => check_map(doc, items, &keys, path, errors),
        Some("set") => check_set(items, &path.child("items"), errors),
        _ => {}
    }
}

fn check_map(doc: &Doc, items: Option<&Doc>, keys: &[&Value], path: &Path, errors: &mut ErrorList) {
    let here = path.child("x-kubernetes-list-map-keys");
    if keys.is_empty() {
        errors.push(FieldError::required(&here, "must not be empty if x-kubernetes-list-type is map"));
    }
    let Some(items) = items else {
        errors.push(FieldError::required(&path.child("items"), "must have a schema if x-kubernetes-list-type is map"));
        return;
    };
    let at = path.child("items");
    if text(items, "type") != Some("object") {
        let why = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(FieldError::invalid(&at.child("type"), text(items, "type").unwrap_or_default(), why));
    }
    if flag(items, "nullable") {
        errors.push(FieldError::forbidden(
            &at.child("nullable"),
            "cannot be nullable when x-kubernetes-list-type is map",
        ));
    }
    let all = || doc.get("x-kubernetes-list-map-keys").cloned().unwrap_or_default();
    if keys.iter().enumerate().any(|(i, k)| keys[..i].contains(k)) {
        errors.push(FieldError::invalid(&here, all(), "must not contain duplicate entries"));
    }
    let required: Vec<&str> =
        items.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for key in keys.iter().filter_map(|k| k.as_str()) {
        let property = items.get("properties").and_then(|p| p.get(key)).and_then(Value::as_object);
        let Some(property) = property else {
            errors.push(FieldError::invalid(&here, all(), "entries must all be names of item properties"));
            continue;
        };
        let at = at.child("properties").key(key);
        if matches!(text(property, "type"), Some("array" | "object")) {
            let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.push(FieldError::invalid(&at.child("type"), text(property, "type").unwrap_or_default(), why));
        }
        if !property.contains_key("default") && !required.contains(&key) {
            let why =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(FieldError::required(&at.child("default"), why));
        }
        if flag(property, "nullable") {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(FieldError::forbidden(&at.child("nullable"), why));
        }
    }
}

fn check_set(items: Option<&Doc>, at: &Path, errors: &mut ErrorList) {
    let Some(items) = items else { return };
    let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let extension = match text(items, "type") {
        Some("array") => "x-kubernetes-list-type",
        Some("object") => "x-kubernetes-map-type",
        _ => "",
    };
    // A list is atomic unless it says otherwise, an object must say it.
    let said = items.get(extension).cloned();
    let atomic = match said.as_ref().and_then(Value::as_str) {
        Some(said) => said == "atomic",
        None => extension != "x-kubernetes-map-type",
    };
    if !atomic {
        errors.push(FieldError::invalid(&at.child(extension), said.unwrap_or_default(), why));
    }
    if flag(items, "nullable") {
        errors.push(FieldError::forbidden(
            &at.child("nullable"),
            "cannot be nullable when x-kubernetes-list-type is set",
        ));
    }
}
