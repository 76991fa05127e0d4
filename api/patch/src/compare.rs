//! What changed between two versions of an object, as field sets.

use crate::element;
use crate::ownership::{Ownership, is_owned_metadata};
use crate::set::{FieldSet, Node};
use crate::shape::{Shape, member, shape};
use crate::value::equal;
use otternauts_meta::Object;
use otternauts_schema::Schema;
use serde_json::{Map, Value};

/// Fields that differ between two objects. Nothing is allocated for parts that are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fields that the new object has and the old one lacks, or that have another value.
    pub changed: FieldSet,
    /// Fields that only the old object has.
    pub removed: FieldSet,
}

impl Comparison {
    pub fn is_same(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }
}

/// Compares two objects, without the fields that nobody owns (row A11) and those this path never owns (row A12).
pub fn compare(old: Option<&Object>, new: &Object, context: &Ownership<'_>) -> Comparison {
    let empty = Map::new();
    let old = old.map_or(&empty, |o| &o.0);
    let members = Members { schema: Some(context.schema), skip: &|name| !context.owns(name) };
    let mut diff = members.compare(old, &new.0);
    if context.owns_metadata() {
        let old = as_map(old.get("metadata")).unwrap_or(&empty);
        let new = as_map(new.0.get("metadata")).unwrap_or(&empty);
        let members =
            Members { schema: member(Some(context.schema), "metadata"), skip: &|name| !is_owned_metadata(name) };
        let below = members.compare(old, new);
        diff.changed.attach(element::field("metadata"), Node { owned: false, children: below.changed });
        diff.removed.attach(element::field("metadata"), Node { owned: false, children: below.removed });
    }
    diff
}

struct Members<'a> {
    schema: Option<&'a Schema>,
    skip: &'a dyn Fn(&str) -> bool,
}

impl Members<'_> {
    fn compare(&self, old: &Map<String, Value>, new: &Map<String, Value>) -> Comparison {
        let mut parts = Parts::default();
        for (name, value) in new.iter().filter(|(name, _)| !(self.skip)(name)) {
            let below = values(old.get(name), Some(value), member(self.schema, name));
            parts.push(|| element::field(name), below);
        }
        for (name, value) in old.iter().filter(|(name, _)| !new.contains_key(*name) && !(self.skip)(name)) {
            let below = values(Some(value), None, member(self.schema, name));
            parts.push(|| element::field(name), below);
        }
        parts.into_comparison()
    }
}

/// A comparison while it is being made, in any order.
#[derive(Default)]
struct Parts {
    changed: Vec<(Box<str>, Node)>,
    removed: Vec<(Box<str>, Node)>,
}

impl Parts {
    fn push(&mut self, element: impl FnOnce() -> String, below: Below) {
        match (below.changed.is_empty(), below.removed.is_empty()) {
            (true, true) => {}
            (false, true) => self.changed.push((element().into(), below.changed)),
            (true, false) => self.removed.push((element().into(), below.removed)),
            (false, false) => {
                let element: Box<str> = element().into();
                self.changed.push((element.clone(), below.changed));
                self.removed.push((element, below.removed));
            }
        }
    }

    fn into_comparison(self) -> Comparison {
        Comparison { changed: FieldSet::of(self.changed), removed: FieldSet::of(self.removed) }
    }
}

/// A comparison with the place itself.
#[derive(Default)]
struct Below {
    changed: Node,
    removed: Node,
}

fn values(old: Option<&Value>, new: Option<&Value>, schema: Option<&Schema>) -> Below {
    let mut below = Below::default();
    let (either, differ) = match (old, new) {
        (None, None) => return below,
        (Some(one), None | Some(Value::Null)) | (None | Some(Value::Null), Some(one)) => (one, false),
        (Some(old), Some(new)) => (new, !shape(old, schema).is_like(&shape(new, schema))),
    };
    if differ {
        // One is a container and the other is not: the place itself changed, and the container's content came or went.
        let old_content = values(old, None, schema);
        let new_content = values(None, new, schema);
        below.removed.children = old_content.removed.children;
        below.changed.children = new_content.changed.children;
        below.changed.owned = true;
        return below;
    }
    let content = match shape(either, schema) {
        Shape::Leaf => None,
        _ if is_empty(old) && is_empty(new) => None,
        Shape::Members => {
            let empty = Map::new();
            let members = Members { schema, skip: &|_| false };
            Some(members.compare(as_map(old).unwrap_or(&empty), as_map(new).unwrap_or(&empty)))
        }
        Shape::Items(list) => Some(items(as_list(old), as_list(new), list)),
    };
    let Some(content) = content else {
        match (old, new) {
            (None, _) => below.changed.owned = true,
            (_, None) => below.removed.owned = true,
            (Some(old), Some(new)) => below.changed.owned = !equal(old, new),
        }
        return below;
    };
    below.changed = Node { owned: old.is_none(), children: content.changed };
    below.removed = Node { owned: new.is_none(), children: content.removed };
    below
}

fn as_map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    }
}

fn as_list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Items by identity. An identity that occurs twice is compared as a whole; items without one are nobody's.
fn items(old: &[Value], new: &[Value], list: &Schema) -> Comparison {
    let mut parts = Parts::default();
    if old.len() == new.len() && old.iter().zip(new).all(|(a, b)| equal(a, b)) {
        return parts.into_comparison();
    }
    let (old, new) = (identified(old, list), identified(new, list));
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let element = match (old.get(i), new.get(j)) {
            (Some((a, _)), Some((b, _))) => a.min(b),
            (Some((a, _)), None) | (None, Some((a, _))) => a,
            (None, None) => break,
        };
        let (from_i, from_j) = (i, j);
        i += old[i..].iter().take_while(|(e, _)| e == element).count();
        j += new[j..].iter().take_while(|(e, _)| e == element).count();
        let (before, after) = (&old[from_i..i], &new[from_j..j]);
        let below = match (before, after) {
            ([], [(_, new)]) => values(None, Some(new), list.items.as_deref()),
            ([(_, old)], []) => values(Some(old), None, list.items.as_deref()),
            ([(_, old)], [(_, new)]) => values(Some(old), Some(new), list.items.as_deref()),
            ([], _) => Below { changed: Node::leaf(), removed: Node::default() },
            (_, []) => Below { changed: Node::default(), removed: Node::leaf() },
            _ => {
                let same = before.len() == after.len() && before.iter().zip(after).all(|(a, b)| equal(a.1, b.1));
                Below { changed: Node { owned: !same, ..Node::default() }, removed: Node::default() }
            }
        };
        parts.push(|| element.clone(), below);
    }
    parts.into_comparison()
}

fn identified<'a>(items: &'a [Value], list: &Schema) -> Vec<(String, &'a Value)> {
    let mut all: Vec<_> = items.iter().filter_map(|item| Some((element::of_item(item, list).ok()?, item))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}
