//! One request on its way through the handlers: who, what, and how it wants to be answered.

use crate::accept::{Accepted, Offer, Shape, negotiate, refusal};
use crate::answer::Answer;
use crate::api::ApiParts;
use crate::partial::write as write_partial;
use crate::query::Query;
use crate::routes::Route;
use crate::table::{Include, Tables};
use bytes::Bytes;
use http::{HeaderMap, header};
use otternauts_meta::{Status, Timestamp};
use otternauts_registry::{Caller, Definitions, Registry, Target};
use otternauts_telemetry::requests::RequestSeries;
use std::sync::Arc;

/// Everything a handler may look at; the body is handed to those that read it.
pub struct Call {
    pub parts: Arc<ApiParts>,
    pub definitions: Arc<Definitions>,
    pub method: http::Method,
    pub route: Arc<Route>,
    pub query: Arc<Query>,
    pub headers: HeaderMap,
    pub caller: Arc<Caller>,
    pub series: Arc<RequestSeries>,
}

/// The time now.
pub fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond()).expect("the clock is within the years 1 to 9999")
}

impl Call {
    pub fn registry(&self) -> &Registry {
        &self.parts.registry
    }

    pub fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    pub fn content_type(&self) -> Option<&str> {
        self.header(header::CONTENT_TYPE)
    }

    /// What the client accepts, or the 406 of row N3.
    pub fn accept(&self, offer: Offer, builtin: bool) -> Result<Accepted, Status> {
        negotiate(self.header(header::ACCEPT), offer).ok_or_else(|| refusal(builtin))
    }

    /// [`Call::accept`] for an object of a kind: a list form is refused (row N15).
    pub fn accept_object(&self, target: &Target) -> Result<Accepted, Status> {
        let accepted = self.accept(Offer::OBJECT, target.definition.is_builtin())?;
        if matches!(accepted.shape, Shape::PartialList(_)) {
            let kind = if target.definition.is_builtin() {
                format!("*core.{}", target.definition.names.kind)
            } else {
                "*unstructured.Unstructured".to_owned()
            };
            return Err(Status::not_acceptable(format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list ({kind})"
            )));
        }
        Ok(accepted)
    }

    /// `?includeObject=`, read only when a table is asked for.
    pub fn include(&self, accepted: Accepted) -> Result<Include, Status> {
        match accepted.shape {
            Shape::Table(_) => crate::table::include(&self.query),
            _ => Ok(Include::Metadata),
        }
    }

    /// Answers one object in the shape asked for (rows N12, N15, C19).
    pub fn object(&self, target: &Target, accepted: Accepted, code: u16, bytes: Bytes) -> Result<Answer, Status> {
        let bytes = match accepted.shape {
            Shape::Table(version) => {
                let tables = Tables::new(target, version, self.include(accepted)?);
                tables.one(&bytes, now(), true)?.into()
            }
            Shape::Partial(version) => {
                let mut out = Vec::with_capacity(512);
                write_partial(&mut out, &bytes, version)?;
                out.into()
            }
            _ => bytes,
        };
        Answer::negotiated(code, accepted, bytes)
    }
}
