//! `/openapi/v2` and `/openapi/v3` (rows O1 to O3, O8, O11): documents made by `otternauts-openapi`, once per change of the kinds.

use crate::accept::clauses;
use crate::answer::Answer;
use crate::call::Call;
use bytes::Bytes;
use http::header;
use otternauts_meta::Status;
use otternauts_openapi::{Document, Documents};
use otternauts_registry::Definitions;
use std::sync::{Arc, Mutex, PoisonError};

/// Remembers the documents of one revision of the kinds.
#[derive(Default)]
pub struct Cache {
    cached: Mutex<Option<(u64, Arc<Documents>)>>,
}

impl Cache {
    fn documents(&self, definitions: &Definitions) -> Arc<Documents> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, documents)) = cached.as_ref().filter(|(revision, _)| *revision == definitions.revision()) {
            return Arc::clone(documents);
        }
        let documents = Arc::new(Documents::build(definitions.all()));
        *cached = Some((definitions.revision(), Arc::clone(&documents)));
        documents
    }
}

/// Answers the index (an empty `path`) or one group-version's document, `api/v1` or `apis/GROUP/VERSION`.
pub fn answer(call: &Call, path: &str) -> Result<Answer, Status> {
    let documents = call.parts.openapi.documents(&call.definitions);
    if path.is_empty() {
        return Ok(Answer::json(200, documents.index().clone()));
    }
    let Some(document) = documents.get(path) else { return Ok(Answer::empty(404)) };
    let Some(form) = form(call.header(header::ACCEPT), "v3") else { return Ok(Answer::empty(406)) };
    let asked = call.query.get("hash");
    if asked.is_some_and(|hash| hash != document.hash) {
        let right = format!("/openapi/v3/{path}?hash={}", document.hash);
        return Ok(Answer::empty(301).with_header(header::LOCATION, &right));
    }
    let answer = whole(call, document, form, V3, Document::protobuf_v3);
    if asked.is_none() {
        return Ok(answer);
    }
    let year = jiff::SignedDuration::from_hours(365 * 24);
    let expires = (jiff::Timestamp::now() + year).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    Ok(answer.with_header(header::CACHE_CONTROL, "public, immutable").with_header(header::EXPIRES, &expires))
}

/// Answers `/openapi/v2`, the one document of all kinds (row O8).
pub fn answer_v2(call: &Call) -> Answer {
    let Some(form) = form(call.header(header::ACCEPT), "v2") else { return Answer::empty(406) };
    let documents = call.parts.openapi.documents(&call.definitions);
    whole(call, documents.v2(), form, V2, Document::protobuf_v2)
}

const V2: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const V3: &str = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Json,
    Protobuf,
}

/// The document in that form, or 304 to who has it.
fn whole(call: &Call, document: &Document, form: Form, media: &str, protobuf: fn(&Document) -> &Bytes) -> Answer {
    let etag = format!("\"{}\"", document.hash);
    let answer = if call.header(header::IF_NONE_MATCH) == Some(etag.as_str()) {
        Answer::empty(304)
    } else if form == Form::Json {
        Answer::json(200, document.bytes.clone())
    } else {
        Answer::json(200, protobuf(document).clone()).with_header(header::CONTENT_TYPE, media)
    };
    answer.with_header(header::ETAG, &etag).with_header(header::VARY, "Accept")
}

/// The first clause of `Accept` that there is a form for. Clients write `spec.v2@v1.0`, newer ones `spec.v2.v1.0`.
fn form(accept: Option<&str>, spec: &str) -> Option<Form> {
    let accept = accept.unwrap_or_default();
    if accept.is_empty() {
        return Some(Form::Json);
    }
    clauses(accept).iter().find_map(|clause| {
        let wanted = clause.subtype.strip_prefix("com.github.proto-openapi.spec.").and_then(|s| s.strip_prefix(spec));
        if clause.kind == "application" && matches!(wanted, Some("@v1.0+protobuf" | ".v1.0+protobuf")) {
            return Some(Form::Protobuf);
        }
        clause.is_json().then_some(Form::Json)
    })
}
