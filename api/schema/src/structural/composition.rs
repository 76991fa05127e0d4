//! What may stand inside allOf, anyOf, oneOf and not (row X7).

use super::{Doc, flag, text};
use otternauts_meta::{ErrorList, FieldError, Path};
use serde_json::{Value, json};

/// Judges all branches of a node.
pub(super) fn check(doc: &Doc, path: &Path, errors: &mut ErrorList) {
    for (branch, path) in branches(doc, path, int_or_string_branches(doc)) {
        check_branch(branch.0, branch.1, &path, errors);
    }
}

/// A branch, and whether it is allowed to name types.
type Branch<'a> = (&'a Doc, bool);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Typed {
    None,
    AnyOf,
    FirstAllOf,
}

fn branches<'a>(doc: &'a Doc, path: &Path, typed: Typed) -> Vec<(Branch<'a>, Path)> {
    let mut out = Vec::new();
    for key in ["allOf", "anyOf", "oneOf"] {
        let list = doc.get(key).and_then(Value::as_array).into_iter().flatten().enumerate();
        out.extend(list.filter_map(|(i, d)| {
            let free =
                key == "anyOf" && typed == Typed::AnyOf || key == "allOf" && i == 0 && typed == Typed::FirstAllOf;
            Some(((d.as_object()?, free), path.child(key).index(i)))
        }));
    }
    if let Some(not) = doc.get("not").and_then(Value::as_object) {
        out.push(((not, false), path.child("not")));
    }
    out
}

/// `anyOf: [{type: integer}, {type: string}]` is the one place for types in a branch, also as first of an allOf.
fn int_or_string_branches(doc: &Doc) -> Typed {
    let pattern = json!([{"type": "integer"}, {"type": "string"}]);
    if doc.get("anyOf") == Some(&pattern) {
        return Typed::AnyOf;
    }
    let first = doc.get("allOf").and_then(|a| a.get(0)).and_then(|f| f.get("anyOf"));
    if first == Some(&pattern) { Typed::FirstAllOf } else { Typed::None }
}

const MUST_BE_EMPTY: [&str; 3] = ["type", "title", "description"];
const MUST_BE_FALSE: [&str; 4] = [
    "nullable",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
];
const MUST_BE_UNDEFINED: [&str; 5] = [
    "default",
    "additionalProperties",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
];

fn check_branch(doc: &Doc, typed: bool, path: &Path, errors: &mut ErrorList) {
    if !typed {
        for key in MUST_BE_EMPTY.iter().filter(|k| text(doc, k).is_some()) {
            errors.push(FieldError::forbidden(&path.child(key), "must be empty to be structural"));
        }
    }
    for key in MUST_BE_FALSE.iter().filter(|k| flag(doc, k)) {
        errors.push(FieldError::forbidden(&path.child(key), "must be false to be structural"));
    }
    for key in MUST_BE_UNDEFINED.iter().filter(|k| doc.get(**k).is_some_and(|v| !v.is_null())) {
        errors.push(FieldError::forbidden(&path.child(key), "must be undefined to be structural"));
    }
    let inner = if typed && doc.contains_key("anyOf") { Typed::AnyOf } else { Typed::None };
    for ((branch, typed), path) in branches(doc, path, inner) {
        check_branch(branch, typed, &path, errors);
    }
    if let Some(items) = doc.get("items").and_then(Value::as_object) {
        check_branch(items, false, &path.child("items"), errors);
    }
    for (name, property) in doc.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(property) = property.as_object() {
            check_branch(property, false, &path.child("properties").key(name), errors);
        }
    }
}

/// What the branches of the root name must be declared outside them. Upstream looks at the root only.
pub(super) fn check_declared(root: &Doc, path: &Path, errors: &mut ErrorList) {
    for ((branch, _), at) in branches(root, path, Typed::None) {
        declared(branch, &at, Some(root), path, errors);
    }
}

fn declared(branch: &Doc, at: &Path, doc: Option<&Doc>, path: &Path, errors: &mut ErrorList) {
    let mut need = |there: Option<&Value>, path: &Path, at: &Path, inner: &Value| match (there, inner.as_object()) {
        (None, _) => errors.push(FieldError::required(path, format!("because it is defined in {at}"))),
        (Some(there), Some(inner)) => declared(inner, at, there.as_object(), path, errors),
        _ => {}
    };
    for (name, inner) in branch.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let there = doc.and_then(|d| d.get("properties")?.get(name));
        need(there, &path.child("properties").key(name), &at.child("properties").key(name), inner);
    }
    if let Some(inner) = branch.get("items").filter(|i| i.is_object()) {
        need(doc.and_then(|d| d.get("items")), &path.child("items"), &at.child("items"), inner);
    }
    for ((inner, _), at) in branches(branch, at, Typed::None) {
        declared(inner, &at, doc, path, errors);
    }
}
