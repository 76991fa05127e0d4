//! `/metrics/containers`: samples of what runs, under the names of cAdvisor, by slot and not by container.

use super::text;
use otternauts_fleet::{ContainerSample, Fleet, Round, Samples};
use otternauts_telemetry::Scraped;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The sampling goes on for so long after the last scrape: longer than the usual distance of two scrapes.
const KEEP: Duration = Duration::from_secs(120);
/// The most tasks that are shown, those with most memory first.
const MOST_TASKS: usize = 5000;

/// A stack's name in the swarm -> its namespace and name.
pub type Names = HashMap<String, (String, String)>;

/// Holds the shares of the samplers while somebody scrapes.
pub struct Containers {
    fleet: Fleet,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    shares: HashMap<String, Samples>,
    last_scrape: Option<Instant>,
}

impl Containers {
    pub fn new(fleet: Fleet) -> Self {
        Self { fleet, held: Arc::default() }
    }

    pub fn fill(&self, names: &Names, out: &mut Scraped) {
        write(&self.rounds(), names, out);
    }

    /// The newest rounds of all followed servers; asks for them from now on.
    fn rounds(&self) -> Vec<(String, Arc<Round>)> {
        let mut held = self.held.lock();
        let mut followed = self.fleet.all_followed();
        followed.sort_unstable();
        held.shares.retain(|server, _| followed.binary_search(server).is_ok());
        for server in &followed {
            held.shares.entry(server.clone()).or_insert_with(|| self.fleet.samples(server));
        }
        if held.last_scrape.replace(Instant::now()).is_none() {
            tokio::spawn(let_go(Arc::clone(&self.held)));
        }
        let newest = |server: String| Some((held.shares.get(&server)?.latest()?, server));
        followed.into_iter().filter_map(newest).map(|(round, server)| (server, round)).collect()
    }
}

/// Ends the sampling when nobody has scraped for a while.
async fn let_go(held: Arc<Mutex<Held>>) {
    loop {
        let left = {
            let mut held = held.lock();
            let passed = held.last_scrape.map_or(KEEP, |last| last.elapsed());
            let Some(left) = KEEP.checked_sub(passed).filter(|left| !left.is_zero()) else {
                *held = Held::default();
                return;
            };
            left
        };
        tokio::time::sleep(left).await;
    }
}

/// Rounds by server, with the Stacks that their containers belong to.
pub fn write(rounds: &[(String, Arc<Round>)], names: &Names, out: &mut Scraped) {
    for (server, round) in rounds {
        write_server(server, round, out);
    }
    let mut tasks = tasks(rounds, names);
    tasks.sort_by_key(|task| std::cmp::Reverse(task.sample.memory_bytes));
    let over = tasks.len().saturating_sub(MOST_TASKS);
    if over > 0 {
        out.left_out("container_cpu_usage_seconds_total", u64::try_from(over).unwrap_or(u64::MAX));
    }
    for task in tasks.iter().take(MOST_TASKS) {
        task.write(out);
    }
}

/// The name of a Stack in its swarm, once it has one.
pub fn swarm_name(stack: &Value) -> Option<(String, (String, String))> {
    let metadata = &stack["metadata"];
    let name = stack["status"]["swarmStack"].as_str()?.to_owned();
    Some((name, (text(&metadata["namespace"]).to_owned(), text(&metadata["name"]).to_owned())))
}

#[allow(clippy::cast_precision_loss, reason = "bytes for a page of metrics")]
fn bytes(value: Option<u64>) -> Option<f64> {
    value.map(|bytes| bytes as f64)
}

fn write_server(server: &str, round: &Round, out: &mut Scraped) {
    let sample = &round.server;
    out.sample("otternauts_server_sample_success", &[server], f64::from(u8::from(round.error.is_none())));
    let cpus = sample.cpus.and_then(|cpus| u32::try_from(cpus).ok()).map(f64::from);
    for (name, value) in [
        ("otternauts_server_cpus", cpus),
        ("otternauts_server_memory_total_bytes", bytes(sample.memory_limit)),
        ("otternauts_server_containers_memory_bytes", bytes(sample.memory_bytes)),
        ("otternauts_server_containers_cpu_cores", sample.cpu_percent.map(|percent| percent / 100.0)),
        ("otternauts_server_filesystem_avail_bytes", bytes(sample.disk_free)),
        ("otternauts_server_filesystem_size_bytes", bytes(sample.disk_size)),
    ] {
        if let Some(value) = value {
            out.sample(name, &[server], value);
        }
    }
}

/// The newest container of one slot.
struct Task<'a> {
    server: &'a str,
    namespace: &'a str,
    stack: &'a str,
    sample: &'a ContainerSample,
}

/// In a rolling update a slot has two containers for a while: the one that started last is shown.
fn tasks<'a>(rounds: &'a [(String, Arc<Round>)], names: &'a Names) -> Vec<Task<'a>> {
    let mut newest = HashMap::<(&str, &str, &str, &str), Task<'a>>::new();
    for (server, round) in rounds {
        for sample in &round.containers {
            let Some((namespace, stack)) = sample.swarm_stack.as_ref().and_then(|name| names.get(name)) else {
                continue;
            };
            let (service, slot) = (sample.service.as_deref(), sample.slot.as_deref());
            let key = (server.as_str(), stack.as_str(), service.unwrap_or_default(), slot.unwrap_or_default());
            let task = Task { server, namespace, stack, sample };
            match newest.get(&key) {
                Some(other) if other.namespace == namespace && other.sample.started_at >= sample.started_at => {}
                _ => drop(newest.insert(key, task)),
            }
        }
    }
    newest.into_values().collect()
}

impl Task<'_> {
    fn write(&self, out: &mut Scraped) {
        let sample = self.sample;
        let (service, slot) = (sample.service.as_deref(), sample.slot.as_deref());
        let labels = [self.server, self.namespace, self.stack, service.unwrap_or_default(), slot.unwrap_or_default()];
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
        let started = sample.started_at.map(|millis| millis as f64 / 1000.0);
        for (name, value) in [
            ("container_cpu_usage_seconds_total", sample.cpu_seconds),
            ("container_memory_working_set_bytes", bytes(sample.memory_bytes)),
            ("container_spec_memory_limit_bytes", bytes(sample.memory_limit)),
            ("container_network_receive_bytes_total", bytes(sample.received_bytes)),
            ("container_network_transmit_bytes_total", bytes(sample.sent_bytes)),
            ("container_fs_reads_bytes_total", bytes(sample.read_bytes)),
            ("container_fs_writes_bytes_total", bytes(sample.written_bytes)),
            ("container_processes", bytes(sample.processes)),
            ("container_start_time_seconds", started),
        ] {
            if let Some(value) = value {
                out.sample(name, &labels, value);
            }
        }
    }
}
