//! The generic verbs over any kind. See README.md.
//!
//! One path serves built-in and user-defined kinds: read, patch, default, prune, admit, validate, own, commit. It knows nothing of
//! HTTP: it takes parsed targets and options and answers bytes, events or a [`otternauts_meta::Status`].

mod answer;
mod definitions;
mod registry;
mod request;
mod verbs;

pub use answer::{Deleted, Served, ServedList, WatchEvent};
pub use definitions::Definitions;
pub use registry::{Clock, Error, Registry};
pub use request::{
    Body, Caller, DeleteOptions, FieldValidation, ListOptions, PatchType, Subresource, Target, WatchOptions,
    WriteOptions,
};
pub use verbs::watch::WatchSession;
