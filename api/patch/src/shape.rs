//! How ownership looks at a value (row A10): as one leaf, as named members, or as items with an identity.

use otternauts_schema::{ListType, MapType, Schema, Type};
use serde_json::Value;

#[derive(Clone, Copy)]
pub(crate) enum Shape<'a> {
    /// Owned as a whole.
    Leaf,
    /// Owned member by member.
    Members,
    /// Owned item by item; the schema tells how items are identified.
    Items(&'a Schema),
}

/// The shape of a value under its schema. Without a schema, and where a value does not fit its schema, the value decides:
/// objects have members, everything else is a leaf.
pub(crate) fn shape<'a>(value: &Value, schema: Option<&'a Schema>) -> Shape<'a> {
    match (value, schema) {
        (Value::Object(_), None) => Shape::Members,
        (Value::Object(_), Some(s)) if s.map_type == MapType::Granular => Shape::Members,
        (Value::Array(_), Some(s)) if s.list_type != ListType::Atomic => Shape::Items(s),
        (Value::Null, Some(s)) if s.r#type == Some(Type::Object) && s.map_type == MapType::Granular => Shape::Members,
        (Value::Null, Some(s)) if s.r#type == Some(Type::Array) && s.list_type != ListType::Atomic => Shape::Items(s),
        _ => Shape::Leaf,
    }
}

impl Shape<'_> {
    pub(crate) fn is_like(&self, other: &Shape<'_>) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// The schema of a member; `None` where the schema leaves it open.
pub(crate) fn member<'a>(schema: Option<&'a Schema>, name: &str) -> Option<&'a Schema> {
    schema.and_then(|s| s.property(name))
}

/// True for a member that the schema names, as opposed to an additional or unknown one.
pub(crate) fn is_declared(schema: Option<&Schema>, name: &str) -> bool {
    schema.is_some_and(|s| s.properties.iter().any(|(n, _)| n == name))
}
