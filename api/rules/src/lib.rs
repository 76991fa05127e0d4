//! The language of HealRules: parse, check, print, evaluate. Pure. See README.md.

mod eval;
mod expr;
mod parse;
mod sample;
mod span;
#[cfg(test)]
mod tests;
mod token;

pub use eval::{Truth, evaluate};
pub use expr::{Expr, Metric, Op, Unit, Value};
pub use parse::{Error, parse};
pub use sample::Sample;
pub use span::Span;
