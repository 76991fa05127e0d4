//! POST.

use crate::answer::Answer;
use crate::body;
use crate::call::Call;
use crate::options::{self, Write};
use bytes::Bytes;
use otternauts_meta::Status;
use otternauts_registry::Target;

pub async fn run(call: &Call, target: &Target, sent: Bytes) -> Result<Answer, Status> {
    let accepted = call.accept_object(target)?;
    let body = object(call, target, &sent)?;
    let options = options::write(&call.query, Write::Create)?;
    let target = Target { name: None, ..target.clone() };
    let served = call.registry().create(&call.caller, &target, body, &options).await?;
    call.object(&target, accepted, if served.created { 201 } else { 200 }, served.bytes)
}

/// Decodes the object of a POST or PUT.
pub fn object(call: &Call, target: &Target, bytes: &Bytes) -> Result<otternauts_registry::Body, Status> {
    let builtin = target.definition.is_builtin();
    let kind = match target.subresource {
        otternauts_registry::Subresource::Scale => "Scale",
        _ => &target.definition.names.kind,
    };
    let body = body::object(bytes, call.content_type(), kind, builtin)?;
    if !builtin {
        body::require_kind(&body, bytes, kind)?;
    }
    Ok(body)
}
