//! Query and path parameters. kubectl looks for `fieldValidation` among those of PATCH (row O4).

use serde_json::{Value, json};

fn query(name: &str, kind: &str, description: &str) -> Value {
    json!({
        "name": name, "in": "query", "description": description, "schema": {"type": kind, "uniqueItems": true},
    })
}

fn path(name: &str, description: &str) -> Value {
    json!({
        "name": name, "in": "path", "description": description, "required": true,
        "schema": {"type": "string", "uniqueItems": true},
    })
}

/// Those of every operation on a path.
pub fn of_path(namespaced: bool, named: Option<&str>) -> Vec<Value> {
    let mut list = Vec::new();
    if let Some(kind) = named {
        list.push(path("name", &format!("name of the {kind}")));
    }
    if namespaced {
        list.push(path("namespace", "the namespace the object lives in"));
    }
    list.push(query("pretty", "string", "indent the answer; on by default for browsers, curl and wget"));
    list
}

/// Those of POST and PUT.
pub fn of_write() -> Vec<Value> {
    vec![
        query("dryRun", "string", "All: go through every stage and store nothing"),
        query(
            "fieldManager",
            "string",
            "who is making the change, at most 128 characters; from the User-Agent when absent",
        ),
        query(
            "fieldValidation",
            "string",
            "what to do about unknown and duplicate fields: Ignore, Warn (the default) or Strict",
        ),
    ]
}

/// Those of PATCH.
pub fn of_patch() -> Vec<Value> {
    let mut list = of_write();
    list.push(query("force", "boolean", "take over fields that others own; for apply only"));
    list
}

/// Those of DELETE of one object.
pub fn of_delete() -> Vec<Value> {
    vec![
        query("dryRun", "string", "All: go through every stage and delete nothing"),
        query("gracePeriodSeconds", "integer", "how long the object may take to go"),
        query("orphanDependents", "boolean", "the older form of propagationPolicy"),
        query("propagationPolicy", "string", "what becomes of dependents: Foreground, Background or Orphan"),
    ]
}

/// Those of a list or watch.
pub fn of_list() -> Vec<Value> {
    vec![
        query("allowWatchBookmarks", "boolean", "send BOOKMARK events now and then"),
        query("continue", "string", "the next page of an earlier list"),
        query("fieldSelector", "string", "only objects with these fields"),
        query("labelSelector", "string", "only objects with these labels"),
        query("limit", "integer", "at most so many objects a page"),
        query("resourceVersion", "string", "how recent the answer must be, or where a watch begins"),
        query("resourceVersionMatch", "string", "how resourceVersion is meant: Exact or NotOlderThan"),
        query("sendInitialEvents", "boolean", "begin a watch with the current state"),
        query("timeoutSeconds", "integer", "end after so many seconds"),
        query("watch", "boolean", "send changes as they happen instead of a list"),
    ]
}
