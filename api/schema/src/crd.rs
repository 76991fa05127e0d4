//! CustomResourceDefinition objects: what they must say, and the [`Definition`] they become (rows X1 to X7, X17, X19).

mod check;
mod conflicts;
mod keywords;
mod order;
mod update;
mod versions;

pub use check::validate;
pub use conflicts::{NameConflict, accept_names};
pub use keywords::prune_schemas;
pub use order::compare_versions;
pub use update::validate_update;

use crate::definition::{Column, Definition, Names, Origin, Scale, Scope, Version};
use crate::schema::Schema;
use otternauts_meta::{ErrorList, Object, Path};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Fills in what a CRD may leave out: singular, listKind, conversion (row X2).
pub fn default_names(crd: &mut Object) {
    let Some(spec) = crd.0.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
        let kind = text(names, "kind").to_owned();
        if !kind.is_empty() {
            fill(names, "singular", &kind.to_lowercase());
            fill(names, "listKind", &format!("{kind}List"));
        }
    }
    let conversion = spec.entry("conversion").or_insert(Value::Null);
    if conversion.is_null() {
        *conversion = Value::Object(Map::new());
    }
    if let Some(conversion) = conversion.as_object_mut() {
        fill(conversion, "strategy", "None");
    }
}

fn fill(map: &mut Map<String, Value>, key: &str, value: &str) {
    if text(map, key).is_empty() {
        map.insert(key.to_owned(), value.into());
    }
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn flag(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).and_then(Value::as_bool).unwrap_or_default()
}

fn strings(map: &Map<String, Value>, key: &str) -> Vec<String> {
    let list = map.get(key).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn objects<'a>(map: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a Map<String, Value>> {
    map.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn spec_of(crd: &Object) -> Map<String, Value> {
    crd.0.get("spec").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The names that a CRD asks for.
pub fn requested_names(crd: &Object) -> Names {
    names_at(crd, &["spec", "names"])
}

/// The names that are served, as its status says; empty ones before it was accepted.
pub fn accepted_names(crd: &Object) -> Names {
    names_at(crd, &["status", "acceptedNames"])
}

fn names_at(crd: &Object, path: &[&str]) -> Names {
    let empty = Map::new();
    let names = crd.at(path).and_then(Value::as_object).unwrap_or(&empty);
    Names {
        plural: text(names, "plural").to_owned(),
        singular: text(names, "singular").to_owned(),
        kind: text(names, "kind").to_owned(),
        list_kind: text(names, "listKind").to_owned(),
        short_names: strings(names, "shortNames"),
        categories: strings(names, "categories"),
    }
}

/// True when a condition of the CRD has status `True`.
pub fn has_condition(crd: &Object, name: &str) -> bool {
    let list = crd.at(&["status", "conditions"]).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_object).any(|c| text(c, "type") == name && text(c, "status") == "True")
}

/// The kind that a valid CRD describes, under its accepted names, or the ones it asks for while none are accepted.
/// Errors are those of its schemas.
pub fn definition(crd: &Object) -> Result<Definition, ErrorList> {
    let spec = spec_of(crd);
    let group = text(&spec, "group").to_owned();
    let accepted = accepted_names(crd);
    let names = if accepted.plural.is_empty() || accepted.kind.is_empty() { requested_names(crd) } else { accepted };
    let mut versions = Vec::new();
    let mut errors = ErrorList::new();
    for (i, document) in objects(&spec, "versions").enumerate() {
        match version(document, &group, &names.kind, &Path::new("spec.versions").index(i)) {
            Ok(version) => versions.push(version),
            Err(mut found) => errors.append(&mut found),
        }
    }
    if versions.is_empty() && errors.is_empty() {
        errors.push(otternauts_meta::FieldError::required(&Path::new("spec.versions"), ""));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    versions.sort_by(|a, b| compare_versions(&a.name, &b.name));
    warn_of_deprecated(&mut versions, &group, &names.kind);
    let hash = crate::hash::of(&[&format!("{names:?}"), &Value::Object(spec.clone()).to_string()]);
    Ok(Definition {
        group,
        names,
        scope: if text(&spec, "scope") == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
        origin: Origin::Custom { crd_uid: crd.uid().to_owned() },
        versions,
        hash,
    })
}

fn version(document: &Map<String, Value>, group: &str, kind: &str, path: &Path) -> Result<Version, ErrorList> {
    let name = text(document, "name");
    let schema_json = document.get("schema").and_then(|s| s.get("openAPIV3Schema")).cloned().unwrap_or_default();
    let schema = Schema::parse_at(&schema_json, &path.child("schema").child("openAPIV3Schema"))?;
    let subresources = document.get("subresources").and_then(Value::as_object);
    let scale = subresources.and_then(|s| s.get("scale")).and_then(Value::as_object);
    let deprecation = flag(document, "deprecated").then(|| match text(document, "deprecationWarning") {
        "" => format!("{group}/{name} {kind} is deprecated"),
        own => own.to_owned(),
    });
    Ok(Version {
        name: name.to_owned(),
        served: flag(document, "served"),
        storage: flag(document, "storage"),
        schema: Arc::new(schema),
        schema_json: Arc::new(schema_json),
        has_status: subresources.is_some_and(|s| s.get("status").is_some_and(|v| !v.is_null())),
        scale: scale.map(|scale| Scale {
            spec_replicas_path: text(scale, "specReplicasPath").to_owned(),
            status_replicas_path: text(scale, "statusReplicasPath").to_owned(),
            label_selector_path: Some(text(scale, "labelSelectorPath").to_owned()).filter(|p| !p.is_empty()),
        }),
        columns: objects(document, "additionalPrinterColumns").map(column).collect(),
        selectable_fields: objects(document, "selectableFields").map(|f| text(f, "jsonPath").to_owned()).collect(),
        deprecation,
    })
}

fn column(document: &Map<String, Value>) -> Column {
    Column {
        name: text(document, "name").to_owned(),
        r#type: text(document, "type").to_owned(),
        format: text(document, "format").to_owned(),
        description: text(document, "description").to_owned(),
        priority: document
            .get("priority")
            .and_then(Value::as_i64)
            .and_then(|p| i32::try_from(p).ok())
            .unwrap_or_default(),
        json_path: text(document, "jsonPath").to_owned(),
    }
}

/// The usual warning names the best version to move to (row F9), if one is served that is not deprecated and not worse.
fn warn_of_deprecated(versions: &mut [Version], group: &str, kind: &str) {
    let best = versions.iter().find(|v| v.served && v.deprecation.is_none()).map(|v| v.name.clone());
    let Some(best) = best else { return };
    for version in versions {
        let better = compare_versions(&best, &version.name).is_lt();
        if let Some(warning) = &mut version.deprecation
            && better
            && *warning == format!("{group}/{} {kind} is deprecated", version.name)
        {
            warning.push_str(&format!("; use {group}/{best} {kind}"));
        }
    }
}

#[cfg(test)]
mod tests;
