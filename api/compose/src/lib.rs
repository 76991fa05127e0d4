//! The compose file: parsed with positions, interpolated, judged and rendered for Swarm. See README.md.

mod change;
mod finding;
mod image;
mod ingress;
mod interpolate;
mod keys;
mod mask;
mod mount;
mod policy;
mod port;
mod probe;
mod project;
mod render;
mod route;
mod service;
mod tree;
mod walk;

pub use change::{Change, ChangeKind, diff};
pub use finding::{Finding, Findings};
pub use image::registry;
pub use ingress::{Domain, Ingress};
pub use interpolate::Values;
pub use mask::Mask;
pub use policy::{Level, POLICY_LABEL, Policy};
pub use port::Port;
pub use probe::{Check, Probe};
pub use project::{Compiled, File, Project, Shared, Source, compile, compile_tree, registries};
pub use render::{Identity, Inline, InlineKind, Rendered, RenderedService, label, render, swarm_stack_name};
pub use route::{CERT_RESOLVER, INGRESS_NETWORK, NOWHERE, Place, ROUTES_LABEL, Route, rank, routes, rule};
pub use service::Service;
pub use tree::{Entry, MAX_ALIASES, MAX_BYTES, MAX_DEPTH, Node, Position, Value, parse};

/// What admission asks: may this text be stored as a Stack's compose file?
///
/// Variables stay as they are (their values may arrive later), so what depends on one is not judged here. `Ok` carries warnings.
pub fn admit(compose: &str, policy: &Policy) -> Result<Vec<Finding>, Vec<Finding>> {
    let found = check(compose, policy);
    if found.errors.is_empty() { Ok(found.warnings) } else { Err(found.errors) }
}

/// Every error and every warning in the uninterpolated text (the whole list, never only the first).
pub fn check(compose: &str, policy: &Policy) -> Findings {
    project::read(compose, interpolate::Known::Nothing, policy).1
}

/// As [`check`], of a document that is parsed already: findings name the positions of its nodes.
pub fn check_tree(root: Node, policy: &Policy) -> Findings {
    project::read_tree(root, interpolate::Known::Nothing, policy).1
}

#[cfg(test)]
mod tests;
