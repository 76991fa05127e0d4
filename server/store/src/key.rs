//! Where an object is, and which of them are meant.

use std::sync::Arc;

/// One object's place. `resource` is `plural.group` (`secrets` in the core group); `namespace` is empty for cluster scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub resource: Arc<str>,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

/// A collection: one resource, everywhere or in one namespace, or one object of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    pub resource: Arc<str>,
    /// `None`: every namespace (and the only form for cluster scope).
    pub namespace: Option<Arc<str>>,
    pub name: Option<Arc<str>>,
}

/// A global revision, the decimal number in `metadata.resourceVersion`. 0 is before the first write.
pub type Revision = u64;

impl Key {
    /// The place of one object; `namespace` is empty for cluster scope.
    pub fn new(resource: impl Into<Arc<str>>, namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Key {
        Key { resource: resource.into(), namespace: namespace.into(), name: name.into() }
    }
}

impl Range {
    /// Every object of a resource.
    pub fn resource(resource: impl Into<Arc<str>>) -> Range {
        Range { resource: resource.into(), namespace: None, name: None }
    }

    /// The objects of a resource in one namespace.
    pub fn namespace(resource: impl Into<Arc<str>>, namespace: impl Into<Arc<str>>) -> Range {
        Range { resource: resource.into(), namespace: Some(namespace.into()), name: None }
    }

    /// Whether an object of the range's resource, at this place, belongs to it.
    pub(crate) fn holds(&self, namespace: &str, name: &str) -> bool {
        self.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
            && self.name.as_deref().is_none_or(|wanted| wanted == name)
    }
}
