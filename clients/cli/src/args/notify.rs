//! `otter notify ...`

use super::value;
use clap::{Args, Subcommand};
use std::time::Duration;

#[derive(Subcommand, Debug)]
pub enum NotifyCommand {
    /// Send a test message and print what the receiver answered
    Test(NotifyTest),
}

#[derive(Args, Debug)]
pub struct NotifyTest {
    /// The name of the Notifier
    pub name: String,
    /// How long to wait for the answer
    #[arg(long, default_value = "60s", value_parser = value::duration, value_name = "TIME")]
    pub timeout: Duration,
}
