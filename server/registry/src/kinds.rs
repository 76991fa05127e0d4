//! What is special about a kind: one file each, chosen by a table, everything else is generic.

mod config_map;
mod crd;
mod custom;
mod deployment;
mod event;
mod heal_rule;
mod lease;
mod namespace;
mod rbac;
mod secret;
mod service_account;
mod stack;
mod typed;

pub(crate) use event::STORED_AS as EVENTS;

use crate::facts::Facts;
use crate::request::Subresource;
use otternauts_auth::{RoleSnapshot, User};
use otternauts_meta::names::NameRule;
use otternauts_meta::{ErrorList, FieldError, GroupResource, Object, Path, Status};
use otternauts_schema::Definition;
use serde_json::Value;

/// What admission may look at beside the object.
pub(crate) struct Admission<'a> {
    pub user: &'a User,
    pub roles: &'a RoleSnapshot,
    pub facts: &'a Facts,
    pub resource: &'a GroupResource,
    pub subresource: Subresource,
    pub warn: &'a dyn Fn(String),
}

/// The places where one kind differs from the others. The defaults are those of an ordinary built-in kind.
pub(crate) trait Kind: Send + Sync {
    fn name_rule(&self) -> NameRule {
        NameRule::Subdomain
    }

    /// `metadata.generation` is kept (row S5).
    fn has_generation(&self) -> bool {
        false
    }

    /// Top-level fields that nobody owns by writing the object itself (row A12), beside status.
    fn never_owned(&self) -> &'static [&'static str] {
        &[]
    }

    /// A PUT may create (row C10).
    fn create_on_update(&self) -> bool {
        false
    }

    /// A PUT may leave `resourceVersion` out (row C9).
    fn unconditional_update(&self) -> bool {
        true
    }

    /// Bare finalizer names are errors, not warnings (row M6).
    fn strict_finalizers(&self) -> bool {
        true
    }

    /// The resource whose storage this one shares (row B9), and how its objects are turned into that form and back.
    fn stored_as(&self) -> Option<&'static str> {
        None
    }

    fn to_stored(&self, _object: &mut Object) {}

    fn to_served(&self, _object: &mut Object) {}

    /// Unknown fields that the schema of the kind cannot know of: taken out and named.
    fn prune(&self, _object: &mut Object) -> Vec<String> {
        Vec::new()
    }

    /// Values that Go's types would read in their own way, or not at all; the error follows `cannot be handled as a KIND: `.
    fn read(&self, _object: &mut Object) -> Result<(), String> {
        Ok(())
    }

    /// What the server sets on a new object, after the request's own content is known to be well formed.
    fn prepare_create(&self, _object: &mut Object) {}

    /// The same for a change; `old` is what is stored.
    fn prepare_update(&self, _object: &mut Object, _old: &Object, _subresource: Subresource) {}

    /// Rules of this kind that a schema cannot say.
    fn validate(&self, _object: &Object, _old: Option<&Object>, _subresource: Subresource) -> ErrorList {
        ErrorList::new()
    }

    /// Refusals that need to know who asks, or other objects.
    fn admit(&self, _object: &Object, _old: Option<&Object>, _ctx: &Admission<'_>) -> Result<(), Status> {
        Ok(())
    }

    /// Its content is secret: an error that would show a whole object shows none of it.
    fn is_secret(&self) -> bool {
        false
    }

    /// May it be deleted at all; what is marked on it when it goes (before finalizers are looked at).
    fn prepare_delete(&self, _object: &mut Object, _resource: &GroupResource, _now: &str) -> Result<(), Status> {
        Ok(())
    }

    /// `deletionGracePeriodSeconds: 0` is set with the deletion timestamp, and a generation moves (rows G2, B4, X6).
    fn has_grace_period(&self) -> bool {
        true
    }

    /// True when nothing keeps a terminating object any more, beyond `metadata.finalizers`.
    fn is_finished(&self, _object: &Object) -> bool {
        true
    }

    /// Deleted as a collection too (row G9).
    fn delete_collection(&self) -> bool {
        true
    }

    /// Field labels for selectors beside `metadata.name` and `metadata.namespace` (row L18).
    fn field_labels(&self) -> &'static [&'static str] {
        &[]
    }

    /// The value of such a label.
    fn field(&self, object: &Object, label: &str) -> String {
        let path: Vec<&str> = label.split('.').collect();
        text_at(object, &path)
    }
}

/// The strategy of a kind.
pub(crate) fn of(definition: &Definition) -> &'static dyn Kind {
    if !definition.is_builtin() {
        return match (definition.group.as_str(), definition.names.plural.as_str()) {
            (otternauts_types::GROUP, "stacks") => &stack::Stack,
            (otternauts_types::GROUP, "deployments") => &deployment::Deployment,
            (otternauts_types::GROUP, "healrules") => &heal_rule::HealRule,
            _ => &custom::Custom,
        };
    }
    match (definition.group.as_str(), definition.names.plural.as_str()) {
        ("", "namespaces") => &namespace::Namespace,
        ("", "secrets") => &secret::Secret,
        ("", "configmaps") => &config_map::ConfigMap,
        ("", "serviceaccounts") => &service_account::ServiceAccount,
        ("", "events") => &event::CoreEvent,
        ("events.k8s.io", "events") => &event::NewEvent,
        ("coordination.k8s.io", "leases") => &lease::Lease,
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => &rbac::Role,
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => &rbac::Binding,
        ("apiextensions.k8s.io", "customresourcedefinitions") => &crd::Crd,
        _ => &Ordinary,
    }
}

struct Ordinary;

impl Kind for Ordinary {}

/// A scalar as selectors compare it; empty when absent.
pub(crate) fn text_at(object: &Object, path: &[&str]) -> String {
    match object.at(path) {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Number(n)) => n.to_string(),
        Some(Value::Bool(b)) => b.to_string(),
        _ => String::new(),
    }
}

/// `field is immutable`, when it changed.
fn immutable(errors: &mut ErrorList, path: &Path, new: Option<&Value>, old: Option<&Value>) {
    if new != old {
        errors.push(FieldError::invalid(path, new.cloned().unwrap_or(Value::Null), "field is immutable"));
    }
}
