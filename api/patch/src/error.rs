//! Why a patch was not applied, and the answer the client gets for it.

use otternauts_meta::{Details, Status};
use serde_json::Value;

/// Each variant is one answer (rows P2, P3, P6).
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// 400: the patch is not what its media type says.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// 422: an operation of a JSON patch does not fit the object. The text is for the log; clients get the general one.
    #[error("{0}")]
    Failed(String),
    /// 413: more operations than one request may have.
    #[error("Request entity too large: The allowed maximum operations in a JSON patch is {max}, got {0}", max = crate::MAX_OPERATIONS)]
    TooManyOps(usize),
    /// 400: a directive of a strategic merge patch is wrong.
    #[error("{0}")]
    BadDirective(String),
    /// 500 without a reason, as Kubernetes answers: a list element the patch cannot be merged with.
    #[error("{0}")]
    Unmergeable(String),
}

impl From<PatchError> for Status {
    fn from(error: PatchError) -> Self {
        let text = error.to_string();
        match error {
            PatchError::Malformed(_) | PatchError::BadDirective(_) => Status::bad_request(text),
            PatchError::Failed(_) => {
                Status::new(422, "Invalid", "the server rejected our request due to an error in our request")
                    .with_details(Details::default())
            }
            PatchError::TooManyOps(_) => Status::too_large(text),
            PatchError::Unmergeable(_) => Status::new(500, "", text),
        }
    }
}

/// Reads a patch body as JSON. Nesting deeper than [`crate::MAX_DEPTH`] is malformed.
pub fn decode(body: &[u8]) -> Result<Value, PatchError> {
    let read = serde_json::from_slice(body).or_else(|error| match otternauts_meta::json::mended(body) {
        Some(mended) => serde_json::from_slice(&mended),
        None => Err(error),
    });
    read.map_err(|e| PatchError::Malformed(e.to_string()))
}
