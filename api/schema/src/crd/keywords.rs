//! The keywords a schema document may use (rows X7, F4).

use otternauts_meta::Object;
use serde_json::Value;

const KEYWORDS: [&str; 44] = [
    "$ref",
    "$schema",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "definitions",
    "dependencies",
    "description",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "id",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "patternProperties",
    "properties",
    "required",
    "title",
    "type",
    "uniqueItems",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

/// Removes keywords that no schema knows from all versions of a CRD, and answers their paths as Strict names them:
/// `spec.versions[0].schema.openAPIV3Schema.properties.spec.bar`.
pub fn prune_schemas(crd: &mut Object) -> Vec<String> {
    let mut unknown = Vec::new();
    let versions = crd.0.get_mut("spec").and_then(|s| s.get_mut("versions")).and_then(Value::as_array_mut);
    for (i, version) in versions.into_iter().flatten().enumerate() {
        if let Some(schema) = version.get_mut("schema").and_then(|s| s.get_mut("openAPIV3Schema")) {
            walk(schema, &format!("spec.versions[{i}].schema.openAPIV3Schema"), &mut unknown);
        }
    }
    unknown.sort();
    unknown
}

fn walk(schema: &mut Value, path: &str, unknown: &mut Vec<String>) {
    let Some(map) = schema.as_object_mut() else { return };
    map.retain(|key, _| {
        let known = KEYWORDS.contains(&key.as_str());
        if !known {
            unknown.push(format!("{path}.{key}"));
        }
        known
    });
    for (key, value) in map.iter_mut() {
        let here = format!("{path}.{key}");
        match key.as_str() {
            "items" | "additionalProperties" | "not" | "additionalItems" => walk(value, &here, unknown),
            "properties" | "patternProperties" | "definitions" => {
                for (name, property) in value.as_object_mut().into_iter().flatten() {
                    walk(property, &format!("{here}.{name}"), unknown);
                }
            }
            "allOf" | "anyOf" | "oneOf" => {
                for (i, branch) in value.as_array_mut().into_iter().flatten().enumerate() {
                    walk(branch, &format!("{here}[{i}]"), unknown);
                }
            }
            _ => {}
        }
    }
}
