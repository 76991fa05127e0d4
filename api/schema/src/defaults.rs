//! Default values and nulls (rows X9, X10).

use crate::schema::{Schema, Type};
use serde_json::Value;

/// True for a null where the schema allows none.
fn is_refused_null(value: &Value, schema: &Schema) -> bool {
    value.is_null() && !schema.nullable
}

/// Fills absent fields, and nulls where null is not allowed, with their defaults (row X9). Never makes a parent.
pub fn apply_defaults(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, property) in &schema.properties {
                let Some(default) = &property.default else { continue };
                if map.get(name).is_none_or(|v| is_refused_null(v, property)) {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, v) in map.iter_mut() {
                let Some(property) = schema.property(name) else { continue };
                fill(property, v);
            }
        }
        Value::Array(list) => {
            let Some(items) = &schema.items else { return };
            list.iter_mut().for_each(|v| fill(items, v));
        }
        _ => {}
    }
}

fn fill(schema: &Schema, value: &mut Value) {
    if let Some(default) = &schema.default
        && is_refused_null(value, schema)
    {
        *value = default.clone();
    }
    apply_defaults(schema, value);
}

/// Null in a map or a list of strings or objects is their zero value, as Go's typed decoder reads it: for built-in kinds only.
pub fn fill_nulls(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, v) in map.iter_mut() {
                let Some(property) = schema.property(name) else { continue };
                if v.is_null() && schema.declared(name).is_none() {
                    zero(property, v);
                }
                fill_nulls(property, v);
            }
        }
        Value::Array(list) => {
            let Some(items) = &schema.items else { return };
            for v in list {
                zero(items, v);
                fill_nulls(items, v);
            }
        }
        _ => {}
    }
}

fn zero(schema: &Schema, value: &mut Value) {
    if !is_refused_null(value, schema) {
        return;
    }
    match schema.r#type {
        Some(Type::String) => *value = Value::String(String::new()),
        Some(Type::Object) => *value = Value::Object(serde_json::Map::new()),
        _ => {}
    }
}

/// Removes nulls of fields that allow none and have no default (row X10). Nulls in lists stay, to be refused.
pub fn drop_nulls(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|name, v| match schema.property(name) {
                Some(property) => !(is_refused_null(v, property) && property.default.is_none() && property.is_typed()),
                None => true,
            });
            for (name, v) in map.iter_mut() {
                if let Some(property) = schema.property(name) {
                    drop_nulls(property, v);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = &schema.items {
                list.iter_mut().for_each(|v| drop_nulls(items, v));
            }
        }
        _ => {}
    }
}

impl Schema {
    /// False for a node that says nothing of its values: the free maps of `additionalProperties: true`.
    fn is_typed(&self) -> bool {
        self.r#type.is_some() || self.int_or_string || self.preserve_unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        let document = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "a": {"type": "string", "default": "x"},
            "n": {"type": "string", "nullable": true, "default": "y"},
            "plain": {"type": "string"},
            "parent": {"type": "object", "properties": {"c": {"type": "integer", "default": 1}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"q": {"type": "integer", "default": 2}}}}
        }}}});
        Schema::parse(&document).expect("structural")
    }

    #[test]
    fn defaults_fill_absent_fields_and_refused_nulls_only() {
        let check = |input: Value, expected: Value| {
            let mut value = json!({ "spec": input });
            drop_nulls(&schema(), &mut value);
            apply_defaults(&schema(), &mut value);
            assert_eq!(value["spec"], expected);
        };
        check(json!({}), json!({"a": "x", "n": "y"}));
        check(json!({"a": null, "n": null, "plain": null}), json!({"a": "x", "n": null}));
        check(json!({"a": "b", "parent": {}}), json!({"a": "b", "n": "y", "parent": {"c": 1}}));
        check(
            json!({"list": [{}], "map": {"k": {}, "gone": null}}),
            json!({"a": "x", "n": "y", "list": [{"p": "TCP"}], "map": {"k": {"q": 2}}}),
        );
        let mut none = json!({});
        apply_defaults(&schema(), &mut none);
        assert_eq!(none, json!({}));
    }
}
