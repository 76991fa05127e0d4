//! Commands that only look.

use super::{Output, value};
use clap::Args;
use std::time::Duration;

#[derive(Args, Debug)]
pub struct Status {
    #[command(flatten)]
    pub output: Output,
    /// Wait until this object is ready, then say so instead
    #[arg(long, value_name = "KIND/NAME", value_parser = object)]
    pub wait: Option<Object>,
    /// How long to wait
    #[arg(long, default_value = "5m", value_parser = value::duration)]
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    Cluster,
    Server,
    Stack,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub kind: ObjectKind,
    pub name: String,
}

fn object(text: &str) -> Result<Object, String> {
    let (kind, name) = match text.split_once('/') {
        Some(("cluster" | "clusters" | "cl", name)) => (ObjectKind::Cluster, name),
        Some(("server" | "servers" | "srv", name)) => (ObjectKind::Server, name),
        Some(("stack" | "stacks" | "stk", name)) => (ObjectKind::Stack, name),
        _ => return Err("expected server/NAME, stack/NAME or cluster/NAME".into()),
    };
    if name.is_empty() { Err("the name is missing".into()) } else { Ok(Object { kind, name: name.to_owned() }) }
}

#[derive(Args, Debug)]
pub struct Health {
    /// One service only, by its name in the compose file
    #[arg(value_name = "[STACK/]SERVICE")]
    pub service: Option<String>,
    /// Go on, with a line for each change
    #[arg(short, long)]
    pub watch: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args, Debug)]
pub struct Logs {
    /// The name of the Stack
    pub stack: String,
    /// One service only
    pub service: Option<String>,
    /// Go on as new lines are written
    #[arg(short, long)]
    pub follow: bool,
    /// Only so many of the last lines
    #[arg(long, value_name = "LINES")]
    pub tail: Option<u64>,
    /// Of the task that ended last, not of those that run
    #[arg(short, long)]
    pub previous: bool,
    /// Only lines younger than this
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub since: Option<Duration>,
    /// Each line with its time
    #[arg(long)]
    pub timestamps: bool,
}

#[derive(Args, Debug)]
pub struct Version {
    /// Ask no server
    #[arg(long)]
    pub client: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args, Debug)]
pub struct Completion {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
