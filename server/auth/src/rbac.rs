//! What a user may do: role-based access control as Kubernetes evaluates it (rows I9, I12, I13).

mod aggregate;
mod escalate;
mod rule;
mod snapshot;
#[cfg(test)]
mod tests;

pub use aggregate::aggregated_rules;
pub use escalate::{covers, describe};
pub use rule::{PolicyRule, rules_of};
pub use snapshot::{RoleSnapshot, UserRules};

use crate::User;
use std::sync::Arc;

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

/// Yes with the binding that says so, or no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// `reason` is empty for `system:masters`, whom no binding is needed for.
    Allow {
        reason: String,
    },
    NoOpinion,
}

impl Decision {
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }
}

/// The roles as they are now, from whoever keeps them.
pub struct Authorizer(Box<dyn Fn() -> Arc<RoleSnapshot> + Send + Sync>);

impl Authorizer {
    /// Asks `roles` for the current snapshot on every question: it should answer without a lock.
    pub fn live(roles: impl Fn() -> Arc<RoleSnapshot> + Send + Sync + 'static) -> Self {
        Self(Box::new(roles))
    }

    /// Always the same roles.
    pub fn new(snapshot: RoleSnapshot) -> Self {
        let snapshot = Arc::new(snapshot);
        Self::live(move || Arc::clone(&snapshot))
    }

    pub fn snapshot(&self) -> Arc<RoleSnapshot> {
        (self.0)()
    }

    pub fn authorize(&self, user: &User, attributes: &Attributes) -> Decision {
        self.snapshot().authorize(user, attributes)
    }
}

/// Nobody may do anything, but for `system:masters`.
impl Default for Authorizer {
    fn default() -> Self {
        Self::new(RoleSnapshot::default())
    }
}

impl std::fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorizer")
    }
}
