//! What the kernel says of this process, read when scraped.

use crate::names;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::time::{SystemTime, UNIX_EPOCH};

/// The kernel counts CPU time in hundredths of a second on every Linux we run on.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: i64 = 4096;

/// The names that this collector writes.
pub(crate) const NAMES: [&str; 7] = [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_threads",
    "process_start_time_seconds",
];

/// The `process_*` families that every Prometheus client exports.
#[derive(Debug)]
pub struct Process {
    started: f64,
}

impl Process {
    pub(crate) fn new() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        Self { started }
    }
}

/// What `/proc/self/stat` says.
struct Stat {
    cpu_seconds: f64,
    threads: i64,
    virtual_bytes: i64,
}

fn stat() -> Option<Stat> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may hold spaces: count from behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<f64>().ok();
    let whole = |index: usize| fields.get(index)?.parse::<i64>().ok();
    Some(Stat {
        cpu_seconds: (number(11)? + number(12)?) / TICKS_PER_SECOND,
        threads: whole(17)?,
        virtual_bytes: whole(20)?,
    })
}

/// User plus system CPU time so far, in seconds.
pub fn cpu_seconds() -> Option<f64> {
    stat().map(|stat| stat.cpu_seconds)
}

/// Resident memory in bytes.
pub fn resident_bytes() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<i64>().ok()? * PAGE_BYTES)
}

fn open_files() -> Option<i64> {
    std::fs::read_dir("/proc/self/fd").ok().map(|dir| i64::try_from(dir.count()).unwrap_or(i64::MAX))
}

/// The soft limit.
fn most_files() -> Option<i64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stat = stat();
        if let Some(stat) = &stat {
            let metric = ConstCounter::new(stat.cpu_seconds);
            write(&mut encoder, "process_cpu_seconds_total", &metric)?;
        }
        let gauges = [
            ("process_resident_memory_bytes", resident_bytes()),
            ("process_virtual_memory_bytes", stat.as_ref().map(|stat| stat.virtual_bytes)),
            ("process_threads", stat.as_ref().map(|stat| stat.threads)),
            ("process_open_fds", open_files()),
            ("process_max_fds", most_files()),
        ];
        for (name, value) in gauges {
            if let Some(value) = value {
                write(&mut encoder, name, &ConstGauge::new(value))?;
            }
        }
        write(&mut encoder, "process_start_time_seconds", &ConstGauge::new(self.started))
    }
}

fn write(encoder: &mut DescriptorEncoder<'_>, name: &str, metric: &impl EncodeMetric) -> std::fmt::Result {
    let Some(family) = names::find(name) else { return Ok(()) };
    metric.encode(encoder.encode_descriptor(family.base(), &family.described(), None, metric.metric_type())?)
}
