//! Drops what a schema does not know (rows X8, F6, F7).

use crate::object_meta::object_meta;
use crate::schema::Schema;
use serde_json::Value;

/// Removes unknown fields and answers their paths as warnings and Strict name them: `spec.ports[0].zz`, `metadata.foo`.
/// Paths in metadata come first, those in the metadata of embedded resources last, each group sorted.
pub fn prune(schema: &Schema, value: &mut Value) -> Vec<String> {
    let mut found = Found::default();
    walk(schema, value, "", false, &mut found);
    found.meta.sort();
    found.fields.sort();
    found.embedded.sort();
    found.meta.append(&mut found.fields);
    found.meta.append(&mut found.embedded);
    found.meta
}

#[derive(Default)]
struct Found {
    meta: Vec<String>,
    fields: Vec<String>,
    embedded: Vec<String>,
}

fn walk(schema: &Schema, value: &mut Value, path: &str, keep: bool, found: &mut Found) {
    let keep = keep || schema.preserve_unknown;
    match value {
        Value::Object(map) => {
            let resource = schema.is_resource();
            map.retain(|name, v| {
                let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if resource && name == "metadata" {
                    let mut inner = Found::default();
                    walk(object_meta(), v, &here, false, &mut inner);
                    let list = if schema.is_root { &mut found.meta } else { &mut found.embedded };
                    list.append(&mut inner.fields);
                    return true;
                }
                if resource && (name == "apiVersion" || name == "kind") {
                    return true;
                }
                match schema.property(name) {
                    Some(property) => {
                        walk(property, v, &here, false, found);
                        true
                    }
                    None if keep => true,
                    None => {
                        found.fields.push(here);
                        false
                    }
                }
            });
        }
        Value::Array(list) => {
            // Of the items of a value that should be no list nothing is known.
            let nothing = Schema::default();
            let Some(items) = schema.items.as_deref().or((!keep).then_some(&nothing)) else { return };
            for (i, v) in list.iter_mut().enumerate() {
                walk(items, v, &format!("{path}[{i}]"), false, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_are_dropped_and_named() {
        let document = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "o": {"type": "object", "properties": {"a": {"type": "string"}}},
            "ports": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
            "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}}},
            "tpl": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}},
            "m": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": {"type": "string"}}}}
        }}}});
        let schema = Schema::parse(&document).expect("structural");
        let mut value = json!({"apiVersion": "v1", "kind": "K", "top": 1,
            "metadata": {"name": "a", "foo": 1, "ownerReferences": [{"uid": "u", "zz": 1}], "labels": {"any": "x"},
                "managedFields": [{"fieldsV1": {"f:spec": {}}}]},
            "spec": {"zz": 1, "o": {"q": 1}, "ports": [{"name": "x", "t": 1}], "raw": {"x": {"y": 1}, "known": {"z": 1}},
                "tpl": {"apiVersion": "v1", "kind": "X", "zz": 1, "metadata": {"foo": 1, "name": "b"}}, "m": {"k": {"x": "1", "y": 2}}}});
        let unknown = prune(&schema, &mut value);
        assert_eq!(
            unknown,
            [
                "metadata.foo",
                "metadata.ownerReferences[0].zz",
                "spec.m.k.y",
                "spec.o.q",
                "spec.ports[0].t",
                "spec.raw.known.z",
                "spec.tpl.zz",
                "spec.zz",
                "top",
                "spec.tpl.metadata.foo"
            ]
        );
        assert_eq!(value["spec"]["raw"], json!({"x": {"y": 1}, "known": {}}));
        assert_eq!(value["spec"]["tpl"], json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "b"}}));
        assert_eq!(value["metadata"]["managedFields"], json!([{"fieldsV1": {"f:spec": {}}}]));
        assert!(prune(&schema, &mut value).is_empty());
    }
}
