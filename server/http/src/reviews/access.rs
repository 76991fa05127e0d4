//! May somebody do something (rows I8, I11)?

use super::{frame, invalid, text, texts};
use crate::call::Call;
use otternauts_auth::{Attributes, Decision, User};
use otternauts_meta::Status;
use serde_json::{Map, Value, json};

const GROUP: &str = "authorization.k8s.io";

/// SelfSubjectAccessReview, SubjectAccessReview and LocalSubjectAccessReview.
pub fn review(call: &Call, kind: &str, spec: &Value) -> Result<Value, Status> {
    let attributes = attributes(spec)?;
    let namespace = call.route.resource.as_ref().map(|r| r.namespace.as_str()).unwrap_or_default();
    if kind == "LocalSubjectAccessReview" && attributes.namespace != namespace {
        let field = "spec.resourceAttributes.namespace";
        return Err(invalid(GROUP, field, attributes.namespace.as_str(), "must match metadata.namespace"));
    }
    let user = if kind == "SelfSubjectAccessReview" { User::clone(&call.caller.user) } else { subject(spec)? };
    let mut status = Map::new();
    match call.parts.authorizer.authorize(&user, &attributes) {
        Decision::Allow { reason } => {
            status.insert("allowed".to_owned(), true.into());
            if !reason.is_empty() {
                status.insert("reason".to_owned(), reason.into());
            }
        }
        Decision::NoOpinion => {
            status.insert("allowed".to_owned(), false.into());
        }
    }
    let metadata = if namespace.is_empty() { json!({}) } else { json!({"namespace": namespace}) };
    let mut answer = frame(GROUP, kind, metadata);
    answer.insert("spec".to_owned(), spec.clone());
    answer.insert("status".to_owned(), status.into());
    Ok(answer.into())
}

/// Whom a review by somebody else is about.
fn subject(spec: &Value) -> Result<User, Status> {
    let (name, groups) = (text(spec, "user"), texts(spec, "groups"));
    if name.is_empty() && groups.is_empty() {
        return Err(invalid(GROUP, "spec.user", "", "at least one of user or group must be specified"));
    }
    let extra = spec.get("extra").and_then(Value::as_object);
    Ok(User {
        name: name.to_owned(),
        uid: text(spec, "uid").to_owned(),
        groups,
        extra: extra.into_iter().flatten().map(|(key, _)| (key.clone(), texts(&spec["extra"], key))).collect(),
    })
}

fn attributes(spec: &Value) -> Result<Attributes, Status> {
    let part = |key: &str| spec.get(key).filter(|v| v.is_object());
    match (part("resourceAttributes"), part("nonResourceAttributes")) {
        (Some(r), None) => Ok(Attributes {
            verb: text(r, "verb").to_owned(),
            group: text(r, "group").to_owned(),
            version: text(r, "version").to_owned(),
            resource: text(r, "resource").to_owned(),
            subresource: text(r, "subresource").to_owned(),
            namespace: text(r, "namespace").to_owned(),
            name: text(r, "name").to_owned(),
            path: String::new(),
        }),
        (None, Some(p)) => Ok(Attributes {
            verb: text(p, "verb").to_owned(),
            path: text(p, "path").to_owned(),
            ..Attributes::default()
        }),
        _ => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            Err(invalid(GROUP, "spec.resourceAttributes", Value::Null, why))
        }
    }
}
