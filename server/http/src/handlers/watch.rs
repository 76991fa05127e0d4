//! WATCH: options first, as plain errors (row W12); then the stream.

use super::Held;
use crate::accept::{Offer, negotiate, watch_refusal};
use crate::answer::Answer;
use crate::call::{Call, now};
use crate::stream::{self, Lines};
use otternauts_meta::{FieldSelector, Status};
use otternauts_registry::Target;
use std::time::Duration;

/// Between half an hour and an hour, so that watches started together do not end together (row W18).
fn default_timeout() -> Duration {
    let random = uuid::Uuid::new_v4().as_u128() % 1_800_000;
    Duration::from_millis(1_800_000 + u64::try_from(random).unwrap_or_default())
}

pub async fn run(call: &Call, target: &Target, permit: Option<Held>) -> Result<Answer, Status> {
    let header = call.header(http::header::ACCEPT);
    let accepted = negotiate(header, Offer::WATCH).ok_or_else(watch_refusal)?;
    let include = call.include(accepted)?;
    let (mut options, timeout) = crate::options::watch(&call.query)?;
    let mut target = target.clone();
    if let Some(name) = target.name.take() {
        // The old `/watch/…/NAME` form is a field selector by another name.
        options.fields = FieldSelector::parse(&format!("metadata.name={name}"))
            .map_err(|error| Status::bad_request(error.to_string()))?;
    }
    let session = call.registry().watch(&call.caller, &target, &options).await?;
    let lines = Lines::new(&target, accepted.shape, include, now);
    let about = call.series.about();
    let held = stream::Held {
        watch: call.parts.metrics.watches.open(about.group, about.version, about.resource),
        guards: Box::new((permit, call.series.longrunning())),
    };
    let lasts = timeout.unwrap_or_else(default_timeout);
    let body = stream::body(session, lines, lasts, call.parts.shutdown.clone(), held);
    Ok(Answer::stream("application/json", body))
}
