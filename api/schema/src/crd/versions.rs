//! What each version of a CRD says: schema, subresources, columns, selectable fields (rows X2, X7, X17, X18).

use super::{objects, text};
use crate::jsonpath::JsonPath;
use crate::schema::{Schema, Type};
use otternauts_meta::{ErrorList, FieldError, Path};
use serde_json::{Map, Value};

type Doc = Map<String, Value>;

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const MAX_SELECTABLE: usize = 8;

/// Upstream names a part that all versions share as if it stood above them; each error is found once then.
fn places<'a>(list: &[&'a Doc], key: &str, shared: &str, own: &str) -> Vec<(Option<&'a Value>, &'a Doc, Path)> {
    let part = |v: &&'a Doc| v.get(key).filter(|p| !p.is_null());
    let Some(first) = list.first() else { return Vec::new() };
    if list.iter().all(|v| part(v) == part(first)) {
        return vec![(part(first), first, Path::new("spec").child(shared))];
    }
    let at = |i: usize| Path::new("spec.versions").index(i).child(own);
    list.iter().enumerate().map(|(i, v)| (part(v), *v, at(i))).collect()
}

pub(super) fn check(list: &[&Doc], errors: &mut ErrorList) {
    for (i, version) in list.iter().enumerate() {
        if version.get("schema").and_then(|s| s.get("openAPIV3Schema")).is_none_or(Value::is_null) {
            let path = Path::new("spec.versions").index(i).child("schema").child("openAPIV3Schema");
            errors.push(FieldError::required(&path, ""));
        }
    }
    for (part, _, path) in places(list, "schema", "validation", "schema") {
        if let Some(document) = part.and_then(|p| p.get("openAPIV3Schema")).filter(|d| !d.is_null())
            && let Err(found) = Schema::parse_at(document, &path.child("openAPIV3Schema"))
        {
            errors.extend(found);
        }
    }
    for (part, _, path) in places(list, "subresources", "subresources", "subresources") {
        if let Some(scale) = part.and_then(|p| p.get("scale")).and_then(Value::as_object) {
            check_scale(scale, &path.child("scale"), errors);
        }
    }
    for (_, version, path) in
        places(list, "additionalPrinterColumns", "additionalPrinterColumns", "additionalPrinterColumns")
    {
        for (i, column) in objects(version, "additionalPrinterColumns").enumerate() {
            check_column(column, &path.index(i), errors);
        }
    }
    for (_, version, path) in places(list, "selectableFields", "selectableFields", "selectableFields") {
        check_selectable(version, &path, errors);
    }
}

fn is_simple(path: &str) -> bool {
    path.starts_with('.') && JsonPath::parse(path).is_some()
}

fn check_scale(scale: &Doc, path: &Path, errors: &mut ErrorList) {
    let mut one = |key: &str, required: bool, roots: &[&str], why: &str| {
        let value = text(scale, key);
        let path = path.child(key);
        if value.is_empty() {
            if required {
                errors.push(FieldError::required(&path, ""));
            }
        } else if JsonPath::parse(value).is_none_or(|p| p.keys().is_none()) {
            errors.push(FieldError::invalid(&path, value, "must be a simple json path starting with ."));
        } else if !roots.iter().any(|r| value.starts_with(r)) {
            errors.push(FieldError::invalid(&path, value, why));
        }
    };
    one("specReplicasPath", true, &[".spec."], "should be a json path under .spec");
    one("statusReplicasPath", true, &[".status."], "should be a json path under .status");
    one("labelSelectorPath", false, &[".spec.", ".status."], "should be a json path under either .spec or .status");
}

fn check_column(column: &Doc, path: &Path, errors: &mut ErrorList) {
    if text(column, "name").is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    match text(column, "type") {
        "" => {
            errors
                .push(FieldError::required(&path.child("type"), format!("must be one of {}", COLUMN_TYPES.join(","))));
        }
        kind if COLUMN_TYPES.contains(&kind) => {}
        kind => {
            let why = format!("must be one of {}", COLUMN_TYPES.join(","));
            errors.push(FieldError::invalid(&path.child("type"), kind, why));
        }
    }
    let format = text(column, "format");
    if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
        let why = format!("must be one of {}", COLUMN_FORMATS.join(","));
        errors.push(FieldError::invalid(&path.child("format"), format, why));
    }
    match text(column, "jsonPath") {
        "" => errors.push(FieldError::required(&path.child("JSONPath"), "")),
        json_path if is_simple(json_path) => {}
        json_path => {
            let why = "must be a simple json path starting with .";
            errors.push(FieldError::invalid(&path.child("JSONPath"), json_path, why));
        }
    }
}

fn check_selectable(version: &Doc, path: &Path, errors: &mut ErrorList) {
    let fields: Vec<&str> = objects(version, "selectableFields").map(|f| text(f, "jsonPath")).collect();
    if fields.len() > MAX_SELECTABLE {
        errors.push(FieldError::too_many(path, fields.len(), MAX_SELECTABLE));
        return;
    }
    let document = version.get("schema").and_then(|s| s.get("openAPIV3Schema"));
    let Some(schema) = document.and_then(|d| Schema::parse(d).ok()) else { return };
    for (i, field) in fields.iter().enumerate() {
        let here = path.index(i).child("jsonPath");
        if field.is_empty() {
            errors.push(FieldError::required(&here, ""));
        } else if !field.starts_with('.') {
            let why = format!("is an invalid path: expected [ or . but got: {field}");
            errors.push(FieldError::invalid(&here, *field, why));
        } else if fields[..i].contains(field) {
            errors.push(FieldError::duplicate(&here, *field));
        } else {
            match leaf(&schema, field) {
                None => {
                    let why = "is an invalid path: does not refer to a valid field";
                    errors.push(FieldError::invalid(&here, *field, why));
                }
                Some(Type::String | Type::Boolean | Type::Integer) => {}
                Some(_) => {
                    let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                               formats are allowed.";
                    errors.push(FieldError::invalid(&here, *field, why));
                }
            }
        }
    }
}

/// The type of the declared field at a path of keys; metadata is no place for one.
fn leaf(schema: &Schema, path: &str) -> Option<Type> {
    let path = JsonPath::parse(path)?;
    let keys = path.keys()?;
    if keys.first() == Some(&"metadata") {
        return None;
    }
    keys.iter().try_fold(schema, |s, key| s.declared(key))?.r#type
}
