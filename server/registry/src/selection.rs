//! Which objects of a collection are meant: selectors made ready for many records (rows L13, L14, L18, W8, W9).

use crate::kinds::text_at;
use crate::request::Target;
use crate::shape::Shape;
use otternauts_meta::{FieldSelector, LabelSelector, Object, Status};
use otternauts_store::{Range, Record};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

#[derive(Clone)]
pub(crate) struct Selection {
    pub range: Range,
    labels: LabelSelector,
    fields: FieldSelector,
    /// The stored bytes of an object that the labels choose have one text of each list in them: who has not need not be read.
    traces: Vec<Vec<String>>,
    /// Some field selector looks at more than name and namespace.
    looks_inside: bool,
}

/// As little of a record as label selectors need.
#[derive(Deserialize)]
struct Peek {
    #[serde(default)]
    metadata: PeekMetadata,
}

#[derive(Default, Deserialize)]
struct PeekMetadata {
    #[serde(default)]
    labels: Option<Map<String, Value>>,
}

impl Selection {
    /// Refuses field labels that the kind does not know (row L14).
    pub fn new(shape: &Shape, target: &Target, labels: &LabelSelector, fields: &FieldSelector) -> Result<Self, Status> {
        let mut looks_inside = false;
        for requirement in fields.requirements() {
            let path = requirement.path.as_str();
            if path == "metadata.name" || (path == "metadata.namespace" && shape.definition.is_namespaced()) {
                continue;
            }
            if !is_known(shape, path) {
                return Err(unknown_label(shape, path));
            }
            looks_inside = true;
        }
        let namespace = target.namespace.as_deref().or_else(|| fields.required_value("metadata.namespace"));
        let range = Range {
            resource: shape.resource.clone(),
            namespace: namespace.filter(|_| shape.definition.is_namespaced()).map(Into::into),
            name: fields.required_value("metadata.name").map(Into::into),
        };
        Ok(Self { range, labels: labels.clone(), fields: fields.clone(), traces: traces(labels), looks_inside })
    }

    /// Every object of the range belongs to it.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    fn may_match(&self, record: &Record) -> bool {
        let Ok(text) = std::str::from_utf8(&record.body) else { return true };
        self.traces.iter().all(|texts| texts.iter().any(|one| text.contains(one.as_str())))
    }

    pub fn matches(&self, shape: &Shape, record: &Record) -> Result<bool, Status> {
        if self.is_everything() {
            return Ok(true);
        }
        let labelled = || self.may_match(record) && self.labels.matches(peek(record).metadata.labels.as_ref());
        if !self.labels.is_empty() && !labelled() {
            return Ok(false);
        }
        if self.fields.is_empty() {
            return Ok(true);
        }
        let object = if self.looks_inside { shape.read(record)? } else { Object::default() };
        Ok(self.fields.matches(|path| match path {
            "metadata.name" => Cow::Owned(record.key.name.to_string()),
            "metadata.namespace" => Cow::Owned(record.key.namespace.to_string()),
            _ => Cow::Owned(field(shape, &object, path)),
        }))
    }
}

/// What objects with these labels have in their stored bytes, which are compact JSON. Labels that JSON would escape leave no such trace.
fn traces(labels: &LabelSelector) -> Vec<Vec<String>> {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    let asked = labels.requirements().iter().filter(|r| {
        // `=` and `in`: without the label nobody is chosen, with one of the values everybody.
        let one_of_them = !r.values.is_empty() && !r.matches(None) && r.values.iter().all(|v| r.matches(Some(v)));
        one_of_them && plain(&r.key) && r.values.iter().all(|v| plain(v))
    });
    asked.map(|r| r.values.iter().map(|v| format!(r#""{}":"{v}""#, r.key)).collect()).collect()
}

fn peek(record: &Record) -> Peek {
    serde_json::from_slice(&record.body).unwrap_or(Peek { metadata: PeekMetadata::default() })
}

fn is_known(shape: &Shape, path: &str) -> bool {
    let declared = &shape.served().selectable_fields;
    shape.kind.field_labels().contains(&path) || declared.iter().any(|field| field.strip_prefix('.') == Some(path))
}

fn field(shape: &Shape, object: &Object, path: &str) -> String {
    if shape.definition.is_builtin() {
        return shape.kind.field(object, path);
    }
    text_at(object, &path.split('.').collect::<Vec<_>>())
}

fn unknown_label(shape: &Shape, path: &str) -> Status {
    if shape.definition.is_builtin() && shape.kind.field_labels().is_empty() {
        return Status::bad_request(format!(
            "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ));
    }
    Status::bad_request(format!("field label not supported: {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labels_that_must_have_a_value_leave_a_trace() {
        let labels = LabelSelector::parse("a.b/c=d,e in (f,g),h!=i,j notin (k),l,!m,n>1,o<2").expect("a selector");
        let expected = [vec![r#""a.b/c":"d""#], vec![r#""e":"f""#, r#""e":"g""#]];
        assert_eq!(traces(&labels), expected);
        assert!(traces(&LabelSelector::from_match_labels([("a", "\"")])).is_empty());
    }
}
