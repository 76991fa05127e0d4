//! One kind, built in or user defined.

use crate::schema::Schema;
use otternauts_meta::{GroupResource, GroupVersionKind};
use serde_json::Value;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Cluster,
    Namespaced,
}

/// Where a kind comes from; decides the few places where Kubernetes treats them differently (key order, C6, C8, C9, P1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Served by us with Kubernetes' own typed semantics (Namespace, Secret, Lease, …).
    BuiltIn,
    /// From a CustomResourceDefinition object; ours are published this way too.
    Custom { crd_uid: String },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub plural: String,
    pub singular: String,
    pub kind: String,
    pub list_kind: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
}

/// A printer column (rows N11, X18).
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub r#type: String,
    pub format: String,
    pub description: String,
    pub priority: i32,
    /// A simple JSONPath that starts with a dot: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`.
    pub json_path: String,
}

/// Where `/scale` finds its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    pub spec_replicas_path: String,
    pub status_replicas_path: String,
    pub label_selector_path: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Version {
    pub name: String,
    pub served: bool,
    pub storage: bool,
    /// Parsed from `schema_json`, with `apiVersion`, `kind` and `metadata` known at its root.
    pub schema: Arc<Schema>,
    /// As published in OpenAPI.
    pub schema_json: Arc<Value>,
    pub has_status: bool,
    pub scale: Option<Scale>,
    pub columns: Vec<Column>,
    /// Paths usable in a field selector besides `metadata.name` and `metadata.namespace`: `.spec.color`.
    pub selectable_fields: Vec<String>,
    /// The warning of a deprecated version (row F9).
    pub deprecation: Option<String>,
}

/// One kind. Cheap to share: the registry hands out `Arc<Definition>`.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Empty for the core group.
    pub group: String,
    pub names: Names,
    pub scope: Scope,
    pub origin: Origin,
    /// Best version first (row D15).
    pub versions: Vec<Version>,
    /// Changes when anything a client can see of the kind changes; each stored row keeps the value it was written under.
    pub hash: u64,
}

impl Definition {
    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(&self.group, &self.names.plural)
    }

    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|v| v.name == name)
    }

    /// The version objects are stored in; every definition has exactly one.
    pub fn storage_version(&self) -> &Version {
        self.versions.iter().find(|v| v.storage).unwrap_or(&self.versions[0])
    }

    pub fn gvk(&self, version: &str) -> GroupVersionKind {
        GroupVersionKind::new(&self.group, version, &self.names.kind)
    }

    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    pub fn is_builtin(&self) -> bool {
        self.origin == Origin::BuiltIn
    }

    /// The verbs of the main resource, in the order discovery lists them (rows D4, D13, G9). While its CRD terminates a custom
    /// kind has fewer: the registry knows.
    pub fn verbs(&self) -> &'static [&'static str] {
        match (self.is_builtin(), self.group.as_str(), self.names.plural.as_str()) {
            (true, "", "namespaces") => &["create", "delete", "get", "list", "patch", "update", "watch"],
            (true, ..) => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            (false, ..) => &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
        }
    }

    /// The kind whose storage this one shares: both Events are one (row B9).
    pub fn stored_as(&self) -> Option<GroupResource> {
        let shared = self.is_builtin() && self.group == "events.k8s.io" && self.names.plural == "events";
        shared.then(|| GroupResource::new("", "events"))
    }
}
