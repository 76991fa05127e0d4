//! The real server killed under load, again and again, judged by the checker of tests/faults (A1, B7; docs/faults.md).

use crate::otter;
use otternauts_faults::Dice;
use otternauts_faults::kills::Kills;
use otternauts_faults::ledger::Ledger;
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answered_write_is_lost_however_often_the_server_is_killed() {
    // The long numbers are for the optimised program, which tests/run builds at night.
    let nightly = !cfg!(debug_assertions) && std::env::var_os("OTTERNAUTS_NIGHTLY").is_some_and(|value| value == "1");
    let (rounds, enough) = if nightly { (1_000, 500_000) } else { (50, 1_000) };
    let seed = Dice::seed();
    say(&format!("kills: {}={seed}", otternauts_faults::dice::SEED));
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/faults");
    std::fs::create_dir_all(&directory).expect("target can be written");
    let ledger = Ledger::create(&directory.join(format!("ledger-{seed}.txt"))).expect("a ledger");
    let path = ledger.path().to_owned();
    let mut otter = otter();
    let started = Instant::now();
    let mut kills = Kills::new(&mut otter, ledger, seed);
    // The load of half a second is bounded by the machine: a slow one needs more rounds for as many answers.
    while kills.totals().rounds < rounds
        || (kills.totals().acknowledged < enough && kills.totals().rounds < 10 * rounds)
    {
        if let Err(error) = kills.round().await {
            panic!("{error:#}");
        }
    }
    let totals = kills.totals();
    let line = json!({"test": "kills", "seed": seed, "rounds": totals.rounds, "acknowledged": totals.acknowledged, "lost": 0,
        "phantom": 0, "unanswered": totals.unknown, "unansweredThatTookPlace": totals.came_true, "reads": totals.reads,
        "watchEvents": totals.events, "seconds": started.elapsed().as_secs()});
    say(&format!("kills: {line}"));
    std::fs::write(directory.join("kills.json"), format!("{line}\n")).expect("target can be written");
    assert!(totals.acknowledged >= enough, "only {} answers in {} rounds", totals.acknowledged, totals.rounds);
    // The evidence is kept where something was wrong.
    std::fs::remove_file(path).expect("the ledger was there");
}

fn say(line: &str) {
    let _best_effort = writeln!(std::io::stderr(), "{line}");
}
