//! What can be typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Mission control for plain Linux servers: a Kubernetes-style API on Docker Swarm
#[derive(Parser, Debug)]
#[command(name = "otter", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: `otter exit-codes`. Any Kubernetes client works beside this one.")]
pub struct Otter {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args, Debug)]
pub struct Global {
    /// Path of the kubeconfig [default: $KUBECONFIG, ~/.kube/config, then the data directory's admin.kubeconfig]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig to use
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace to work in [default: the context's]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Add, confirm, list and remove servers
    #[command(subcommand)]
    Server(ServerCommand),
    /// Deploy a compose file, or deploy a Stack again
    Deploy(Box<Deploy>),
    /// Check a compose file, offline
    Validate(Validate),
    /// Show servers and stacks
    Status(Status),
    /// Show the log of a stack, merged over replicas
    Logs(Logs),
    /// Print the version of this program and of the server
    Version(Output),
    /// Print a completion script for a shell
    Completion(Completion),
    /// Explain the exit codes
    ExitCodes,
}

#[derive(Subcommand, Debug)]
pub enum ServerCommand {
    /// Add a server; its host key waits to be confirmed
    Add(Box<ServerAdd>),
    /// Confirm a server's host key
    Confirm(ServerConfirm),
    /// List servers
    #[command(visible_alias = "ls")]
    List(Output),
    /// Remove a server from its swarm and from the fleet
    #[command(visible_alias = "rm")]
    Remove(ServerRemove),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
    Yaml,
    Name,
}

#[derive(Args, Debug)]
pub struct Output {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Manager,
    Worker,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Connection {
    #[default]
    Ssh,
    Local,
}

#[derive(Args, Debug)]
pub struct ServerAdd {
    /// Name of the Server object
    pub name: String,
    /// Host name or IP address
    #[arg(long, required_unless_present = "local")]
    pub address: Option<String>,
    /// SSH user; needs sudo without a password
    #[arg(long, required_unless_present = "local")]
    pub user: Option<String>,
    /// File with the private key, without a passphrase
    #[arg(long, value_name = "FILE", required_unless_present = "local")]
    pub key: Option<PathBuf>,
    /// SSH port
    #[arg(long, default_value_t = 22)]
    pub port: u16,
    /// Role in the swarm [default: manager]
    #[arg(long, value_enum)]
    pub role: Option<Role>,
    /// Cluster it belongs to [default: default]
    #[arg(long)]
    pub cluster: Option<String>,
    /// The host key's fingerprint, when it is known already (SHA256:...)
    #[arg(long)]
    pub fingerprint: Option<String>,
    /// ssh, or local: the Docker engine of the control plane's machine
    #[arg(long, value_enum, default_value_t)]
    pub connection: Connection,
    /// Wait until the server is ready
    #[arg(long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, default_value = "15m", value_parser = duration)]
    pub timeout: std::time::Duration,
    #[arg(long, hide = true)]
    pub local: bool,
}

#[derive(Args, Debug)]
pub struct ServerConfirm {
    pub name: String,
    /// The fingerprint you expect; nothing is asked then
    #[arg(long)]
    pub fingerprint: Option<String>,
    /// Accept that the key has changed
    #[arg(long)]
    pub replace: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// How long to wait for the server to show its key
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub timeout: std::time::Duration,
}

#[derive(Args, Debug)]
pub struct ServerRemove {
    pub name: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// The machine is gone for good: do not try to reach it
    #[arg(long)]
    pub force: bool,
    /// How long to wait until it is gone
    #[arg(long, default_value = "5m", value_parser = duration)]
    pub timeout: std::time::Duration,
}

/// Values for `${VAR}`, on the command line.
#[derive(Args, Debug, Default)]
pub struct Variables {
    /// A variable for ${NAME} in the file; may be given more than once
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// A file of NAME=VALUE lines
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Deploy {
    /// A compose file, or the name of a Stack to deploy again
    #[arg(value_name = "FILE|NAME")]
    pub target: String,
    /// Name of the Stack [default: the file's `name`, else its directory's]
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub variables: Variables,
    /// Values from the keys of a Secret or ConfigMap; may be given more than once
    #[arg(long, value_name = "secret/NAME|configmap/NAME", value_parser = source)]
    pub env_from: Vec<(SourceKind, String)>,
    /// A RegistryCredential to pull images with; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub registry_credential: Vec<String>,
    /// Cluster to run on
    #[arg(long)]
    pub cluster: Option<String>,
    /// Take over fields that another client set
    #[arg(long)]
    pub force_conflicts: bool,
    /// Wait until it runs
    #[arg(short, long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, default_value = "11m", value_parser = duration)]
    pub timeout: std::time::Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    Secret,
    ConfigMap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    Restricted,
    Baseline,
    Privileged,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Report {
    #[default]
    Text,
    Json,
    Rendered,
}

#[derive(Args, Debug)]
pub struct Validate {
    pub file: PathBuf,
    #[command(flatten)]
    pub variables: Variables,
    /// Do not ask for the values of variables
    #[arg(long, conflicts_with = "output")]
    pub no_variables: bool,
    /// Policy of the namespace it is meant for
    #[arg(long, value_enum, default_value = "baseline")]
    pub policy: Level,
    /// Treat warnings as errors
    #[arg(long)]
    pub strict: bool,
    /// text, json, or rendered: what Swarm would get
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Report,
}

#[derive(Args, Debug)]
pub struct Status {
    /// One stack only
    pub stack: Option<String>,
    /// Stacks of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args, Debug)]
pub struct Logs {
    pub stack: String,
    /// One service only
    pub service: Option<String>,
    /// Go on as new lines are written
    #[arg(short, long)]
    pub follow: bool,
    /// Only so many of the last lines
    #[arg(long, value_name = "LINES")]
    pub tail: Option<u64>,
    /// Only lines younger than this
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub since: Option<std::time::Duration>,
    /// Of the task that ended last
    #[arg(short, long)]
    pub previous: bool,
    /// With the time of each line
    #[arg(long)]
    pub timestamps: bool,
}

#[derive(Args, Debug)]
pub struct Completion {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `90`, `90s`, `5m`, `1h30m`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 90s, 5m or 1h30m");
    let (mut seconds, mut number) = (0u64, String::new());
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(wrong()),
        };
        let count: u64 = std::mem::take(&mut number).parse().map_err(|_| wrong())?;
        seconds = count.checked_mul(unit).and_then(|n| n.checked_add(seconds)).ok_or_else(wrong)?;
    }
    if !number.is_empty() {
        seconds = seconds.checked_add(number.parse().map_err(|_| wrong())?).ok_or_else(wrong)?;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(std::time::Duration::from_secs(seconds)) }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() { Err("the name is missing".into()) } else { Ok((name.to_owned(), value.to_owned())) }
}

fn source(text: &str) -> Result<(SourceKind, String), String> {
    match text.split_once('/') {
        Some(("secret", name)) if !name.is_empty() => Ok((SourceKind::Secret, name.to_owned())),
        Some(("configmap" | "cm", name)) if !name.is_empty() => Ok((SourceKind::ConfigMap, name.to_owned())),
        _ => Err("expected secret/NAME or configmap/NAME".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Otter::command().debug_assert();
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("0", 0)] {
            assert_eq!(duration(text).map(|d| d.as_secs()), Ok(seconds), "{text}");
        }
        for bad in ["", "m", "5x", "-1s", "99999999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
