//! Path elements as FieldsV1 writes them (row A8): `f:name`, `k:{"name":"http"}`, `v:"x"`, `i:0`.
//!
//! Elements are kept in this canonical text form: equal elements are equal strings.

use otternauts_schema::{ListType, Schema};
use serde_json::Value;
use std::cmp::Ordering;
use std::fmt::Write as _;

pub(crate) fn field(name: &str) -> String {
    format!("f:{name}")
}

/// The field name of an `f:` element.
pub(crate) fn field_name(element: &str) -> Option<&str> {
    element.strip_prefix("f:")
}

/// JSON text as Go writes it into an element: HTML characters and line separators escaped, whole floats as integers.
fn go_json(value: &Value, out: &mut String) {
    if let Value::Number(n) = value
        && let Some(f) = n.as_f64()
        && n.is_f64()
        && f.fract() == 0.0
        && f.abs() < 1e15
    {
        let _ = write!(out, "{f:.0}");
        return;
    }
    let text = value.to_string();
    if !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        out.push_str(&text);
        return;
    }
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            _ => out.push(c),
        }
    }
}

/// The element of an item that is its own identity; equal scalars have equal elements.
pub(crate) fn of_value(value: &Value) -> String {
    let mut text = "v:".to_owned();
    go_json(value, &mut text);
    text
}

fn of_keys(mut keys: Vec<(&str, &Value)>) -> String {
    keys.sort_by_key(|(name, _)| *name);
    let mut text = "k:{".to_owned();
    for (i, (name, value)) in keys.into_iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        go_json(&Value::String(name.to_owned()), &mut text);
        text.push(':');
        go_json(value, &mut text);
    }
    text.push('}');
    text
}

/// The element of one item of a set or keyed list; keys may come from the schema's defaults. The error is Kubernetes' text.
pub(crate) fn of_item(item: &Value, list: &Schema) -> Result<String, String> {
    let ListType::Map(names) = &list.list_type else {
        return match item {
            Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
            Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
            scalar => Ok(of_value(scalar)),
        };
    };
    let map = match item {
        Value::Object(map) => map,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let default = |name: &str| list.items.as_deref()?.property(name)?.default.as_ref();
    let keys: Vec<(&str, &Value)> =
        names.iter().filter_map(|n| Some((n.as_str(), map.get(n).or_else(|| default(n))?))).collect();
    if keys.is_empty() {
        let names: Vec<String> = names.iter().map(|n| format!("{n:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
            names.join(" ")
        ));
    }
    Ok(of_keys(keys))
}

/// An element as a client sent it, in canonical form. `Ok(None)` for kinds of elements a later Kubernetes may have.
pub(crate) fn canonical(text: &str) -> Result<Option<String>, String> {
    let wrong = || format!("invalid path element {text:?}");
    match text.get(..2) {
        Some("f:") => Ok(Some(text.to_owned())),
        Some("i:") => text[2..].parse::<i64>().map(|i| Some(format!("i:{i}"))).map_err(|_| wrong()),
        Some("v:") => serde_json::from_str(&text[2..]).map(|v| Some(of_value(&v))).map_err(|_| wrong()),
        Some("k:") => match serde_json::from_str(&text[2..]) {
            Ok(Value::Object(keys)) => Ok(Some(of_keys(keys.iter().map(|(k, v)| (k.as_str(), v)).collect()))),
            _ => Err(wrong()),
        },
        _ if text.as_bytes().get(1) == Some(&b':') => Ok(None),
        _ => Err(wrong()),
    }
}

/// As messages show it: `.name`, `[name="http"]`, `[="x"]`, `[0]`.
pub(crate) fn printed(element: &str) -> String {
    let json = || serde_json::from_str::<Value>(&element[2..]).unwrap_or_default();
    match element.get(..2) {
        Some("f:") => format!(".{}", &element[2..]),
        Some("v:") => format!("[={}]", json()),
        Some("k:") => {
            let keys = json();
            let parts: Vec<String> =
                keys.as_object().into_iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", parts.join(","))
        }
        _ => format!("[{}]", element.get(2..).unwrap_or_default()),
    }
}

/// The order in messages: numbers by value, everything else as text.
pub(crate) fn order(a: &str, b: &str) -> Ordering {
    let json = |e: &str| match e.get(..2) {
        Some("k:" | "v:") => serde_json::from_str::<Value>(&e[2..]).ok(),
        _ => None,
    };
    match (json(a), json(b)) {
        (Some(a), Some(b)) => values(&a, &b),
        _ => a.cmp(b),
    }
}

fn values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        (Value::Object(a), Value::Object(b)) => a
            .iter()
            .zip(b)
            .map(|((k, v), (l, w))| k.cmp(l).then_with(|| values(v, w)))
            .find(|o| o.is_ne())
            .unwrap_or_else(|| a.len().cmp(&b.len())),
        _ => a.to_string().cmp(&b.to_string()),
    }
}
