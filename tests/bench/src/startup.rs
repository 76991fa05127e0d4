//! An otter with many objects: how long it takes to start, what it keeps in memory, and whether it is slower for them.

use crate::report::{Better, Row};
use crate::server::Otter;
use crate::target::Target;
use crate::{load, process};
use anyhow::{Context as _, Result};
use std::path::Path;
use std::time::Instant;

/// With a tenth of `objects`, then with all of them. 0: nothing.
pub async fn measure(program: &Path, objects: usize) -> Result<Vec<Row>> {
    if objects == 0 {
        return Ok(Vec::new());
    }
    let mut otter = Otter::start(program)?;
    let mut target = Target::open("otter", &otter.kubeconfig())?;
    load::prepare(&target).await?;
    let mut rows = Vec::new();
    let (mut have, mut round) = (0, 0);
    let small = speed(&target, round).await?;
    for n in [objects / 10, objects] {
        round += 1;
        load::fill(&target, have, n).await.with_context(|| format!("filling up to {n}"))?;
        have = n;
        let begun = Instant::now();
        otter.restart()?;
        let mut figure = |what: String, better, value| {
            let mut row = Row::new(what, better, 1);
            row.add(0, value);
            rows.push(row.said());
        };
        figure(format!("with {n} objects: end and start to ready, s"), Better::Lower, begun.elapsed().as_secs_f64());
        figure(format!("with {n} objects: resident memory, MiB"), Better::Lower, process::resident_mib(otter.pid())?);
        target = Target::open("otter", &otter.kubeconfig())?;
        let now = speed(&target, round).await?;
        figure(format!("with {n} objects: gets, % of the rate with none"), Better::Higher, now.0 / small.0 * 100.0);
        figure(format!("with {n} objects: creates, % of the rate with none"), Better::Higher, now.1 / small.1 * 100.0);
    }
    Ok(rows)
}

/// Gets and creates a second of 64 clients.
async fn speed(target: &Target, round: usize) -> Result<(f64, f64)> {
    Ok((load::gets(target, 64, 16_000).await?, load::creates(target, 64, 6_400, round).await?))
}
