//! The language of HealRules: parse, check, print, evaluate; and when a rule that holds may act. Pure. See README.md.

mod decide;
mod eval;
mod explain;
mod expr;
mod parse;
mod reach;
mod sample;
mod span;
#[cfg(test)]
mod tests;
mod token;

pub use decide::{Action, Bounds, Hold, MAX_LEDGER, State, Subject, Verdict, decide, holding, keep};
pub use eval::{Truth, evaluate};
pub use explain::explain;
pub use expr::{Expr, Metric, Op, Unit, Value};
pub use parse::{Error, parse};
pub use reach::MAX_REACH;
pub use sample::Sample;
pub use span::Span;
