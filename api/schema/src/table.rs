//! Columns and cells of tables, for every kind (rows N10, N11, B10, X18).

mod builtin;

use crate::definition::{Column, Definition};
use crate::jsonpath::JsonPath;
use otternauts_meta::{Object, Timestamp};
use serde_json::{Number, Value};

fn column(name: &str, r#type: &str, format: &str, priority: i32, description: &str, path: &str) -> Column {
    Column {
        name: name.to_owned(),
        r#type: r#type.to_owned(),
        format: format.to_owned(),
        description: description.to_owned(),
        priority,
        json_path: path.to_owned(),
    }
}

fn name_column(priority: i32) -> Column {
    column("Name", "string", "name", priority, "Name, unique within its namespace.", ".metadata.name")
}

/// The columns of a kind's tables, `Name` first (last for Events). Custom kinds without columns of their own have `Age`.
pub fn columns(definition: &Definition, version: &str) -> Vec<Column> {
    if definition.is_builtin() {
        return builtin::columns(definition);
    }
    let own = definition.version(version).map(|v| v.columns.as_slice()).unwrap_or_default();
    let mut out = vec![name_column(0)];
    for one in own {
        let mut one = one.clone();
        if one.description.is_empty() {
            one.description = format!("Custom resource definition column (in JSONPath format): {}", one.json_path);
        }
        out.push(one);
    }
    if own.is_empty() {
        let path = ".metadata.creationTimestamp";
        let text = format!("Custom resource definition column (in JSONPath format): {path}");
        out.push(column("Age", "date", "", 0, &text, path));
    }
    out
}

/// The cells of one object, one for each of [`columns`].
pub fn cells(definition: &Definition, version: &str, object: &Object, now: Timestamp) -> Vec<Value> {
    if definition.is_builtin() {
        return builtin::cells(definition, object, now);
    }
    let columns = columns(definition, version);
    columns.iter().map(|c| cell(c, object, now)).collect()
}

fn cell(column: &Column, object: &Object, now: Timestamp) -> Value {
    let Some(path) = JsonPath::parse(&column.json_path) else { return Value::Null };
    let Some(value) = path.find_in(&object.0).into_iter().next() else { return Value::Null };
    match (column.r#type.as_str(), value) {
        (_, Value::Null) if column.r#type != "string" => Value::Null,
        ("string", Value::String(_)) => value.clone(),
        ("string", Value::Null) => Value::String("<nil>".to_owned()),
        ("string", other) => Value::String(other.to_string()),
        ("integer", Value::Number(n)) => whole(n),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(text)) => Value::String(age(text, now)),
        _ => Value::Null,
    }
}

fn whole(n: &Number) -> Value {
    match n.as_i64() {
        Some(i) => i.into(),
        // Cut towards zero, and at the ends of the range, as a float becomes an integer.
        None => (n.as_f64().unwrap_or_default() as i64).into(),
    }
}

/// A time as people read it; `<unknown>` for none.
fn age(text: &str, now: Timestamp) -> String {
    match Timestamp::parse(text) {
        _ if text.is_empty() => "<unknown>".to_owned(),
        Some(then) => then.age(now),
        None => "<invalid>".to_owned(),
    }
}

#[cfg(test)]
mod tests;
