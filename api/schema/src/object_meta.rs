//! The schema of `metadata`, the same for every kind.

use crate::schema::{ListType, MapType, Schema, Type};
use serde_json::Value;
use std::sync::OnceLock;

fn of(r#type: Type) -> Schema {
    Schema { r#type: Some(r#type), ..Schema::default() }
}

fn time() -> Schema {
    let mut schema = Schema { nullable: true, ..of(Type::String) };
    schema.rules.format = Some("date-time".to_owned());
    schema
}

fn object<const N: usize>(properties: [(&str, Schema); N]) -> Schema {
    let properties = properties.into_iter().map(|(n, s)| (n.to_owned(), s)).collect();
    Schema { properties, ..of(Type::Object) }
}

fn map_of(values: Schema) -> Schema {
    Schema { additional_properties: Some(Box::new(values)), ..of(Type::Object) }
}

fn list(items: Schema, list_type: ListType) -> Schema {
    Schema { items: Some(Box::new(items)), list_type, list_type_declared: true, ..of(Type::Array) }
}

/// What `metadata` may hold: unknown fields in it are reported (row F7), server-side apply knows its lists (row A10).
/// Types only: what names and labels look like is judged by `otternauts_meta::metadata`.
pub fn object_meta() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let owner = object([
            ("apiVersion", of(Type::String)),
            ("kind", of(Type::String)),
            ("name", of(Type::String)),
            ("uid", of(Type::String)),
            ("controller", of(Type::Boolean)),
            ("blockOwnerDeletion", of(Type::Boolean)),
        ]);
        let owner = Schema { map_type: MapType::Atomic, ..owner };
        let owners = Schema {
            patch_merge_key: Some("uid".to_owned()),
            patch_strategy: Some("merge".to_owned()),
            ..list(owner, ListType::Map(vec!["uid".to_owned()]))
        };
        let finalizers = Schema { patch_strategy: Some("merge".to_owned()), ..list(of(Type::String), ListType::Set) };
        let fields = Schema { preserve_unknown: true, map_type: MapType::Atomic, ..of(Type::Object) };
        let managed = object([
            ("manager", of(Type::String)),
            ("operation", of(Type::String)),
            ("apiVersion", of(Type::String)),
            ("time", time()),
            ("fieldsType", of(Type::String)),
            ("fieldsV1", fields),
            ("subresource", of(Type::String)),
        ]);
        object([
            ("name", of(Type::String)),
            ("generateName", of(Type::String)),
            ("namespace", of(Type::String)),
            ("selfLink", of(Type::String)),
            ("uid", of(Type::String)),
            ("resourceVersion", of(Type::String)),
            ("generation", of(Type::Integer)),
            ("creationTimestamp", time()),
            ("deletionTimestamp", time()),
            ("deletionGracePeriodSeconds", of(Type::Integer)),
            ("labels", map_of(of(Type::String))),
            ("annotations", map_of(of(Type::String))),
            ("ownerReferences", owners),
            ("finalizers", finalizers),
            ("managedFields", list(managed, ListType::Atomic)),
        ])
    })
}

/// Why `metadata` cannot be read at all, as the reference words it behind `cannot be handled as a Stack: `; answered with 400.
pub fn decode_error(metadata: &Value) -> Option<String> {
    let wrong = |value: &Value, field: &str, go: &str| {
        let text =
            format!("json: cannot unmarshal {} into Go struct field ObjectMeta.{field} of type {go}", json_type(value));
        Some(text)
    };
    let map = match metadata {
        Value::Null => return None,
        Value::Object(map) => map,
        other => {
            let what = json_type(other);
            return Some(format!("json: cannot unmarshal {what} into Go value of type v1.ObjectMeta"));
        }
    };
    for (name, value) in map.iter().filter(|(_, v)| !v.is_null()) {
        let Some(schema) = object_meta().declared(name) else { continue };
        let bad = match (schema.r#type, value) {
            (Some(Type::String), Value::String(_)) => None,
            (Some(Type::String), other) if schema.rules.format.is_some() => wrong(other, name, "v1.Time"),
            (Some(Type::String), other) => wrong(other, name, "string"),
            (Some(Type::Integer), other) if !other.is_i64() => wrong(other, name, "int64"),
            (Some(Type::Array), other) if !other.is_array() => wrong(other, name, "[]"),
            (Some(Type::Array), Value::Array(items)) if name == "finalizers" => {
                items.iter().find(|i| !i.is_string()).and_then(|i| wrong(i, name, "string"))
            }
            (Some(Type::Array), Value::Array(items)) => {
                items.iter().find(|i| !i.is_object()).and_then(|i| wrong(i, name, "struct"))
            }
            (Some(Type::Object), Value::Object(values)) => {
                values.values().find(|v| !v.is_string() && !v.is_null()).and_then(|v| wrong(v, name, "string"))
            }
            (Some(Type::Object), other) => wrong(other, name, "map[string]string"),
            _ => None,
        };
        if bad.is_some() {
            return bad;
        }
    }
    None
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unreadable_metadata_is_refused_with_the_reference_text() {
        let check = |m: Value, text: Option<&str>| assert_eq!(decode_error(&m).as_deref(), text, "{m}");
        check(json!({"labels": {"a": "b"}, "creationTimestamp": null}), None);
        let text = "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string";
        check(json!({"labels": {"a": 1}}), Some(text));
        check(
            json!({"name": 1}),
            Some("json: cannot unmarshal number into Go struct field ObjectMeta.name of type string"),
        );
    }
}
