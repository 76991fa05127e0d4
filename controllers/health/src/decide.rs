//! From what was heard to the four conditions. Pure; times are Unix nanoseconds.

use crate::ward::{Failure, HOUR, Service, Ward};
use otternauts_types::stack::{ServiceStatus, StackPhase, StackStatus};
use otternauts_types::{Condition, ConditionStatus};
use std::time::Duration;

const SECOND: i64 = 1_000_000_000;
/// So many restarts in an hour are a loop (AO-18).
const LOOP: usize = 5;
/// A loop is over when nothing failed for this long, as Kubernetes resets its back-off.
const LOOP_QUIET: i64 = 600 * SECOND;
/// A service has enough memory when nothing ran out of it for this long.
const OOM_QUIET: i64 = 300 * SECOND;
/// A stack is degraded for this long after a failure, so that what fails again and again is told once.
const FAILURE_QUIET: i64 = 30 * SECOND;

/// What is said when nothing is wrong.
pub const AS_EXPECTED: &str = "AsExpected";

/// One of the conditions of this controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub condition: &'static str,
    /// `None`: it does not hold.
    pub found: Option<Found>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub reason: &'static str,
    pub message: String,
}

/// What to say of a stack, and when to look again though nothing happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub findings: [Finding; 4],
    pub again: Option<Duration>,
}

/// `status` is as the deploy controller wrote it; `since` is when the last rollout began or ended: what failed before is over.
pub fn decide(ward: &Ward, status: &StackStatus, now: i64) -> Verdict {
    if status.phase == StackPhase::Stopped {
        return Verdict { findings: findings([None, None, None, None]), again: None };
    }
    let since = last_rollout(status);
    // Services that the stack has no more are of no interest.
    let services = || {
        let known = |name: &String| status.services.iter().any(|s| s.name == *name);
        ward.0.iter().filter(move |(name, _)| known(name))
    };
    let oom = services().find_map(|(name, s)| out_of_memory(name, s, since, now));
    let looping = services().find_map(|(name, s)| crash_loop(name, s, since, now));
    let unhealthy = services().find_map(|(name, s)| sick(name, s, since));
    let worst = [&oom, &looping, &unhealthy].into_iter().find_map(Clone::clone);
    let degraded = worst
        .or_else(|| services().find_map(|(name, s)| failed(name, s, since, now)))
        .or_else(|| status.services.iter().find_map(|s| short(s, status)));
    let ends = services().flat_map(|(_, s)| s.failures(since)).flat_map(|f| passes(f, now)).min();
    Verdict { findings: findings([oom, looping, unhealthy, degraded]), again: ends.map(until(now)) }
}

fn findings([oom, looping, unhealthy, degraded]: [Option<Found>; 4]) -> [Finding; 4] {
    [
        Finding { condition: "OOMKilled", found: oom },
        Finding { condition: "CrashLooping", found: looping },
        Finding { condition: "Unhealthy", found: unhealthy },
        Finding { condition: "Degraded", found: degraded },
    ]
}

/// Rollouts are seen in the transitions of `Progressing`.
fn last_rollout(status: &StackStatus) -> i64 {
    let progressing = status.conditions.iter().find(|c| c.r#type == "Progressing");
    let at = progressing.and_then(|c| c.last_transition_time.as_deref()?.parse::<jiff::Timestamp>().ok());
    at.map_or(0, |t| i64::try_from(t.as_nanosecond()).unwrap_or(i64::MAX))
}

fn out_of_memory(name: &str, service: &Service, since: i64, now: i64) -> Option<Found> {
    service.failures(since.max(now - OOM_QUIET)).rev().find(|f| f.oom)?;
    let message = format!("Service {name} ran out of memory: a container of it was killed");
    Some(Found { reason: "OutOfMemory", message })
}

fn crash_loop(name: &str, service: &Service, since: i64, now: i64) -> Option<Found> {
    let last = service.failures(since).next_back().filter(|f| f.at > now - LOOP_QUIET)?;
    let times = service.failures(since.max(last.at - HOUR)).count();
    let message = format!("Service {name} restarted {LOOP} times in 1 hour");
    (times >= LOOP).then_some(Found { reason: "CrashLooping", message })
}

/// OT-F12.
fn sick(name: &str, service: &Service, since: i64) -> Option<Found> {
    let output = service.sickness(since)?.trim();
    let detail = if output.is_empty() { String::new() } else { format!(" ({output})") };
    Some(Found { reason: "Unhealthy", message: format!("Service {name} is unhealthy{detail}") })
}

fn failed(name: &str, service: &Service, since: i64, now: i64) -> Option<Found> {
    let last = service.failures(since).next_back().filter(|f| f.at > now - FAILURE_QUIET)?;
    if last.unhealthy {
        return Some(Found { reason: "Unhealthy", message: format!("Service {name} is unhealthy") });
    }
    let code = last.exit_code.map_or_else(|| "without an exit code".to_owned(), |c| format!("with exit code {c}"));
    Some(Found { reason: "TaskFailed", message: format!("A container of service {name} ended {code}") })
}

/// Fewer tasks than wanted, and no rollout that would explain it.
fn short(service: &ServiceStatus, status: &StackStatus) -> Option<Found> {
    if service.running >= service.desired || status.phase != StackPhase::Running {
        return None;
    }
    let (name, running, desired) = (&service.name, service.running, service.desired);
    Some(Found { reason: "Unavailable", message: format!("Service {name}: {running} of {desired} tasks run") })
}

/// When what a failure causes is over, each of them.
fn passes(failure: &Failure, now: i64) -> impl Iterator<Item = i64> {
    let at = failure.at;
    [FAILURE_QUIET, OOM_QUIET, LOOP_QUIET].into_iter().map(move |quiet| at + quiet).filter(move |t| *t > now)
}

fn until(now: i64) -> impl FnOnce(i64) -> Duration {
    // Just after it, not just before.
    move |then| Duration::from_nanos(u64::try_from(then - now).unwrap_or_default()) + Duration::from_millis(50)
}

/// As the API has it; the time of the transition is the caller's to keep.
pub fn condition(finding: &Finding, generation: Option<i64>) -> Condition {
    let (status, reason, message) = match &finding.found {
        Some(found) => (ConditionStatus::True, found.reason, found.message.clone()),
        None => (ConditionStatus::False, AS_EXPECTED, String::new()),
    };
    Condition {
        r#type: finding.condition.to_owned(),
        status,
        reason: reason.to_owned(),
        message,
        last_transition_time: None,
        observed_generation: generation,
    }
}

#[cfg(test)]
mod tests;
