//! What was heard of a stack's containers: which are unhealthy now, and how others ended. Pure; times are Unix nanoseconds.

use otternauts_fleet::End;
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
    /// Containers whose health check fails now.
    sick: BTreeMap<String, Sick>,
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
    /// Its health check failed: `output` is what it said last.
    pub fn unhealthy(&mut self, server: &str, container: &str, output: String) {
        self.sick.insert(container.to_owned(), Sick { server: server.to_owned(), output });
    }

    pub fn healthy(&mut self, container: &str) {
        self.sick.remove(container);
        self.died_sick = None;
    }

    /// A server was looked at: only these containers on it are unhealthy.
    pub fn seen(&mut self, server: &str, unhealthy: &[String]) {
        self.sick.retain(|id, sick| sick.server != server || unhealthy.contains(id));
    }

    /// The same end may be told again, with more known. Answers whether it is a failure that was not known.
    pub fn ended(&mut self, end: &End, now: i64) -> bool {
        let was = self.sick.remove(&end.container);
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
        let now = self.sick.values().next().map(|s| s.output.as_str());
        now.or_else(|| self.died_sick.as_ref().filter(|(at, _)| *at >= since).map(|(_, output)| output.as_str()))
    }

    /// Failures from `since` on, oldest first.
    pub fn failures(&self, since: i64) -> impl DoubleEndedIterator<Item = &Failure> {
        self.ends.iter().filter(move |f| f.at >= since)
    }
}

#[cfg(test)]
mod tests;
