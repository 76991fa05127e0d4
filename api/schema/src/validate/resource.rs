//! Embedded resources: objects inside objects (row X11).

use otternauts_meta::{ErrorList, FieldError, GroupVersion, Path, metadata, names};
use serde_json::{Map, Value};

pub(super) fn check(map: &Map<String, Value>, path: &Path, errors: &mut ErrorList) {
    match map.get("apiVersion").and_then(Value::as_str).unwrap_or_default() {
        "" => errors.push(FieldError::required(&path.child("apiVersion"), "")),
        version if GroupVersion::parse(version).is_none() => {
            let why = format!("unexpected GroupVersion string: {version}");
            errors.push(FieldError::invalid(&path.child("apiVersion"), version, why));
        }
        _ => {}
    }
    match map.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "" => errors.push(FieldError::required(&path.child("kind"), "")),
        kind => {
            let complaints = names::dns1035_label(&kind.to_lowercase());
            errors.extend(complaints.into_iter().map(|why| {
                let why = format!("may have mixed case, but should otherwise match: {why}");
                FieldError::invalid(&path.child("kind"), kind, why)
            }));
        }
    }
    if let Some(meta) = map.get("metadata").and_then(Value::as_object) {
        errors.extend(metadata::validate_maps(meta, &path.child("metadata")));
    }
}
