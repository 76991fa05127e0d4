//! Moving from kubectl's client-side apply to server-side apply (row A16).

use crate::compare::compare;
use crate::extract::extract;
use crate::ownership::Ownership;
use otternauts_meta::Object;
use serde_json::Value;
use std::collections::HashSet;

/// The one manager this is for.
pub(crate) const MANAGER: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The most bytes all annotations of an object may have together.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// The fields, as messages print them, that the last client-side apply set to what the live object still says.
pub(crate) fn forgiven(live: &Object, context: &Ownership<'_>) -> HashSet<String> {
    let last = live.annotation(ANNOTATION).and_then(|text| serde_json::from_str(text).ok());
    let Some(last) = last.and_then(|v: Value| Object::from_value(v).ok()) else {
        return HashSet::new();
    };
    let mut fields = extract(&last, context);
    let diff = compare(Some(&last), live, context);
    fields.difference(&diff.changed);
    fields.difference(&diff.removed);
    fields.paths().into_iter().collect()
}

/// Writes the applied configuration into the annotation, if the object has one.
pub(crate) fn keep_in_step(object: &mut Object, applied: &Object) {
    if object.annotation(ANNOTATION).is_none() {
        return;
    }
    let mut text = String::new();
    write_sorted(&Value::Object(without_annotation(applied).0), &mut text);
    text.push('\n');
    let Some(Value::Object(annotations)) = object.metadata_mut().get_mut("annotations") else {
        return;
    };
    let size = |v: &Value| v.as_str().map_or(0, str::len);
    let others: usize = annotations.iter().filter(|(k, _)| *k != ANNOTATION).map(|(k, v)| k.len() + size(v)).sum();
    if others + ANNOTATION.len() + text.len() > MAX_ANNOTATIONS {
        annotations.shift_remove(ANNOTATION);
    } else {
        annotations.insert(ANNOTATION.to_owned(), Value::String(text));
    }
}

fn without_annotation(applied: &Object) -> Object {
    let mut object = applied.clone();
    object.metadata_mut().shift_remove("managedFields");
    if let Some(Value::Object(annotations)) = object.metadata_mut().get_mut("annotations") {
        annotations.shift_remove(ANNOTATION);
    }
    object
}

/// Compact JSON with the keys of every object sorted.
fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(k, _)| *k);
            out.push('{');
            for (i, (key, value)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_sorted(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_sorted(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
