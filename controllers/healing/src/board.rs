//! What was heard and measured of services and servers, and the histories that rules are judged by. Pure: times are arguments,
//! milliseconds since 1970.

#[cfg(test)]
mod tests;

use crate::select;
use otternauts_fleet::{ContainerSample, End, Round};
use otternauts_rules::{Expr, Sample};
use otternauts_types::heal_rule::HealTarget;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How far back anything is remembered, and looked at.
pub const DAY: i64 = otternauts_rules::MAX_REACH;
/// Values that hold until told otherwise are sampled at this distance: less than the hole that nobody knows about.
pub const GRID: i64 = 30_000;
/// Ends of one service, and changes of its levels, that are remembered.
const MOST: usize = 512;
/// Services that are remembered, of all swarms.
const SERVICES: usize = 10_000;

/// Values that hold until told otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Level {
    running: Option<u64>,
    desired: Option<u64>,
    unhealthy: Option<bool>,
    /// Failures of a declared check in a row, and since when it is so many.
    probe_failed: Option<(u64, i64)>,
}

/// What a Stack says of one of its services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said<'a> {
    /// Where the Stack runs.
    pub cluster: &'a str,
    pub running: u64,
    pub desired: u64,
    /// Some check of it fails: also one that the Stack declares, which others ask.
    pub unhealthy: bool,
    /// How often in a row a declared one has; `None`: none is, or none was asked.
    pub probe_failed: Option<u64>,
}

#[derive(Debug, Default)]
struct Service {
    cluster: String,
    /// Since when its levels are known.
    since: Option<i64>,
    /// Ends that nobody wanted, by time.
    ends: VecDeque<(i64, String)>,
    levels: VecDeque<(i64, Level)>,
    /// Containers whose health check fails, and the servers they are on.
    sick: BTreeMap<String, String>,
    /// Its Stack says that it is unhealthy.
    said: bool,
    slots: BTreeMap<String, Slot>,
}

/// What was measured of one replica.
#[derive(Debug, Default)]
struct Slot {
    container: String,
    name: String,
    samples: VecDeque<Sample>,
}

/// A service, by the stack's name in the swarm and its own in the compose file.
type Key = (String, String);

/// What is known of all services and servers.
#[derive(Debug, Default)]
pub struct Board {
    services: BTreeMap<Key, Service>,
    servers: BTreeMap<String, VecDeque<Sample>>,
    /// Servers whose engine is not heard now.
    lost: BTreeSet<String>,
    /// All Servers, and the clusters they are of.
    clusters: BTreeMap<String, String>,
}

/// Which history is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub expr: &'a Expr,
    pub target: &'a HealTarget,
    /// The end of the last deployment: what was before it is of other containers.
    pub anew: i64,
    pub now: i64,
}

impl Board {
    fn service(&mut self, stack: &str, service: &str) -> Option<&mut Service> {
        let key = (stack.to_owned(), service.to_owned());
        if self.services.len() >= SERVICES && !self.services.contains_key(&key) {
            return None;
        }
        Some(self.services.entry(key).or_default())
    }

    /// A container ended. The same end may be told again.
    pub fn ended(&mut self, stack: &str, service: &str, end: &End, now: i64) {
        let deaf = self.deaf();
        let Some(service) = self.service(stack, service) else { return };
        if service.sick.remove(&end.container).is_some() {
            service.judge_health(&deaf, now);
        }
        // Clocks of hosts differ: nothing ends in our future.
        let at = (end.time_nanos / 1_000_000).min(now);
        let known = service.ends.iter().any(|(_, container)| *container == end.container);
        if !end.is_failure() || known || at < now - DAY {
            return;
        }
        let place = service.ends.partition_point(|(t, _)| *t <= at);
        service.ends.insert(place, (at, end.container.clone()));
        while service.ends.len() > MOST || service.ends.front().is_some_and(|(t, _)| *t < now - DAY) {
            service.ends.pop_front();
        }
    }

    /// A health check changed its mind.
    pub fn checked(&mut self, server: &str, stack: &str, service: &str, container: &str, unhealthy: bool, now: i64) {
        let deaf = self.deaf();
        let Some(service) = self.service(stack, service) else { return };
        if unhealthy && service.sick.len() < MOST {
            service.sick.insert(container.to_owned(), server.to_owned());
        } else {
            service.sick.remove(container);
        }
        service.judge_health(&deaf, now);
    }

    /// A server was looked at: nothing on it is unhealthy but what is told after this.
    pub fn heard(&mut self, server: &str, now: i64) {
        self.lost.remove(server);
        self.without_sick_of(server, now);
    }

    /// The engine of a server is not heard any more: what was told of its containers says nothing about what runs now.
    pub fn lost(&mut self, server: &str, now: i64) {
        if self.lost.insert(server.to_owned()) {
            self.without_sick_of(server, now);
        }
    }

    fn without_sick_of(&mut self, server: &str, now: i64) {
        let deaf = self.deaf();
        for service in self.services.values_mut() {
            service.sick.retain(|_, on| on != server);
            service.judge_health(&deaf, now);
        }
    }

    /// All Servers that there are, each with its cluster. What was known of others is forgotten.
    pub fn servers(&mut self, clusters: BTreeMap<String, String>, now: i64) {
        let sick = self.services.values().flat_map(|s| s.sick.values());
        let known = self.clusters.keys().chain(self.servers.keys()).chain(&self.lost).chain(sick);
        let gone: BTreeSet<String> = known.filter(|name| !clusters.contains_key(*name)).cloned().collect();
        if gone.is_empty() && self.clusters == clusters {
            return;
        }
        self.clusters = clusters;
        for server in &gone {
            self.servers.remove(server);
            self.lost.remove(server);
        }
        let deaf = self.deaf();
        for service in self.services.values_mut() {
            service.sick.retain(|_, on| !gone.contains(on));
            service.judge_health(&deaf, now);
        }
    }

    /// The clusters in which an engine is not heard; `None` for one that is not known (yet) to be of any.
    fn deaf(&self) -> BTreeSet<Option<String>> {
        self.lost.iter().map(|server| self.clusters.get(server).cloned()).collect()
    }

    /// What its Stack says of a service.
    pub fn said(&mut self, stack: &str, service: &str, said: Said<'_>, now: i64) {
        let deaf = self.deaf();
        let Some(service) = self.service(stack, service) else { return };
        let moved = service.cluster != said.cluster;
        if moved {
            said.cluster.clone_into(&mut service.cluster);
        }
        let judge = service.since.is_none() || moved || service.said != said.unhealthy;
        service.since.get_or_insert(now);
        service.said = said.unhealthy;
        let before = service.level();
        let since = |n| before.probe_failed.filter(|(known, _)| *known == n).map_or(now, |(_, at)| at);
        let probe_failed = said.probe_failed.map(|n| (n, since(n)));
        service.push(Level { running: Some(said.running), desired: Some(said.desired), probe_failed, ..before }, now);
        if judge {
            service.judge_health(&deaf, now);
        }
    }

    /// Forgets services of stacks that are not there any more.
    pub fn keep_stacks(&mut self, is_there: impl Fn(&str) -> bool) {
        self.services.retain(|(stack, _), _| is_there(stack));
    }

    /// A round of measurements; `keep` is how far back rules look.
    pub fn measured(&mut self, server: &str, round: &Round, keep: i64) {
        let (keep, since) = (keep.min(DAY), round.at - keep.min(DAY) - 2 * GRID);
        if round.error.is_some() && round.containers.is_empty() {
            return;
        }
        let of_server = Sample {
            at: round.at,
            cpu: round.server.cpu_percent,
            memory: bytes(round.server.memory_bytes),
            memory_limit: bytes(round.server.memory_limit),
            disk_free: bytes(round.server.disk_free),
            disk_size: bytes(round.server.disk_size),
            ..Sample::default()
        };
        for container in &round.containers {
            let (Some(stack), Some(name)) = (&container.swarm_stack, &container.service) else { continue };
            let Some(service) = self.service(stack, name) else { continue };
            service.measured(container, &of_server, since);
        }
        // A replica that is gone is not judged by what it once was.
        let old = round.at - keep.max(4 * GRID);
        let services = self.services.values_mut();
        services.for_each(|s| s.slots.retain(|_, slot| slot.samples.back().is_some_and(|s| s.at >= old)));
        let samples = self.servers.entry(server.to_owned()).or_default();
        push(samples, of_server, since);
    }

    /// One history for each replica, or one for all where nothing has to be measured.
    pub fn histories(&self, stack: &str, service: &str, wanted: Wanted<'_>) -> Vec<Vec<Sample>> {
        let Some(service) = self.services.get(&(stack.to_owned(), service.to_owned())) else { return Vec::new() };
        if !wanted.expr.needs_samples() {
            return vec![service.told(wanted)];
        }
        let slots = service.slots.values().filter(|slot| select::container(wanted.target, &slot.name));
        slots.map(|slot| service.with_levels(&slot.samples, wanted)).collect()
    }

    pub fn server_history(&self, server: &str, wanted: Wanted<'_>) -> Vec<Vec<Sample>> {
        let Some(samples) = self.servers.get(server) else { return Vec::new() };
        vec![samples.iter().filter(|s| s.at > wanted.anew && s.at <= wanted.now).copied().collect()]
    }

    /// When the truth of a rule about this service may change though nothing happens.
    pub fn next_change(&self, stack: &str, service: &str, wanted: Wanted<'_>) -> Option<i64> {
        let service = self.services.get(&(stack.to_owned(), service.to_owned()))?;
        let spans: Vec<i64> = wanted.expr.spans().iter().map(|s| s.millis()).chain([wanted.expr.reach()]).collect();
        let ends = service.ends.iter().map(|(at, _)| *at);
        let since = ends.chain(service.levels.iter().map(|(at, _)| *at)).chain(service.since).chain([wanted.anew]);
        let at = since.flat_map(|at| spans.iter().map(move |span| at.saturating_add(*span)));
        at.filter(|at| *at > wanted.now).min()
    }
}

impl Service {
    fn level(&self) -> Level {
        self.levels.back().map(|(_, level)| *level).unwrap_or_default()
    }

    fn push(&mut self, level: Level, now: i64) {
        if level == self.level() && !self.levels.is_empty() {
            return;
        }
        self.levels.push_back((now, level));
        // The last one before the day began still holds in it.
        while self.levels.len() > MOST || self.levels.get(1).is_some_and(|(at, _)| *at < now - DAY) {
            self.levels.pop_front();
        }
    }

    /// While an engine of its cluster is not heard nobody knows that all are well.
    fn judge_health(&mut self, deaf: &BTreeSet<Option<String>>, now: i64) {
        if self.since.is_none() {
            return;
        }
        let heard = !deaf.contains(&None) && !deaf.iter().flatten().any(|cluster| *cluster == self.cluster);
        let well = self.sick.is_empty() && !self.said;
        let unhealthy = if well { heard.then_some(false) } else { Some(true) };
        self.push(Level { unhealthy, ..self.level() }, now);
    }

    fn measured(&mut self, container: &ContainerSample, of_server: &Sample, since: i64) {
        let slot = self.slots.entry(container.slot.clone().unwrap_or_default()).or_default();
        if slot.container != container.id {
            // Another container: what was measured of the one before says nothing about it.
            *slot = Slot { container: container.id.clone(), name: container.name.clone(), ..Slot::default() };
        }
        let sample = Sample {
            cpu: container.cpu_percent,
            memory: bytes(container.memory_bytes),
            memory_limit: bytes(container.memory_limit),
            ..*of_server
        };
        push(&mut slot.samples, sample, since);
    }

    /// What was told, at each change and in between.
    fn told(&self, wanted: Wanted<'_>) -> Vec<Sample> {
        let Wanted { now, anew, .. } = wanted;
        let begin = (now - wanted.expr.reach().min(DAY)).max(anew.saturating_add(1));
        let ends = self.ends.iter().flat_map(|(at, _)| [*at - 1, *at]);
        let levels = self.levels.iter().map(|(at, _)| *at);
        let grid = self.since.map(|since| since.max(begin)).into_iter();
        let grid =
            grid.flat_map(|from| std::iter::successors(Some(from), |at| Some(at + GRID)).take_while(|at| *at < now));
        let times: BTreeSet<i64> = ends.chain(levels).chain(grid).chain([now]).collect();
        times
            .into_iter()
            .filter(|at| (begin..=now).contains(at))
            .map(|at| self.at(at, anew, Sample::default()))
            .collect()
    }

    fn with_levels(&self, samples: &VecDeque<Sample>, wanted: Wanted<'_>) -> Vec<Sample> {
        let within = samples.iter().filter(|s| s.at > wanted.anew && s.at <= wanted.now);
        within.map(|sample| self.at(sample.at, wanted.anew, *sample)).collect()
    }

    /// The levels of one moment, in a sample.
    fn at(&self, at: i64, anew: i64, sample: Sample) -> Sample {
        let ended = self.ends.iter().filter(|(t, _)| *t > anew && *t <= at).count();
        let known = self.levels.partition_point(|(t, _)| *t <= at).checked_sub(1);
        let level = known.and_then(|i| self.levels.get(i)).map(|(_, level)| *level).unwrap_or_default();
        Sample {
            at,
            restarts: u64::try_from(ended).ok(),
            replicas_running: level.running,
            replicas_desired: level.desired,
            unhealthy: level.unhealthy,
            // What was counted before a deployment may be of its predecessors.
            probe_failed: level.probe_failed.filter(|(_, since)| *since > anew).map(|(n, _)| n),
            ..sample
        }
    }
}

fn push(samples: &mut VecDeque<Sample>, sample: Sample, since: i64) {
    if samples.back().is_some_and(|last| last.at >= sample.at) {
        return;
    }
    samples.push_back(sample);
    while samples.front().is_some_and(|s| s.at < since) {
        samples.pop_front();
    }
}

#[allow(clippy::cast_precision_loss, reason = "bytes are compared with round numbers")]
fn bytes(n: Option<u64>) -> Option<f64> {
    n.map(|n| n as f64)
}
