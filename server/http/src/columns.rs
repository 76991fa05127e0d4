//! Printer columns and their cells (rows N11, X18).

use otternauts_meta::{Object, Timestamp};
use otternauts_schema::{Column, Definition};
use serde_json::Value;

/// The columns of a kind, the name first.
pub fn of(definition: &Definition, version: &str) -> Vec<Column> {
    otternauts_schema::table::columns(definition, version)
}

/// One cell a column; `now` makes ages of dates.
pub fn cells(definition: &Definition, version: &str, object: Value, now: Timestamp) -> Vec<Value> {
    let object = Object::from_value(object).unwrap_or_default();
    otternauts_schema::table::cells(definition, version, &object, now)
}
