//! What can be typed. What it does is in `commands`.

mod deploy;
mod heal;
mod inspect;
mod notify;
mod server;
mod value;

pub use deploy::{Deploy, EnvFrom, EnvSourceKind, PolicyLevel, Report, Validate};
pub use heal::{HealCommand, HealTest};
pub use inspect::{Completion, Health, Logs, Object, ObjectKind, Status, Version};
pub use notify::{NotifyCommand, NotifyTest};
pub use server::{Confirm, Connection, Remove, Role, ServerAdd, ServerCommand};

use crate::output::Format;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Mission control for plain Linux servers: a Kubernetes-style API on Docker Swarm
#[derive(Parser, Debug)]
#[command(name = "otter", version, arg_required_else_help = true, max_term_width = 120)]
#[command(after_help = "Exit codes: `otter help exit-codes`. kubectl works with the same kubeconfig.")]
pub struct Otter {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The kubeconfig to use [default: $KUBECONFIG, ~/.kube/config, the data directory's]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The namespace to work in [default: the context's]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Log what is sent and answered; -vv says more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Add, confirm, list and remove servers
    #[command(subcommand, visible_alias = "servers")]
    Server(ServerCommand),
    /// Deploy a compose file, or a Stack once more
    Deploy(Box<Deploy>),
    /// Check a compose file, offline
    Validate(Validate),
    /// Show clusters, servers and stacks
    Status(Status),
    /// Say whether servers, stacks and services are well; the exit code says it too
    Health(Health),
    /// Try out the rules that heal
    #[command(subcommand)]
    Heal(HealCommand),
    /// Print the log of a stack, merged over its tasks
    Logs(Logs),
    /// Try out who is told what happens
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Print the version of this program and of the server
    Version(Version),
    /// Print a completion script for a shell
    Completion(Completion),
    #[command(hide = true, about = crate::exit::TABLE, help_template = "{about}")]
    ExitCodes,
}

/// The form of what is printed.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Output {
    /// The form of the output
    #[arg(short = 'o', long = "output", value_enum, default_value_t, value_name = "FORM")]
    pub format: Format,
}

#[cfg(test)]
mod tests;
