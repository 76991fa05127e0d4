//! The contract as tests: every engine passes all of them.

#![allow(clippy::print_stdout, reason = "random tests print their seed")]

pub(crate) mod factory;
mod history;
mod lists;
mod watches;
mod writes;
