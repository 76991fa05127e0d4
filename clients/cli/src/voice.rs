//! Otto's voice (OT-2): in success, empty and loading texts only. Errors and reference stay plain.

pub const EMPTY: &str = "No fleets launched yet. Ready for your first mission?";
pub const SUCCESS: &str = "Launch successful! Your fleet is now in orbit.";
pub const LOADING: &str = "Otto is preparing the launch sequence...";
