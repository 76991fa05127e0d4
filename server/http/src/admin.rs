//! What an administrator does with the whole server, at `/admin/…`: keys and backups. Authorised like any path, audited like a change.

use crate::answer::{Answer, Body, BodyError};
use crate::call::Call;
use bytes::Bytes;
use futures::Stream;
use http::Method;
use otternauts_meta::Status;
use std::pin::Pin;

/// Every path of this kind begins so.
pub const PREFIX: &str = "/admin/";

/// What is asked; the body says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminRequest {
    /// `GET /admin/keys`
    Keys,
    /// `POST /admin/keys/rotate`
    Rotate,
    /// `POST /admin/backup`
    Backup,
}

/// Chunks as they are made; an error cuts the stream.
pub type AdminStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

pub enum AdminAnswer {
    Json(Bytes),
    /// Goes on for as long as it takes.
    Stream(AdminStream),
}

/// Does it; without one, nothing is at these paths.
pub trait Admin: Send + Sync {
    /// Answers soon: what takes long is in the stream.
    fn handle(
        &self,
        request: AdminRequest,
        body: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<AdminAnswer, Status>> + Send + '_>>;
}

/// What a method and a path ask for.
pub fn find(method: &Method, path: &str) -> Option<AdminRequest> {
    match (method.as_str(), path) {
        ("GET", "/admin/keys") => Some(AdminRequest::Keys),
        ("POST", "/admin/keys/rotate") => Some(AdminRequest::Rotate),
        ("POST", "/admin/backup") => Some(AdminRequest::Backup),
        _ => None,
    }
}

pub async fn run(call: &Call, request: AdminRequest, body: Bytes) -> Result<Answer, Status> {
    let Some(admin) = &call.parts.admin else { return Ok(Answer::page_not_found()) };
    match admin.handle(request, body).await? {
        AdminAnswer::Json(bytes) => Ok(Answer::json(200, bytes)),
        AdminAnswer::Stream(chunks) => Ok(Answer::stream("application/octet-stream", Body::Stream(chunks))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_methods_at_these_paths() {
        for (method, path, expected) in [
            (Method::GET, "/admin/keys", Some(AdminRequest::Keys)),
            (Method::POST, "/admin/keys/rotate", Some(AdminRequest::Rotate)),
            (Method::POST, "/admin/backup", Some(AdminRequest::Backup)),
            (Method::GET, "/admin/backup", None),
            (Method::GET, "/admin/keys/rotate", None),
            (Method::POST, "/admin/keys", None),
            (Method::POST, "/admin/backup/", None),
            (Method::PUT, "/admin/backup", None),
        ] {
            assert_eq!(find(&method, path), expected, "{method} {path}");
        }
    }
}
