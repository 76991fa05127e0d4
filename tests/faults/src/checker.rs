//! The checker (B1 to B7, B13, B14): is this history one that a strictly serializable store can have?
//!
//! Each answered write names its revision, so no search is needed: the writes are put in the order of their revisions,
//! replayed, and every answer and every watch is held against that. O(n log n).
//!
//! It is pure, and knows neither the store nor HTTP. What it cannot see: a write that nobody was answered and nobody read.

mod answers;
mod log;
mod streams;
#[cfg(test)]
mod tests;

use crate::history::{History, Key, Revision, Token};
use log::Log;

pub use log::Entry;
pub use streams::Follower;

/// Why a history is impossible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Two writes were answered with one revision.
    SameRevision { revision: Revision, first: usize, second: usize },
    /// Somebody saw what nobody wrote, or what was refused.
    Phantom { revision: Revision, key: Key, token: Token },
    /// A write appears at another revision than its answer said.
    Moved { operation: usize, answered: Option<Revision>, seen: Revision },
    /// An answered write is nowhere.
    Lost { operation: usize },
    /// A write took place although its precondition did not hold.
    Precondition { operation: usize, revision: Revision, key: Key },
    /// A write was refused although its precondition held all the time.
    Refused { operation: usize },
    /// Nobody else wrote, yet this revision is missing.
    Gap { revision: Revision },
    /// It was sent after something newer had been answered.
    WentBack { operation: usize, revision: Revision, known: Revision },
    /// A read answered a state that the store was not in between question and answer.
    WrongRead { operation: usize, low: Revision, high: Revision },
    /// A list differs from the state at its revision, first in this object.
    WrongList { operation: usize, at: Revision, key: Key },
    /// A watch lacks this change, or has it too late.
    Missed { stream: usize, revision: Revision, key: Key },
    /// A watch has this event, and the log at this place has not: twice, out of order, or invented.
    Unexpected { stream: usize, revision: Revision, key: Key },
    /// The event is there, with another type or another object.
    WrongEvent { stream: usize, revision: Revision, key: Key },
    /// A bookmark says more than was delivered, or is older than what was.
    Bookmark { stream: usize, at: Revision },
}

/// What a good history held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub operations: usize,
    /// Answered writes that took place.
    pub acknowledged: usize,
    /// Unanswered writes that turned out to have taken place, and all unanswered ones.
    pub came_true: usize,
    pub unknown: usize,
    pub refused: usize,
    pub reads: usize,
    pub events: usize,
}

/// Judges a history.
///
/// # Errors
/// Every violation found, at most 20.
pub fn check(history: &History) -> Result<Report, Vec<Violation>> {
    let mut violations = Vec::new();
    let log = Log::build(history, &mut violations);
    answers::check(history, &log, &mut violations);
    streams::check(history, &log, &mut violations);
    violations.truncate(20);
    if violations.is_empty() { Ok(log.report(history)) } else { Err(violations) }
}
