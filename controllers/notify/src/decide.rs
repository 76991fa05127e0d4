//! What to tell, and when: pure. A level, not an edge, decides: what is not well now against what was told, so that nothing is lost or
//! told twice by a restart.

use crate::observed::{Happening, Observed, Problem, Standing, Subject};
use crate::plan::Plan;
use crate::select;
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use otternauts_types::notifier::{
    Notice, NoticeObject, NoticeState, NotifierSelector, NotifierStatus, OpenIncident, Outbox, Severity,
};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// Incidents that are remembered at once; more wait until others have recovered.
pub const MAX_OPEN: usize = 200;
/// Notices in one message; more go with the next.
pub const MAX_NOTICES: usize = 100;
/// Bytes of one notice's text.
const MAX_TEXT: usize = 512;
/// An Event and a condition with the same reason that come within this time are about the same change.
const SAME_CHANGE: SignedDuration = SignedDuration::from_secs(120);

/// The Notifier that asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    pub namespace: &'a str,
    pub uid: &'a str,
    /// Events from before are not its business.
    pub created: Timestamp,
    pub selector: &'a NotifierSelector,
    pub settings: Settings,
    pub status: &'a NotifierStatus,
}

/// A notice, and since when it waits to be told.
struct Pending {
    since: Timestamp,
    /// Of an Event; its revision must not be passed before it is told.
    revision: Option<u64>,
    notice: Notice,
}

/// What `asker` does next. There is no message under way.
pub fn decide(asker: &Asker<'_>, observed: &Observed, now: Timestamp) -> Plan {
    let adopted = adopt(asker, observed);
    if !adopted.is_empty() {
        return Plan::Adopt(adopted);
    }
    let mut pending = problems(asker, observed, now);
    pending.extend(recoveries(asker, observed, now));
    pending.extend(events(asker, observed));
    let repeat = next_repeat(asker, now);
    let Some(first) = pending.iter().map(|p| p.since).min() else { return Plan::Rest(repeat) };
    let due = due(asker, first);
    if now < due {
        let wait = until(now, due);
        return Plan::Rest(Some(repeat.map_or(wait, |r| r.min(wait))));
    }
    Plan::Send(compose(asker, observed, pending, now))
}

/// A first change waits for company; while something told is not well, messages keep their distance.
fn due(asker: &Asker<'_>, first: Timestamp) -> Timestamp {
    let alone = later(first, asker.settings.group_wait);
    let last = asker.status.last_delivery.as_deref().and_then(time);
    match last.filter(|_| !asker.status.open.is_empty()) {
        Some(last) => alone.max(later(last, asker.settings.group_interval)),
        None => alone,
    }
}

fn problems(asker: &Asker<'_>, observed: &Observed, now: Timestamp) -> Vec<Pending> {
    let mut room = MAX_OPEN.saturating_sub(asker.status.open.len());
    let mut found = Vec::new();
    for (subject, problem, severity) in bad(asker, observed) {
        let state = match open(asker.status, &subject.object) {
            None if room == 0 => continue,
            None => {
                room -= 1;
                NoticeState::Problem
            }
            Some(told) if told.reason != problem.reason || told.version != subject.version => NoticeState::Problem,
            Some(told) if is_due_again(asker, told, now) => NoticeState::Repeated,
            Some(_) => continue,
        };
        let since = if state == NoticeState::Repeated { Timestamp::MIN } else { subject.since };
        let notice = notice(state, severity, &subject.object, &problem.reason, &problem.message, subject.since);
        found.push(Pending { since, revision: None, notice: Notice { version: subject.version, ..notice } });
    }
    found
}

/// What is not well, may be seen, and is wanted.
fn bad<'a>(
    asker: &'a Asker<'_>,
    observed: &'a Observed,
) -> impl Iterator<Item = (&'a Subject, &'a Problem, Severity)> + 'a {
    observed.subjects.iter().filter_map(|subject| {
        let Standing::Bad(problem) = &subject.standing else { return None };
        let severity = select::severity(asker.selector, &problem.reason, problem.severity);
        let wanted = select::sees(asker.namespace, &subject.object)
            && select::wants(asker.selector, &subject.object, &problem.reason, severity);
        wanted.then_some((subject, problem, severity))
    })
}

/// Problems of which an Event has just told: they are open, and nothing more is said.
fn adopt(asker: &Asker<'_>, observed: &Observed) -> Vec<OpenIncident> {
    let room = MAX_OPEN.saturating_sub(asker.status.open.len());
    let unknown = bad(asker, observed).filter(|(subject, _, _)| open(asker.status, &subject.object).is_none());
    let adopted = unknown.filter_map(|(subject, problem, severity)| {
        let uid = &subject.object.uid;
        let told = told_about(asker.status, uid, &problem.reason, subject.since)?;
        Some(OpenIncident {
            object: subject.object.clone(),
            version: subject.version,
            reason: problem.reason.clone(),
            severity,
            told: told.to_owned(),
        })
    });
    adopted.take(room).collect()
}

fn recoveries(asker: &Asker<'_>, observed: &Observed, now: Timestamp) -> Vec<Pending> {
    let mut found = Vec::new();
    for told in &asker.status.open {
        let subject = observed.subjects.iter().find(|s| s.object.uid == told.object.uid);
        let (since, message, at) = match subject.map(|s| (s, &s.standing)) {
            None => (Timestamp::MIN, "it was deleted", now),
            Some((subject, Standing::Well(message))) => (subject.since, message.as_str(), subject.since),
            Some(_) => continue,
        };
        let notice = notice(NoticeState::Recovered, told.severity, &told.object, &told.reason, message, at);
        found.push(Pending { since, revision: None, notice });
    }
    found
}

fn events(asker: &Asker<'_>, observed: &Observed) -> Vec<Pending> {
    let through = asker.status.events_through.as_deref().and_then(|r| r.parse().ok()).unwrap_or(0);
    let mut found: Vec<Pending> = Vec::new();
    for happening in observed.happenings.iter().filter(|h| h.revision > through && h.time >= asker.created) {
        let severity = select::severity(asker.selector, &happening.reason, happening.severity);
        if !select::sees(asker.namespace, &happening.object)
            || !select::wants(asker.selector, &happening.object, &happening.reason, severity)
            || is_known(asker, observed, happening)
        {
            continue;
        }
        let notice =
            notice(NoticeState::Event, severity, &happening.object, &happening.reason, &happening.note, happening.time);
        let same = |p: &Pending| {
            p.notice.object == notice.object && p.notice.reason == notice.reason && p.notice.message == notice.message
        };
        if !found.iter().any(same) {
            found.push(Pending { since: happening.seen, revision: Some(happening.revision), notice });
        }
    }
    found
}

/// The reason of Events that a rule of somebody's asks for each time, within its own cooldown: none repeats another.
const EACH_TIME: &str = "HealAlert";

/// Whether an Event says what a condition says, or what was said before.
fn is_known(asker: &Asker<'_>, observed: &Observed, happening: &Happening) -> bool {
    let (uid, reason) = (&happening.object.uid, &happening.reason);
    if happening.severity == Severity::Warning {
        let by_condition = bad(asker, observed).any(|(s, p, _)| s.object.uid == *uid && p.reason == *reason);
        let is_open = asker.status.open.iter().any(|o| o.object.uid == *uid && o.reason == *reason);
        if by_condition || is_open {
            return true;
        }
    }
    if reason == EACH_TIME {
        return false;
    }
    let text = digest(&shortened(&happening.note));
    let same = asker.status.told.iter().filter(|t| t.uid == *uid && t.reason == *reason && t.text_sha256 == text);
    let mut times = same.filter_map(|t| time(&t.time));
    times.any(|told| {
        let repeat = asker.settings.repeat_interval;
        repeat.is_none_or(|repeat| happening.time < later(told, repeat))
    })
}

/// When an Event of this reason was told about this object, close to `at`.
fn told_about<'a>(status: &'a NotifierStatus, uid: &str, reason: &str, at: Timestamp) -> Option<&'a str> {
    let near = |text: &str| time(text).is_some_and(|t| at.duration_since(t).abs() < SAME_CHANGE);
    let mut told = status.told.iter().rev().filter(|t| t.uid == uid && t.reason == reason);
    told.find(|t| near(&t.time)).map(|t| t.time.as_str())
}

fn is_due_again(asker: &Asker<'_>, told: &OpenIncident, now: Timestamp) -> bool {
    let again = asker.settings.repeat_interval.zip(time(&told.told)).map(|(repeat, told)| later(told, repeat));
    again.is_some_and(|again| now >= again)
}

/// The wait until something open has to be told again. What is due by now is in the message, or not well no more.
fn next_repeat(asker: &Asker<'_>, now: Timestamp) -> Option<Duration> {
    let repeat = asker.settings.repeat_interval?;
    let times = asker.status.open.iter().filter_map(|o| time(&o.told)).map(|told| later(told, repeat));
    times.filter(|again| *again > now).min().map(|again| until(now, again))
}

fn compose(asker: &Asker<'_>, observed: &Observed, mut pending: Vec<Pending>, now: Timestamp) -> Outbox {
    pending.sort_by_key(|p| (p.since, p.revision));
    let left = pending.split_off(pending.len().min(MAX_NOTICES));
    let newest = observed.happenings.iter().map(|h| h.revision).max();
    let first_left = left.iter().filter_map(|p| p.revision).min();
    // Never backwards, and never past an Event that has to wait for the next message.
    let before = asker.status.events_through.as_deref().and_then(|r| r.parse::<u64>().ok());
    let through = first_left.map(|r| r.saturating_sub(1)).or(newest).max(before);
    let notices: Vec<Notice> = pending.into_iter().map(|p| p.notice).collect();
    Outbox {
        id: id(asker, &notices, now),
        time: whole_seconds(now),
        omitted: i64::try_from(left.len()).unwrap_or(i64::MAX),
        events_through: through.map(|r| r.to_string()),
        notices,
    }
}

/// Of this message alone: what happens twice within a second is two messages. It is kept in the outbox until the message has left.
fn id(asker: &Asker<'_>, notices: &[Notice], now: Timestamp) -> String {
    let sent = asker.status.delivered.saturating_add(asker.status.failed);
    let mut hash = Sha256::new();
    for part in [asker.uid.to_owned(), sent.to_string(), now.to_string()] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    for n in notices {
        let state = format!("{:?}", n.state);
        let version = n.version.unwrap_or_default().to_string();
        for part in [state.as_str(), &n.object.kind, &n.object.uid, &version, &n.reason, &n.message, &n.time] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    format!("msg_{}", hex::encode(&hash.finalize()[..16]))
}

fn notice(
    state: NoticeState,
    severity: Severity,
    object: &NoticeObject,
    reason: &str,
    message: &str,
    at: Timestamp,
) -> Notice {
    let (reason, message) = (reason.to_owned(), shortened(message));
    Notice { state, severity, object: object.clone(), version: None, reason, message, time: whole_seconds(at) }
}

fn open<'a>(status: &'a NotifierStatus, object: &NoticeObject) -> Option<&'a OpenIncident> {
    status.open.iter().find(|o| o.object.uid == object.uid)
}

/// At most [`MAX_TEXT`] bytes, cut between characters.
fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let end = text.char_indices().map(|(i, _)| i).take_while(|i| *i <= MAX_TEXT - 3).last().unwrap_or(0);
    format!("{}…", &text[..end])
}

/// What stands for an Event's text in `status.told`.
pub fn digest(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..8])
}

/// RFC 3339 without fractions.
pub fn whole_seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
