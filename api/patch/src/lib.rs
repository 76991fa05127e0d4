//! What a patch does to an object, and who owns which field afterwards. See README.md.
//!
//! Pure functions over JSON values and structural schemas: no I/O, no clock. Whoever calls brings "now".

mod apply;
mod combine;
mod compare;
mod conflict;
mod element;
mod error;
mod extract;
mod json;
mod last_applied;
mod managed;
mod merge;
mod ownership;
mod prune;
mod set;
mod shape;
mod strategic;
mod update;
mod value;

pub use apply::{Applied, apply};
pub use compare::{Comparison, compare};
pub use conflict::{ApplyError, Conflict};
pub use error::{PatchError, decode};
pub use extract::extract;
pub use json::{MAX_COPIED_BYTES, MAX_OPERATIONS, json_patch};
pub use managed::{Entry, MAX_UPDATE_ENTRIES, ManagedFields, Operation, same_but_times};
pub use merge::merge_patch;
pub use ownership::Ownership;
pub use set::{FieldSet, Node};
pub use strategic::strategic_merge;
pub use update::update;
pub use value::{MAX_DEPTH, equal};
