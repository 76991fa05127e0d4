//! PUT.

use crate::answer::Answer;
use crate::body::Incoming;
use crate::call::Call;
use crate::options::{self, Write};
use otternauts_meta::Status;
use otternauts_registry::Target;

pub async fn run(call: &Call, target: &Target, incoming: Incoming) -> Result<Answer, Status> {
    let accepted = call.accept_object(target)?;
    let body = super::create::object(call, target, incoming).await?;
    let options = options::write(&call.query, Write::Update)?;
    let served = call.registry().update(&call.caller, target, body, &options).await?;
    call.object(target, accepted, if served.created { 201 } else { 200 }, served.bytes)
}
