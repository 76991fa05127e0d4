//! What clients rely on, one line each: so that a change that would break them shows as a line that is gone.

use crate::model::{self, Type};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The lines of a profile: schemas, fields with their types, required fields, values of enums, operations.
pub fn lines(profile: &Value) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (name, schema) in profile["components"]["schemas"].as_object().into_iter().flatten() {
        out.insert(format!("schema {name}"));
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            let Ok(ty) = model::ty(schema) else { continue };
            out.insert(format!("field {name}.{field} {}", words(&ty)));
            for value in values(&ty) {
                out.insert(format!("enum {name}.{field} {value}"));
            }
        }
        for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            out.insert(format!("required {name}.{field}"));
        }
    }
    for (path, item) in profile["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            if let Some(id) = operation["operationId"].as_str() {
                out.insert(format!("operation {id} {} {path}", method.to_uppercase()));
            }
        }
    }
    out
}

fn words(ty: &Type) -> String {
    match ty {
        Type::Text | Type::Enum(_) => "string".to_owned(),
        Type::Whole => "integer".to_owned(),
        Type::Number => "number".to_owned(),
        Type::Flag => "boolean".to_owned(),
        Type::Any => "any".to_owned(),
        Type::WholeOrText => "integer-or-string".to_owned(),
        Type::List(of) => format!("list of {}", words(of)),
        Type::Map(of) => format!("map of {}", words(of)),
        Type::Model(name) => name.clone(),
    }
}

fn values(ty: &Type) -> &[String] {
    match ty {
        Type::Enum(values) => values,
        Type::List(of) | Type::Map(of) => values(of),
        _ => &[],
    }
}

/// Why clients of what was published would break now; empty when they would not.
pub fn breaks(published: &str, now: &BTreeSet<String>) -> Vec<String> {
    let before: BTreeSet<&str> = published.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let mut out = Vec::new();
    for line in before.iter().filter(|l| !l.starts_with("required ") && !now.contains(**l)) {
        out.push(format!("gone or changed: {line}"));
    }
    for line in now.iter().filter(|l| !before.contains(l.as_str())) {
        if let Some((schema, _)) = line.strip_prefix("required ").and_then(|place| place.split_once('.'))
            && before.contains(format!("schema {schema}").as_str())
        {
            out.push(format!("newly {line}"));
        }
    }
    out
}

/// What is published from now on: all that was, and what is new. A field that has become required in a schema that was there is not
/// added: it stays a fault until somebody changes the list by hand.
pub fn grown(published: &str, now: &BTreeSet<String>) -> String {
    let before: BTreeSet<&str> = published.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let faults: BTreeSet<String> = breaks(published, now).into_iter().collect();
    let all: BTreeSet<&str> = before
        .into_iter()
        .chain(now.iter().map(String::as_str).filter(|line| !faults.contains(&format!("newly {line}"))))
        .collect();
    let mut out = String::from(
        "# What clients rely on. `make generate` adds lines; a line leaves only by hand, with a reason in the commit: it breaks somebody.\n",
    );
    for line in all {
        let _a_string_takes_everything = writeln!(out, "{line}");
    }
    out
}
