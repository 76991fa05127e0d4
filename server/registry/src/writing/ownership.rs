//! Who owns which field after a write (section 1.11); the rules are in `api/patch`.

use super::Writing;
use crate::request::Subresource;
use otternauts_meta::{Object, Status};
use otternauts_patch::{Ownership, apply, update};

impl Writing<'_> {
    /// Sets managedFields for every write but an apply (row A14).
    pub fn own(&self, live: Option<&Object>, mut object: Object) -> Result<Object, Status> {
        self.with_ownership(|context| update(live, &mut object, &self.manager, context, self.now));
        Ok(object)
    }

    /// What an apply makes of the live object, with its managedFields (rows A2 to A7).
    pub fn apply(&self, live: Option<&Object>, applied: &Object, force: bool) -> Result<Object, Status> {
        let done = self.with_ownership(|context| apply(live, applied, &self.manager, force, context, self.now));
        Ok(done?.object)
    }

    fn with_ownership<T>(&self, work: impl FnOnce(&Ownership<'_>) -> T) -> T {
        let definition = &self.shape.definition;
        let version = self.shape.served();
        let subresource = match self.target.subresource {
            Subresource::None => "",
            Subresource::Status => "status",
            Subresource::Scale => "scale",
            Subresource::Finalize => "finalize",
        };
        // Row A12: each path owns its own part only.
        let reset: Vec<&str> = match self.target.subresource {
            Subresource::None => {
                let own = self.shape.kind.never_owned().iter().copied();
                own.chain(version.has_status.then_some("status")).collect()
            }
            Subresource::Status => {
                let others = version.schema.properties.iter().map(|(name, _)| name.as_str());
                others.filter(|name| *name != "status").chain(["metadata", "spec"]).collect()
            }
            _ => Vec::new(),
        };
        let all: Vec<String> = definition.versions.iter().map(|v| definition.gvk(&v.name).api_version()).collect();
        let mut versions: Vec<&str> = all.iter().map(String::as_str).collect();
        if self.shape.shares_storage() {
            // Entries made under the other API of the same objects stay.
            versions.clear();
        }
        let api_version = self.gvk.api_version();
        work(&Ownership {
            schema: &version.schema,
            api_version: &api_version,
            subresource,
            reset: &reset,
            sorted_keys: !definition.is_builtin(),
            versions: &versions,
        })
    }
}
