//! Reviews (rows I7 to I11): asked by POST, answered at once with 201, never stored.

mod access;
mod identity;
mod rules;
pub mod token_request;

use crate::accept::Offer;
use crate::answer::Answer;
use crate::body;
use crate::call::Call;
use bytes::Bytes;
use otternauts_auth::User;
use otternauts_meta::field::{FieldError, Path};
use otternauts_meta::{GroupVersionKind, Status};
use serde_json::{Map, Value, json};

/// Answers one review of `authentication.k8s.io` or `authorization.k8s.io`.
pub async fn run(call: &Call, kind: &'static str, sent: Bytes) -> Result<Answer, Status> {
    let accepted = call.accept(Offer::PLAIN, true)?;
    let sent = read(call, kind, &sent)?;
    crate::options::write(&call.query, crate::options::Write::Create)?;
    let spec = sent.get("spec").cloned().unwrap_or_else(|| json!({}));
    let review = match kind {
        "SelfSubjectReview" => identity::self_review(call),
        "TokenReview" => identity::token_review(call, &spec).await?,
        "SelfSubjectRulesReview" => rules::review(call, &spec)?,
        _ => access::review(call, kind, &spec)?,
    };
    Answer::value(201, accepted, &review)
}

/// The object of a review; its kind, where it says one, must be the one asked for (row C6).
fn read(call: &Call, kind: &str, bytes: &Bytes) -> Result<Value, Status> {
    let sent = body::options(bytes, call.content_type(), kind)?.unwrap_or_else(|| json!({}));
    let said = sent.get("kind").and_then(Value::as_str).unwrap_or_default();
    if !said.is_empty() && said != kind {
        return Err(Status::bad_request(format!("{said} in version \"v1\" cannot be handled as a {kind}")));
    }
    Ok(sent)
}

/// The frame of every answer.
fn frame(group: &str, kind: &str, metadata: Value) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("kind".to_owned(), kind.into());
    map.insert("apiVersion".to_owned(), format!("{group}/v1").into());
    map.insert("metadata".to_owned(), metadata);
    map
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The 422 of a review; upstream names no kind in it.
fn invalid(group: &str, field: &str, value: impl Into<Value>, why: &str) -> Status {
    let error = FieldError::invalid(&Path::new(field), value, why);
    Status::invalid(&GroupVersionKind::new(group, "v1", ""), "", &vec![error])
}

fn user_info(user: &User) -> Value {
    let mut map = Map::new();
    map.insert("username".to_owned(), user.name.as_str().into());
    if !user.uid.is_empty() {
        map.insert("uid".to_owned(), user.uid.as_str().into());
    }
    if !user.groups.is_empty() {
        map.insert("groups".to_owned(), json!(user.groups));
    }
    if !user.extra.is_empty() {
        map.insert("extra".to_owned(), json!(user.extra));
    }
    map.into()
}
