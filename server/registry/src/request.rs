//! What a request says, after HTTP has been taken off it.

use otternauts_meta::{FieldSelector, LabelSelector, Object};
use otternauts_schema::Definition;
use std::sync::Arc;

/// Who asks, and what comes back beside the answer.
#[derive(Debug, Default)]
pub struct Caller {
    pub user: Arc<otternauts_auth::User>,
    /// For the default field manager (row P12).
    pub user_agent: String,
    /// `Warning` headers of the answer (row F6), in order, without duplicates.
    pub warnings: parking_lot::Mutex<Vec<String>>,
}

impl Caller {
    pub fn new(user: impl Into<Arc<otternauts_auth::User>>, user_agent: &str) -> Self {
        Self { user: user.into(), user_agent: user_agent.to_owned(), warnings: parking_lot::Mutex::default() }
    }

    /// Adds a warning, once.
    pub fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.lock();
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subresource {
    None,
    Status,
    Scale,
    /// Namespaces only (row B6).
    Finalize,
}

/// What a request is about, already resolved against the definitions.
#[derive(Clone, Debug)]
pub struct Target {
    pub definition: Arc<Definition>,
    /// One of the definition's served versions.
    pub version: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Subresource,
}

/// Why a field is reported or dropped (row F3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    pub dry_run: bool,
    /// `?fieldManager=`; empty: from the user agent.
    pub field_manager: String,
    pub field_validation: FieldValidation,
    /// Apply only.
    pub force: Option<bool>,
}

/// A request body, decoded to JSON by whoever knows the wire (JSON, YAML, protobuf).
#[derive(Clone, Debug)]
pub struct Body {
    pub object: Object,
    /// Duplicate keys met while decoding, as Kubernetes words them (rows F4, F8).
    pub duplicates: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    Json,
    Merge,
    Strategic,
    Apply,
}

#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    pub labels: LabelSelector,
    pub fields: FieldSelector,
    pub limit: usize,
    pub continue_token: String,
    /// As sent; empty when absent (rows L2 to L7).
    pub resource_version: String,
    pub resource_version_match: String,
}

#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    pub labels: LabelSelector,
    pub fields: FieldSelector,
    pub resource_version: String,
    pub resource_version_match: String,
    pub allow_bookmarks: bool,
    pub send_initial_events: Option<bool>,
}

#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    pub dry_run: bool,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    /// `Background`, `Foreground` or `Orphan`, checked (row G6).
    pub propagation_policy: Option<String>,
    pub grace_period_seconds: Option<i64>,
    /// Delete an object that cannot be read, whatever its finalizers say; the caller was asked whether that is allowed.
    pub ignore_read_error: bool,
}
