//! The generic verbs over any kind. See README.md.
//!
//! One path serves built-in and user-defined kinds: read, patch, default, prune, admit, validate, own, commit. It knows nothing of
//! HTTP: it takes parsed targets and options and answers bytes, events or a [`otternauts_meta::Status`].

// Every refusal is a whole Status, on the way to a client once a request: its size costs nothing that matters.
#![allow(clippy::result_large_err)]

mod answer;
mod bootstrap;
mod companions;
mod continue_token;
mod crds;
mod definitions;
mod encode;
mod facts;
mod housekeeping;
mod json;
mod kinds;
mod metadata;
mod registry;
mod request;
mod resealing;
mod rest;
mod selection;
mod shape;
mod unreadable;
mod verbs;
mod writing;
mod yaml;

#[cfg(test)]
mod tests;

pub use answer::{Deleted, Served, ServedList, WatchEvent};
pub use definitions::Definitions;
pub use registry::{Clock, Error, Registry};
pub use request::{
    Body, Caller, DeleteOptions, FieldValidation, ListOptions, PatchType, Subresource, Target, WatchOptions,
    WriteOptions,
};
pub use resealing::{Resealed, SealedUnder};
pub use rest::{Parts, Rest};
pub use verbs::watch::WatchSession;
