//! `otter`: one binary for the server and for those who use it. This file only picks which.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let ours = args.get(1).and_then(|word| word.to_str()).is_some_and(otternauts_boot::is_ours);
    if ours { otternauts_boot::run(args) } else { otternauts_cli::run_beside(args, otternauts_boot::commands()) }
}
