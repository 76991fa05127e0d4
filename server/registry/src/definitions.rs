//! Every kind that is served, built in or user defined.

use otternauts_schema::Definition;
use std::collections::HashMap;
use std::sync::Arc;

/// A snapshot of the served kinds. It changes when a CRD does; ask the registry for a new one per request.
#[derive(Debug, Default)]
pub struct Definitions {
    revision: u64,
    /// Built-in kinds first, in their fixed order, then custom ones by group and plural.
    all: Vec<Arc<Definition>>,
    by_resource: HashMap<(String, String), Arc<Definition>>,
}

impl Definitions {
    pub(crate) fn new(revision: u64, all: Vec<Arc<Definition>>) -> Self {
        let by_resource = all.iter().map(|d| ((d.group.clone(), d.names.plural.clone()), Arc::clone(d))).collect();
        Self { revision, all, by_resource }
    }

    /// Changes (grows) with every change of a served kind: for caches of discovery and OpenAPI.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The kind behind `/apis/GROUP/VERSION/PLURAL`; `None` when that version is not served.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Definition>> {
        self.resource(group, plural).filter(|d| d.version(version).is_some_and(|v| v.served))
    }

    /// The kind with this plural, whatever the version.
    pub fn resource(&self, group: &str, plural: &str) -> Option<&Arc<Definition>> {
        self.by_resource.get(&(group.to_owned(), plural.to_owned()))
    }

    /// The kind by its name.
    pub fn kind(&self, group: &str, kind: &str) -> Option<&Arc<Definition>> {
        self.all.iter().find(|d| d.group == group && d.names.kind == kind)
    }

    /// All of them: built-in kinds in their fixed order, then custom ones by group and plural.
    pub fn all(&self) -> &[Arc<Definition>] {
        &self.all
    }

    /// The groups in discovery order (core first as the empty string, custom groups last, row D2), without duplicates.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for definition in &self.all {
            if !groups.contains(&definition.group.as_str()) {
                groups.push(&definition.group);
            }
        }
        groups
    }

    /// The kinds of one group, in order.
    pub fn in_group<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Arc<Definition>> {
        self.all.iter().filter(move |d| d.group == group)
    }
}
