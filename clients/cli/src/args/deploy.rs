//! `otter deploy` and `otter validate`.

use super::{Output, value};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Values for `${VAR}`, from this machine.
#[derive(Args, Debug, Default)]
pub struct Variables {
    /// The value of ${NAME}; may be given more than once, the last one wins
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = value::variable)]
    pub env: Vec<(String, String)>,
    /// A file of NAME=VALUE lines; kept in a Secret
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Deploy {
    /// A compose file, or the name of a Stack to deploy once more
    #[arg(value_name = "FILE|NAME")]
    pub target: String,
    /// The name of the Stack [default: the file's `name`, else its directory's]
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub variables: Variables,
    /// Values from all keys of a Secret or ConfigMap; may be given more than once
    #[arg(long, value_name = "secret/NAME|configmap/NAME", value_parser = env_from)]
    pub env_from: Vec<EnvFrom>,
    /// A RegistryCredential to pull images with; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub registry_credential: Vec<String>,
    /// The Cluster to run on [default: default]
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Take over fields that another client set
    #[arg(long)]
    pub force_conflicts: bool,
    /// Ask the server what would be stored, and change nothing
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    /// Wait until it runs
    #[arg(short, long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, default_value = "15m", value_parser = value::duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvSourceKind {
    Secret,
    ConfigMap,
}

/// All keys of one object as variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFrom {
    pub kind: EnvSourceKind,
    pub name: String,
}

fn env_from(text: &str) -> Result<EnvFrom, String> {
    let (kind, name) = match text.split_once('/') {
        Some(("secret" | "secrets", name)) => (EnvSourceKind::Secret, name),
        Some(("configmap" | "configmaps" | "cm", name)) => (EnvSourceKind::ConfigMap, name),
        _ => return Err("expected secret/NAME or configmap/NAME".into()),
    };
    if name.is_empty() { Err("the name is missing".into()) } else { Ok(EnvFrom { kind, name: name.to_owned() }) }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PolicyLevel {
    Restricted,
    #[default]
    Baseline,
    Privileged,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Report {
    #[default]
    Text,
    /// Errors and warnings as JSON
    Json,
    /// The document that Docker Swarm would get
    Rendered,
}

#[derive(Args, Debug)]
pub struct Validate {
    /// The compose file; - reads standard input
    pub file: PathBuf,
    #[command(flatten)]
    pub variables: Variables,
    /// Do not ask for the values of variables
    #[arg(long, conflicts_with_all = ["env", "env_file"])]
    pub no_variables: bool,
    /// The policy of the namespace it is meant for
    #[arg(long, value_enum, default_value_t)]
    pub policy: PolicyLevel,
    /// The form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub output: Report,
}
