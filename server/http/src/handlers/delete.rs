//! DELETE of one object (rows G1, G2, G4).

use crate::answer::{Answer, encode};
use crate::body;
use crate::call::Call;
use crate::identity;
use bytes::Bytes;
use otternauts_auth::Attributes;
use otternauts_meta::Status;
use otternauts_registry::{DeleteOptions, Deleted, Target};
use serde_json::{Map, Value, json};

pub async fn run(call: &Call, target: &Target, sent: Bytes) -> Result<Answer, Status> {
    let accepted = call.accept_object(target)?;
    let options = options(call, &sent)?;
    if options.ignore_read_error {
        may_delete_unread(call, target)?;
    }
    match call.registry().delete(&call.caller, target, &options).await? {
        Deleted::Waiting(served) => call.object(target, accepted, 200, served.bytes),
        Deleted::Gone { uid, name } => Answer::negotiated(200, accepted, success(target, &name, &uid).into()),
    }
}

/// Deleting what nobody can read asks for one more verb than deleting (R31, KEP-3926).
fn may_delete_unread(call: &Call, target: &Target) -> Result<(), Status> {
    const VERB: &str = "unsafe-delete-ignore-read-errors";
    let resource = target.definition.group_resource();
    let name = target.name.clone().unwrap_or_default();
    let attributes = Attributes {
        verb: VERB.to_owned(),
        group: resource.group.clone(),
        version: target.version.clone(),
        resource: resource.resource.clone(),
        namespace: target.namespace.clone().unwrap_or_default(),
        name: name.clone(),
        ..Attributes::default()
    };
    match identity::authorize(&call.parts.authorizer, &call.caller.user, &attributes) {
        Ok(_) => Ok(()),
        Err(refused) => {
            let why = format!("not permitted to do {VERB:?}, reason: {}", refused.message);
            Err(Status::forbidden(&resource, &name, &why))
        }
    }
}

/// DeleteOptions of the body, or without one of the query.
pub fn options(call: &Call, bytes: &Bytes) -> Result<DeleteOptions, Status> {
    let body = body::options(bytes, call.content_type(), "DeleteOptions")?;
    crate::options::delete(&call.query, body.as_ref())
}

/// The Status of row G1: kubectl waits for the uid in it.
fn success(target: &Target, name: &str, uid: &str) -> Vec<u8> {
    let resource = target.definition.group_resource();
    let parts = [("name", name), ("group", &resource.group), ("kind", &resource.resource), ("uid", uid)];
    let details: Map<String, Value> =
        parts.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.to_owned(), v.into())).collect();
    encode(&json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}))
}
