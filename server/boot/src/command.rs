//! The commands of this room, as `otter` offers them beside those of the client.

use crate::backup_command::{self, BackupCommand};
use crate::config::{Config, ServeArgs};
use crate::controllers::{self, ControllersArgs};
use crate::keys_command::{self, KeysCommand};
#[cfg(feature = "etcd")]
use crate::store_command::{self, StoreCommand};
use crate::users::{self, KubeconfigArgs};
use crate::{clock, ending, process, serve};
use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use otternauts_telemetry::{LogFormat, init_logs};
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// What is logged unless `OTTERNAUTS_LOG` says otherwise, in the form of `RUST_LOG`.
const LOG_FILTER: &str = "info,russh=warn,hyper=warn,kube=warn";
const LOG_VARIABLE: &str = "OTTERNAUTS_LOG";

#[derive(Parser)]
#[command(name = "otter", version)]
struct Otter {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Box<ServeArgs>),
    Controllers(ControllersArgs),
    Kubeconfig(KubeconfigArgs),
    #[command(subcommand)]
    Keys(KeysCommand),
    #[command(subcommand)]
    Backup(BackupCommand),
    #[cfg(feature = "etcd")]
    #[command(subcommand)]
    Store(StoreCommand),
}

/// For `otter --help` and completion: the commands that [`run`] takes.
pub fn commands() -> Vec<clap::Command> {
    Otter::command().get_subcommands().cloned().collect()
}

/// True when the first argument is a command of this room.
pub fn is_ours(word: &str) -> bool {
    Otter::command().get_subcommands().any(|command| command.get_name() == word)
}

/// Runs one of them. Call it before anything has started a thread.
pub fn run(args: Vec<OsString>) -> ExitCode {
    process::harden();
    let secret_key = process::take_secret_key();
    let command = match Otter::try_parse_from(args) {
        Ok(otter) => otter.command,
        Err(error) => error.exit(),
    };
    let done = match command {
        Command::Serve(args) => Config::resolve(*args).and_then(|config| {
            start_logs(config.log_format);
            block_on(serve::run(config, secret_key))
        }),
        Command::Controllers(args) => {
            start_logs(args.log_format());
            block_on(controllers::run_apart(args))
        }
        Command::Kubeconfig(args) => users::run(&args, clock::now()),
        Command::Backup(command) => {
            start_quiet_logs();
            block_on(backup_command::run(command, secret_key))
        }
        #[cfg(feature = "etcd")]
        Command::Store(command) => {
            start_quiet_logs();
            block_on(store_command::run(command, secret_key))
        }
        Command::Keys(command) => {
            start_quiet_logs();
            block_on(keys_command::run(command, secret_key))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "otter: {error:#}");
            ending::code(&error).into()
        }
    }
}

fn start_logs(format: otternauts_telemetry::LogFormat) {
    let filter = std::env::var(LOG_VARIABLE).unwrap_or_else(|_| LOG_FILTER.to_owned());
    init_logs(format, &filter);
}

/// For commands that a person waits for: only what is wrong, and once.
fn start_quiet_logs() {
    let filter = std::env::var(LOG_VARIABLE).unwrap_or_else(|_| "warn,kube=off".to_owned());
    init_logs(LogFormat::Text, &filter);
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().thread_name("otter").build().context("cannot start the runtime")?;
    runtime.block_on(work)
}
