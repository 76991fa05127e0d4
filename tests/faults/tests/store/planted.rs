//! Each planted bug is caught by the test that docs/faults.md names: that test is run again with the bug, and must fail.
//! Those that power losses catch are in power.rs.

use crate::say;
use std::process::Command;

/// `(the bug, the test that catches it, what the test says then)`
const CAUGHT: &[(&str, &str, &[&str])] = &[
    (
        "skip-one-watch-event",
        "long::long_runs_are_strictly_serializable_and_their_watches_are_replays",
        &["Missed", "an event that it was not given"],
    ),
    (
        "ack-before-commit",
        "lag::no_list_is_older_than_an_answer_however_late_memory_is_b15",
        &["was answered before it", "were answered before it"],
    ),
    ("drop-checksum", "flips::a_flipped_bit_is_harmless_or_found", &["wrong bytes", "instead of"]),
    (
        "unbounded-watcher-queue",
        "bounds::a_watcher_that_does_not_read_is_parked_and_loses_nothing",
        &["the window kept all"],
    ),
    ("one-long-read-transaction", "bounds::a_long_list_reads_in_short_snapshots", &["were read in 1 snapshots"]),
    ("stale-index", "mirror::what_is_served_from_memory_is_what_is_stored_b16", &["memory is not what is stored"]),
    ("no-aad", "sealing::a_sealed_field_opens_nowhere_but_in_its_place", &["opened there"]),
];

#[test]
fn each_planted_bug_is_caught_by_its_test() {
    for (bug, test, says) in CAUGHT {
        let mut again = Command::new(std::env::current_exe().expect("this program"));
        again.args(["--exact", test, "--nocapture"]).env("OTTERNAUTS_PLANTED", bug).env("RUST_BACKTRACE", "0");
        let ran = again.env_remove("OTTERNAUTS_NIGHTLY").output().expect("it starts");
        let output = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(output.contains("1 failed"), "{bug} was not caught by {test}:\n{output}");
        assert!(says.iter().any(|says| output.contains(says)), "{bug}: {test} failed for another reason:\n{output}");
        let line = output.lines().find(|line| says.iter().any(|says| line.contains(says))).unwrap_or_default();
        say(&format!("{bug}: caught: {}", line.chars().take(200).collect::<String>()));
    }
}
