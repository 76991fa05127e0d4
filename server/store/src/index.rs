//! The newest place of every object, in memory, and the places of the retained history.
//!
//! An object costs its name, three words and the slack of a B-tree leaf: under 150 bytes for names as people choose them.

use crate::event::EventKind;
use crate::key::{Key, Range, Revision};
use crate::log::{Header, Place};
use foldhash::HashMap;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

mod loading;
pub(crate) use loading::Loading;

/// One object in a walk: namespace, name, the place of its row.
pub(crate) type Entry = (Arc<str>, Arc<str>, Place);

/// Part of a walk: where its rows are, the namespace and name of the last, and whether there are more.
pub(crate) struct Places {
    pub places: Vec<Place>,
    pub last: Option<(Arc<str>, Arc<str>)>,
    pub more: bool,
}

/// A remaining count is only given when counting it looks at no more than this many names.
const CHEAP_COUNT: usize = 20_000;

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Index {
    /// The newest committed revision.
    pub revision: Revision,
    /// The oldest revision that can still be listed or watched from.
    pub oldest: Revision,
    resources: HashMap<Arc<str>, Resource>,
}

#[derive(Debug, PartialEq)]
struct Resource {
    name: Arc<str>,
    namespaces: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Place>>,
    count: u64,
    /// The rows of this resource above `oldest`, in order.
    history: VecDeque<Place>,
}

impl Index {
    /// Nothing yet, at a revision that is also the oldest.
    pub(crate) fn new(oldest: Revision) -> Index {
        Index { revision: oldest, oldest, resources: HashMap::default() }
    }

    /// The place of an object's newest row.
    pub(crate) fn get(&self, key: &Key) -> Option<Place> {
        self.resources.get(&key.resource)?.namespaces.get(&key.namespace)?.get(&key.name).copied()
    }

    /// Takes in one committed row. Rows come in the order of their places.
    pub(crate) fn apply(&mut self, row: &Header<'_>) {
        let resource = match self.resources.get_mut(row.resource) {
            Some(resource) => resource,
            None => {
                let name: Arc<str> = row.resource.into();
                let resource =
                    Resource { name: name.clone(), namespaces: BTreeMap::new(), count: 0, history: VecDeque::new() };
                self.resources.entry(name).or_insert(resource)
            }
        };
        resource.apply(row);
        if row.place.revision() > self.oldest {
            resource.history.push_back(row.place);
        }
        self.revision = self.revision.max(row.place.revision());
    }

    /// Forgets history at or below `oldest`. Answers whether a resource went with it.
    pub(crate) fn compact(&mut self, oldest: Revision) -> bool {
        self.oldest = self.oldest.max(oldest);
        for resource in self.resources.values_mut() {
            while resource.history.front().is_some_and(|place| place.revision() <= oldest) {
                resource.history.pop_front();
            }
            if resource.history.capacity() > 1024 && resource.history.len() * 4 < resource.history.capacity() {
                resource.history.shrink_to(resource.history.len() * 2);
            }
        }
        let before = self.resources.len();
        self.resources.retain(|_, resource| resource.count > 0 || !resource.history.is_empty());
        self.resources.len() < before
    }

    /// Whether a resource has objects or history.
    pub(crate) fn has(&self, resource: &str) -> bool {
        self.resources.contains_key(resource)
    }

    /// The objects of a range after `after`, in the order namespace, name; at most `most`.
    pub(crate) fn walk(&self, range: &Range, after: Option<&(Arc<str>, Arc<str>)>, most: usize) -> Vec<Entry> {
        let mut found = Vec::new();
        self.each(range, after, most, |namespace, name, place| found.push((namespace.clone(), name.clone(), place)));
        found
    }

    /// As [`Index::walk`], the places alone: nobody's name is touched but the last one's.
    pub(crate) fn places(&self, range: &Range, after: Option<&(Arc<str>, Arc<str>)>, most: usize) -> Places {
        let (mut places, mut last, mut more) = (Vec::new(), None, false);
        self.each(range, after, most.saturating_add(1), |namespace, name, place| {
            if places.len() == most {
                more = true;
            } else {
                places.push(place);
                last = Some((namespace, name));
            }
        });
        Places { places, last: last.map(|(namespace, name)| (namespace.clone(), name.clone())), more }
    }

    fn each<'a>(
        &'a self,
        range: &'a Range,
        after: Option<&'a (Arc<str>, Arc<str>)>,
        most: usize,
        mut visit: impl FnMut(&'a Arc<str>, &'a Arc<str>, Place),
    ) {
        let Some(resource) = self.resources.get(&range.resource) else { return };
        let mut left = most;
        for (namespace, names) in resource.namespaces_from(range, after) {
            if let Some(name) = &range.name {
                let skipped = after.is_some_and(|(n, o)| n == namespace && o >= name);
                if let Some((name, place)) = names.get_key_value(name).filter(|_| !skipped) {
                    visit(namespace, name, *place);
                }
                continue;
            }
            for (name, place) in names_after(namespace, names, after) {
                if left == 0 {
                    return;
                }
                left -= 1;
                visit(namespace, name, *place);
            }
        }
    }

    /// How many objects of a range follow `after`, when that is cheap to say.
    pub(crate) fn count_after(&self, range: &Range, after: &(Arc<str>, Arc<str>)) -> Option<u64> {
        if range.name.is_some() {
            return None;
        }
        let resource = self.resources.get(&range.resource)?;
        let mut count = 0;
        for (namespace, names) in resource.namespaces_from(range, Some(after)) {
            if *namespace != after.0 {
                count += names.len();
            } else if names.len() <= CHEAP_COUNT {
                count += names_after(namespace, names, Some(after)).count();
            } else {
                return None;
            }
        }
        Some(count as u64)
    }

    /// The places of a resource's rows above `after`, oldest first, at most `most` but never half a revision.
    pub(crate) fn history(&self, resource: &str, after: Revision, most: usize) -> Vec<Place> {
        let Some(resource) = self.resources.get(resource) else { return Vec::new() };
        let start = resource.history.partition_point(|place| place.revision() <= after);
        let mut places: Vec<Place> = Vec::new();
        for &place in resource.history.range(start..) {
            if places.len() >= most && places.last().is_some_and(|last| last.revision() != place.revision()) {
                break;
            }
            places.push(place);
        }
        places
    }

    pub(crate) fn resources(&self) -> Vec<Arc<str>> {
        self.resources.keys().cloned().collect()
    }

    /// How many objects there are.
    pub(crate) fn objects(&self) -> u64 {
        self.resources.values().map(|resource| resource.count).sum()
    }

    /// About how many rows a start would have to read without a file of the index: the objects and the history.
    pub(crate) fn rows(&self) -> u64 {
        self.objects() + self.resources.values().map(|resource| resource.history.len() as u64).sum::<u64>()
    }

    pub(crate) fn counts(&self) -> Vec<(Arc<str>, u64)> {
        let mut counts: Vec<_> = self.resources.values().map(|r| (r.name.clone(), r.count)).collect();
        counts.sort();
        counts
    }
}

impl Resource {
    fn apply(&mut self, row: &Header<'_>) {
        match row.kind {
            EventKind::Created | EventKind::Updated => {
                let names = match self.namespaces.get_mut(row.namespace) {
                    Some(names) => names,
                    None => self.namespaces.entry(row.namespace.into()).or_default(),
                };
                match names.get_mut(row.name) {
                    Some(place) => *place = row.place,
                    None => {
                        names.insert(row.name.into(), row.place);
                        self.count += 1;
                    }
                }
            }
            EventKind::Deleted => {
                let Some(names) = self.namespaces.get_mut(row.namespace) else { return };
                if names.remove(row.name).is_some() {
                    self.count -= 1;
                }
                if names.is_empty() {
                    self.namespaces.remove(row.namespace);
                }
            }
        }
    }

    fn namespaces_from<'a>(
        &'a self,
        range: &'a Range,
        after: Option<&'a (Arc<str>, Arc<str>)>,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a BTreeMap<Arc<str>, Place>)> {
        let wanted = range.namespace.as_deref();
        let first = match (wanted, after) {
            (Some(namespace), Some((from, _))) => Bound::Included(namespace.max(from)),
            (Some(namespace), None) => Bound::Included(namespace),
            (None, Some((from, _))) => Bound::Included(from.as_ref()),
            (None, None) => Bound::Unbounded,
        };
        let all = self.namespaces.range::<str, _>((first, Bound::Unbounded));
        all.take_while(move |(namespace, _)| wanted.is_none_or(|wanted| wanted == namespace.as_ref()))
    }
}

fn names_after<'a>(
    namespace: &str,
    names: &'a BTreeMap<Arc<str>, Place>,
    after: Option<&(Arc<str>, Arc<str>)>,
) -> impl Iterator<Item = (&'a Arc<str>, &'a Place)> {
    let first = match after {
        Some((from, name)) if from.as_ref() == namespace => Bound::Excluded(name.as_ref()),
        _ => Bound::Unbounded,
    };
    names.range::<str, _>((first, Bound::Unbounded))
}
