//! Under which kind, version and path a write happens: what the bookkeeping of owners needs to know.

use otternauts_schema::Schema;

/// The frame of one write.
#[derive(Clone, Copy, Debug)]
pub struct Ownership<'a> {
    /// The schema of the version written, with `metadata` at its root.
    pub schema: &'a Schema,
    /// As written in the object: `otternauts.dev/v1`.
    pub api_version: &'a str,
    /// `status`, `scale`, …; empty for the object itself.
    pub subresource: &'a str,
    /// Top-level fields this path never owns (row A12): `status` on the main path of a kind that has the subresource,
    /// `spec` and `metadata` (and whatever else stands at the top) on `/status`.
    pub reset: &'a [&'a str],
    /// Custom kinds have the keys of an entry sorted, built-in ones in declared order.
    pub sorted_keys: bool,
    /// Every `apiVersion` this kind has. Entries of others are dropped (row A21); empty: none are.
    pub versions: &'a [&'a str],
}

impl Ownership<'_> {
    /// True for a top-level field whose content this path can own; `metadata` has rules of its own.
    pub(crate) fn owns(&self, name: &str) -> bool {
        !matches!(name, "apiVersion" | "kind" | "metadata") && !self.reset.contains(&name)
    }

    pub(crate) fn owns_metadata(&self) -> bool {
        !self.reset.contains(&"metadata")
    }
}

/// Row A11: the server's own fields belong to nobody.
pub(crate) fn is_owned_metadata(name: &str) -> bool {
    !matches!(
        name,
        "name"
            | "namespace"
            | "creationTimestamp"
            | "selfLink"
            | "uid"
            | "generation"
            | "managedFields"
            | "resourceVersion"
    )
}
