//! `otter`: one binary, three kinds of work. This file only picks which.

use std::process::ExitCode;

fn main() -> ExitCode {
    otternauts_boot::run(std::env::args_os().collect())
}
