//! What a patch does to an object, and who owns which field afterwards. See README.md.
//!
//! Pure functions over JSON values and structural schemas: no I/O, no clock. Whoever calls brings "now".

mod error;
mod json;
mod merge;
mod strategic;
mod value;

pub use error::{PatchError, decode};
pub use json::{MAX_COPIED_BYTES, MAX_OPERATIONS, json_patch};
pub use merge::merge_patch;
pub use strategic::strategic_merge;
pub use value::{MAX_DEPTH, equal};
