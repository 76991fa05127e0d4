//! What makes a schema document structural, and what Kubernetes says when it is not (row X7).

use crate::prune::prune;
use crate::schema::Schema;
use crate::validate::validate;
use otternauts_meta::{ErrorList, FieldError, Path};
use serde_json::{Map, Value};

mod cel;
mod composition;
mod lists;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// Keywords of JSON Schema that Kubernetes refuses everywhere.
const REFUSED: [&str; 7] =
    ["$ref", "definitions", "dependencies", "patternProperties", "additionalItems", "id", "deprecated"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Field,
    Item,
}

type Doc = Map<String, Value>;

/// Judges a whole document.
pub(crate) fn check_root(document: &Value, path: &Path, errors: &mut ErrorList) {
    let Some(doc) = document.as_object() else {
        errors.push(FieldError::required(path, "schemas are required"));
        return;
    };
    // A document with keywords that no structural schema has is not looked at further, as upstream does.
    let readable = !has_refused(doc);
    check(doc, Level::Root, readable, path, errors);
    if !readable {
        return;
    }
    composition::check_declared(doc, path, errors);
    if let Some(kind) = text(doc, "type")
        && kind != "object"
    {
        errors.push(FieldError::invalid(&path.child("type"), kind, "must be object at the root"));
    }
    if flag(doc, "nullable") {
        errors.push(FieldError::forbidden(&path.child("nullable"), "nullable cannot be true at the root"));
    }
}

fn has_refused(doc: &Doc) -> bool {
    REFUSED.iter().any(|k| doc.get(*k).is_some_and(|v| !v.is_null()))
        || children(doc, &Path::root()).iter().any(|(child, ..)| has_refused(child))
}

fn text<'a>(doc: &'a Doc, key: &str) -> Option<&'a str> {
    doc.get(key).and_then(Value::as_str).filter(|t| !t.is_empty())
}

fn flag(doc: &Doc, key: &str) -> bool {
    doc.get(key).and_then(Value::as_bool).unwrap_or_default()
}

/// The schemas below a node, with where they are and what they are to it.
fn children<'a>(doc: &'a Doc, path: &Path) -> Vec<(&'a Doc, Level, Path)> {
    let mut out = Vec::new();
    if let Some(properties) = doc.get("properties").and_then(Value::as_object) {
        let path = path.child("properties");
        out.extend(properties.iter().filter_map(|(n, d)| Some((d.as_object()?, Level::Field, path.key(n)))));
    }
    if let Some(other) = doc.get("additionalProperties").and_then(Value::as_object) {
        out.push((other, Level::Field, path.child("additionalProperties")));
    }
    if let Some(items) = doc.get("items").and_then(Value::as_object) {
        out.push((items, Level::Item, path.child("items")));
    }
    out
}

fn check(doc: &Doc, level: Level, readable: bool, path: &Path, errors: &mut ErrorList) {
    check_keywords(doc, path, errors);
    check_additional(doc, path, errors);
    lists::check(doc, path, errors);
    if readable {
        check_structure(doc, level, path, errors);
    }
    for (child, level, path) in children(doc, path) {
        check(child, level, readable, &path, errors);
    }
}

fn check_structure(doc: &Doc, level: Level, path: &Path, errors: &mut ErrorList) {
    if level == Level::Root && doc.get("additionalProperties").is_some_and(|v| !v.is_null()) {
        errors.push(FieldError::forbidden(&path.child("additionalProperties"), "must not be used at the root"));
    }
    check_type(doc, level, path, errors);
    cel::check(doc, path, errors);
    composition::check(doc, path, errors);
    if level == Level::Root || flag(doc, "x-kubernetes-embedded-resource") {
        check_resource(doc, path, errors);
    }
}

fn check_keywords(doc: &Doc, path: &Path, errors: &mut ErrorList) {
    for key in REFUSED.iter().filter(|k| doc.get(**k).is_some_and(|v| !v.is_null())) {
        errors.push(FieldError::forbidden(&path.child(key), format!("{key} is not supported")));
    }
    if flag(doc, "uniqueItems") {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(&path.child("uniqueItems"), why));
    }
    if doc.get("items").is_some_and(Value::is_array) {
        errors.push(FieldError::forbidden(&path.child("items"), "items must be a schema object and not an array"));
    }
    if doc.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        let path = path.child("x-kubernetes-preserve-unknown-fields");
        errors.push(FieldError::invalid(&path, false, "must be true or undefined"));
    }
    if flag(doc, "x-kubernetes-int-or-string") {
        for key in
            ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"].iter().filter(|k| flag(doc, k))
        {
            let why = "must be false if x-kubernetes-int-or-string is true";
            errors.push(FieldError::invalid(&path.child(key), true, why));
        }
    }
    if let Some(kind) = text(doc, "x-kubernetes-map-type") {
        let here = path.child("x-kubernetes-map-type");
        if !["atomic", "granular"].contains(&kind) {
            errors.push(FieldError::not_supported(&here, kind, &["atomic", "granular"]));
        }
        wrong_type(doc, "object", "x-kubernetes-map-type", path, errors);
    }
}

/// An extension stands at a node of the wrong type, or of none.
fn wrong_type(doc: &Doc, wanted: &str, extension: &str, path: &Path, errors: &mut ErrorList) {
    let why = format!("must be {wanted} if {extension} is specified");
    match text(doc, "type") {
        Some(found) if found == wanted => {}
        Some(found) => errors.push(FieldError::invalid(&path.child("type"), found, why)),
        None => errors.push(FieldError::required(&path.child("type"), why)),
    }
}

fn check_additional(doc: &Doc, path: &Path, errors: &mut ErrorList) {
    let other = doc.get("additionalProperties").is_some_and(|v| !v.is_null() && *v != Value::Bool(true));
    if other && doc.get("properties").and_then(Value::as_object).is_some_and(|p| !p.is_empty()) {
        let why = "additionalProperties and properties are mutual exclusive";
        errors.push(FieldError::forbidden(&path.child("additionalProperties"), why));
    }
}

fn check_type(doc: &Doc, level: Level, path: &Path, errors: &mut ErrorList) {
    let here = path.child("type");
    let embedded = flag(doc, "x-kubernetes-embedded-resource");
    match text(doc, "type") {
        Some("null") => {
            errors.push(FieldError::forbidden(&here, "type cannot be set to null, use nullable as an alternative"));
            errors.push(FieldError::not_supported(&here, "null", &TYPES));
        }
        Some(kind) if !TYPES.contains(&kind) => errors.push(FieldError::not_supported(&here, kind, &TYPES)),
        Some(kind) if embedded && kind != "object" => {
            errors.push(FieldError::invalid(&here, kind, "must be object if x-kubernetes-embedded-resource is true"));
        }
        None if embedded => {
            errors.push(FieldError::required(&here, "must be object if x-kubernetes-embedded-resource is true"));
        }
        None if !flag(doc, "x-kubernetes-int-or-string")
            && !doc.contains_key("x-kubernetes-preserve-unknown-fields") =>
        {
            errors.push(FieldError::required(
                &here,
                match level {
                    Level::Root => "must not be empty at the root",
                    Level::Item => "must not be empty for specified array items",
                    Level::Field => "must not be empty for specified object fields",
                },
            ));
        }
        Some("array") if doc.get("items").is_none_or(Value::is_null) => {
            errors.push(FieldError::required(&path.child("items"), "must be specified"));
        }
        _ => {}
    }
}

/// Rules of a node that is a whole object: the root and embedded resources.
fn check_resource(doc: &Doc, path: &Path, errors: &mut ErrorList) {
    let properties = doc.get("properties").and_then(Value::as_object);
    let here = path.child("properties");
    for key in ["kind", "apiVersion"] {
        if let Some(property) = properties.and_then(|p| p.get(key)).and_then(Value::as_object)
            && text(property, "type") != Some("string")
        {
            let found = text(property, "type").unwrap_or_default();
            errors.push(FieldError::invalid(&here.key(key).child("type"), found, "must be string"));
        }
    }
    if let Some(metadata) = properties.and_then(|p| p.get("metadata")).and_then(Value::as_object) {
        check_metadata(metadata, &here.key("metadata"), errors);
    }
    if !flag(doc, "x-kubernetes-embedded-resource") {
        return;
    }
    if doc.get("additionalProperties").is_some_and(|v| !v.is_null()) {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(&path.child("additionalProperties"), why));
    }
    if properties.is_none_or(Map::is_empty) && !flag(doc, "x-kubernetes-preserve-unknown-fields") {
        let why =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(&here, why));
    }
}

fn check_metadata(doc: &Doc, path: &Path, errors: &mut ErrorList) {
    if let Some(kind) = text(doc, "type")
        && kind != "object"
    {
        errors.push(FieldError::invalid(&path.child("type"), kind, "must be object"));
    }
    let properties = doc.get("properties").and_then(Value::as_object);
    let foreign = properties.is_some_and(|p| p.keys().any(|k| k != "name" && k != "generateName"));
    let other = doc
        .iter()
        .any(|(key, value)| !matches!(key.as_str(), "type" | "description" | "properties") && !value.is_null());
    if foreign || other {
        let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(FieldError::forbidden(path, why));
    }
}

/// Defaults must be what the schema itself allows (row X7).
pub(crate) fn check_defaults(schema: &Schema, path: &Path, errors: &mut ErrorList) {
    if let Some(default) = schema.default.as_ref().filter(|d| !d.is_null()) {
        check_default(schema, default, &path.child("default"), errors);
    }
    for (name, property) in &schema.properties {
        check_defaults(property, &path.child("properties").key(name), errors);
    }
    if let Some(items) = &schema.items {
        check_defaults(items, &path.child("items"), errors);
    }
    if let Some(other) = &schema.additional_properties {
        check_defaults(other, &path.child("additionalProperties"), errors);
    }
}

fn check_default(schema: &Schema, default: &Value, path: &Path, errors: &mut ErrorList) {
    let mut pruned = default.clone();
    if !prune(schema, &mut pruned).is_empty() {
        errors.push(FieldError::invalid(path, default.clone(), "must not have unknown fields"));
    }
    // Upstream does not look at the type here, only at the value of a request.
    if schema.int_or_string && schema.r#type.is_none() {
        return;
    }
    let found = validate(schema, default, None, &Path::root());
    errors.extend(found.into_iter().map(|e| match e.path.as_str() {
        "" => FieldError { path: path.clone(), ..e },
        below => FieldError { path: path.child(below), ..e },
    }));
}
