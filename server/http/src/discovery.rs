//! Discovery (section 1.2): the same facts in the legacy and the aggregated form, made once per change of the kinds.

mod aggregated;
mod facts;
mod legacy;

use crate::accept::clauses;
use crate::answer::{Answer, encode};
use crate::call::Call;
use bytes::Bytes;
use facts::Group;
use http::header;
use otternauts_registry::Definitions;
use serde_json::json;
use sha2::{Digest as _, Sha512};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// The media type of the aggregated form (row D7).
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `/api` or `/apis`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    Core,
    Groups,
}

/// Remembers the documents of one revision of the kinds.
#[derive(Debug, Default)]
pub struct Discovery {
    cached: Mutex<Option<Arc<Documents>>>,
}

#[derive(Debug)]
struct Documents {
    revision: u64,
    groups: Vec<Group>,
    core: Tagged,
    rest: Tagged,
}

/// A document and its ETag (row D11).
#[derive(Debug)]
struct Tagged {
    bytes: Bytes,
    etag: String,
}

impl Tagged {
    fn new(bytes: Vec<u8>) -> Self {
        let mut etag = String::with_capacity(130);
        etag.push('"');
        for byte in Sha512::digest(&bytes) {
            let _ = write!(etag, "{byte:02X}");
        }
        etag.push('"');
        Self { bytes: bytes.into(), etag }
    }
}

impl Discovery {
    fn documents(&self, definitions: &Definitions) -> Arc<Documents> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(documents) = cached.as_ref().filter(|d| d.revision == definitions.revision()) {
            return Arc::clone(documents);
        }
        let groups = facts::groups(definitions);
        let (core, rest): (Vec<&Group>, Vec<&Group>) = groups.iter().partition(|g| g.name.is_empty());
        let tagged = |groups: &[&Group]| Tagged::new(encode(&aggregated::list(groups)));
        let documents =
            Arc::new(Documents { revision: definitions.revision(), core: tagged(&core), rest: tagged(&rest), groups });
        *cached = Some(Arc::clone(&documents));
        documents
    }

    /// The aggregated form, when some clause of `Accept` asks for exactly that (rows D7, D10, D11).
    pub fn aggregated(&self, call: &Call, root: Root) -> Option<Answer> {
        let accept = call.header(header::ACCEPT)?;
        clauses(accept).iter().find(|c| {
            c.is_json()
                && c.param("g") == "apidiscovery.k8s.io"
                && c.param("v") == "v2"
                && c.param("as") == "APIGroupDiscoveryList"
        })?;
        let documents = self.documents(&call.definitions);
        let document = if root == Root::Core { &documents.core } else { &documents.rest };
        let known = call.header(header::IF_NONE_MATCH) == Some(document.etag.as_str());
        let answer = if known { Answer::empty(304) } else { Answer::json(200, document.bytes.clone()) };
        let answer = answer
            .with_header(header::ETAG, &document.etag)
            .with_header(header::VARY, "Accept")
            .with_header(header::CACHE_CONTROL, "public");
        Some(if known { answer } else { answer.with_header(header::CONTENT_TYPE, AGGREGATED) })
    }

    /// `/api` and `/apis` in the legacy form (rows D1, D2).
    pub fn root(&self, call: &Call, root: Root) -> Bytes {
        let value = match root {
            Root::Core => legacy::versions(&call.parts.advertise),
            Root::Groups => legacy::group_list(&self.documents(&call.definitions).groups),
        };
        encode(&value).into()
    }

    /// `/`: where to look further, for people and for tools that feel their way.
    pub fn index(&self, call: &Call) -> Bytes {
        let mut paths: Vec<String> =
            ["/api", "/apis", "/metrics", "/openapi/v3", "/version"].map(str::to_owned).to_vec();
        for kind in ["healthz", "livez", "readyz"] {
            let checks = call.parts.health.iter().filter(|c| c.live || kind == "readyz");
            paths.extend([format!("/{kind}"), format!("/{kind}/ping")]);
            paths.extend(checks.map(|check| format!("/{kind}/{}", check.name)));
        }
        for group in &self.documents(&call.definitions).groups {
            let root = if group.name.is_empty() { "/api".to_owned() } else { format!("/apis/{}", group.name) };
            paths.extend(group.versions.iter().map(|version| format!("{root}/{}", version.name)));
            paths.push(root);
        }
        paths.sort();
        paths.dedup();
        encode(&json!({ "paths": paths })).into()
    }

    /// `/apis/{group}` (row D3).
    pub fn group(&self, call: &Call, name: &str) -> Option<Bytes> {
        let documents = self.documents(&call.definitions);
        let group = documents.groups.iter().find(|g| g.name == name && !name.is_empty())?;
        Some(encode(&legacy::group(group, true)).into())
    }

    /// `/api/v1` and `/apis/{group}/{version}` (rows D4 to D6).
    pub fn resources(&self, call: &Call, group: &str, version: &str) -> Option<Bytes> {
        let documents = self.documents(&call.definitions);
        let group = documents.groups.iter().find(|g| g.name == group)?;
        let version = group.versions.iter().find(|v| v.name == version)?;
        Some(encode(&legacy::resources(group, version)).into())
    }
}

#[cfg(test)]
mod tests;
