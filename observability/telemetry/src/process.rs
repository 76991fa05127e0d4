//! What the kernel says of this process, read when scraped.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::time::{SystemTime, UNIX_EPOCH};

/// The kernel counts CPU time in hundredths of a second on every Linux we run on.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: i64 = 4096;

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

/// User plus system CPU time so far, in seconds.
pub fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may hold spaces: count from behind it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// Resident memory in bytes.
pub fn resident_bytes() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<i64>().ok()? * PAGE_BYTES)
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if let Some(seconds) = cpu_seconds() {
            let metric = ConstCounter::new(seconds);
            let e = encoder.encode_descriptor("process_cpu_seconds", "CPU time used", None, metric.metric_type())?;
            metric.encode(e)?;
        }
        if let Some(bytes) = resident_bytes() {
            let metric = ConstGauge::new(bytes);
            let e = encoder.encode_descriptor(
                "process_resident_memory_bytes",
                "Resident memory",
                None,
                metric.metric_type(),
            )?;
            metric.encode(e)?;
        }
        if let Ok(dir) = std::fs::read_dir("/proc/self/fd") {
            let metric = ConstGauge::new(i64::try_from(dir.count()).unwrap_or(i64::MAX));
            let e = encoder.encode_descriptor("process_open_fds", "Open files", None, metric.metric_type())?;
            metric.encode(e)?;
        }
        let metric = ConstGauge::new(self.started);
        let e = encoder.encode_descriptor(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            None,
            metric.metric_type(),
        )?;
        metric.encode(e)
    }
}
