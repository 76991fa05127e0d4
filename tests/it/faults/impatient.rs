//! B4: whoever gives up after a millisecond and asks again gets what was asked for once.

use super::{directory, nightly, say};
use crate::otter;
use otternauts_faults::impatient::run;
use otternauts_faults::wire::Door;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_again_after_a_millisecond_happens_once_b4() {
    let creates = if nightly() { 100_000 } else { 400 };
    let otter = otter();
    let door = Door::of(&otter.url, &otter.data_dir()).expect("a door");
    let started = Instant::now();
    let totals = run(&door, creates).await.unwrap_or_else(|wrong| panic!("{wrong:#}"));
    let line = totals.line(started.elapsed().as_secs());
    say(&line);
    std::fs::write(directory().join("impatient.json"), format!("{line}\n")).expect("target can be written");
    assert!(totals.late > totals.creates / 100 && totals.found_done > 0, "hardly anybody gave up: {line}");
}
