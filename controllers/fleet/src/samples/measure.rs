//! One round of measurements: asks, and turns counters into shares.

use super::{Engine, Round};
use crate::command::Command;
use crate::docker::{RunningContainer, Usage};
use crate::error::{Error, Result};
use futures::StreamExt as _;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Containers of one server that are measured.
pub(super) const MOST: usize = 500;
/// Questions to one engine at a time: fewer than the four that a connection behind sudo has for everybody.
const AT_ONCE: usize = 3;
/// One container that answers slower than this is left out of the round.
const SLOW: Duration = Duration::from_secs(4);

const SWARM_STACK: &str = "com.docker.stack.namespace";
const SWARM_SERVICE: &str = "com.docker.swarm.service.name";
const SWARM_TASK: &str = "com.docker.swarm.task.name";

/// What one container uses. Counters count from its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerSample {
    pub id: String,
    pub name: String,
    /// The stack's name in the swarm (`Stack.status.swarmStack`); none for what is no part of a stack.
    pub swarm_stack: Option<String>,
    /// The compose file's name for its service, or the swarm's for what is no part of a stack.
    pub service: Option<String>,
    /// Replica number, or the node of a global service.
    pub slot: Option<String>,
    /// Percent of one core since the round before; none in a container's first round.
    pub cpu_percent: Option<f64>,
    pub cpu_seconds: Option<f64>,
    /// Without the page cache that is not in use.
    pub memory_bytes: Option<u64>,
    /// Its limit; the memory of the machine where it has none.
    pub memory_limit: Option<u64>,
    pub received_bytes: Option<u64>,
    pub sent_bytes: Option<u64>,
    pub read_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
    pub processes: Option<u64>,
    /// Milliseconds since 1970.
    pub started_at: Option<i64>,
}

/// What a server has, and what its containers use of it together: other programs of the machine are not counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerSample {
    pub cpus: Option<i64>,
    /// Percent of one core: 200 is two cores. None until a container was measured twice.
    pub cpu_percent: Option<f64>,
    pub memory_bytes: Option<u64>,
    /// What the machine has.
    pub memory_limit: Option<u64>,
    pub received_bytes: Option<u64>,
    pub sent_bytes: Option<u64>,
    pub read_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
    pub processes: Option<u64>,
    /// Of the file system that holds the engine's data.
    pub disk_free: Option<u64>,
    pub disk_size: Option<u64>,
}

/// What is remembered of containers from round to round.
#[derive(Default)]
pub(super) struct Memory(HashMap<String, Remembered>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Remembered {
    cpu: Option<(i64, u64)>,
    started_at: Option<i64>,
}

pub(super) async fn round(engine: &Engine, memory: &mut Memory, deadline: Instant) -> Result<Round> {
    let late = |_| Error::Timeout { what: "measuring containers", after: super::LIMIT };
    let listed = timeout_at(deadline, engine.docker.running_containers()).await.map_err(late)??;
    let running = listed.len();
    let measured = containers(engine, chosen(listed), memory, deadline);
    let (usages, disk) = tokio::join!(measured, timeout_at(deadline, disk(engine)));
    let containers: Vec<_> = usages.iter().map(|(c, u, s)| memory.sample(c, u, *s)).collect();
    memory.forget_all_but(&containers);
    let (disk_free, disk_size) = disk.ok().flatten().unzip();
    let missing = running.saturating_sub(containers.len());
    let mut server = total(&containers);
    server.cpus = Some(engine.cpus).filter(|n| *n > 0);
    server.memory_limit = u64::try_from(engine.memory_bytes).ok().filter(|n| *n > 0);
    (server.disk_free, server.disk_size) = (disk_free, disk_size);
    let error = (missing > 0).then(|| format!("{missing} of {running} containers were not measured"));
    Ok(Round { at: 0, server, containers, missing, error })
}

/// By name, so that a server with too many is measured the same way each time.
fn chosen(mut listed: Vec<RunningContainer>) -> Vec<RunningContainer> {
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    listed.truncate(MOST);
    listed
}

type Read = (RunningContainer, Usage, Option<i64>);

/// Those that answer in time, by name.
async fn containers(engine: &Engine, list: Vec<RunningContainer>, memory: &Memory, deadline: Instant) -> Vec<Read> {
    let read = |container: RunningContainer| async move {
        let ask = async {
            let usage = engine.docker.usage(&container.id).await.ok()??;
            let started = match memory.started_at(&container.id, &usage) {
                Some(at) => Some(at),
                None => engine.docker.started_at(&container.id).await.ok().flatten(),
            };
            Some((usage, started))
        };
        let (usage, started) = timeout(SLOW, ask).await.ok()??;
        Some((container, usage, started))
    };
    let mut answers = futures::stream::iter(list).map(read).buffer_unordered(AT_ONCE);
    let mut all = Vec::new();
    while let Ok(Some(answer)) = timeout_at(deadline, answers.next()).await {
        all.extend(answer);
    }
    all.sort_by(|(a, ..), (b, ..)| a.name.cmp(&b.name));
    all
}

async fn disk(engine: &Engine) -> Option<(u64, u64)> {
    // Its status says only whether both directories are there.
    df(&engine.host.run(Command::DiskUsage).await.ok()?.stdout)
}

/// Free and all bytes of the last line of `df -P -k`.
pub(super) fn df(text: &str) -> Option<(u64, u64)> {
    let mut words = text.lines().skip(1).last()?.split_whitespace().skip(1);
    let size: u64 = words.next()?.parse().ok()?;
    let free: u64 = words.nth(1)?.parse().ok()?;
    Some((free.checked_mul(1024)?, size.checked_mul(1024)?))
}

fn total(containers: &[ContainerSample]) -> ServerSample {
    let sum =
        |of: fn(&ContainerSample) -> Option<u64>| Some(containers.iter().filter_map(of).fold(0, u64::saturating_add));
    let shares: Vec<f64> = containers.iter().filter_map(|c| c.cpu_percent).collect();
    ServerSample {
        cpu_percent: (!shares.is_empty()).then(|| shares.iter().sum()),
        memory_bytes: sum(|c| c.memory_bytes),
        received_bytes: sum(|c| c.received_bytes),
        sent_bytes: sum(|c| c.sent_bytes),
        read_bytes: sum(|c| c.read_bytes),
        written_bytes: sum(|c| c.written_bytes),
        processes: sum(|c| c.processes),
        ..ServerSample::default()
    }
}

impl Memory {
    /// None when it must be asked for: a container seen for the first time, or one that began anew.
    fn started_at(&self, id: &str, usage: &Usage) -> Option<i64> {
        let known = self.0.get(id)?;
        let anew = known.cpu.zip(usage.cpu_nanos).is_some_and(|((_, before), now)| now < before);
        known.started_at.filter(|_| !anew)
    }

    pub(super) fn sample(
        &mut self,
        container: &RunningContainer,
        usage: &Usage,
        started: Option<i64>,
    ) -> ContainerSample {
        let label = |name: &str| container.labels.get(name).cloned();
        let stack = label(SWARM_STACK);
        let in_swarm = label(SWARM_SERVICE);
        let slot = slot(label(SWARM_TASK).as_deref(), in_swarm.as_deref());
        let service = in_swarm.map(|name| match &stack {
            Some(stack) => name.strip_prefix(&format!("{stack}_")).unwrap_or(&name).to_owned(),
            None => name,
        });
        let known = self.0.entry(container.id.clone()).or_default();
        let now = usage.cpu_nanos.map(|cpu| (usage.read_nanos, cpu));
        let cpu_percent = known.cpu.zip(now).and_then(|(before, now)| share(before, now));
        *known = Remembered { cpu: now, started_at: started };
        #[allow(
            clippy::cast_precision_loss,
            reason = "2^53 ns are 104 days of a core, and then a microsecond counts no more"
        )]
        let cpu_seconds = usage.cpu_nanos.map(|n| n as f64 / 1e9);
        ContainerSample {
            id: container.id.clone(),
            name: container.name.clone(),
            swarm_stack: stack,
            service,
            slot,
            cpu_percent,
            cpu_seconds,
            memory_bytes: usage.memory_bytes,
            memory_limit: usage.memory_limit,
            received_bytes: usage.received_bytes,
            sent_bytes: usage.sent_bytes,
            read_bytes: usage.read_bytes,
            written_bytes: usage.written_bytes,
            processes: usage.processes,
            started_at: started,
        }
    }

    fn forget_all_but(&mut self, containers: &[ContainerSample]) {
        self.0.retain(|id, _| containers.iter().any(|c| c.id == *id));
    }
}

/// Percent of one core between two readings `(when, time on a core)`, both in nanoseconds.
#[allow(clippy::cast_precision_loss, reason = "differences of seconds")]
fn share(before: (i64, u64), now: (i64, u64)) -> Option<f64> {
    let passed = now.0.checked_sub(before.0).filter(|n| *n > 0)?;
    let used = now.1.checked_sub(before.1)?;
    Some(100.0 * used as f64 / passed as f64)
}

/// The middle of `service.slot.task`, where the service may have dots too.
fn slot(task: Option<&str>, service: Option<&str>) -> Option<String> {
    let rest = task?.strip_prefix(service?)?.strip_prefix('.')?;
    rest.split('.').next().map(str::to_owned).filter(|s| !s.is_empty())
}
