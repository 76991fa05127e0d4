//! Label and field selectors (rows L13, L14).

mod field;
mod label;
mod lexer;

pub use field::{FieldOp, FieldRequirement, FieldSelector, unsupported};
pub use label::{LabelOp, LabelRequirement, LabelSelector};
