//! From what was heard to the four conditions. Pure; times are Unix nanoseconds.

use crate::ward::{Failure, HOUR, Service, Ward};
use otternauts_types::stack::{ServiceStatus, StackPhase, StackStatus};
use otternauts_types::{Condition, ConditionStatus};
use std::borrow::Cow;
use std::time::Duration;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
/// So many restarts in an hour are a loop (AO-18).
const LOOP: usize = 5;
/// A loop is over when nothing failed for this long at least, as Kubernetes resets its back-off.
const LOOP_QUIET: i64 = 10 * MINUTE;
/// A service has enough memory when nothing ran out of it for this long at least.
const OOM_QUIET: i64 = 5 * MINUTE;
/// A stack is degraded for this long after a single failure, and for this long at least after a second one within an hour.
const FAILURE_QUIET: [i64; 2] = [30 * SECOND, 5 * MINUTE];

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
    pub reason: Cow<'static, str>,
    pub message: String,
}

/// What to say of a stack, and when to look again though nothing happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub findings: [Finding; 4],
    /// In the order of the status.
    pub services: Vec<Health>,
    pub again: Option<Duration>,
}

/// What is said of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub name: String,
    pub unhealthy: bool,
    /// `None`: no check is declared, or none was asked yet.
    pub probe_failures: Option<i32>,
}

/// `status` is as the deploy controller wrote it; `since` is when the last rollout began or ended: what failed before is over.
pub fn decide(ward: &Ward, status: &StackStatus, now: i64) -> Verdict {
    if status.phase == StackPhase::Stopped {
        return Verdict { findings: findings([None, None, None, None]), services: Vec::new(), again: None };
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
    let lasting = |s| [ran_out(s, since), looped(s, since), ended(s, since)];
    let ends = services().flat_map(|(_, s)| lasting(s)).flatten().map(|(until, _)| until).filter(|t| *t > now).min();
    let services = status.services.iter().map(|s| health(&s.name, ward.0.get(&s.name), since)).collect();
    Verdict { findings: findings([oom, looping, unhealthy, degraded]), services, again: ends.map(until(now)) }
}

fn health(name: &str, heard: Option<&Service>, since: i64) -> Health {
    let unhealthy = heard.is_some_and(|s| s.sickness(since).is_some());
    Health { name: name.to_owned(), unhealthy, probe_failures: heard.and_then(Service::probe_failures) }
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

/// How long it has to be quiet after failures at these times, oldest first: at least so long, and twice as long as the longest pause
/// between two of them within an hour of the last, an hour at most. So what fails again and again, at whatever pace, is told once.
fn quiet(times: &[i64], least: i64) -> i64 {
    let recent = times.iter().filter(|at| times.last().is_some_and(|last| *last - **at < HOUR));
    let recent: Vec<i64> = recent.copied().collect();
    let longest = recent.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    least.max(longest.saturating_mul(2)).min(HOUR)
}

/// Until when, and what failed last; `None` when nothing did.
type Lasting<'a> = Option<(i64, &'a Failure)>;

fn ran_out(service: &Service, since: i64) -> Lasting<'_> {
    let all: Vec<&Failure> = service.failures(since).filter(|f| f.oom).collect();
    let times: Vec<i64> = all.iter().map(|f| f.at).collect();
    all.last().map(|last| (last.at + quiet(&times, OOM_QUIET), *last))
}

fn looped(service: &Service, since: i64) -> Lasting<'_> {
    let all: Vec<&Failure> = service.failures(since).collect();
    let last = all.last()?;
    let times: Vec<i64> = all.iter().map(|f| f.at).filter(|at| *at >= last.at - HOUR).collect();
    (times.len() >= LOOP).then(|| (last.at + quiet(&times, LOOP_QUIET), *last))
}

fn ended(service: &Service, since: i64) -> Lasting<'_> {
    let times: Vec<i64> = service.failures(since).map(|f| f.at).collect();
    let last = service.failures(since).next_back()?;
    let again = times.iter().filter(|at| last.at - **at < HOUR).count() > 1;
    Some((last.at + quiet(&times, FAILURE_QUIET[usize::from(again)]), last))
}

fn out_of_memory(name: &str, service: &Service, since: i64, now: i64) -> Option<Found> {
    ran_out(service, since).filter(|(until, _)| *until > now)?;
    let message = format!("Service {name} ran out of memory: a container of it was killed");
    Some(Found { reason: "OutOfMemory".into(), message })
}

fn crash_loop(name: &str, service: &Service, since: i64, now: i64) -> Option<Found> {
    looped(service, since).filter(|(until, _)| *until > now)?;
    let message = format!("Service {name} restarted {LOOP} times in 1 hour");
    Some(Found { reason: "CrashLooping".into(), message })
}

/// OT-F12.
fn sick(name: &str, service: &Service, since: i64) -> Option<Found> {
    let output = service.sickness(since)?.trim();
    let detail = if output.is_empty() { String::new() } else { format!(" ({output})") };
    Some(Found { reason: "Unhealthy".into(), message: format!("Service {name} is unhealthy{detail}") })
}

fn failed(name: &str, service: &Service, since: i64, now: i64) -> Option<Found> {
    let (_, last) = ended(service, since).filter(|(until, _)| *until > now)?;
    if last.unhealthy {
        return Some(Found { reason: "Unhealthy".into(), message: format!("Service {name} is unhealthy") });
    }
    let code = last.exit_code.map_or_else(|| "without an exit code".to_owned(), |c| format!("with exit code {c}"));
    Some(Found { reason: "TaskFailed".into(), message: format!("A container of service {name} ended {code}") })
}

/// Fewer tasks than wanted, and no rollout that would explain it.
fn short(service: &ServiceStatus, status: &StackStatus) -> Option<Found> {
    if service.running >= service.desired || status.phase != StackPhase::Running {
        return None;
    }
    let (name, running, desired) = (&service.name, service.running, service.desired);
    Some(Found { reason: "Unavailable".into(), message: format!("Service {name}: {running} of {desired} tasks run") })
}

fn until(now: i64) -> impl FnOnce(i64) -> Duration {
    // Just after it, not just before.
    move |then| Duration::from_nanos(u64::try_from(then - now).unwrap_or_default()) + Duration::from_millis(50)
}

/// As the API has it; the time of the transition is the caller's to keep.
pub fn condition(finding: &Finding, generation: Option<i64>) -> Condition {
    let (status, reason, message) = match &finding.found {
        Some(found) => (ConditionStatus::True, found.reason.as_ref(), found.message.clone()),
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
