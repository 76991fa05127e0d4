//! `kill-rounds PROGRAM ROUNDS ANSWERS`: the long form of A1 for a program that was built with its optimisations, which this
//! need not be. See `kills.rs`; totals in `target/faults/kills.json` below the working directory.

use anyhow::{Context as _, Result, bail, ensure};
use otternauts_faults::Dice;
use otternauts_faults::kills::Kills;
use otternauts_faults::ledger::Ledger;
use otternauts_harness::{Otter, OtterOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, rounds, enough] = &arguments[..] else { bail!("kill-rounds PROGRAM ROUNDS ANSWERS") };
    let (rounds, enough): (u64, u64) = (rounds.parse()?, enough.parse()?);
    ensure!(rounds > 0, "no rounds");
    let seed = Dice::seed();
    say(&format!("kills: {}={seed}", otternauts_faults::dice::SEED));
    let directory = Path::new("target/faults");
    std::fs::create_dir_all(directory)?;
    let ledger = Ledger::create(&directory.join(format!("ledger-{seed}.txt")))?;
    let evidence = ledger.path().to_owned();
    let mut otter = Otter::start(OtterOptions::api(program));
    let (started, mut told) = (Instant::now(), Instant::now());
    // On average half of a burst is answered before the kill.
    let mut kills = Kills::new(&mut otter, ledger, seed, (enough / rounds).max(1) * 12 / 5);
    while kills.totals().rounds < rounds {
        kills.round().await?;
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            say(&kills.totals().line(seed, started.elapsed()));
        }
    }
    let totals = kills.totals();
    let line = totals.line(seed, started.elapsed());
    say(&line);
    std::fs::write(directory.join("kills.json"), format!("{line}\n"))?;
    ensure!(totals.acknowledged >= enough, "only {} answers in {rounds} rounds", totals.acknowledged);
    // The evidence is kept where something was wrong.
    std::fs::remove_file(&evidence).context("the ledger was there")
}

fn say(line: &str) {
    let _best_effort = writeln!(std::io::stderr(), "{line}");
}
