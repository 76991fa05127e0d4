//! What other programs tell us at `/hooks/…`: authorised like any path, read whole, passed on to who knows what it means.

use crate::answer::Answer;
use crate::call::Call;
use bytes::Bytes;
use otternauts_meta::Status;
use std::pin::Pin;

/// Takes the alerts that an Alertmanager posts (its webhook payload, version 4).
pub trait AlertSink: Send + Sync {
    /// How many alerts were new. An error is the answer; Alertmanager sends again after a 5xx.
    fn receive(&self, body: Bytes) -> Pin<Box<dyn Future<Output = Result<usize, Status>> + Send + '_>>;
}

/// `POST /hooks/alertmanager`.
pub async fn alertmanager(call: &Call, body: Bytes) -> Result<Answer, Status> {
    let Some(sink) = &call.parts.alerts else { return Ok(Answer::page_not_found()) };
    let new = sink.receive(body).await?;
    Ok(Answer::text(200, format!("{new} new\n")))
}
