//! Measures an API server as its clients see it: plain Kubernetes API over TLS, driven with a kubeconfig. See README.md.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

mod load;
mod process;
mod report;
mod server;
mod target;
mod watch;

use anyhow::{Context as _, Result};
use clap::Parser;
use report::{Better, Row};
use std::path::PathBuf;
use target::Target;

/// Drives `otter`, and with --compare another API server beside it, round by round in turn.
#[derive(Parser)]
struct Args {
    /// The otter to start and measure.
    #[arg(long, default_value = "target/release/otter")]
    otter: PathBuf,
    /// Measure the server of this kubeconfig instead of starting an otter.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Measure the server of this kubeconfig too, alternating, and print ratios.
    #[arg(long)]
    compare: Option<PathBuf>,
    /// Where the JSON goes.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    /// How often each figure is taken; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Objects in the collection that is listed.
    #[arg(long, default_value_t = 10_000)]
    objects: usize,
    /// Watchers of the fan-out.
    #[arg(long, default_value_t = 1_000)]
    watchers: usize,
    /// Seconds of the idle measurement.
    #[arg(long, default_value_t = 20)]
    idle: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    load::allow_many_files();
    let started = match &args.kubeconfig {
        Some(_) => None,
        None => Some(server::Otter::start(&args.otter)?),
    };
    let own = match (&args.kubeconfig, &started) {
        (Some(path), _) => path.clone(),
        (None, Some(otter)) => otter.kubeconfig(),
        (None, None) => unreachable!("one of the two is there"),
    };
    let mut targets = vec![Target::open("otter", &own).context("the server under test")?];
    if let Some(path) = &args.compare {
        targets.push(Target::open("other", path).context("the server to compare with")?);
    }
    for target in &targets {
        load::prepare(target).await.with_context(|| format!("preparing {}", target.name))?;
    }
    let rows = measure(&args, &targets).await?;
    report::print(&targets, &rows, &args.json)?;
    for target in &targets {
        load::clean(target).await?;
    }
    if let Some(otter) = started {
        report::binary(&args.otter)?;
        drop(otter);
    }
    Ok(())
}

/// Every figure, each taken `rounds` times on every target in turn.
async fn measure(args: &Args, targets: &[Target]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (clients, objects) in [(1, 400), (16, 2_000), (64, 4_000)] {
        let mut row = Row::new(format!("creates/s, {clients} clients"), Better::Higher, targets.len());
        for round in 0..args.rounds {
            for (i, target) in targets.iter().enumerate() {
                row.add(i, load::creates(target, clients, objects, round).await?);
            }
        }
        rows.push(row.said());
    }
    for (clients, gets) in [(1, 1_000), (64, 12_000)] {
        let mut row = Row::new(format!("gets/s, {clients} clients"), Better::Higher, targets.len());
        for _ in 0..args.rounds {
            for (i, target) in targets.iter().enumerate() {
                row.add(i, load::gets(target, clients, gets).await?);
            }
        }
        rows.push(row.said());
    }
    for target in targets {
        load::fill(target, args.objects).await?;
    }
    let mut whole = Row::new(format!("list of {} whole, ms", args.objects), Better::Lower, targets.len());
    let mut paged = Row::new("list page of 500, ms".to_owned(), Better::Lower, targets.len());
    for _ in 0..args.rounds.max(5) {
        for (i, target) in targets.iter().enumerate() {
            whole.add(i, load::list(target, "", args.objects).await?);
            paged.add(i, load::list(target, "?limit=500", 500).await?);
        }
    }
    rows.push(whole.said());
    rows.push(paged.said());
    rows.extend(fan_out(args, targets).await?);
    rows.extend(processes(args, targets).await?);
    Ok(rows)
}

async fn fan_out(args: &Args, targets: &[Target]) -> Result<Vec<Row>> {
    let n = args.watchers;
    let mut p50 = Row::new(format!("watch, {n} watchers, 20 events/s, p50 ms"), Better::Lower, targets.len());
    let mut p99 = Row::new(format!("watch, {n} watchers, 20 events/s, p99 ms"), Better::Lower, targets.len());
    for round in 0..args.rounds {
        for (i, target) in targets.iter().enumerate() {
            let latency = watch::fan_out(target, n, 20, 100, round).await?;
            p50.add(i, latency.p50_ms);
            p99.add(i, latency.p99_ms);
        }
    }
    Ok(vec![p50.said(), p99.said()])
}

async fn processes(args: &Args, targets: &[Target]) -> Result<Vec<Row>> {
    let mut memory = Row::new("resident memory, MiB".to_owned(), Better::Lower, targets.len());
    let mut idle = Row::new(format!("idle CPU over {} s, % of a core", args.idle), Better::Lower, targets.len());
    for (i, target) in targets.iter().enumerate() {
        let Some(pid) = process::listening_on(target.port) else { continue };
        memory.add(i, process::resident_mib(pid)?);
        let before = process::cpu_seconds(pid)?;
        tokio::time::sleep(std::time::Duration::from_secs(args.idle)).await;
        #[allow(clippy::cast_precision_loss, reason = "seconds")]
        idle.add(i, (process::cpu_seconds(pid)? - before) / args.idle as f64 * 100.0);
    }
    Ok(vec![memory.said(), idle.said()])
}
