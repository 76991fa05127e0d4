//! The order of keys and the shape of numbers in what is stored and served (rows C1, N16).

use crate::schema::Schema;
use serde_json::{Map, Number, Value};

/// Puts keys in declared order, as built-in kinds are served; keys of free maps and unknown ones are sorted behind.
pub fn order_keys(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => {
            let mut old = std::mem::take(map);
            for (name, property) in &schema.properties {
                if let Some(mut v) = old.remove(name) {
                    order_keys(property, &mut v);
                    map.insert(name.clone(), v);
                }
            }
            let mut rest: Vec<(String, Value)> = old.into_iter().collect();
            rest.sort_by(|a, b| a.0.cmp(&b.0));
            for (name, mut v) in rest {
                match &schema.additional_properties {
                    Some(schema) => order_keys(schema, &mut v),
                    None => sort_keys(&mut v),
                }
                map.insert(name, v);
            }
        }
        Value::Array(list) => match &schema.items {
            Some(items) => list.iter_mut().for_each(|v| order_keys(items, v)),
            None => list.iter_mut().for_each(sort_keys),
        },
        _ => {}
    }
}

/// Sorts all keys by their bytes, as custom kinds are served.
pub fn sort_keys(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if !map.keys().is_sorted() {
                let mut entries: Vec<(String, Value)> = std::mem::take(map).into_iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                *map = entries.into_iter().collect::<Map<_, _>>();
            }
            map.values_mut().for_each(sort_keys);
        }
        Value::Array(list) => list.iter_mut().for_each(sort_keys),
        _ => {}
    }
}

/// The largest whole number that a float holds without gaps; beyond it a float stays a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Gives numbers the one form they are kept in (row N16): `1.0` and `1e2` become integers, integers beyond 64 bits floats.
pub fn normalize_numbers(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(normalize_numbers),
        Value::Array(list) => list.iter_mut().for_each(normalize_numbers),
        Value::Number(n) => {
            if let Some(better) = normalized(n) {
                *n = better;
            }
        }
        _ => {}
    }
}

fn normalized(n: &Number) -> Option<Number> {
    if n.is_i64() {
        return None;
    }
    let float = n.as_f64()?;
    if float.fract() == 0.0 && float.abs() <= EXACT {
        // The cast is exact: whole and within 53 bits.
        return Some(Number::from(float as i64));
    }
    if n.is_u64() { Number::from_f64(float) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn built_in_kinds_keep_declared_order_and_custom_ones_are_sorted() {
        let document = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}},
            "data": {"type": "object", "additionalProperties": {"type": "string"}}}});
        let schema = Schema::parse(&document).expect("structural");
        let mut value = json!({"data": {"b": "1", "a": "2"}, "metadata": {"uid": "u", "name": "n"}, "apiVersion": "v1",
            "spec": {"a": "1", "z": "2"}, "kind": "K"});
        let mut sorted = value.clone();
        order_keys(&schema, &mut value);
        assert_eq!(
            value.to_string(),
            r#"{"kind":"K","apiVersion":"v1","metadata":{"name":"n","uid":"u"},"spec":{"z":"2","a":"1"},"data":{"a":"2","b":"1"}}"#
        );
        sort_keys(&mut sorted);
        assert_eq!(
            sorted.to_string(),
            r#"{"apiVersion":"v1","data":{"a":"2","b":"1"},"kind":"K","metadata":{"name":"n","uid":"u"},"spec":{"a":"1","z":"2"}}"#
        );
    }

    #[test]
    fn numbers_have_one_form() {
        for (text, kept) in [
            ("1", "1"),
            ("1.0", "1"),
            ("1e2", "100"),
            ("-0.0", "0"),
            ("1.50", "1.5"),
            ("9223372036854775807", "9223372036854775807"),
            ("0.25", "0.25"),
        ] {
            let mut value: Value = serde_json::from_str(text).expect(text);
            normalize_numbers(&mut value);
            assert_eq!(value.to_string(), kept, "{text}");
        }
        let mut big = json!(18_446_744_073_709_551_615_u64);
        normalize_numbers(&mut big);
        assert!(big.is_f64());
    }
}
