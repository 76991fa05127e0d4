//! LIST.

use crate::accept::{Offer, Shape};
use crate::answer::Answer;
use crate::call::{Call, now};
use otternauts_meta::Status;
use otternauts_registry::Target;

pub async fn run(call: &Call, target: &Target) -> Result<Answer, Status> {
    let accepted = call.accept(Offer::OBJECT, target.definition.is_builtin())?;
    if matches!(accepted.shape, Shape::Partial(_)) {
        return Err(crate::list::list_refused(target));
    }
    let include = call.include(accepted)?;
    let options = crate::options::list(&call.query)?;
    let list = call.registry().list(&call.caller, target, &options).await?;
    crate::list::answer(target, accepted, include, list, now()).await
}
