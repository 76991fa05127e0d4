//! A set of fields: a trie of path elements (row A8).

use crate::element;
use serde_json::{Map, Value};

/// One place in the trie: whether the field itself is in the set, and what is below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub(crate) owned: bool,
    pub(crate) children: FieldSet,
}

/// Fields below one place, sorted by their element's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(Vec<(Box<str>, Node)>);

impl Node {
    pub(crate) fn leaf() -> Self {
        Self { owned: true, children: FieldSet::default() }
    }

    pub fn is_empty(&self) -> bool {
        !self.owned && self.children.is_empty()
    }
}

impl FieldSet {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many fields are in the set.
    pub fn len(&self) -> usize {
        self.0.iter().map(|(_, node)| usize::from(node.owned) + node.children.len()).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(element, node)| (&**element, node))
    }

    fn position(&self, element: &str) -> Result<usize, usize> {
        match self.0.last() {
            Some((last, _)) if **last < *element => Err(self.0.len()),
            _ => self.0.binary_search_by(|(e, _)| (**e).cmp(element)),
        }
    }

    pub(crate) fn get(&self, element: &str) -> Option<&Node> {
        self.position(element).ok().map(|i| &self.0[i].1)
    }

    /// Puts a part of the trie below this place; empty parts leave no trace.
    pub(crate) fn attach(&mut self, element: impl Into<Box<str>>, node: Node) {
        if node.is_empty() {
            return;
        }
        let element = element.into();
        match self.position(&element) {
            Ok(i) => {
                let there = &mut self.0[i].1;
                there.owned |= node.owned;
                there.children.union(node.children);
            }
            Err(i) => self.0.insert(i, (element, node)),
        }
    }

    /// A set of parts in any order; empty parts leave no trace, parts of the same place become one.
    pub(crate) fn of(mut parts: Vec<(Box<str>, Node)>) -> Self {
        parts.retain(|(_, node)| !node.is_empty());
        if !parts.is_sorted_by(|(a, _), (b, _)| a < b) {
            parts.sort_by(|(a, _), (b, _)| a.cmp(b));
            parts.dedup_by(|(same, node), (element, kept)| {
                let is_same = same == element;
                if is_same {
                    kept.owned |= node.owned;
                    kept.children.union(std::mem::take(&mut node.children));
                }
                is_same
            });
        }
        Self(parts)
    }

    /// Adds one field by its path of elements; the empty path adds nothing.
    pub fn insert(&mut self, path: &[&str]) {
        let Some((last, parents)) = path.split_last() else {
            return;
        };
        let leaf = ((*last).into(), Node::leaf());
        let chain = parents.iter().rev().fold(leaf, |(element, node): (Box<str>, Node), parent| {
            let mut children = FieldSet::default();
            children.attach(element, node);
            ((*parent).into(), Node { owned: false, children })
        });
        self.attach(chain.0, chain.1);
    }

    /// True when the field at this path of elements is in the set.
    pub fn contains(&self, path: &[&str]) -> bool {
        match path {
            [] => false,
            [last] => self.get(last).is_some_and(|n| n.owned),
            [first, rest @ ..] => self.get(first).is_some_and(|n| n.children.contains(rest)),
        }
    }

    /// Takes every field of `other` in.
    pub fn union(&mut self, other: FieldSet) {
        if self.is_empty() {
            *self = other;
            return;
        }
        if other.0.len() * 8 < self.0.len() {
            for (element, node) in other.0 {
                self.attach(element, node);
            }
        } else {
            let mut parts = std::mem::take(&mut self.0);
            parts.extend(other.0);
            *self = Self::of(parts);
        }
    }

    /// Drops every field that is in `other`; what lies below a dropped field stays unless it is in `other` too.
    pub fn difference(&mut self, other: &FieldSet) {
        if other.is_empty() {
            return;
        }
        self.0.retain_mut(|(element, node)| {
            if let Some(gone) = other.get(element) {
                node.owned &= !gone.owned;
                node.children.difference(&gone.children);
            }
            !node.is_empty()
        });
    }

    /// The fields in both sets.
    #[must_use]
    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        let both = self.0.iter().filter_map(|(element, node)| {
            let there = other.get(element)?;
            let children = node.children.intersection(&there.children);
            Some((element.clone(), Node { owned: node.owned && there.owned, children }))
        });
        Self::of(both.collect())
    }

    /// The fields that have none of the set below them.
    #[must_use]
    pub fn leaves(&self) -> FieldSet {
        let leaves = self.0.iter().map(|(element, node)| {
            let owned = node.owned && node.children.is_empty();
            (element.clone(), Node { owned, children: node.children.leaves() })
        });
        Self::of(leaves.collect())
    }

    /// The fields as messages name them, `.spec.ports[name="http"].port`: at each level first the fields themselves.
    /// At most a mebibyte of them.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths, &mut (1 << 20));
        paths
    }

    fn collect_paths(&self, prefix: &str, paths: &mut Vec<String>, room: &mut usize) {
        let mut places: Vec<_> = self.0.iter().collect();
        places.sort_by(|(a, _), (b, _)| element::order(a, b));
        for (element, _) in places.iter().filter(|(_, node)| node.owned) {
            let path = format!("{prefix}{}", element::printed(element));
            *room = room.saturating_sub(path.len() + 1);
            if *room == 0 {
                return;
            }
            paths.push(path);
        }
        for (element, node) in places.iter().filter(|(_, node)| !node.children.is_empty()) {
            node.children.collect_paths(&format!("{prefix}{}", element::printed(element)), paths, room);
            if *room == 0 {
                return;
            }
        }
    }

    /// Reads FieldsV1. Elements come out canonical; kinds of elements unknown today are left out.
    pub fn decode(fields: &Value) -> Result<Self, String> {
        let Value::Object(map) = fields else {
            return Err("fields are not an object".to_owned());
        };
        let mut parts = Vec::with_capacity(map.len());
        for (text, below) in map {
            if text == "." {
                continue;
            }
            let Some(element) = element::canonical(text)? else {
                continue;
            };
            let children = Self::decode(below)?;
            let owned = children.is_empty() || below.get(".").is_some();
            parts.push((element.into(), Node { owned, children }));
        }
        Ok(Self::of(parts))
    }

    /// Writes FieldsV1, keys sorted.
    pub fn encode(&self) -> Value {
        Value::Object(self.0.iter().map(|(element, node)| (element.to_string(), node.encode())).collect())
    }
}

impl Node {
    fn encode(&self) -> Value {
        let mut map = Map::new();
        if self.owned && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        map.extend(self.children.0.iter().map(|(element, node)| (element.to_string(), node.encode())));
        Value::Object(map)
    }
}

#[cfg(test)]
mod tests;
