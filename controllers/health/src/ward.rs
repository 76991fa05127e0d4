//! What was heard of a stack's containers: which are unhealthy now, and how others ended. Pure; times are Unix nanoseconds.

use otternauts_fleet::End;
use otternauts_types::stack::MAX_PROBE_FAILURES;
use std::collections::{BTreeMap, VecDeque};

/// Restarts are counted over this long (AO-18).
pub const HOUR: i64 = 3600 * 1_000_000_000;
/// Ends that are remembered of one service.
const ENDS: usize = 64;

/// The services of one stack, by the compose file's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ward(pub BTreeMap<String, Service>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Containers whose own health check fails now, as the engine says.
    sick: BTreeMap<String, Sick>,
    /// Containers that the declared check asked, and how they answer. The engine's check and this one know nothing of one another.
    probed: BTreeMap<String, Probed>,
    /// The declared check was asked since we began.
    asked: bool,
    /// How often it had failed in a row before we began, as its Stack says; until it is asked.
    remembered: u32,
    /// A container ended unhealthy then, and none has been healthy since.
    died_sick: Option<(i64, String)>,
    /// Ends that nobody wanted, oldest first.
    ends: VecDeque<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sick {
    server: String,
    output: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Probed {
    server: String,
    /// In a row, up to now.
    failures: u32,
    /// So many make it unhealthy.
    retries: u32,
    /// The answer that made it unhealthy. Later ones may differ in a time of day: what fails for ever is not written for ever.
    why: String,
    /// `why` has been said.
    said: bool,
}

impl Probed {
    fn fails(&self) -> bool {
        self.failures > 0 && self.failures >= self.retries
    }
}

/// An end that nobody wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub container: String,
    pub at: i64,
    pub exit_code: Option<i64>,
    pub oom: bool,
    pub unhealthy: bool,
}

impl Service {
    /// Its own health check failed: `output` is what it said last.
    pub fn unhealthy(&mut self, server: &str, container: &str, output: String) {
        self.sick.insert(container.to_owned(), Sick { server: server.to_owned(), output });
    }

    pub fn healthy(&mut self, container: &str) {
        self.sick.remove(container);
        self.died_sick = None;
    }

    /// A server was looked at: the own checks of only these containers on it fail.
    pub fn seen(&mut self, server: &str, unhealthy: &[String]) {
        self.sick.retain(|id, sick| sick.server != server || unhealthy.contains(id));
    }

    /// The declared check of a container was answered. Answers whether there is something new to say.
    pub fn answered(&mut self, server: &str, container: &str, answer: Result<(), String>, retries: u32) -> bool {
        let before = self.said_by_probes();
        let begun = Probed { failures: self.remembered, ..Probed::default() };
        let probed = self.probed.entry(container.to_owned()).or_insert(begun);
        (probed.server, probed.retries) = (server.to_owned(), retries);
        match answer {
            Ok(()) => (probed.failures, probed.said) = (0, false),
            Err(why) => {
                probed.failures = probed.failures.saturating_add(1);
                if !probed.said {
                    probed.why = why;
                }
                probed.said = probed.fails();
            }
        }
        before != self.said_by_probes()
    }

    /// The declared check finds only these containers on a server. Answers whether there is something new to say.
    pub fn probed_only(&mut self, server: &str, containers: &[String]) -> bool {
        let before = self.said_by_probes();
        self.probed.retain(|id, probed| probed.server != server || containers.contains(id));
        before != self.said_by_probes()
    }

    /// It had failed so often in a row when we began: what goes on failing is not counted anew.
    pub fn remember(&mut self, failures: i32) {
        if !self.asked {
            self.remembered = u32::try_from(failures).unwrap_or_default();
        }
    }

    /// Containers of it have answered the declared check.
    pub fn asked(&mut self) {
        (self.asked, self.remembered) = (true, 0);
    }

    /// Whether the declared check was asked since we began.
    pub fn was_asked(&self) -> bool {
        self.asked
    }

    /// The check that is declared may be another one from now on: what it says next is worth saying.
    pub fn probed_anew(&mut self) {
        self.probed.values_mut().for_each(|probed| probed.said = false);
    }

    /// No check is declared any more.
    pub fn not_probed(&mut self) {
        self.probed.clear();
    }

    /// Nothing is known of a server any more: what was on it says nothing.
    pub fn forget_server(&mut self, server: &str) {
        self.sick.retain(|_, sick| sick.server != server);
        self.probed.retain(|_, probed| probed.server != server);
    }

    /// The servers of which something is known.
    pub fn servers(&self) -> impl Iterator<Item = &str> {
        self.sick.values().map(|s| s.server.as_str()).chain(self.probed.values().map(|p| p.server.as_str()))
    }

    fn said_by_probes(&self) -> (Option<String>, Option<i32>) {
        let failing = self.probed.values().find(|p| p.fails());
        (failing.map(|p| p.why.clone()), self.probe_failures())
    }

    /// The same end may be told again, with more known. Answers whether it is a failure that was not known.
    pub fn ended(&mut self, end: &End, now: i64) -> bool {
        let was = self.sick.remove(&end.container);
        self.probed.remove(&end.container);
        if !end.is_failure() {
            return false;
        }
        // Clocks of hosts differ: nothing ends in our future.
        let at = end.time_nanos.min(now);
        if end.unhealthy {
            self.died_sick = Some((at, was.map(|s| s.output).unwrap_or_default()));
        }
        let failure = Failure {
            container: end.container.clone(),
            at,
            exit_code: end.exit_code,
            oom: end.oom,
            unhealthy: end.unhealthy,
        };
        if let Some(known) = self.ends.iter_mut().find(|f| f.container == end.container) {
            *known = failure;
            return false;
        }
        let after = self.ends.iter().rposition(|f| f.at <= at).map_or(0, |i| i + 1);
        self.ends.insert(after, failure);
        while self.ends.len() > ENDS || self.ends.front().is_some_and(|f| f.at < now - HOUR) {
            self.ends.pop_front();
        }
        true
    }

    /// What an unhealthy container said last, if one is, or was after `since` and nothing has been well since.
    pub fn sickness(&self, since: i64) -> Option<&str> {
        let own = self.sick.values().next().map(|s| s.output.as_str());
        let declared = || self.probed.values().find(|p| p.fails()).map(|p| p.why.as_str());
        let died = || self.died_sick.as_ref().filter(|(at, _)| *at >= since).map(|(_, output)| output.as_str());
        own.or_else(declared).or_else(died)
    }

    /// How often in a row the declared check failed where it failed most; `None` while nothing was asked.
    pub fn probe_failures(&self) -> Option<i32> {
        let most = self.probed.values().map(|p| p.failures).max()?;
        Some(i32::try_from(most).unwrap_or(i32::MAX).min(MAX_PROBE_FAILURES))
    }

    /// Failures from `since` on, oldest first.
    pub fn failures(&self, since: i64) -> impl DoubleEndedIterator<Item = &Failure> {
        self.ends.iter().filter(move |f| f.at >= since)
    }
}

#[cfg(test)]
mod tests;
