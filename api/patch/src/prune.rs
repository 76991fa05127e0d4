//! Removing what an applier no longer sets and nobody else owns (row A7).

use crate::element;
use crate::set::{FieldSet, Node};
use crate::shape::{Shape, is_declared, member, shape};
use crate::value::remove_members;
use otternauts_schema::Schema;
use serde_json::{Map, Value};

/// Takes out of the object every field of `last` that is in none of `owned`.
///
/// A member the schema names goes as a whole, with unowned content, once nobody owns anything below it.
pub(crate) fn prune(object: &mut Map<String, Value>, last: &FieldSet, owned: &[&FieldSet], schema: &Schema) {
    prune_members(object, last, owned, Some(schema), true);
}

fn counts(node: &Node, declared: bool) -> bool {
    node.owned || (declared && !node.children.is_empty())
}

fn below<'a>(owned: &[&'a FieldSet], element: &str) -> (Vec<&'a Node>, Vec<&'a FieldSet>) {
    let nodes: Vec<&Node> = owned.iter().filter_map(|set| set.get(element)).collect();
    let sets = nodes.iter().map(|n| &n.children).filter(|s| !s.is_empty()).collect();
    (nodes, sets)
}

fn prune_members(
    map: &mut Map<String, Value>,
    last: &FieldSet,
    owned: &[&FieldSet],
    schema: Option<&Schema>,
    is_root: bool,
) {
    let mut gone = Vec::new();
    for (element, node) in last.iter() {
        let Some(name) = element::field_name(element) else {
            continue;
        };
        let declared = is_declared(schema, name);
        let (nodes, sets) = below(owned, element);
        // metadata never goes: the name in it is the object's own.
        let removable = !(is_root && name == "metadata");
        if removable && counts(node, declared) && !nodes.iter().any(|n| counts(n, declared)) {
            gone.push(name);
        } else if let Some(value) = map.get_mut(name) {
            prune_value(value, &node.children, &sets, member(schema, name));
        }
    }
    remove_members(map, &gone);
}

fn prune_value(value: &mut Value, last: &FieldSet, owned: &[&FieldSet], schema: Option<&Schema>) {
    if last.is_empty() {
        return;
    }
    match (shape(value, schema), value) {
        (Shape::Members, Value::Object(map)) => prune_members(map, last, owned, schema, false),
        (Shape::Items(list), Value::Array(items)) => items.retain_mut(|item| {
            let Ok(element) = element::of_item(item, list) else {
                return true;
            };
            let Some(node) = last.get(&element) else {
                return true;
            };
            let (nodes, sets) = below(owned, &element);
            if node.owned && !nodes.iter().any(|n| n.owned) {
                return false;
            }
            prune_value(item, &node.children, &sets, list.items.as_deref());
            true
        }),
        _ => {}
    }
}
