//! `otter`: one binary for the server and for those who use it. This file only picks which.

use std::ffi::OsString;
use std::process::ExitCode;

/// A request is some hundred small allocations: with glibc's allocator they were a quarter of the server's time.
#[cfg(feature = "server")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    start(std::env::args_os().collect())
}

#[cfg(feature = "server")]
fn start(args: Vec<OsString>) -> ExitCode {
    let ours = args.get(1).and_then(|word| word.to_str()).is_some_and(otternauts_boot::is_ours);
    if ours { otternauts_boot::run(args) } else { otternauts_cli::run_beside(args, otternauts_boot::commands()) }
}

/// Without the server: the client commands alone.
#[cfg(not(feature = "server"))]
fn start(args: Vec<OsString>) -> ExitCode {
    otternauts_cli::run(args)
}
