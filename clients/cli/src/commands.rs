//! What each command does: one file a verb.

mod completion;
mod deploy;
mod heal;
mod health;
mod logs;
mod notify;
mod server;
mod status;
mod validate;
mod version;

use crate::args::{Command, Otter};
use crate::exit::{Code, TABLE};
use crate::output;

/// Runs one command. `command` is the whole command line's definition, for completion and for complaints about it.
pub async fn run(otter: Otter, mut command: clap::Command) -> anyhow::Result<Code> {
    let global = &otter.global;
    match otter.command {
        Command::Server(args) => server::run(global, args, &mut command).await,
        Command::Deploy(args) => deploy::run(global, &args).await,
        Command::Validate(args) => validate::run(&args),
        Command::Status(args) => status::run(global, &args).await,
        Command::Health(args) => health::run(global, &args).await,
        Command::Heal(args) => heal::run(&args),
        Command::Logs(args) => logs::run(global, &args).await,
        Command::Notify(args) => notify::run(global, &args).await,
        Command::Version(args) => version::run(global, &args).await,
        Command::Completion(args) => completion::run(&args, command),
        Command::ExitCodes => output::data(TABLE.as_bytes()).map(|()| Code::Ok),
    }
}
