//! `otter`, the commands a person types. See README.md.

mod args;
mod bundle;
mod client;
mod completion;
mod deploy;
mod dotenv;
mod exit;
mod logs;
mod progress;
mod server;
mod status;
mod table;
mod terminal;
mod validate;
mod voice;

use args::{Command, Otter, ServerCommand};
use clap::{CommandFactory as _, FromArgMatches as _};
use exit::Code;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one command; the first of `args` is the program's name.
pub fn run(args: Vec<OsString>) -> ExitCode {
    run_beside(args, Vec::new())
}

/// As [`run`], with commands of other rooms (`serve` and the like) shown in help and completion. They are not run here: whoever
/// starts the program sends them where they belong.
pub fn run_beside(args: Vec<OsString>, others: Vec<clap::Command>) -> ExitCode {
    let command = Otter::command().subcommands(others);
    let parsed = command.clone().try_get_matches_from(args).and_then(|m| Otter::from_arg_matches(&m));
    let otter = match parsed {
        Ok(otter) => otter,
        Err(error) => {
            // Help and version are answers; everything else is a wrong use.
            let code = if error.use_stderr() { Code::Usage } else { Code::Ok };
            let _ = error.print();
            return code.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    let done = runtime.block_on(async {
        tokio::select! {
            result = dispatch(otter, command) => result,
            _ = tokio::signal::ctrl_c() => Ok(Code::Interrupted),
        }
    });
    match done {
        Ok(Code::Interrupted) => {
            terminal::note("interrupted; what was asked for goes on. `otter status` shows how far it is");
            Code::Interrupted.into()
        }
        Ok(code) => code.into(),
        Err(error) => exit::report(&error),
    }
}

async fn dispatch(otter: Otter, command: clap::Command) -> anyhow::Result<Code> {
    let global = &otter.global;
    match otter.command {
        Command::Server(ServerCommand::Add(args)) => server::add(global, *args).await,
        Command::Server(ServerCommand::Confirm(args)) => server::confirm(global, args).await,
        Command::Server(ServerCommand::List(args)) => server::list(global, &args).await,
        Command::Server(ServerCommand::Remove(args)) => server::remove(global, args).await,
        Command::Deploy(args) => deploy::run(global, *args).await,
        Command::Validate(args) => validate::run(&args),
        Command::Status(args) => status::run(global, &args).await,
        Command::Logs(args) => logs::run(global, &args).await,
        Command::Version(args) => status::version(global, &args).await,
        Command::Completion(args) => completion::print(args.shell, command),
        Command::ExitCodes => terminal::data(exit::TABLE).map(|()| Code::Ok),
    }
}
