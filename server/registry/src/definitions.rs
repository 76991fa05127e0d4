//! Every kind that is served, built in or user defined.

use otternauts_meta::Object;
use otternauts_schema::crd::NameConflict;
use otternauts_schema::{Definition, Names, builtin, crd};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A snapshot of the served kinds. It changes when a CRD does; ask the registry for a new one per request.
#[derive(Debug, Default)]
pub struct Definitions {
    revision: u64,
    all: Vec<Arc<Definition>>,
    by_resource: HashMap<(String, String), Arc<Definition>>,
    /// Custom kinds whose CRD is being deleted, as `plural.group`.
    terminating: HashSet<String>,
}

impl Definitions {
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

    /// Its CRD is being deleted: nothing is created any more (rows D13, X6).
    pub fn is_terminating(&self, definition: &Definition) -> bool {
        !definition.is_builtin() && self.terminating.contains(&definition.group_resource().to_string())
    }
}

/// What the snapshots are made from; behind the registry's lock.
pub(crate) struct Catalog {
    revision: u64,
    built_in: Vec<Arc<Definition>>,
    /// By CRD name, which orders them by plural; snapshots order by group.
    custom: BTreeMap<String, Custom>,
}

struct Custom {
    group: String,
    /// As accepted; empty before.
    names: Names,
    /// Every name it asks for is its own.
    accepted: bool,
    /// `None` until the CRD is established.
    definition: Option<Arc<Definition>>,
    terminating: bool,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            revision: 1,
            built_in: builtin::definitions().into_iter().map(Arc::new).collect(),
            custom: BTreeMap::new(),
        }
    }
}

impl Catalog {
    pub fn snapshot(&self) -> Definitions {
        let mut custom: Vec<&Arc<Definition>> = self.custom.values().filter_map(|c| c.definition.as_ref()).collect();
        custom.sort_by(|a, b| (&a.group, &a.names.plural).cmp(&(&b.group, &b.names.plural)));
        let all: Vec<Arc<Definition>> = self.built_in.iter().chain(custom).map(Arc::clone).collect();
        let by_resource = all.iter().map(|d| ((d.group.clone(), d.names.plural.clone()), Arc::clone(d))).collect();
        let terminating = self.custom.iter().filter(|(_, c)| c.terminating).map(|(name, _)| name.clone()).collect();
        Definitions { revision: self.revision, all, by_resource, terminating }
    }

    /// Takes a stored CRD in. Its kind is served from the moment it says Established (row X4).
    pub fn set(&mut self, object: &Object) {
        let definition = if crd::has_condition(object, "Established") {
            match crd::definition(object) {
                Ok(definition) => Some(Arc::new(definition)),
                Err(errors) => {
                    tracing::error!(
                        name = object.name(),
                        ?errors,
                        "a stored CustomResourceDefinition cannot be served"
                    );
                    None
                }
            }
        } else {
            None
        };
        let custom = Custom {
            group: text(object, &["spec", "group"]).to_owned(),
            names: crd::accepted_names(object),
            accepted: crd::has_condition(object, "NamesAccepted"),
            definition,
            terminating: object.is_terminating(),
        };
        let face = |c: &Custom| (c.definition.as_ref().map(|d| d.hash), c.terminating);
        let before = self.custom.insert(object.name().to_owned(), custom);
        let after = self.custom.get(object.name()).map(face);
        if before.as_ref().map(face).unwrap_or_default() != after.unwrap_or_default() {
            self.revision += 1;
        }
    }

    pub fn remove(&mut self, name: &str) {
        if self.custom.remove(name).is_some_and(|c| c.definition.is_some()) {
            self.revision += 1;
        }
    }

    /// The names a CRD may have, and why not all that it asks for (row X3).
    pub fn accept(&self, object: &Object) -> (Names, Option<NameConflict>) {
        let group = text(object, &["spec", "group"]);
        let others = self.custom.iter().filter(|(name, c)| *name != object.name() && c.group == group);
        let others: Vec<Names> = others.map(|(_, c)| c.names.clone()).collect();
        crd::accept_names(&crd::requested_names(object), &crd::accepted_names(object), &others)
    }

    /// CRDs of a group that did not get all their names.
    pub fn waiting_for_names(&self, group: &str) -> Vec<String> {
        let waiting = self.custom.iter().filter(|(_, c)| c.group == group && !c.accepted);
        waiting.map(|(name, _)| name.clone()).collect()
    }
}

fn text<'a>(object: &'a Object, path: &[&str]) -> &'a str {
    object.at(path).and_then(Value::as_str).unwrap_or_default()
}
