//! One file per verb.

pub(crate) mod amend;
mod change;
mod create;
pub(crate) mod delete;
mod delete_collection;
mod get;
mod list;
mod patch;
mod scale;
mod update;
pub(crate) mod watch;

use otternauts_meta::{FieldError, Path, Status};
use otternauts_store::Revision;

/// A `resourceVersion` parameter: `None` when absent or `0`-like rules do not need it.
pub(crate) fn parse_version(text: &str) -> Result<Option<Revision>, FieldError> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let why = if digits { "value out of range" } else { "invalid syntax" };
    let refuse = || {
        let detail = format!("strconv.ParseUint: parsing {text:?}: {why}");
        FieldError::invalid(&Path::new("resourceVersion"), text, detail)
    };
    if !digits {
        return Err(refuse());
    }
    text.parse().map(Some).map_err(|_| refuse())
}

/// Row L7, and W25 in its kinder form.
pub(crate) fn bad_version(error: &FieldError) -> Status {
    Status::bad_request(format!("invalid resource version: {error}"))
}
