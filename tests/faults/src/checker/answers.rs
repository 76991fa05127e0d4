//! Answers against the log: real time, preconditions of what was refused, gets and lists.

use super::Violation;
use super::log::{Log, changes, holds};
use crate::history::{Action, History, Item, Key, Moment, Operation, Outcome, Revision};
use std::collections::BTreeMap;

/// What time says about revisions.
struct Times {
    /// `(moment, the newest revision that anybody had been answered by then)`, moments rising.
    known: Vec<(Moment, Revision)>,
    /// `(moment, the oldest revision of a write sent at or after it)`, moments rising.
    later: Vec<(Moment, Revision)>,
}

pub(super) fn check(history: &History, log: &Log, violations: &mut Vec<Violation>) {
    let times = Times::of(history, log);
    for (number, operation) in history.operations.iter().enumerate() {
        let low = times.known_before(operation.sent, history.start);
        match &operation.action {
            Action::Write(_) if operation.outcome == Outcome::Refused => {
                let high = times.high(operation);
                if !refusable(history, log, number, (low, high)) {
                    violations.push(Violation::Refused { operation: number });
                }
            }
            Action::Write(_) => {
                if let Some(&revision) = log.took_place.get(&number)
                    && revision <= low
                {
                    violations.push(Violation::WentBack { operation: number, revision, known: low });
                }
            }
            Action::Get(key) => {
                let high = times.high(operation);
                if let Outcome::Found(found) = operation.outcome
                    && !log.moments(&[*key], low, high).into_iter().any(|at| log.state(*key, at) == found)
                {
                    violations.push(Violation::WrongRead { operation: number, low, high });
                }
            }
            Action::List => check_list(log, number, operation, (low, times.high(operation)), violations),
        }
    }
}

fn refusable(history: &History, log: &Log, number: usize, (low, high): (Revision, Revision)) -> bool {
    let changes = changes(history, number);
    let keys: Vec<Key> = changes.iter().map(|change| change.key).collect();
    log.moments(&keys, low, high).into_iter().any(|at| {
        changes.iter().any(|change| {
            let state = log.state(change.key, at);
            !holds(change.expects, state) || (change.put.is_none() && state.is_none())
        })
    })
}

fn check_list(
    log: &Log,
    number: usize,
    operation: &Operation,
    (low, high): (Revision, Revision),
    violations: &mut Vec<Violation>,
) {
    let Outcome::Listed { at, items } = &operation.outcome else { return };
    if *at < low {
        violations.push(Violation::WentBack { operation: number, revision: *at, known: low });
    }
    if *at > high {
        violations.push(Violation::WrongRead { operation: number, low, high });
    }
    let mut listed: BTreeMap<Key, &Item> = BTreeMap::new();
    for item in items {
        if listed.insert(item.key, item).is_some() {
            violations.push(Violation::WrongList { operation: number, at: *at, key: item.key });
        }
    }
    let mut keys: Vec<Key> = log.keys().chain(listed.keys().copied()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let is = listed.get(&key).map(|item| (item.token, item.revision));
        if log.state(key, *at) != is {
            violations.push(Violation::WrongList { operation: number, at: *at, key });
            return;
        }
    }
}

impl Times {
    fn of(history: &History, log: &Log) -> Times {
        let mut known = Vec::new();
        let mut later = Vec::new();
        for (number, operation) in history.operations.iter().enumerate() {
            let took_place = log.took_place.get(&number).copied();
            if let (Some(revision), Action::Write(_)) = (took_place, &operation.action) {
                later.push((operation.sent, revision));
            }
            let learned = match &operation.outcome {
                Outcome::Done(_) => took_place,
                Outcome::Found(found) => found.map(|(_, revision)| revision),
                Outcome::Listed { at, .. } => Some(*at),
                Outcome::Refused | Outcome::Unknown => None,
            };
            if let (Some(moment), Some(revision)) = (operation.answered, learned) {
                known.push((moment, revision));
            }
        }
        known.sort_unstable();
        let mut newest = 0;
        for (_, revision) in &mut known {
            newest = newest.max(*revision);
            *revision = newest;
        }
        later.sort_unstable();
        let mut oldest = Revision::MAX;
        for (_, revision) in later.iter_mut().rev() {
            oldest = oldest.min(*revision);
            *revision = oldest;
        }
        Times { known, later }
    }

    /// The newest revision that was answered to anybody before this moment.
    fn known_before(&self, moment: Moment, start: Revision) -> Revision {
        let before = self.known.partition_point(|(answered, _)| *answered < moment);
        before.checked_sub(1).map_or(start, |last| self.known[last].1.max(start))
    }

    /// The newest revision that can have existed when the answer came: older than every write that was sent later.
    fn high(&self, operation: &Operation) -> Revision {
        let Some(moment) = operation.answered else { return Revision::MAX };
        let after = self.later.partition_point(|(sent, _)| *sent <= moment);
        self.later.get(after).map_or(Revision::MAX, |(_, revision)| revision - 1)
    }
}
