//! Tables of built-in kinds, as the reference shows them.

use super::{age, column, name_column};
use crate::definition::{Column, Definition};
use otternauts_meta::{Object, Timestamp};
use serde_json::Value;

const CREATED: &str = "Time the object was created.";
const CREATED_PATH: &str = ".metadata.creationTimestamp";

fn text(name: &str, priority: i32, description: &str) -> Column {
    column(name, "string", "", priority, description, "")
}

fn age_column() -> Column {
    column("Age", "string", "", 0, CREATED, CREATED_PATH)
}

fn created_at() -> Column {
    column("Created At", "date", "", 0, CREATED, CREATED_PATH)
}

pub(super) fn columns(definition: &Definition) -> Vec<Column> {
    match definition.names.plural.as_str() {
        "namespaces" => vec![name_column(0), text("Status", 0, "The status of the namespace."), age_column()],
        "configmaps" => vec![name_column(0), text("Data", 0, "How many keys it has."), age_column()],
        "secrets" => {
            vec![
                name_column(0),
                text("Type", 0, "What the data is for."),
                text("Data", 0, "How many keys it has."),
                age_column(),
            ]
        }
        "leases" => vec![name_column(0), text("Holder", 0, "Who holds it."), age_column()],
        "roles" | "clusterroles" | "customresourcedefinitions" => vec![name_column(0), created_at()],
        "rolebindings" | "clusterrolebindings" => vec![
            name_column(0),
            text("Role", 0, "The role it gives."),
            age_column(),
            text("Users", 1, "Users it gives the role to."),
            text("Groups", 1, "Groups it gives the role to."),
            text("ServiceAccounts", 1, "Service accounts it gives the role to."),
        ],
        "events" => vec![
            text("Last Seen", 0, "When it happened last."),
            text("Type", 0, "Normal or Warning."),
            text("Reason", 0, "A machine-readable word for why."),
            text("Object", 0, "The object this is about."),
            text("Subobject", 1, "The part of the object this is about."),
            text("Source", 1, "Who reports."),
            text("Message", 0, "What happened, for people."),
            text("First Seen", 1, "When it happened first."),
            text("Count", 1, "How often it happened."),
            name_column(1),
        ],
        _ => vec![name_column(0), age_column()],
    }
}

pub(super) fn cells(definition: &Definition, object: &Object, now: Timestamp) -> Vec<Value> {
    let name = || Value::from(object.name());
    let age_cell = || Value::String(age(object.meta_str("creationTimestamp"), now));
    let text = |path: &[&str]| Value::from(str_at(object, path));
    match definition.names.plural.as_str() {
        "namespaces" => vec![name(), text(&["status", "phase"]), age_cell()],
        "configmaps" => vec![name(), (count(object, "data") + count(object, "binaryData")).into(), age_cell()],
        "secrets" => vec![name(), text(&["type"]), count(object, "data").into(), age_cell()],
        "leases" => vec![name(), text(&["spec", "holderIdentity"]), age_cell()],
        "roles" | "clusterroles" | "customresourcedefinitions" => {
            vec![name(), object.meta_str("creationTimestamp").into()]
        }
        "rolebindings" | "clusterrolebindings" => {
            let role = format!("{}/{}", str_at(object, &["roleRef", "kind"]), str_at(object, &["roleRef", "name"]));
            let subjects = |kind: &str| Value::String(subjects(object, kind));
            vec![name(), role.into(), age_cell(), subjects("User"), subjects("Group"), subjects("ServiceAccount")]
        }
        "events" => event(object, now),
        _ => vec![name(), age_cell()],
    }
}

fn str_at<'a>(object: &'a Object, path: &[&str]) -> &'a str {
    object.at(path).and_then(Value::as_str).unwrap_or_default()
}

fn count(object: &Object, key: &str) -> usize {
    object.0.get(key).and_then(Value::as_object).map_or(0, serde_json::Map::len)
}

fn subjects(object: &Object, kind: &str) -> String {
    let list = object.0.get("subjects").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let field = |s: &Value, key: &str| s.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let of_kind = list.iter().filter(|s| field(s, "kind") == kind);
    let named: Vec<String> = of_kind
        .map(|s| match kind {
            "ServiceAccount" => format!("{}/{}", field(s, "namespace"), field(s, "name")),
            _ => field(s, "name"),
        })
        .collect();
    named.join(", ")
}

/// An Event of either API; the newer one's names come second.
fn event(object: &Object, now: Timestamp) -> Vec<Value> {
    let either = |a: &[&str], b: &[&str]| {
        let first = str_at(object, a);
        if first.is_empty() { str_at(object, b) } else { first }
    };
    let happened = str_at(object, &["eventTime"]);
    let first = either(&["firstTimestamp"], &["deprecatedFirstTimestamp"]);
    let first = if first.is_empty() { happened } else { first };
    let last = either(&["lastTimestamp"], &["deprecatedLastTimestamp"]);
    let mut last = if last.is_empty() { first } else { last };
    let number = |path: &[&str]| object.at(path).and_then(Value::as_i64);
    let mut times = number(&["count"]).or(number(&["deprecatedCount"])).filter(|n| *n > 0).unwrap_or(1);
    if object.at(&["series"]).is_some_and(Value::is_object) {
        last = str_at(object, &["series", "lastObservedTime"]);
        times = number(&["series", "count"]).unwrap_or_default();
    }
    let about = |key: &str| either(&["involvedObject", key], &["regarding", key]);
    let kind = about("kind").to_lowercase();
    let target = if about("name").is_empty() { kind } else { format!("{kind}/{}", about("name")) };
    let source = |key: &str| either(&["source", key], &["deprecatedSource", key]);
    let or = |a: &str, b: &str| if a.is_empty() { b.to_owned() } else { a.to_owned() };
    let component = or(source("component"), either(&["reportingComponent"], &["reportingController"]));
    let instance = or(source("host"), str_at(object, &["reportingInstance"]));
    let source = if instance.is_empty() { component } else { format!("{component}, {instance}") };
    vec![
        age(last, now).into(),
        str_at(object, &["type"]).into(),
        str_at(object, &["reason"]).into(),
        target.into(),
        about("fieldPath").into(),
        source.into(),
        either(&["message"], &["note"]).trim().into(),
        age(first, now).into(),
        times.into(),
        object.name().into(),
    ]
}
