//! DELETE of a collection (row G9).

use crate::accept::Offer;
use crate::answer::Answer;
use crate::call::{Call, now};
use bytes::Bytes;
use otternauts_meta::Status;
use otternauts_registry::Target;

pub async fn run(call: &Call, target: &Target, sent: Bytes) -> Result<Answer, Status> {
    let accepted = call.accept(Offer::OBJECT, target.definition.is_builtin())?;
    let include = call.include(accepted)?;
    let list = crate::options::list(&call.query)?;
    let options = super::delete::options(call, &sent)?;
    let deleted = call.registry().delete_collection(&call.caller, target, &list, &options).await?;
    crate::list::answer(target, accepted, include, deleted, now()).await
}
