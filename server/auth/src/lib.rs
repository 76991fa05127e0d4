//! Who somebody is, what they may do, and the line that says what they did. See README.md.
//!
//! Pure of I/O but for the audit file: role snapshots come in as values, keys and certificates as bytes.

use std::collections::BTreeMap;

/// Who makes a request, after authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: String,
    /// Includes `system:authenticated` or `system:unauthenticated` (row I4).
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What is asked of the authoriser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or for paths the lower-case method.
    pub verb: String,
    pub group: String,
    pub version: String,
    /// The plural; empty for a path that is no resource.
    pub resource: String,
    pub subresource: String,
    /// Empty for the cluster scope and for all namespaces.
    pub namespace: String,
    pub name: String,
    /// Set for non-resource requests only.
    pub path: String,
}

/// A policy rule of a Role or ClusterRole.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyRule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
}

/// Yes with the binding that says so, or no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow { reason: String },
    NoOpinion,
}
