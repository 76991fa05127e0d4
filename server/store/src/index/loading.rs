//! An index that is put together from its parts, in their order: a good deal quicker than change by change.

use super::{Index, Resource};
use crate::key::Revision;
use crate::log::Place;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Parts come in the order resource, its namespaces, their objects, then the history of the resource.
#[derive(Debug)]
pub(crate) struct Loading {
    index: Index,
    resource: Option<Resource>,
    namespace: Option<Arc<str>>,
    names: Vec<(Arc<str>, Place)>,
    /// Something came where it cannot be.
    disorder: bool,
}

impl Loading {
    pub(crate) fn new(oldest: Revision, revision: Revision) -> Loading {
        let index = Index { revision, ..Index::new(oldest) };
        Loading { index, resource: None, namespace: None, names: Vec::new(), disorder: false }
    }

    pub(crate) fn resource(&mut self, name: Arc<str>) {
        self.end_resource();
        self.resource = Some(Resource { name, namespaces: BTreeMap::new(), count: 0, history: VecDeque::new() });
    }

    pub(crate) fn namespace(&mut self, name: Arc<str>) {
        self.end_namespace();
        self.disorder |= self.resource.is_none();
        self.namespace = Some(name);
    }

    pub(crate) fn object(&mut self, name: Arc<str>, place: Place) {
        self.disorder |= self.namespace.is_none() || place.is_none();
        self.names.push((name, place));
    }

    /// One row of the resource's history, oldest first.
    pub(crate) fn history(&mut self, place: Place) {
        let oldest = self.index.oldest;
        match &mut self.resource {
            Some(resource) if resource.history.back().is_none_or(|last| *last < place) => {
                if place.revision() > oldest {
                    resource.history.push_back(place);
                }
            }
            _ => self.disorder = true,
        }
    }

    /// The index; `None` when its parts did not fit together.
    pub(crate) fn finish(mut self) -> Option<Index> {
        self.end_resource();
        (!self.disorder).then_some(self.index)
    }

    fn end_namespace(&mut self) {
        let names = std::mem::take(&mut self.names);
        let (Some(resource), Some(namespace)) = (&mut self.resource, self.namespace.take()) else { return };
        let given = names.len();
        // They are sorted already; nodes made of sorted names are full, and so the index is smaller than one that grew.
        let names: BTreeMap<Arc<str>, Place> = names.into_iter().collect();
        self.disorder |= names.len() != given || given == 0;
        resource.count += names.len() as u64;
        self.disorder |= resource.namespaces.insert(namespace, names).is_some();
    }

    fn end_resource(&mut self) {
        self.end_namespace();
        if let Some(resource) = self.resource.take() {
            self.disorder |= self.index.resources.insert(resource.name.clone(), resource).is_some();
        }
    }
}
