//! Component schemas (row O6): the kinds' own, with the three fields every object has, and the shared ones of `meta.json`.

use crate::names;
use otternauts_schema::Definition;
use serde_json::{Map, Value, json};

/// ObjectMeta and its parts, ListMeta, Status, DeleteOptions, Patch, Scale.
const SHARED: &str = include_str!("meta.json");

pub fn shared() -> Map<String, Value> {
    serde_json::from_str(SHARED).expect("meta.json is part of the source and a test reads it")
}

/// Adds the object and list schemas of one version of a kind.
pub fn add(components: &mut Map<String, Value>, definition: &Definition, version: &str) {
    let Some(found) = definition.version(version) else { return };
    let name = names::schema(definition, version, &definition.names.kind);
    let list_name = names::schema(definition, version, &definition.names.list_kind);
    components.insert(list_name, list(definition, version, &name));
    components.insert(name, object(definition, version, &found.schema_json));
}

fn gvk(definition: &Definition, version: &str, kind: &str) -> Value {
    json!([{"group": definition.group, "kind": kind, "version": version}])
}

fn type_fields() -> [(&'static str, Value); 2] {
    let api_version = "The version of this object's schema, GROUP/VERSION; the server refuses what it does not know.";
    let kind = "What this object is, in CamelCase; cannot be changed.";
    [
        ("apiVersion", json!({"description": api_version, "type": "string"})),
        ("kind", json!({"description": kind, "type": "string"})),
    ]
}

fn all_of(name: &str, description: &str) -> Value {
    json!({"description": description, "allOf": [{"$ref": names::reference(name)}]})
}

fn object(definition: &Definition, version: &str, schema: &Value) -> Value {
    let mut root = schema.as_object().cloned().unwrap_or_default();
    let mut properties = Map::new();
    for (name, field) in type_fields() {
        properties.insert(name.to_owned(), field);
    }
    properties
        .insert("metadata".to_owned(), all_of(names::OBJECT_META, "What every object has: name, labels, owners."));
    if let Some(Value::Object(own)) = root.get("properties") {
        let own = own.iter().filter(|(k, _)| !matches!(k.as_str(), "apiVersion" | "kind" | "metadata"));
        properties.extend(own.map(|(k, v)| (k.clone(), v.clone())));
    }
    for node in properties.values_mut() {
        embed(node);
    }
    root.insert("type".to_owned(), "object".into());
    root.insert("properties".to_owned(), properties.into());
    root.insert("x-kubernetes-group-version-kind".to_owned(), gvk(definition, version, &definition.names.kind));
    let selectable = definition.version(version).map(|v| v.selectable_fields.as_slice()).unwrap_or_default();
    if !selectable.is_empty() {
        let fields: Vec<Value> = selectable.iter().map(|path| json!({"fieldPath": path})).collect();
        root.insert("x-kubernetes-selectable-fields".to_owned(), fields.into());
    }
    root.into()
}

/// An embedded resource gains the fields every object has.
fn embed(node: &mut Value) {
    match node {
        Value::Object(map) => {
            if map.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true)) {
                let slot = map.entry("properties").or_insert_with(|| json!({}));
                if let Some(properties) = slot.as_object_mut() {
                    for (name, field) in type_fields() {
                        properties.entry(name).or_insert(field);
                    }
                    properties
                        .entry("metadata")
                        .or_insert_with(|| all_of(names::OBJECT_META, "The embedded object's."));
                }
            }
            map.values_mut().for_each(embed);
        }
        Value::Array(list) => list.iter_mut().for_each(embed),
        _ => {}
    }
}

fn list(definition: &Definition, version: &str, item: &str) -> Value {
    let names = &definition.names;
    let mut properties = Map::new();
    for (name, field) in type_fields() {
        properties.insert(name.to_owned(), field);
    }
    properties.insert(
        "items".to_owned(),
        json!({
            "description": format!("The {} found.", names.plural),
            "type": "array",
            "items": {"allOf": [{"$ref": names::reference(item)}]},
        }),
    );
    properties.insert("metadata".to_owned(), all_of(names::LIST_META, "Of the list itself."));
    json!({
        "description": format!("{} is a list of {}", names.list_kind, names.kind),
        "type": "object",
        "required": ["items"],
        "properties": properties,
        "x-kubernetes-group-version-kind": gvk(definition, version, &names.list_kind),
    })
}
