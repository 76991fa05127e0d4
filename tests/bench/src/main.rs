//! Measures an API server as its clients see it: plain Kubernetes API over TLS, driven with a kubeconfig. See README.md.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this program is for")]

mod limits;
mod load;
mod process;
mod report;
mod server;
mod size;
mod startup;
mod store;
mod target;
mod watch;

use anyhow::{Context as _, Result};
use clap::Parser;
use load::Wanted;
use report::{Better, Row};
use server::Otter;
use std::path::PathBuf;
use std::time::Instant;
use target::Target;
use watch::Load;

/// The store alone is measured with the allocator it has in the server, and so is what it is measured by.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    /// The map that the linker wrote beside the otter: who owns which megabyte.
    #[arg(long, default_value = "target/release/otter.map")]
    map: PathBuf,
    /// The program with the client commands alone, whose size is told.
    #[arg(long)]
    minimal: Option<PathBuf>,
    /// Where the JSON goes.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    /// How often each figure is taken; the median counts. 0: only the size of the program is told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Objects in the collection that is listed on every server.
    #[arg(long, default_value_t = 10_000)]
    objects: usize,
    /// Objects that every server holds when its memory is read.
    #[arg(long, default_value_t = 50_000)]
    held: usize,
    /// Objects in the collection that is listed on the otter alone, whole and by 32 clients at once; 0: not measured.
    #[arg(long, default_value_t = 100_000)]
    large: usize,
    /// Objects that an otter of its own is started with, after a tenth of them; 0: not measured.
    #[arg(long, default_value_t = 1_000_000)]
    huge: usize,
    /// Watchers of the fan-out.
    #[arg(long, default_value_t = 1_000)]
    watchers: usize,
    /// Idle watches over HTTP/2; 0: not measured.
    #[arg(long, default_value_t = 10_000)]
    idle_watchers: usize,
    /// Seconds of the idle measurement.
    #[arg(long, default_value_t = 20)]
    idle: u64,
    /// Only these measurements; without it all of them. Those of the otter alone need no other before them.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Serve what lies in this folder: the limit that others are measured by.
    #[arg(long, hide = true)]
    plain: Option<PathBuf>,
}

/// What is measured, in this order.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Idle,
    Writes,
    Reads,
    Limits,
    Watches,
    Processes,
    Large,
    Startup,
}

impl Args {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    load::allow_many_files();
    if let Some(dir) = &args.plain {
        return limits::serve(dir).await;
    }
    if args.rounds == 0 {
        return size::print(&args.otter, &args.map, args.minimal.as_deref());
    }
    let started = match &args.kubeconfig {
        Some(_) => None,
        None => Some(Otter::start(&args.otter)?),
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
    let mut bench = Bench {
        args: &args,
        targets: &targets,
        otter: started.as_ref(),
        rows: Vec::new(),
        filled: vec![0; targets.len()],
        processes: targets.iter().map(|target| process::listening_on(target.port)).collect(),
    };
    if args.wants(Part::Idle) {
        bench.idle().await?;
    }
    // Before another server has anything to clear away beside what is measured.
    if args.wants(Part::Limits) {
        bench.limits().await?;
    }
    if args.wants(Part::Writes) {
        bench.writes().await?;
        bench.memory("the writes")?;
    }
    if args.wants(Part::Reads) {
        bench.reads().await?;
        bench.memory("the reads")?;
    }
    if args.wants(Part::Watches) {
        bench.watches().await?;
        bench.memory("the watches")?;
    }
    if args.wants(Part::Processes) {
        bench.processes().await?;
    }
    if args.wants(Part::Large) {
        bench.large().await?;
        bench.memory("the large lists")?;
    }
    let mut rows = bench.rows;
    for target in &targets {
        // What was measured is told all the same.
        if let Err(error) = load::clean(target).await {
            eprintln!("{} still has what was made for it: {error:#}", target.name);
        }
    }
    if started.is_some() && args.wants(Part::Startup) {
        drop(started);
        rows.extend(startup::measure(&args.otter, args.huge, args.rounds).await?);
    }
    report::print(&targets, &rows, &args.json)?;
    if args.kubeconfig.is_none() {
        size::print(&args.otter, &args.map, args.minimal.as_deref())?;
    }
    Ok(())
}

/// One run: every figure is taken on every target in turn, round by round.
struct Bench<'a> {
    args: &'a Args,
    targets: &'a [Target],
    /// Of the first target, when we started it: what can only be seen from beside it is measured too.
    otter: Option<&'a Otter>,
    rows: Vec<Row>,
    /// How many objects the listed collection of each target has.
    filled: Vec<usize>,
    /// The server process of each target, where it runs on this machine.
    processes: Vec<Option<u32>>,
}

impl Bench<'_> {
    /// A row of what an operation costs the server: it depends less on what else the machine does than the time does.
    fn cost(&self, of: &str) -> Row {
        self.row(format!("CPU of the server for a {of}, us"), Better::Lower)
    }

    /// Brings the listed collection of the first targets to so many objects, if it has fewer.
    async fn fill(&mut self, targets: usize, objects: usize) -> Result<()> {
        for (target, have) in self.targets.iter().zip(&mut self.filled).take(targets) {
            load::fill(target, *have, objects).await?;
            *have = objects.max(*have);
        }
        Ok(())
    }

    fn row(&self, what: String, better: Better) -> Row {
        Row::new(what, better, self.targets.len())
    }

    /// What each server has in memory after a step.
    fn memory(&mut self, after: &str) -> Result<()> {
        let mut row = self.row(format!("resident memory after {after}, MiB"), Better::Lower);
        for (i, pid) in self.processes.iter().enumerate() {
            let Some(pid) = pid else { continue };
            row.add(i, process::resident_mib(*pid)?);
        }
        self.rows.push(row.said());
        Ok(())
    }

    /// Runs one measurement on one target and puts down what CPU its server took, in microseconds for each of `count` operations.
    async fn costed<T>(
        &self,
        row: &mut Row,
        target: usize,
        count: usize,
        measured: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(pid) = self.processes[target] else { return measured.await };
        let before = process::cpu_seconds(pid)?;
        let result = measured.await?;
        #[allow(clippy::cast_precision_loss, reason = "a count")]
        row.add(target, (process::cpu_seconds(pid)? - before) * 1e6 / count as f64);
        Ok(result)
    }

    async fn writes(&mut self) -> Result<()> {
        for (clients, objects) in [(1, 400), (16, 2_000), (64, 6_400), (256, 10_240)] {
            let row = |what: &str| self.row(format!("{what}/s, {clients} clients"), Better::Higher);
            let mut rows = [row("creates"), row("updates"), row("deletes")];
            let mut cost = self.cost(&format!("create, update and delete, {clients} clients"));
            for round in 0..self.args.rounds {
                for (i, target) in self.targets.iter().enumerate() {
                    let writes = load::writes(target, clients, objects, round);
                    let rates = self.costed(&mut cost, i, objects * 3, writes).await?;
                    rows.iter_mut()
                        .zip([rates.creates, rates.updates, rates.deletes])
                        .for_each(|(row, n)| row.add(i, n));
                }
            }
            self.rows.extend(rows.map(Row::said));
            self.rows.push(cost.said());
        }
        Ok(())
    }

    async fn reads(&mut self) -> Result<()> {
        self.fill(self.targets.len(), self.args.objects).await?;
        let n = self.args.objects;
        let lists: [(String, usize, &str, usize); 4] = [
            (format!("list of {n} whole, ms"), 1, "", n),
            ("list page of 500 of them, ms".to_owned(), 1, "?limit=500", 500.min(n)),
            ("list of a hundredth by label, ms".to_owned(), 1, "?labelSelector=slot%3Ds7", n / 100),
            (format!("list of {n} by 32 clients, ms until all have it"), 32, "", n),
        ];
        for (what, clients, query, at_least) in lists {
            let mut cost = self.cost(what.split(',').next().unwrap_or_default());
            let mut row = self.row(what, Better::Lower);
            for _ in 0..self.args.rounds {
                for (i, target) in self.targets.iter().enumerate() {
                    let list = load::list(target, clients, query, at_least);
                    row.add(i, self.costed(&mut cost, i, clients, list).await?);
                }
            }
            self.rows.extend([row.said(), cost.said()]);
        }
        for (clients, gets) in [(1, 2_000), (64, 16_000)] {
            let mut cost = self.cost(&format!("get, {clients} clients"));
            let mut row = self.row(format!("gets/s, {clients} clients"), Better::Higher);
            for _ in 0..self.args.rounds {
                for (i, target) in self.targets.iter().enumerate() {
                    row.add(
                        i,
                        self.costed(&mut cost, i, gets, load::gets(target, clients, gets, Wanted::Any(n))).await?,
                    );
                }
            }
            self.rows.extend([row.said(), cost.said()]);
        }
        let mut cost = self.cost("mixed operation, 64 clients");
        let mut row = self.row("mixed/s (70 % get, 10 % list, create, delete), 64 clients".to_owned(), Better::Higher);
        for round in 0..self.args.rounds {
            for (i, target) in self.targets.iter().enumerate() {
                row.add(i, self.costed(&mut cost, i, 6_400, load::mixed(target, 6_400, round)).await?);
            }
        }
        self.rows.extend([row.said(), cost.said()]);
        Ok(())
    }

    /// Beside what the machine can do at all with the same bytes, in turn with it.
    async fn limits(&mut self) -> Result<()> {
        let Some(otter) = self.otter else { return Ok(()) };
        self.fill(1, self.args.objects).await?;
        let target = &self.targets[0];
        let plain = limits::Plain::start(&otter.data(), &load::one(target).await?, &load::whole(target).await?)?;
        let limit = plain.target()?;
        let mut gets = self.row("gets/s, 64 clients, beside plain hyper".to_owned(), Better::Higher);
        let mut creates = self.row("creates/s, 64 clients, beside plain hyper".to_owned(), Better::Higher);
        let mut lists = self.row(format!("list of {}, ms, beside plain hyper", self.args.objects), Better::Lower);
        for _ in 0..self.args.rounds {
            gets.add(0, load::gets(target, 64, 16_000, Wanted::One).await?);
            gets.add_limit(load::gets(&limit, 64, 16_000, Wanted::One).await?);
        }
        for _ in 0..self.args.rounds {
            lists.add(0, load::list(target, 1, "", self.args.objects).await?);
            lists.add_limit(load::list(&limit, 1, "", self.args.objects).await?);
        }
        // Last: what was created and deleted again occupies a store for a while.
        for round in 0..self.args.rounds {
            creates.add(0, load::creates(target, 64, 6_400, round).await?);
            creates.add_limit(load::creates(&limit, 64, 6_400, round).await?);
        }
        self.rows.extend([gets, lists, creates].map(Row::said));
        drop(plain);
        let dir = tempfile::Builder::new().prefix("bench-store-").tempdir_in("target")?;
        for (writers, total) in [(1, 2_000), (64, 32_000)] {
            let mut row =
                self.row(format!("store alone: creates/s, {writers} writers, beside raw SQLite"), Better::Higher);
            for round in 0..self.args.rounds {
                row.add(0, store::creates(dir.path(), writers, total, round).await?);
                row.add_limit(limits::sqlite(dir.path(), writers, total, round).await?);
            }
            self.rows.push(row.said());
        }
        Ok(())
    }

    async fn watches(&mut self) -> Result<()> {
        let all = Load { watchers: self.args.watchers, per_second: 100, events: 400, collections: 1, writers: 4 };
        self.fan_out(&format!("watch, {} of everything, 100 events/s", all.watchers), all, self.targets.len()).await?;
        let spread = Load { per_second: 1_000, events: 4_000, collections: load::SPREAD, writers: 16, ..all };
        let what = format!("watch, {} over {} namespaces, 1,000 events/s", all.watchers, load::SPREAD);
        self.fan_out(&what, spread, 1).await?;
        if let (Some(otter), 1..) = (self.otter, self.args.idle_watchers) {
            let mut row = self.row(format!("MiB for {} idle watches", self.args.idle_watchers), Better::Lower);
            row.add(0, watch::idle(&self.targets[0], otter.pid(), self.args.idle_watchers).await?);
            self.rows.push(row.said());
        }
        Ok(())
    }

    async fn fan_out(&mut self, what: &str, load: Load, targets: usize) -> Result<()> {
        let mut p50 = self.row(format!("{what}, p50 ms"), Better::Lower);
        let mut p99 = self.row(format!("{what}, p99 ms"), Better::Lower);
        let mut cost = self.cost(&format!("delivery of {what}"));
        let deliveries = load.watchers * load.events / load.collections;
        for round in 0..self.args.rounds {
            for (i, target) in self.targets.iter().take(targets).enumerate() {
                let fan_out = watch::fan_out(target, load, round);
                let latency = self.costed(&mut cost, i, deliveries, fan_out).await?;
                p50.add(i, latency.p50_ms);
                p99.add(i, latency.p99_ms);
            }
        }
        self.rows.extend([p50.said(), p99.said(), cost.said()]);
        Ok(())
    }

    /// Before anything is asked of them: afterwards a server is busy forgetting history for minutes.
    async fn idle(&mut self) -> Result<()> {
        let mut idle = self.row(format!("idle CPU over {} s, % of a core", self.args.idle), Better::Lower);
        for (i, target) in self.targets.iter().enumerate() {
            let Some(pid) = process::listening_on(target.port) else { continue };
            let before = process::cpu_seconds(pid)?;
            let started = Instant::now();
            tokio::time::sleep(std::time::Duration::from_secs(self.args.idle)).await;
            idle.add(i, (process::cpu_seconds(pid)? - before) / started.elapsed().as_secs_f64() * 100.0);
        }
        self.rows.push(idle.said());
        Ok(())
    }

    async fn processes(&mut self) -> Result<()> {
        self.fill(self.targets.len(), self.args.held).await?;
        let held = self.args.held.max(self.args.objects);
        let mut memory =
            self.row(format!("resident memory with {held} objects, after all of this, MiB"), Better::Lower);
        for (i, target) in self.targets.iter().enumerate() {
            let Some(pid) = process::listening_on(target.port) else { continue };
            memory.add(i, process::resident_mib(pid)?);
        }
        self.rows.push(memory.said());
        Ok(())
    }

    /// Lists of many objects, and what 32 of them at once cost the server in memory.
    async fn large(&mut self) -> Result<()> {
        let (Some(otter), n @ 1..) = (self.otter, self.args.large) else { return Ok(()) };
        self.fill(1, n).await?;
        let target = &self.targets[0];
        // Once: what a round leaves behind is not to be taken for what was there before the next.
        let before = process::resident_mib(otter.pid())?;
        let parts = [
            ("whole", "", n),
            ("by pages of 500, the first", "?limit=500", 500),
            ("a hundredth by label", "?labelSelector=slot%3Ds7", n / 100),
        ];
        for (what, query, at_least) in parts {
            let mut cost = self.cost(&format!("list of {n}, {what}"));
            let mut row = self.row(format!("list of {n}, {what}, ms"), Better::Lower);
            for _ in 0..self.args.rounds {
                row.add(0, self.costed(&mut cost, 0, 1, load::list(target, 1, query, at_least)).await?);
            }
            self.rows.extend([row.said(), cost.said()]);
        }
        let mut many = self.row(format!("list of {n} by 32 clients, ms until all have it"), Better::Lower);
        let mut grown = self.row(format!("MiB more while 32 clients list {n}"), Better::Lower);
        for _ in 0..self.args.rounds {
            process::forget_peak(otter.pid())?;
            many.add(0, load::list(target, 32, "", n).await?);
            grown.add(0, process::peak_mib(otter.pid())? - before);
        }
        self.rows.extend([many, grown].map(Row::said));
        Ok(())
    }
}
