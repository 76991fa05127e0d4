//! The real server killed under load, again and again, judged by the checker of tests/faults (A1, B7; docs/faults.md). The long
//! form, of the optimised program, is `kill-rounds` of tests/faults.

mod calls;
mod drills;
mod impatient;
mod late;
mod rotations;
mod slow;

use crate::otter;
use otternauts_faults::Dice;
use otternauts_faults::kills::Kills;
use otternauts_faults::ledger::Ledger;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answered_write_is_lost_however_often_the_server_is_killed() {
    let (rounds, enough, burst) = (50, 1_000, 100);
    let seed = Dice::seed();
    say(&format!("kills: {}={seed}", otternauts_faults::dice::SEED));
    let directory = directory();
    let ledger = Ledger::create(&directory.join(format!("ledger-{seed}.txt"))).expect("a ledger");
    let path = ledger.path().to_owned();
    let mut otter = otter();
    let started = Instant::now();
    let mut kills = Kills::new(&mut otter, ledger, seed, burst);
    while kills.totals().rounds < rounds {
        if let Err(error) = kills.round().await {
            panic!("{error:#}");
        }
    }
    let totals = kills.totals();
    say(&totals.line(seed, started.elapsed()));
    assert!(totals.acknowledged >= enough, "only {} answers in {} rounds", totals.acknowledged, totals.rounds);
    // The evidence is kept where something was wrong.
    std::fs::remove_file(path).expect("the ledger was there");
}

fn nightly() -> bool {
    std::env::var_os("OTTERNAUTS_NIGHTLY").is_some_and(|value| value == "1")
}

/// Where ledgers and totals are left.
fn directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/faults");
    std::fs::create_dir_all(&directory).expect("target can be written");
    directory
}

fn say(line: &str) {
    let _best_effort = writeln!(std::io::stderr(), "{line}");
}
