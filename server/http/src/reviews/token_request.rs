//! `POST serviceaccounts/NAME/token` (row I7).

use super::{frame, read, texts};
use crate::accept::Offer;
use crate::answer::Answer;
use crate::call::{Call, now};
use bytes::Bytes;
use otternauts_auth::service_account::{MIN_LIFETIME_SECONDS, TokenRequest};
use otternauts_meta::field::{FieldError, Path};
use otternauts_meta::{GroupVersionKind, Object, Status};
use otternauts_registry::Target;
use serde_json::{Value, json};

const DEFAULT_SECONDS: i64 = 3600;

pub async fn run(call: &Call, target: &Target, sent: Bytes) -> Result<Answer, Status> {
    let accepted = call.accept(Offer::PLAIN, true)?;
    let sent = read(call, "TokenRequest", &sent)?;
    let options = crate::options::write(&call.query, crate::options::Write::Create)?;
    let account = call.registry().get(&call.caller, target, "").await?;
    let account = serde_json::from_slice(&account.bytes).ok().and_then(|v| Object::from_value(v).ok());
    let account = account.ok_or_else(|| Status::internal("the stored ServiceAccount cannot be read"))?;
    let spec = sent.get("spec").cloned().unwrap_or_else(|| json!({}));
    let seconds = spec.get("expirationSeconds").and_then(Value::as_i64).unwrap_or(DEFAULT_SECONDS);
    check(seconds)?;
    refuse_bound(&spec)?;
    let audiences = texts(&spec, "audiences");
    let request = TokenRequest {
        namespace: account.namespace(),
        name: account.name(),
        uid: account.uid(),
        audiences: &audiences,
        lifetime_seconds: seconds,
    };
    let now = now();
    let issued = call
        .parts
        .authenticator
        .token_key()
        .issue(&request, now)
        .map_err(|_| Status::internal("no token could be issued"))?;
    let metadata = json!({
        "name": account.name(), "namespace": account.namespace(), "creationTimestamp": now.to_string(),
    });
    let token = if options.dry_run { "" } else { issued.token.expose() };
    let lifetime = issued.expires.as_seconds() - now.as_seconds();
    let mut answer = frame("authentication.k8s.io", "TokenRequest", metadata);
    answer.insert(
        "spec".to_owned(),
        json!({"audiences": issued.audiences, "expirationSeconds": lifetime, "boundObjectRef": null}),
    );
    answer.insert("status".to_owned(), json!({"token": token, "expirationTimestamp": issued.expires.to_string()}));
    Answer::value(201, accepted, &answer.into())
}

/// A token that outlives the object it is bound to would be a lie: refused until binding is honoured.
fn refuse_bound(spec: &Value) -> Result<(), Status> {
    if spec.get("boundObjectRef").is_none_or(Value::is_null) {
        return Ok(());
    }
    let why = "binding a token to an object is not supported by this server; leave it out, the token ends with its ServiceAccount";
    let error = FieldError::forbidden(&Path::new("spec.boundObjectRef"), why);
    Err(Status::invalid(&GroupVersionKind::new("authentication.k8s.io", "v1", "TokenRequest"), "", &vec![error]))
}

fn check(seconds: i64) -> Result<(), Status> {
    let path = Path::new("spec.expirationSeconds");
    let refuse = |why: &str| {
        let error = FieldError::invalid(&path, seconds, why);
        Err(Status::invalid(&GroupVersionKind::new("authentication.k8s.io", "v1", "TokenRequest"), "", &vec![error]))
    };
    if seconds < MIN_LIFETIME_SECONDS {
        return refuse("may not specify a duration less than 10 minutes");
    }
    if seconds > 1 << 32 {
        return refuse("may not specify a duration larger than 2^32 seconds");
    }
    Ok(())
}
