//! The next status of a rule, from the one before and what was decided or done: pure. Nothing changes but for a reason.

#[cfg(test)]
mod tests;

use crate::decide::Outcome;
use jiff::Timestamp;
use otternauts_rules::{Action, Hold, State, keep};
use otternauts_types::heal_rule::{HealAction, HealActionRecord, HealActionState, HealRuleStatus};
use otternauts_types::{Condition, ConditionStatus, set_condition};

/// Targets that are named in a message.
const NAMED: usize = 3;
/// Bytes of a message.
const TEXT: usize = 1024;

/// When, and for which generation of the spec.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Milliseconds since 1970.
    pub now: i64,
    pub generation: Option<i64>,
}

/// What a rule is, for those who decide.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// `namespace/name`.
    pub name: &'a str,
    pub action: HealAction,
    pub dry_run: bool,
}

/// RFC 3339, to the millisecond.
pub fn text(at: i64) -> String {
    Timestamp::from_millisecond(at).unwrap_or_default().to_string()
}

fn millis(text: &str) -> i64 {
    text.parse::<Timestamp>().map(Timestamp::as_millisecond).unwrap_or_default()
}

/// What a rule did, for deciding.
pub fn ledger(rule: &str, status: &HealRuleStatus) -> Vec<Action> {
    let one = |record: &HealActionRecord| {
        let at = millis(&record.time);
        let state = match record.state {
            HealActionState::Intended | HealActionState::Started => State::Intended,
            HealActionState::Done | HealActionState::Failed => {
                State::Over(record.finished_at.as_deref().map_or(at, millis))
            }
            HealActionState::DryRun => State::Dry,
        };
        Action { rule: rule.to_owned(), target: record.target.clone(), at, state, changes: record.action.changes() }
    };
    status.recent_actions.iter().map(one).collect()
}

/// The name of an action: no other has it, of whatever rule. Part of it is the rule's, since rules that are looked at together act
/// at one moment.
pub fn action_id(uid: &str, now: i64, index: usize) -> String {
    let rule: String = uid.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    format!("{rule}-{now:x}-{index:x}")
}

/// After a look: what holds, and what is going to be done. New records are `Intended`, or `DryRun`.
pub fn decided(
    old: &HealRuleStatus,
    rule: Rule<'_>,
    outcome: &Outcome,
    at: At,
    id: impl Fn(usize) -> String,
) -> HealRuleStatus {
    let mut new = old.clone();
    new.firing = outcome.is_firing();
    for (index, (target, cause)) in outcome.acts.iter().enumerate() {
        new.recent_actions.push(HealActionRecord {
            id: id(index),
            time: text(at.now),
            action: rule.action,
            target: target.clone(),
            cause: clip(cause),
            state: if rule.dry_run { HealActionState::DryRun } else { HealActionState::Intended },
            version: None,
            finished_at: None,
            message: None,
            trace_id: None,
        });
    }
    keep(&mut new.recent_actions, is_over);
    ready(&mut new, Ok(rule.dry_run), at);
    held(&mut new, &outcome.holds, at);
    stamped(old, new, at)
}

/// A rule that cannot be read: it was written before the language was what it is now.
pub fn unreadable(old: &HealRuleStatus, why: &str, at: At) -> HealRuleStatus {
    let mut new = HealRuleStatus { firing: false, ..old.clone() };
    ready(&mut new, Err(why), at);
    held(&mut new, &[], at);
    stamped(old, new, at)
}

/// The change that is going to be made, by the version of what it changes.
pub fn started(old: &HealRuleStatus, id: &str, version: Option<i64>) -> HealRuleStatus {
    let mut new = old.clone();
    if let Some(record) = new.recent_actions.iter_mut().find(|r| r.id == id) {
        (record.state, record.version) = (HealActionState::Started, version);
    }
    new
}

/// An action has ended.
pub fn finished(old: &HealRuleStatus, id: &str, result: &Result<String, String>, now: i64) -> HealRuleStatus {
    let mut new = old.clone();
    let Some(record) = new.recent_actions.iter_mut().find(|r| r.id == id) else { return new };
    let (state, message) = match result {
        Ok(message) => (HealActionState::Done, message),
        Err(message) => (HealActionState::Failed, message),
    };
    (record.state, record.message, record.finished_at) = (state, Some(clip(message)), Some(text(now)));
    new.actions_taken = new.actions_taken.saturating_add(1);
    new
}

pub fn is_over(record: &HealActionRecord) -> bool {
    !matches!(record.state, HealActionState::Intended | HealActionState::Started)
}

/// `lastEvaluation` is when the rule was last seen to change its mind.
fn stamped(old: &HealRuleStatus, mut new: HealRuleStatus, at: At) -> HealRuleStatus {
    new.observed_generation = at.generation;
    if new != *old {
        new.last_evaluation = Some(text(at.now / 1000 * 1000));
    }
    new
}

fn ready(status: &mut HealRuleStatus, readable: Result<bool, &str>, at: At) {
    let (is, reason, message) = match readable {
        Ok(false) => (ConditionStatus::True, "Watching", "what it selects is watched"),
        Ok(true) => (ConditionStatus::True, "DryRun", "what it selects is watched; nothing is done"),
        Err(why) => (ConditionStatus::False, "ConfigurationError", why),
    };
    condition(status, "Ready", is, reason, message.to_owned(), at);
}

fn held(status: &mut HealRuleStatus, holds: &[(String, Hold)], at: At) {
    let Some((_, first)) = holds.first() else {
        return condition(status, "Suppressed", ConditionStatus::False, "NothingHeldBack", String::new(), at);
    };
    let mut message: Vec<String> =
        holds.iter().take(NAMED).map(|(target, hold)| format!("{target}: {}", why(hold))).collect();
    if holds.len() > NAMED {
        message.push(format!("and {} more", holds.len() - NAMED));
    }
    condition(status, "Suppressed", ConditionStatus::True, reason(first), clip(&message.join("; ")), at);
}

/// As it stands in the condition.
pub fn reason(hold: &Hold) -> &'static str {
    match hold {
        Hold::Busy => "DeploymentInProgress",
        Hold::Acting => "ActionInProgress",
        Hold::Other(..) => "OtherRule",
        Hold::Cooldown(_) => "Cooldown",
        Hold::Backoff(_) => "Backoff",
        Hold::Budget(_) => "Budget",
        Hold::Full(_) => "TooManyActions",
        Hold::Widespread(..) | Hold::Many(_) => "Widespread",
    }
}

/// In words. Times are whole seconds, so that the words stay the same while nothing changes.
pub fn why(hold: &Hold) -> String {
    let until = |at: i64| text(at / 1000 * 1000);
    match hold {
        Hold::Busy => "a deployment is in progress".to_owned(),
        Hold::Acting => "its action is not over".to_owned(),
        Hold::Other(rule, _) => format!("rule {rule} acts on it"),
        Hold::Cooldown(at) => format!("cooldown until {}", until(*at)),
        Hold::Backoff(at) => format!("the last action did not help: waits until {}", until(*at)),
        Hold::Budget(Some(at)) => format!("the budget is spent until {}", until(*at)),
        Hold::Budget(None) => "the budget is 0".to_owned(),
        Hold::Widespread(n, of) => format!("it holds for {n} of {of} targets at once: look for a common cause"),
        Hold::Many(at) => format!("others like it were changed lately: waits until {}", until(*at)),
        Hold::Full(at) => format!("too many actions are remembered until {}", until(*at)),
    }
}

fn condition(status: &mut HealRuleStatus, kind: &str, is: ConditionStatus, reason: &str, message: String, at: At) {
    let new = Condition {
        r#type: kind.to_owned(),
        status: is,
        reason: reason.to_owned(),
        message,
        last_transition_time: None,
        observed_generation: at.generation,
    };
    set_condition(&mut status.conditions, new, &text(at.now / 1000 * 1000));
}

fn clip(text: &str) -> String {
    let mut end = text.len().min(TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
