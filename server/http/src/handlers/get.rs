//! GET of one object.

use crate::answer::Answer;
use crate::call::Call;
use otternauts_meta::Status;
use otternauts_registry::Target;

pub async fn run(call: &Call, target: &Target) -> Result<Answer, Status> {
    let accepted = call.accept_object(target)?;
    let served = call.registry().get(&call.caller, target, call.query.text("resourceVersion")).await?;
    call.object(target, accepted, 200, served.bytes)
}
