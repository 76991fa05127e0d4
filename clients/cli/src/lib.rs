//! `otter`, the commands a person types. See README.md.

mod args;
mod bundle;
mod commands;
mod connect;
mod dotenv;
mod exit;
mod findings;
mod follow;
mod output;
mod ready;
mod trace;
mod vitals;
mod voice;

use args::Otter;
use clap::{CommandFactory as _, FromArgMatches as _};
use exit::Code;
use otternauts_telemetry::traces::{self, Kind, Origin, Span};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one command; the first of `args` is the program's name.
pub fn run(args: Vec<OsString>) -> ExitCode {
    run_beside(args, Vec::new())
}

/// As [`run`], with commands of other rooms (`serve` and the like) shown in help and completion. They are not run here: whoever
/// starts the program sends them where they belong.
pub fn run_beside(args: Vec<OsString>, others: Vec<clap::Command>) -> ExitCode {
    let names: Vec<String> = others.iter().map(|c| c.get_name().to_owned()).collect();
    let command = Otter::command().subcommands(others);
    let matches = match command.clone().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refuse(&error),
    };
    if let Some(name) = matches.subcommand_name().filter(|name| names.iter().any(|n| n == name)) {
        let text = format!("{name} comes first and has its own options: otter {name} --help");
        return refuse(&command.clone().error(clap::error::ErrorKind::ArgumentConflict, text));
    }
    match Otter::from_arg_matches(&matches) {
        Ok(otter) => start(otter, command),
        Err(error) => refuse(&error),
    }
}

/// Help and version are answers; everything else is a wrong use.
fn refuse(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when the stream is closed.
    let _ = error.print();
    if error.use_stderr() { Code::Usage.into() } else { Code::Ok.into() }
}

fn start(otter: Otter, command: clap::Command) -> ExitCode {
    output::set_quiet(otter.global.quiet);
    start_logs(otter.global.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    let tracing = match runtime.block_on(async { traces::start("otter", env!("CARGO_PKG_VERSION"), None) }) {
        Ok(tracing) => tracing,
        Err(why) => return exit::report(&anyhow::Error::msg(why)),
    };
    let name = command_name(&otter.command);
    let (span, verbose) =
        (Span::begin(Kind::Internal, || format!("otter {name}"), Origin::Parent(None)), otter.global.verbose);
    trace::carry(&span);
    let done = runtime.block_on(span.run(async {
        tokio::select! {
            done = commands::run(otter, command) => done,
            _ = tokio::signal::ctrl_c() => Ok(Code::Interrupted),
        }
    }));
    if done.is_err() {
        span.fail("failed");
    }
    if let Some(id) = trace::id(&span).filter(|_| verbose > 0 || done.is_err()) {
        output::complain(&format!("trace: {id}"));
    }
    span.end();
    if let Some(tracing) = tracing {
        tracing.finish();
    }
    // A thread that waits for a person's answer must not keep the program alive.
    runtime.shutdown_background();
    match done {
        Ok(Code::Interrupted) => {
            output::complain("otter: interrupted; what the API has accepted goes on");
            output::complain("  next: otter status");
            Code::Interrupted.into()
        }
        Ok(code) => code.into(),
        Err(error) => exit::report(&error),
    }
}

/// The word a person typed, for the span; one of few.
fn command_name(command: &args::Command) -> &'static str {
    use args::Command as C;
    match command {
        C::Server(_) => "server",
        C::Deploy(_) => "deploy",
        C::Validate(_) => "validate",
        C::Status(_) => "status",
        C::Health(_) => "health",
        C::Heal(_) => "heal",
        C::Logs(_) => "logs",
        C::Notify(_) => "notify",
        C::Version(_) => "version",
        C::Completion(_) => "completion",
        C::ExitCodes => "exit-codes",
    }
}

fn start_logs(verbose: u8) {
    let filter = match verbose {
        0 => return,
        1 => "info,kube=debug",
        _ => "debug",
    };
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_env_filter(filter);
    // Only a second start could fail, and there is none.
    let _ = logs.try_init();
}
