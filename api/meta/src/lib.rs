//! The vocabulary every room shares: objects, names, selectors, quantities, field errors and the one error a client sees.
//!
//! Pure: no async, no I/O, no clock. Whoever needs "now" gets it as a [`Timestamp`] from its caller.

pub mod field;
pub mod gvk;
pub mod json;
pub mod metadata;
pub mod names;
pub mod object;
pub mod quantity;
pub mod secret;
pub mod selectors;
pub mod status;
pub mod time;

pub use field::{ErrorList, FieldError, FieldErrorKind, Path};
pub use gvk::{GroupResource, GroupVersion, GroupVersionKind};
pub use names::NameRule;
pub use object::{Object, OwnerReference};
pub use secret::Secret;
pub use selectors::{FieldOp, FieldRequirement, FieldSelector, LabelSelector};
pub use status::{Cause, Details, Status};
pub use time::Timestamp;
