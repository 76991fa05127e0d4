//! What may I do here (row I9)?

use super::{frame, text};
use crate::call::Call;
use otternauts_auth::PolicyRule;
use otternauts_meta::Status;
use serde_json::{Value, json};

/// SelfSubjectRulesReview.
pub fn review(call: &Call, spec: &Value) -> Result<Value, Status> {
    let namespace = text(spec, "namespace");
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let rules = call.parts.authorizer.snapshot().rules_for(&call.caller.user, namespace);
    let list = |rules: &[PolicyRule]| -> Value { serde_json::to_value(rules).unwrap_or_else(|_| json!([])) };
    let mut answer = frame("authorization.k8s.io", "SelfSubjectRulesReview", json!({}));
    answer.insert("spec".to_owned(), json!({}));
    answer.insert(
        "status".to_owned(),
        json!({
            "resourceRules": list(&rules.resource),
            "nonResourceRules": list(&rules.non_resource),
            "incomplete": false,
        }),
    );
    Ok(answer.into())
}
