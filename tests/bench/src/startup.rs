//! An otter with many objects: how long it takes to start, what it keeps in memory, and whether it is slower for them.

use crate::load::Wanted;
use crate::report::{Better, Row};
use crate::server::Otter;
use crate::target::Target;
use crate::{load, process};
use anyhow::{Context as _, Result};
use std::path::Path;
use std::time::Instant;

/// With a tenth of `objects`, then with all of them, beside one that has none, in turn. 0: nothing.
pub async fn measure(program: &Path, objects: usize, rounds: usize) -> Result<Vec<Row>> {
    if objects == 0 {
        return Ok(Vec::new());
    }
    let mut otter = Otter::start(program)?;
    let mut target = Target::open("otter", &otter.kubeconfig())?;
    load::prepare(&target).await?;
    let small = Otter::start(program)?;
    let empty = Target::open("with none", &small.kubeconfig())?;
    load::prepare(&empty).await?;
    let mut rows = Vec::new();
    let (mut have, mut round) = (0, 0);
    for n in [objects / 10, objects] {
        load::fill(&target, have, n).await.with_context(|| format!("filling up to {n}"))?;
        have = n;
        let begun = Instant::now();
        otter.restart()?;
        let mut figure = |what: &str, value| {
            let mut row = Row::new(format!("with {n} objects: {what}"), Better::Lower, 1);
            row.add(0, value);
            rows.push(row.said());
        };
        figure("end and start to ready, s", begun.elapsed().as_secs_f64());
        figure("resident memory, MiB", process::resident_mib(otter.pid())?);
        target = Target::open("otter", &otter.kubeconfig())?;
        let row = |what| Row::new(format!("with {n} objects: {what}/s, beside none"), Better::Higher, 1);
        let (mut gets, mut creates) = (row("gets"), row("creates"));
        for _ in 0..rounds {
            round += 1;
            // Each is the first every other time: what one of them has still to tidy up is the other's burden.
            let mut speeds = [(0.0, 0.0); 2];
            for which in [round % 2, (round + 1) % 2] {
                let (target, wanted) = [(&target, Wanted::Any(n)), (&empty, Wanted::One)][which];
                speeds[which] = speed(target, round, wanted).await?;
            }
            let [full, none] = speeds;
            gets.add(0, full.0);
            gets.add_limit(none.0);
            creates.add(0, full.1);
            creates.add_limit(none.1);
        }
        rows.extend([gets.said(), creates.said()]);
    }
    Ok(rows)
}

/// Gets and creates a second of 64 clients.
async fn speed(target: &Target, round: usize, wanted: Wanted) -> Result<(f64, f64)> {
    Ok((load::gets(target, 64, 16_000, wanted).await?, load::creates(target, 64, 6_400, round).await?))
}
