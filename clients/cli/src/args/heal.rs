//! `otter heal ...`

use super::Output;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
pub enum HealCommand {
    /// Try a HealRule on recorded samples, offline: when it would have acted, and what held it back
    Test(HealTest),
}

#[derive(Args, Debug)]
pub struct HealTest {
    /// A file with `rule` and `samples`, YAML or JSON
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub output: Output,
}
