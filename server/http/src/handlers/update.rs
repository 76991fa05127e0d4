//! PUT.

use crate::answer::Answer;
use crate::call::Call;
use crate::options::{self, Write};
use bytes::Bytes;
use otternauts_meta::Status;
use otternauts_registry::Target;

pub async fn run(call: &Call, target: &Target, sent: Bytes) -> Result<Answer, Status> {
    let accepted = call.accept_object(target)?;
    let body = super::create::object(call, target, &sent)?;
    let options = options::write(&call.query, Write::Update)?;
    let served = call.registry().update(&call.caller, target, body, &options).await?;
    call.object(target, accepted, if served.created { 201 } else { 200 }, served.bytes)
}
