//! Events, in both of their APIs over one storage (rows B8, B9).

use super::{Kind, text_at, typed};
use crate::request::Subresource;
use otternauts_meta::{ErrorList, FieldError, Object, Path};
use serde_json::Value;

/// What `events` are stored under.
pub(crate) const STORED_AS: &str = "events";
const MAX_NOTE: usize = 1024;

/// Names in `events.k8s.io/v1` and in `v1`.
const RENAMED: [(&str, &str); 6] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];
const RENAMED_TOO: [(&str, &str); 1] = [("reportingController", "reportingComponent")];

pub(super) struct CoreEvent;

impl Kind for CoreEvent {
    fn read(&self, object: &mut Object) -> Result<(), String> {
        typed::time(object, &["firstTimestamp"])?;
        typed::time(object, &["lastTimestamp"])?;
        typed::micro_time(object, &["eventTime"])?;
        typed::micro_time(object, &["series", "lastObservedTime"])
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn validate(&self, object: &Object, _old: Option<&Object>, _subresource: Subresource) -> ErrorList {
        let mut errors = ErrorList::new();
        let involved = text_at(object, &["involvedObject", "namespace"]);
        let allowed = if involved.is_empty() { "default" } else { involved.as_str() };
        let namespace = object.namespace();
        // An event about something without a namespace lives in `default` (or, for system components, in kube-system).
        if namespace != allowed && !(involved.is_empty() && namespace == "kube-system") {
            let path = Path::new("involvedObject.namespace");
            errors.push(FieldError::invalid(&path, involved, "does not match event.namespace"));
        }
        errors
    }

    fn field_labels(&self) -> &'static [&'static str] {
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ]
    }

    fn field(&self, object: &Object, label: &str) -> String {
        match label {
            "source" => {
                let component = text_at(object, &["source", "component"]);
                if component.is_empty() { text_at(object, &["reportingComponent"]) } else { component }
            }
            _ => text_at(object, &label.split('.').collect::<Vec<_>>()),
        }
    }
}

pub(super) struct NewEvent;

impl Kind for NewEvent {
    fn read(&self, object: &mut Object) -> Result<(), String> {
        typed::time(object, &["deprecatedFirstTimestamp"])?;
        typed::time(object, &["deprecatedLastTimestamp"])?;
        typed::micro_time(object, &["eventTime"])?;
        typed::micro_time(object, &["series", "lastObservedTime"])
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn stored_as(&self) -> Option<&'static str> {
        Some(STORED_AS)
    }

    fn to_stored(&self, object: &mut Object) {
        object.0.insert("apiVersion".into(), "v1".into());
        for (new, core) in RENAMED.iter().chain(&RENAMED_TOO) {
            rename(object, new, core);
        }
    }

    fn to_served(&self, object: &mut Object) {
        object.0.insert("apiVersion".into(), "events.k8s.io/v1".into());
        for (new, core) in RENAMED.iter().chain(&RENAMED_TOO) {
            rename(object, core, new);
        }
    }

    fn validate(&self, object: &Object, old: Option<&Object>, _subresource: Subresource) -> ErrorList {
        let mut errors = ErrorList::new();
        let involved = text_at(object, &["regarding", "namespace"]);
        let allowed = if involved.is_empty() { "default" } else { involved.as_str() };
        if object.namespace() != allowed && !(involved.is_empty() && object.namespace() == "kube-system") {
            // Named as in the form it is stored in.
            let path = Path::new("involvedObject.namespace");
            errors.push(FieldError::invalid(&path, involved, "does not match event.namespace"));
        }
        match old {
            None => required(object, &mut errors),
            Some(old) => unchanged(object, old, &mut errors),
        }
        errors
    }

    fn field_labels(&self) -> &'static [&'static str] {
        &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "reason",
            "reportingController",
            "type",
        ]
    }
}

fn rename(object: &mut Object, from: &str, to: &str) {
    if let Some(value) = object.0.shift_remove(from) {
        object.0.insert(to.to_owned(), value);
    }
}

fn required(object: &Object, errors: &mut ErrorList) {
    // Without a time it is taken for an event of the old form, which needs no more.
    let timed = !text_at(object, &["eventTime"]).is_empty();
    let needed: &[&str] =
        if timed { &["reportingController", "reportingInstance", "action", "reason"] } else { &["eventTime"] };
    for field in needed {
        if text_at(object, &[field]).is_empty() {
            errors.push(FieldError::required(&Path::new(field), ""));
        }
    }
    let kind = text_at(object, &["type"]);
    if kind != "Normal" && kind != "Warning" {
        errors.push(FieldError::invalid(&Path::new("type"), kind, "has invalid value: "));
    }
    let note = text_at(object, &["note"]);
    if note.len() > MAX_NOTE {
        let detail = "can have at most 1024 bytes";
        errors.push(FieldError::invalid(&Path::new("note"), note, detail));
    }
}

/// Only series and metadata may change.
fn unchanged(object: &Object, old: &Object, errors: &mut ErrorList) {
    for field in [
        "regarding",
        "reason",
        "action",
        "reportingController",
        "reportingInstance",
        "type",
        "note",
        "eventTime",
        "related",
    ] {
        if object.at(&[field]) != old.at(&[field]) {
            let value = object.at(&[field]).cloned().unwrap_or(Value::Null);
            errors.push(FieldError::invalid(&Path::new(field), value, "field is immutable"));
        }
    }
}
