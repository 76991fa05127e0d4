//! `/openapi/v3` (rows O1 to O3, O11): documents made by `otternauts-openapi`, once per change of the kinds.

use crate::accept::clauses;
use crate::answer::Answer;
use crate::call::Call;
use http::header;
use otternauts_meta::Status;
use otternauts_openapi::Documents;
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
    if !accepts_json(call.header(header::ACCEPT)) {
        return Ok(Answer::empty(406));
    }
    let asked = call.query.get("hash");
    if asked.is_some_and(|hash| hash != document.hash) {
        let right = format!("/openapi/v3/{path}?hash={}", document.hash);
        return Ok(Answer::empty(301).with_header(header::LOCATION, &right));
    }
    let etag = format!("\"{}\"", document.hash);
    let known = call.header(header::IF_NONE_MATCH) == Some(etag.as_str());
    let answer = if known { Answer::empty(304) } else { Answer::json(200, document.bytes.clone()) };
    let answer = answer.with_header(header::ETAG, &etag).with_header(header::VARY, "Accept");
    if asked.is_none() {
        return Ok(answer);
    }
    let year = jiff::SignedDuration::from_hours(365 * 24);
    let expires = (jiff::Timestamp::now() + year).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    Ok(answer.with_header(header::CACHE_CONTROL, "public, immutable").with_header(header::EXPIRES, &expires))
}

fn accepts_json(accept: Option<&str>) -> bool {
    let accept = accept.unwrap_or_default();
    accept.is_empty() || clauses(accept).iter().any(crate::accept::Clause::is_json)
}
