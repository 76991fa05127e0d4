//! `otter server ...`

use super::{Output, value};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Subcommand, Debug)]
pub enum ServerCommand {
    /// Add a server; its host key waits to be confirmed
    Add(Box<ServerAdd>),
    /// Confirm the host key that a server shows
    Confirm(Confirm),
    /// List servers
    #[command(visible_alias = "ls")]
    List(Output),
    /// Take a server out of its swarm and out of the fleet
    #[command(visible_alias = "rm")]
    Remove(Remove),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Role {
    #[default]
    Manager,
    Worker,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Connection {
    #[default]
    Ssh,
    /// The Docker engine of the machine that the control plane runs on
    Local,
}

#[derive(Args, Debug)]
pub struct ServerAdd {
    /// The name of the Server
    pub name: String,
    /// Host name or IP address
    #[arg(long, value_name = "HOST")]
    pub address: Option<String>,
    /// The SSH user; needs sudo without a password
    #[arg(long)]
    pub user: Option<String>,
    /// The file with the SSH private key, without a passphrase
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The SSH port
    #[arg(long, default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Its role in the swarm
    #[arg(long, value_enum, default_value_t)]
    pub role: Role,
    /// The Cluster it belongs to [default: default]
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// The host key's fingerprint, if you know it already
    #[arg(long, value_name = "SHA256:...", value_parser = value::fingerprint)]
    pub fingerprint: Option<String>,
    /// How it is reached
    #[arg(long, value_enum, default_value_t)]
    pub connection: Connection,
    /// Wait until the server is ready
    #[arg(long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, default_value = "15m", value_parser = value::duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub output: Output,
}

impl ServerAdd {
    /// The flags that are needed and were not given.
    pub fn missing(&self) -> Vec<&'static str> {
        if self.connection == Connection::Local {
            return Vec::new();
        }
        let needed =
            [("--address", self.address.is_some()), ("--user", self.user.is_some()), ("--key", self.key.is_some())];
        needed.into_iter().filter(|(_, given)| !given).map(|(flag, _)| flag).collect()
    }
}

#[derive(Args, Debug)]
pub struct Confirm {
    /// The name of the Server
    pub name: String,
    /// The fingerprint as read on the server's own console; nothing is asked then
    #[arg(long, value_name = "SHA256:...", value_parser = value::fingerprint)]
    pub fingerprint: Option<String>,
    /// Confirm although another key was confirmed before
    #[arg(long)]
    pub replace: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// How long to wait until the server shows its key
    #[arg(long, default_value = "30s", value_parser = value::duration)]
    pub timeout: Duration,
}

#[derive(Args, Debug)]
pub struct Remove {
    /// The name of the Server
    pub name: String,
    /// The machine is gone for good: do not try to reach it
    #[arg(long)]
    pub force: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Wait until it is gone
    #[arg(long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, default_value = "5m", value_parser = value::duration)]
    pub timeout: Duration,
}
