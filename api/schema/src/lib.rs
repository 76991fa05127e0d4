//! What a kind is: its names, versions, structural schemas, and what follows from them.
//!
//! Built-in kinds and CRDs are the same thing here, a [`Definition`]; only [`Origin`] tells them apart. Pure functions:
//! parse a schema, prune, default and validate an object, order its keys, read a path for a printer column.

pub mod definition;
pub mod schema;

pub use definition::{Column, Definition, Names, Origin, Scale, Scope, Version};
pub use schema::{ListType, MapType, Schema, Type};
