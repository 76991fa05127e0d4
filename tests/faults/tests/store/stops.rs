//! A2: the process stops dead at each named point of the writer, and everything that was answered or seen is there.

use crate::{lives, nightly, report, seed};
use otternauts_faults::Dice;
use otternauts_faults::story::{Found, Line};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

const SMALL: &[&str] = &["12:300:close", "20:300:drop"];
/// Enough pages for a checkpoint.
const LARGE: &[&str] = &["80:6000:close"];

/// `(point, how often it is surely passed, in which life)`
const POINTS: &[(&str, u64, &[&str])] = &[
    ("open", 2, SMALL),
    ("configured", 2, SMALL),
    ("tables", 2, SMALL),
    ("before-begin", 12, SMALL),
    ("after-statement", 60, SMALL),
    ("before-commit", 12, SMALL),
    ("after-commit", 12, SMALL),
    ("after-publish", 12, SMALL),
    ("after-answer", 12, SMALL),
    ("compaction-statement", 12, SMALL),
    ("before-compaction-commit", 6, SMALL),
    ("after-compaction-commit", 6, SMALL),
    ("before-checkpoint", 1, LARGE),
    ("after-checkpoint", 1, LARGE),
    ("index-written", 1, SMALL),
    ("index-renamed", 1, SMALL),
    ("before-close", 1, SMALL),
    ("after-close", 1, SMALL),
];

#[tokio::test]
async fn nothing_answered_is_lost_wherever_the_writer_stops() {
    let times = if nightly() { 50 } else { 4 };
    let seed = seed("stops");
    let (mut stops, mut answers) = (0, 0);
    for (number, (point, passed, life)) in POINTS.iter().enumerate() {
        let directory = lives::memory();
        let mut found = Found::nothing();
        for time in 0..times {
            let mut dice = Dice::part(seed, number as u64 * 1_000 + time);
            let stop = format!("{point}:{}", 1 + dice.below(*passed));
            let said = run(directory.path(), dice.next(), &stop, life);
            let why = format!("seed {seed}, stop {stop}, time {time}");
            let (now, acknowledged) = lives::judged(directory.path(), &found, &said, &why).await;
            answers += acknowledged;
            found = now;
            stops += 1;
        }
    }
    report("stops", seed, &[("points", POINTS.len() as u64), ("stops", stops), ("answers", answers), ("lost", 0)]);
    assert!(answers > 10 * stops, "the process hardly did anything before it stopped: {answers} answers");
}

/// What a victim says until it stops there.
fn run(directory: &Path, seed: u64, stop: &str, life: &[&str]) -> Vec<Line> {
    let ran =
        lives::life("exec", directory, seed, life).env("OTTERNAUTS_STOP", stop).output().expect("the victim starts");
    const SIGABRT: i32 = 6;
    let error = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.signal(), Some(SIGABRT), "{stop} was never passed: {:?} {error}", ran.status);
    lives::said(&ran)
}
