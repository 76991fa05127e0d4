//! A7: an I/O error while a crash is being recovered from; A6: no memory. The process may stop each time; what it answered before
//! and after is there.

use crate::lives::{Fault, failing, judged, life, memory, said, strace};
use crate::{nightly, numbers, report, seed};
use otternauts_faults::story::{Found, Line};
use otternauts_faults::{Dice, starved};
use std::path::Path;

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
const CALLS: [(&str, &str, u64); 8] = [
    ("openat", "EIO", 40),
    ("pread64", "EIO", 40),
    ("pwrite64", "EIO", 25),
    ("pwrite64", "ENOSPC", 25),
    ("fdatasync", "EIO", 8),
    ("fsync", "EIO", 8),
    ("ftruncate", "EIO", 3),
    ("mmap", "ENOMEM", 60),
];
const FIRST: [&str; 2] = ["12:300:close", "20:300:drop"];

#[tokio::test]
async fn no_answered_write_is_lost_when_the_disk_fails_during_recovery_a7() {
    if !strace("disk errors during recovery") {
        return;
    }
    let seed = seed("recovery");
    let (mut runs, mut hit, mut answers) = (0, 0, 0);
    for number in numbers(if nightly() { 10_000 } else { 16 }) {
        let mut dice = Dice::part(seed, number);
        let (point, passed) = *dice.pick(&STOPS).expect("some");
        let (call, error, most) = CALLS[number as usize % CALLS.len()];
        let stop = format!("{point}:{}", 1 + dice.below(passed));
        let ever = if dice.chance(30) { "+" } else { "" };
        let fault = Fault(format!("{call}:error={error}:when={}{ever}", 1 + dice.below(most)));
        let why = format!("seed {seed}, run {number}, stop {stop}, {}", fault.0);
        let place = memory();
        let first =
            life("exec", place.path(), dice.next(), &FIRST).env("OTTERNAUTS_STOP", &stop).output().expect("it starts");
        // What is there is read from a copy, which recovers undisturbed.
        let copy = memory();
        for file in std::fs::read_dir(place.path()).expect("a directory").map(|file| file.expect("an entry")) {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("copied");
        }
        let (between, first) = judged(copy.path(), &Found::nothing(), &said(&first), &why).await;
        let (second, met) = failing(&fault, place.path(), dice.next(), &["4:300:close"], &why);
        runs += 1;
        hit += u64::from(met);
        answers += first + judged(place.path(), &between, &second, &why).await.1;
    }
    report("recovery-errors", seed, &[("runs", runs), ("hit", hit), ("answers", answers), ("lost", 0)]);
    assert!(hit * 5 > runs && answers > runs, "{hit} of {runs} runs met an error, with {answers} answers");
}

/// A life with so many KiB of address space; whether it came to its end.
fn starved(place: &Path, seed: u64, kib: u64) -> (Vec<Line>, bool) {
    let mut life = life(
        &format!("ulimit -v {kib}; exec timeout 60"),
        place,
        seed,
        &["12:300:close", "30:3000:close", "5:300:drop"],
    );
    // One arena: what an allocator reserves for each thread would be most of the limit.
    let ran = life.env("MALLOC_ARENA_MAX", "1").output().expect("it starts");
    (said(&ran), ran.status.success())
}

#[tokio::test]
async fn no_answered_write_is_lost_when_memory_runs_out_a6() {
    let most = if nightly() { 1_000 } else { 6 };
    let seed = seed("memory");
    let (mut runs, mut died, mut answers) = (0, 0, 0);
    for number in numbers(most) {
        let mut dice = Dice::part(seed, number);
        // From too little to start with to enough for most lives.
        let kib = (20 << 10) + (28 << 10) * number / most + dice.below(1 << 10);
        let place = memory();
        let (said, whole) = starved(place.path(), dice.next(), kib);
        runs += 1;
        died += u64::from(!whole);
        let why = format!("seed {seed}, run {number}, {kib} KiB");
        answers += judged(place.path(), &Found::nothing(), &said, &why).await.1;
    }
    report("memory", seed, &[("runs", runs), ("died", died), ("answers", answers), ("lost", 0)]);
    assert!(died > 0 && answers > runs, "{died} of {runs} lives were too short, with {answers} answers");
}

/// Such a life has no use for so many.
const NEVER: u64 = 100_000;

/// SQLite goes without the Nth of its allocations, or without any from it on, and says so to whoever asked.
#[tokio::test]
async fn no_answered_write_is_lost_whichever_allocation_fails_a6() {
    let seed = seed("allocations");
    let (mut runs, mut hit, mut whole, mut answers) = (0, 0, 0, 0);
    for ever in ["", "+"] {
        let mut dice = Dice::part(seed, 0);
        let some = (0..40).map(|_| 1 + dice.below(1_800)).collect();
        let which: Vec<u64> = if nightly() { (1..NEVER).collect() } else { some };
        for nth in which {
            let why = format!("seed {seed}, allocation {nth}{ever}");
            let place = memory();
            let mut life = life("exec timeout 60", place.path(), seed, &["6:300:close", "6:300:drop"]);
            let ran = life.env(starved::VARIABLE, format!("{nth}{ever}")).output().expect("it starts");
            const TIMED_OUT: i32 = 124;
            assert_ne!(ran.status.code(), Some(TIMED_OUT), "{why}: it hangs");
            let met = String::from_utf8_lossy(&ran.stderr).contains(starved::SAID);
            runs += 1;
            hit += u64::from(met);
            whole += u64::from(ran.status.success());
            answers += judged(place.path(), &Found::nothing(), &said(&ran), &why).await.1;
            if nightly() && !met {
                break;
            }
        }
    }
    let totals = [("runs", runs), ("hit", hit), ("whole", whole), ("answers", answers), ("lost", 0)];
    report("allocations", seed, &totals);
    assert!(hit * 2 > runs && answers > runs, "{hit} of {runs} lives went without, with {answers} answers");
}
