//! What a kind is: its names, versions, structural schemas, and what follows from them.
//!
//! Built-in kinds and CRDs are the same thing here, a [`Definition`]; only [`Origin`] tells them apart. Pure functions:
//! parse a schema, prune, default and validate an object, order its keys, read a path for a printer column.

pub mod builtin;
pub mod crd;
mod defaults;
pub mod definition;
mod formats;
mod hash;
pub mod jsonpath;
mod object_meta;
mod order;
mod parse;
pub mod protobuf;
mod prune;
pub mod schema;
mod structural;
pub mod table;
mod validate;

pub use defaults::{apply_defaults, drop_nulls, fill_nulls};
pub use definition::{Column, Definition, Names, Origin, Scale, Scope, Version};
pub use jsonpath::JsonPath;
pub use object_meta::{decode_error, object_meta};
pub use order::{normalize_numbers, order_keys, sort_keys};
pub use prune::prune;
pub use schema::{ListType, MapType, Schema, Type};
pub use validate::{validate, validate_lists};
