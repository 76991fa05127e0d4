//! A5: the Nth write, sync, truncation or removal fails, once or from then on. The process may stop; what it answered is there.

use crate::{nightly, report, seed};
use otternauts_faults::Dice;
use otternauts_faults::power::database;
use otternauts_faults::story::{Found, Line, judge, read};
use otternauts_faults::victim;
use std::path::Path;
use std::process::Command;

const LIFE: [&str; 3] = ["5:300:close", "12:2000:close", "5:300:drop"];
/// `(system call, error, how often one of the threads makes it at least)`
const CALLS: &[(&str, &str, u64)] = &[
    ("pwrite64", "EIO", 150),
    ("pwrite64", "ENOSPC", 150),
    ("fsync", "EIO", 20),
    ("fdatasync", "EIO", 1),
    ("ftruncate", "EIO", 2),
    ("unlink", "EIO", 2),
    ("rename", "EIO", 1),
    ("openat", "EMFILE", 50),
];

#[tokio::test]
async fn no_answered_write_is_lost_when_the_disk_fails() {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !works {
        otternauts_harness::skip::skip("disk errors", "strace is missing or not allowed here");
        return;
    }
    let seed = seed("disk errors");
    let (mut runs, mut hit, mut answers, mut number) = (0, 0, 0, 0);
    for (call, error, most) in CALLS {
        for ever in ["", "+"] {
            // All of them at night, some of them otherwise.
            let tries = if nightly() { *most } else { 5.min(*most) };
            for attempt in 0..tries {
                number += 1;
                let nth = if nightly() { attempt + 1 } else { 1 + Dice::part(seed, number).below(*most) };
                let inject = format!("inject={call}:error={error}:when={nth}{ever}");
                let place = crate::power::memory();
                let (said, was_hit) = run(place.path(), seed, &inject);
                let store = victim::open(victim::keeping(&database(place.path())));
                let store = store.unwrap_or_else(|error| panic!("seed {seed}, {inject}: it does not open: {error:?}"));
                let found = read(&store).await.unwrap_or_else(|error| panic!("seed {seed}, {inject}: {error:#}"));
                let report = judge(&Found::nothing(), &said, &found);
                let report = report.unwrap_or_else(|error| panic!("seed {seed}, {inject}: {error:#}"));
                runs += 1;
                hit += u64::from(was_hit);
                answers += report.acknowledged as u64;
            }
        }
    }
    report("disk-errors", seed, &[("runs", runs), ("hit", hit), ("answers", answers), ("lost", 0)]);
    assert!(hit * 2 > runs && answers > runs, "{hit} of {runs} runs met an error, with {answers} answers");
}

/// What a victim says in a life with this error, and whether it met it.
fn run(place: &Path, seed: u64, inject: &str) -> (Vec<Line>, bool) {
    let log = place.join("strace");
    let calls = inject.split(['=', ':']).nth(1).expect("a call");
    let mut victim = Command::new("timeout");
    // Whoever hangs is ended, and that is a failure below.
    victim.args(["60", "strace", "-f", "-e", &format!("trace={calls}"), "-e", inject, "-o"]);
    victim.arg(&log).arg("--").arg(env!("CARGO_BIN_EXE_store-victim"));
    victim.arg("live").arg(database(place)).arg(seed.to_string()).args(LIFE).env("OTTERNAUTS_SMALL", "1");
    let ran = victim.output().expect("it starts");
    const TIMED_OUT: i32 = 124;
    assert_ne!(ran.status.code(), Some(TIMED_OUT), "seed {seed}, {inject}: it hangs");
    let said = String::from_utf8_lossy(&ran.stdout);
    let said = said.lines().map(|line| Line::parse(line).expect("a line of a victim")).collect();
    let met = std::fs::read_to_string(&log).unwrap_or_default().contains("(INJECTED)");
    (said, met)
}
