//! Proof of the store: what is answered is kept, whatever happens, and no read or watch lies. See README.md and docs/faults.md.
//!
//! - [`history`]: what clients asked and were answered; [`checker`] and [`linear`] judge it, in two independent ways.
//! - [`load`] drives a store in process, [`kills`] the real `otter serve` over HTTPS, killing it again and again, and [`impatient`]
//!   asks it again and again.
//! - [`victim`] is a small program; [`trace`] records what it does to its files, [`disk`] says what may be left of them when
//!   the power fails or the disk lies, and [`power`] and [`lies`] open that; [`starved`] lets SQLite go without memory.
//! - [`relay`] holds watches back from controllers, and [`late`] judges what they did then.

pub mod checker;
pub mod contents;
pub mod dice;
pub mod disk;
pub mod history;
pub mod impatient;
pub mod kills;
pub mod late;
pub mod ledger;
pub mod lies;
pub mod linear;
pub mod load;
pub mod power;
pub mod recorder;
pub mod relay;
pub mod starved;
pub mod story;
pub mod trace;
pub mod transplant;
pub mod victim;
pub mod wire;

pub use checker::{Report, check};
pub use dice::Dice;
