//! Proof of the store: what is answered is kept, whatever happens, and no read or watch lies. See README.md and docs/faults.md.
//!
//! - [`history`]: what clients asked and were answered; [`checker`] and [`linear`] judge it, in two independent ways.
//! - [`load`] drives a store in process, [`kills`] the real `otter serve` over HTTPS, killing it again and again.

pub mod checker;
pub mod dice;
pub mod history;
pub mod kills;
pub mod ledger;
pub mod linear;
pub mod load;
pub mod recorder;
pub mod wire;

pub use checker::{Report, check};
pub use dice::Dice;
