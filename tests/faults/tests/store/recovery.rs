//! A7: an I/O error while a crash is being recovered from; A6: no memory. The process may stop each time; what it answered before
//! and after is there.

use crate::{nightly, report, seed};
use otternauts_faults::Dice;
use otternauts_faults::power::database;
use otternauts_faults::story::{Found, Line, judge, read};
use otternauts_faults::victim;
use std::path::Path;
use std::process::{Command, Output};

/// Where the first life ends, and how often it passes there at least.
const STOPS: [(&str, u64); 6] = [
    ("after-statement", 60),
    ("before-commit", 12),
    ("after-commit", 12),
    ("before-compaction-commit", 6),
    ("after-compaction-commit", 6),
    ("index-written", 1),
];
/// What fails in the second: its start, which recovers, and its first writes.
const CALLS: [(&str, &str, u64); 7] = [
    ("openat", "EIO", 40),
    ("pread64", "EIO", 40),
    ("pwrite64", "EIO", 25),
    ("fdatasync", "EIO", 8),
    ("fsync", "EIO", 8),
    ("ftruncate", "EIO", 3),
    ("mmap", "ENOMEM", 60),
];
const FIRST: [&str; 2] = ["12:300:close", "20:300:drop"];

fn said(ran: &Output) -> Vec<Line> {
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    // A process that ends in the midst of a line has said none.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| Line::parse(line).expect("a line of a victim")).collect()
}

/// Opens what is left, and holds it against what was there before and all that was said since. Answers what is there, and how
/// many writes had been answered.
async fn judged(place: &Path, before: &Found, said: &[Line], why: &str) -> (Found, u64) {
    let store = victim::open(victim::keeping(&database(place)));
    let store = store.unwrap_or_else(|error| panic!("{why}: it does not open: {error:?}"));
    let found = read(&store).await.unwrap_or_else(|error| panic!("{why}: {error:#}"));
    let report = judge(before, said, &found).unwrap_or_else(|error| panic!("{why}: {error:#}"));
    (found, report.acknowledged as u64)
}

#[tokio::test]
async fn no_answered_write_is_lost_when_the_disk_fails_during_recovery_a7() {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !works {
        otternauts_harness::skip::skip("disk errors during recovery", "strace is missing or not allowed here");
        return;
    }
    let runs = if nightly() { 10_000 } else { 16 };
    let seed = seed("recovery");
    let (mut hit, mut answers) = (0, 0);
    for number in 0..runs {
        let mut dice = Dice::part(seed, number);
        let (point, passed) = *dice.pick(&STOPS).expect("some");
        let (call, error, most) = CALLS[number as usize % CALLS.len()];
        let stop = format!("{point}:{}", 1 + dice.below(passed));
        let ever = if dice.chance(30) { "+" } else { "" };
        let inject = format!("inject={call}:error={error}:when={}{ever}", 1 + dice.below(most));
        let why = format!("seed {seed}, run {number}, stop {stop}, {inject}");
        let place = crate::power::memory();
        let mut first = Command::new("sh");
        first.args(["-c", "ulimit -c 0; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_store-victim"), "live"]);
        first.arg(database(place.path())).arg(dice.next().to_string()).args(FIRST);
        let first = first.env("OTTERNAUTS_STOP", &stop).env("OTTERNAUTS_SMALL", "1").output().expect("it starts");
        // What is there is read from a copy, which recovers undisturbed.
        let copy = crate::power::memory();
        for file in std::fs::read_dir(place.path()).expect("a directory").map(|file| file.expect("an entry")) {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("copied");
        }
        let (between, first) = judged(copy.path(), &Found::nothing(), &said(&first), &why).await;
        let log = place.path().join("strace");
        let mut second = Command::new("timeout");
        second.args(["60", "strace", "-f", "-e", &format!("trace={call}"), "-e", &inject, "-o"]).arg(&log);
        second.args(["--", env!("CARGO_BIN_EXE_store-victim"), "live"]).arg(database(place.path()));
        let second = second.arg(dice.next().to_string()).arg("4:300:close").env("OTTERNAUTS_SMALL", "1").output();
        let second = second.expect("it starts");
        const TIMED_OUT: i32 = 124;
        assert_ne!(second.status.code(), Some(TIMED_OUT), "{why}: it hangs");
        hit += u64::from(std::fs::read_to_string(&log).unwrap_or_default().contains("(INJECTED)"));
        answers += first + judged(place.path(), &between, &said(&second), &why).await.1;
    }
    report("recovery-errors", seed, &[("runs", runs), ("hit", hit), ("answers", answers), ("lost", 0)]);
    assert!(hit * 5 > runs && answers > runs, "{hit} of {runs} runs met an error, with {answers} answers");
}

/// A life with so many KiB of address space; whether it came to its end.
fn starved(place: &Path, seed: u64, kib: u64) -> (Vec<Line>, bool) {
    let mut life = Command::new("sh");
    life.args(["-c", &format!("ulimit -c 0; ulimit -v {kib}; exec timeout 60 \"$0\" \"$@\"")]);
    life.args([env!("CARGO_BIN_EXE_store-victim"), "live"]).arg(database(place)).arg(seed.to_string());
    let ran = life.args(["12:300:close", "30:3000:close", "5:300:drop"]).env("OTTERNAUTS_SMALL", "1");
    // One arena: what an allocator reserves for each thread would be most of the limit.
    let ran = ran.env("MALLOC_ARENA_MAX", "1").output().expect("it starts");
    (said(&ran), ran.status.success())
}

#[tokio::test]
async fn no_answered_write_is_lost_when_memory_runs_out_a6() {
    let runs = if nightly() { 1_000 } else { 6 };
    let seed = seed("memory");
    let (mut died, mut answers) = (0, 0);
    for number in 0..runs {
        let mut dice = Dice::part(seed, number);
        // From too little to start with to enough for most lives.
        let kib = (20 << 10) + (28 << 10) * number / runs + dice.below(1 << 10);
        let place = crate::power::memory();
        let (said, whole) = starved(place.path(), dice.next(), kib);
        died += u64::from(!whole);
        let why = format!("seed {seed}, run {number}, {kib} KiB");
        answers += judged(place.path(), &Found::nothing(), &said, &why).await.1;
    }
    report("memory", seed, &[("runs", runs), ("died", died), ("answers", answers), ("lost", 0)]);
    assert!(died > 0 && answers > runs, "{died} of {runs} lives were too short, with {answers} answers");
}
