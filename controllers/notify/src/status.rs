//! The next status, from the one before and what happened: pure. Written at changes of state only, never for a mere attempt.

use crate::decide::{MAX_OPEN, digest, whole_seconds};
use crate::formats::text;
use jiff::Timestamp;
use otternauts_types::notifier::{
    DeadLetter, Notice, NoticeState, NotifierStatus, OpenIncident, Outbox, TestResult, Told,
};
use otternauts_types::{Condition, ConditionStatus, set_condition};

const MAX_TOLD: usize = 50;
pub const MAX_DEAD_LETTERS: usize = 20;

/// When, and for which generation of the spec.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub now: Timestamp,
    pub generation: Option<i64>,
}

impl At {
    fn text(self) -> String {
        whole_seconds(self.now)
    }
}

/// Reasons of the condition `Delivered`.
pub mod reason {
    pub const DELIVERED: &str = "Delivered";
    pub const RETRYING: &str = "Retrying";
    pub const DEAD_LETTER: &str = "DeadLetter";
    pub const CONFIGURATION: &str = "ConfigurationError";
    pub const SUSPENDED: &str = "Suspended";
    /// Of the condition `Ready`.
    pub const WATCHING: &str = "Watching";
}

/// The spec can be used: `Ready`, for `kubectl wait` and the like. Nothing changes when that was known of this generation.
pub fn accepted(old: &NotifierStatus, at: At) -> NotifierStatus {
    let mut new = old.clone();
    ready_is(&mut new, ConditionStatus::True, reason::WATCHING, "what it selects is told", at);
    new
}

/// A message is about to be sent for the first time.
pub fn composed(old: &NotifierStatus, outbox: Outbox) -> NotifierStatus {
    NotifierStatus { outbox: Some(outbox), ..old.clone() }
}

/// Problems that an Event told of.
pub fn adopted(old: &NotifierStatus, incidents: Vec<OpenIncident>) -> NotifierStatus {
    let mut new = old.clone();
    new.open.extend(incidents);
    new.open.truncate(MAX_OPEN);
    new
}

/// The first attempt has failed; later ones change nothing but, perhaps, the error.
pub fn retrying(old: &NotifierStatus, error: &str, at: At) -> NotifierStatus {
    let mut new = old.clone();
    new.last_error = Some(error.to_owned());
    delivered_is(&mut new, ConditionStatus::False, reason::RETRYING, error, at);
    new
}

/// The receiver has taken the message.
pub fn delivered(old: &NotifierStatus, at: At) -> NotifierStatus {
    let mut new = settled(old, &at.text());
    new.delivered = new.delivered.saturating_add(1);
    new.last_delivery = Some(at.text());
    new.last_error = None;
    delivered_is(&mut new, ConditionStatus::True, reason::DELIVERED, "the last message was taken", at);
    new
}

/// The message is given up. What it said counts as told: it stands among the dead letters.
pub fn dead(old: &NotifierStatus, attempts: u32, error: &str, at: At) -> NotifierStatus {
    let mut new = settled(old, &at.text());
    new.failed = new.failed.saturating_add(1);
    new.last_error = Some(error.to_owned());
    if let Some(outbox) = &old.outbox {
        new.dead_letters.push(DeadLetter {
            id: outbox.id.clone(),
            summary: text::title(outbox),
            attempts: attempts.into(),
            error: error.to_owned(),
            time: at.text(),
        });
        let surplus = new.dead_letters.len().saturating_sub(MAX_DEAD_LETTERS);
        new.dead_letters.drain(..surplus);
    }
    let message = format!("a message was given up after {}: {error}", times(attempts));
    delivered_is(&mut new, ConditionStatus::False, reason::DEAD_LETTER, &message, at);
    new
}

/// The spec cannot be used; nothing is sent until it can.
pub fn misconfigured(old: &NotifierStatus, error: &str, at: At) -> NotifierStatus {
    let mut new = old.clone();
    new.last_error = Some(error.to_owned());
    delivered_is(&mut new, ConditionStatus::False, reason::CONFIGURATION, error, at);
    ready_is(&mut new, ConditionStatus::False, reason::CONFIGURATION, error, at);
    new
}

pub fn suspended(old: &NotifierStatus, at: At) -> NotifierStatus {
    let mut new = NotifierStatus { outbox: None, last_error: None, ..old.clone() };
    delivered_is(&mut new, ConditionStatus::Unknown, reason::SUSPENDED, "spec.suspend is true", at);
    ready_is(&mut new, ConditionStatus::False, reason::SUSPENDED, "spec.suspend is true", at);
    new
}

/// Works again after [`suspended`] or [`misconfigured`]. `through`: Events so far are not told any more.
pub fn resumed(old: &NotifierStatus, through: Option<u64>, at: At) -> NotifierStatus {
    let mut new = NotifierStatus { last_error: None, ..old.clone() };
    if let Some(through) = through {
        new.events_through = Some(through.to_string());
    }
    delivered_is(&mut new, ConditionStatus::Unknown, "Waiting", "nothing was sent since", at);
    new
}

/// Why nothing is delivered now, if that is what the status says.
pub fn standing_reason(status: &NotifierStatus) -> Option<&str> {
    status.conditions.iter().find(|c| c.r#type == "Delivered").map(|c| c.reason.as_str())
}

pub fn tested(old: &NotifierStatus, result: TestResult) -> NotifierStatus {
    NotifierStatus { test: Some(result), ..old.clone() }
}

/// `1 attempt`, `12 attempts`
pub fn times(attempts: u32) -> String {
    format!("{attempts} attempt{}", if attempts == 1 { "" } else { "s" })
}

/// The outbox has left: what it said is remembered.
fn settled(old: &NotifierStatus, now: &str) -> NotifierStatus {
    let mut new = old.clone();
    let Some(outbox) = new.outbox.take() else { return new };
    for notice in &outbox.notices {
        remember(&mut new, notice, now);
    }
    if outbox.events_through.is_some() {
        new.events_through = outbox.events_through;
    }
    let surplus = new.told.len().saturating_sub(MAX_TOLD);
    new.told.drain(..surplus);
    new
}

fn remember(status: &mut NotifierStatus, notice: &Notice, now: &str) {
    let uid = &notice.object.uid;
    match notice.state {
        NoticeState::Problem | NoticeState::Repeated => {
            let incident = OpenIncident {
                object: notice.object.clone(),
                version: notice.version,
                reason: notice.reason.clone(),
                severity: notice.severity,
                told: now.to_owned(),
            };
            match status.open.iter_mut().find(|o| o.object.uid == *uid) {
                Some(open) => *open = incident,
                None => status.open.push(incident),
            }
        }
        NoticeState::Recovered => {
            status.open.retain(|o| o.object.uid != *uid);
            // The next time is another change, whatever Event tells of it.
            status.told.retain(|t| t.uid != *uid || t.reason != notice.reason);
        }
        NoticeState::Event => status.told.push(Told {
            uid: uid.clone(),
            reason: notice.reason.clone(),
            text_sha256: digest(&notice.message),
            time: now.to_owned(),
        }),
    }
}

fn ready_is(status: &mut NotifierStatus, is: ConditionStatus, reason: &str, message: &str, at: At) {
    condition_is(status, "Ready", is, reason, message, at);
}

fn delivered_is(status: &mut NotifierStatus, is: ConditionStatus, reason: &str, message: &str, at: At) {
    condition_is(status, "Delivered", is, reason, message, at);
}

fn condition_is(status: &mut NotifierStatus, kind: &str, is: ConditionStatus, reason: &str, message: &str, at: At) {
    status.observed_generation = at.generation;
    let condition = Condition {
        r#type: kind.to_owned(),
        status: is,
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: None,
        observed_generation: at.generation,
    };
    set_condition(&mut status.conditions, condition, &at.text());
}

#[cfg(test)]
mod tests;
