//! What may stand inside allOf, anyOf, oneOf and not (row X7).

use super::{Doc, flag, text};
use otternauts_meta::{ErrorList, FieldError, Path};
use serde_json::{Value, json};

/// Judges all branches of a node, and that what they name is declared outside them.
pub(super) fn check(doc: &Doc, path: &Path, errors: &mut ErrorList) {
    for (branch, path) in branches(doc, path, int_or_string_branches(doc)) {
        check_branch(branch.0, branch.1, &path, errors);
        check_declared(branch.0, doc, &path, path_of(doc), errors);
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

/// `anyOf: [{type: integer}, {type: string}]` beside `x-kubernetes-int-or-string` is the one place for types in a branch.
fn int_or_string_branches(doc: &Doc) -> Typed {
    let pattern = json!([{"type": "integer"}, {"type": "string"}]);
    if !flag(doc, "x-kubernetes-int-or-string") {
        return Typed::None;
    }
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

fn path_of(doc: &Doc) -> bool {
    flag(doc, "x-kubernetes-preserve-unknown-fields")
}

/// Properties and items of a branch must be declared by the node itself.
fn check_declared(branch: &Doc, doc: &Doc, path: &Path, free: bool, errors: &mut ErrorList) {
    for (name, inner) in branch.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let declared = doc.get("properties").and_then(|p| p.get(name)).or_else(|| doc.get("additionalProperties"));
        let here = path.child("properties").key(name);
        match (declared.and_then(Value::as_object), inner.as_object()) {
            (Some(declared), Some(inner)) => check_declared(inner, declared, &here, path_of(declared), errors),
            (None, _) if declared.is_none() && !free => {
                errors.push(FieldError::required(&here, format!("because it is defined in {here}")));
            }
            _ => {}
        }
    }
    if let (Some(inner), Some(declared)) =
        (branch.get("items").and_then(Value::as_object), doc.get("items").and_then(Value::as_object))
    {
        check_declared(inner, declared, &path.child("items"), path_of(declared), errors);
    }
    for ((inner, _), path) in branches(branch, path, Typed::None) {
        check_declared(inner, doc, &path, free, errors);
    }
}
