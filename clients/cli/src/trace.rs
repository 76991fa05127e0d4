//! A command as a span, and its trace's id for people (`-v`, and with errors).

use http::{HeaderName, HeaderValue, Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use otternauts_telemetry::traces;
use std::sync::OnceLock;
use tower::util::{MapRequestLayer, MapResponseLayer};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_ID: HeaderName = HeaderName::from_static("x-otternauts-trace-id");

/// `traceparent` of the command: requests pass through a queue of the client's, where no span runs.
static COMMAND: OnceLock<String> = OnceLock::new();
/// The trace that the server put the first change (or the last refusal) in.
static TOLD: OnceLock<String> = OnceLock::new();

/// Requests from now on are part of this command's trace.
pub fn carry(span: &traces::Span) {
    if let Some(traceparent) = span.traceparent() {
        let _ = COMMAND.set(traceparent);
    }
}

/// A client whose requests carry the running span, and which remembers the trace that answers name.
pub fn client(config: Config) -> Result<Client, kube::Error> {
    let carry = |mut request: Request<Body>| {
        if let Some(value) = COMMAND.get().and_then(|t| HeaderValue::from_str(t).ok()) {
            request.headers_mut().insert(TRACEPARENT, value);
        }
        request
    };
    let builder = ClientBuilder::try_from(config)?.with_layer(&MapRequestLayer::new(carry));
    Ok(builder.with_layer(&MapResponseLayer::new(remember)).build())
}

fn remember<B>(response: Response<B>) -> Response<B> {
    let id = response.headers().get(TRACE_ID).and_then(|v| v.to_str().ok());
    if let Some(id) = id.filter(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())) {
        // The first one wins: it is what the command was typed for.
        let _ = TOLD.set(id.to_owned());
    }
    response
}

/// What to search for in the place where traces go; `None` when nothing was traced.
pub fn id(span: &traces::Span) -> Option<String> {
    span.trace_id().or_else(|| TOLD.get().cloned())
}
