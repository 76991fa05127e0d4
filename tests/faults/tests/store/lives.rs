//! Lives of `store-victim` that go wrong, and what is held against what is left of them.

use otternauts_faults::power::database;
use otternauts_faults::story::{Found, Line, judge, read};
use otternauts_faults::victim;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Whether system calls can be recorded and made to fail here; else it is told which test is skipped.
pub fn strace(test: &str) -> bool {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !works {
        otternauts_harness::skip::skip(test, "strace is missing or not allowed here");
    }
    works
}

/// Where a state can be made and thrown away without touching a disk.
pub fn memory() -> tempfile::TempDir {
    let shared: PathBuf = "/dev/shm".into();
    let place = if shared.is_dir() { shared } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("otter-states-").tempdir_in(place).expect("a directory in memory")
}

/// A life in `place`, run by `sh` with this before it: `exec`, or what limits it. History is short.
pub fn life(before: &str, place: &Path, seed: u64, sessions: &[&str]) -> Command {
    let mut life = Command::new("sh");
    life.args(["-c", &format!("ulimit -c 0; {before} \"$0\" \"$@\""), env!("CARGO_BIN_EXE_store-victim")]);
    life.arg("live").arg(database(place)).arg(seed.to_string()).args(sessions).env("OTTERNAUTS_SMALL", "1");
    life
}

/// What such a life has said until it ended.
pub fn said(ran: &Output) -> Vec<Line> {
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    // A process that ends in the midst of a line has said none.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| Line::parse(line).expect("a line of a victim")).collect()
}

/// A system call that fails: `call:error=NAME:when=N`, with a `+` for ever after.
pub struct Fault(pub String);

/// Lives while that call fails. Answers what was said, and whether the call was met. Who hangs is ended, and that is a failure.
pub fn failing(fault: &Fault, place: &Path, seed: u64, sessions: &[&str], why: &str) -> (Vec<Line>, bool) {
    let (log, call) = (place.join("strace"), fault.0.split(':').next().unwrap_or_default());
    let mut life = Command::new("timeout");
    life.args(["60", "strace", "-f", "-e", &format!("trace={call}"), "-e", &format!("inject={}", fault.0), "-o"]);
    life.arg(&log).args(["--", env!("CARGO_BIN_EXE_store-victim"), "live"]).arg(database(place));
    let ran = life.arg(seed.to_string()).args(sessions).env("OTTERNAUTS_SMALL", "1").output().expect("it starts");
    const TIMED_OUT: i32 = 124;
    assert_ne!(ran.status.code(), Some(TIMED_OUT), "{why}: it hangs");
    (said(&ran), std::fs::read_to_string(&log).unwrap_or_default().contains("(INJECTED)"))
}

/// Opens what is left, and holds it against what was there before and all that was said since. Answers what is there, and how
/// many writes had been answered.
pub async fn judged(place: &Path, before: &Found, said: &[Line], why: &str) -> (Found, u64) {
    let store = victim::open(victim::keeping(&database(place)));
    let store = store.unwrap_or_else(|error| panic!("{why}: it does not open: {error:?}"));
    let found = read(&store).await.unwrap_or_else(|error| panic!("{why}: {error:#}"));
    let report = judge(before, said, &found).unwrap_or_else(|error| panic!("{why}: {error:#}"));
    (found, report.acknowledged as u64)
}
