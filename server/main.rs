//! `otter`: one binary for the server and for those who use it. This file only picks which.

use std::ffi::OsString;
use std::process::ExitCode;

/// A request is some hundred small allocations: with glibc's allocator they were a quarter of the server's time.
#[cfg(feature = "server")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is free goes back to the system within a second or so, and few threads keep something each.
#[cfg(feature = "server")]
#[allow(unsafe_code, reason = "jemalloc reads its options from this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &std::ffi::CStr =
    c"narenas:4,tcache_max:16384,dirty_decay_ms:1000,muzzy_decay_ms:0,background_thread:true";

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
