//! The shape of CEL rules. Their expressions are kept and published, not compiled yet (row X13).

use super::{Doc, text};
use otternauts_meta::{ErrorList, FieldError, Path};
use serde_json::Value;

const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

pub(super) fn check(doc: &Doc, path: &Path, errors: &mut ErrorList) {
    let rules = doc.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
    for (i, rule) in rules.enumerate().filter_map(|(i, r)| Some((i, r.as_object()?))) {
        let here = path.child("x-kubernetes-validations").index(i);
        if text(rule, "rule").is_none_or(|r| r.trim().is_empty()) {
            errors.push(FieldError::required(&here.child("rule"), "rule is not specified"));
        }
        if let Some(message) = text(rule, "message")
            && message.contains(['\n', '\r'])
        {
            errors.push(FieldError::invalid(&here.child("message"), message, "must not contain line breaks"));
        }
        if let Some(reason) = text(rule, "reason")
            && !REASONS.contains(&reason)
        {
            errors.push(FieldError::not_supported(&here.child("reason"), reason, &REASONS));
        }
    }
}
