//! Whether a rule acts now: its truth, what was done before, and who else is at work. Pure: the same for what happens and for what
//! was recorded.

#[cfg(test)]
mod tests;

use crate::eval::{Truth, evaluate};
use crate::expr::Expr;
use crate::sample::Sample;

const HOUR: i64 = 3_600_000;
/// After another rule's action on the same target nobody else acts for this long: it needs time to show.
const SETTLE: i64 = 60_000;
/// The longest that the wait becomes when actions do not help, unless the cooldown itself is longer.
const LONGEST_WAIT: i64 = 6 * HOUR;
/// Actions that are remembered of one rule. Whose memory is full of what still counts does not act.
pub const MAX_LEDGER: usize = 50;

/// How often a rule may act, and what acting means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The least time between two actions on one target, in milliseconds.
    pub cooldown: i64,
    /// The most actions in any hour, over all targets.
    pub budget: u32,
    /// Nothing is done, only said.
    pub dry_run: bool,
    /// The action changes its target, as opposed to telling somebody.
    pub changes: bool,
}

/// How far an action has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Decided and written down; it may have begun.
    Intended,
    /// Over, well or not, at this time.
    Over(i64),
    /// It was only said.
    Dry,
}

/// What was done, or would have been. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The rule's name, for those who wait for it.
    pub rule: String,
    /// `Stack/NAMESPACE/NAME`, `Stack/NAMESPACE/NAME/SERVICE` or `Server/NAME`: a part has the name of its whole before it.
    pub target: String,
    pub at: i64,
    pub state: State,
    pub changes: bool,
}

/// A target, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub target: &'a str,
    /// One history for each replica, oldest sample first; the condition holds for the target when it holds for one of them.
    pub histories: &'a [Vec<Sample>],
    /// A deployment of the stack is in progress, or it is being stopped.
    pub busy: bool,
}

/// Why a rule that holds does not act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// A deployment is in progress.
    Busy,
    /// Its own action is not over.
    Acting,
    /// Another rule acts, or has just acted (then until this time), on the same target.
    Other(String, Option<i64>),
    /// Until this time.
    Cooldown(i64),
    /// The cooldown, longer because the action did not help: until this time.
    Backoff(i64),
    /// Until this time; `None`: the budget is nothing.
    Budget(Option<i64>),
    /// [`MAX_LEDGER`] actions still count: until this time.
    Full(i64),
    /// It holds for so many of so many targets at once: a common cause is likelier than that each of them needs it (R42).
    Widespread(usize, usize),
    /// As many others that belong with it were changed lately as may be: until this time (R42).
    Many(i64),
}

impl Hold {
    /// When it ends by itself.
    pub fn until(&self) -> Option<i64> {
        match self {
            Self::Cooldown(at) | Self::Backoff(at) | Self::Full(at) | Self::Many(at) => Some(*at),
            Self::Budget(at) | Self::Other(_, at) => *at,
            Self::Busy | Self::Acting | Self::Widespread(..) => None,
        }
    }
}

/// What follows for one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does not hold, or that is not known.
    Rest(Truth),
    /// It holds for the history of this index: act.
    Act(usize),
    /// It holds for the history of this index, and nothing is done.
    Held(usize, Hold),
}

/// `own` and `others` are the ledgers of this rule and of all others, in any order.
pub fn decide(
    expr: &Expr,
    bounds: Bounds,
    subject: Subject<'_>,
    own: &[Action],
    others: &[Action],
    now: i64,
) -> Verdict {
    match holding(expr, subject, own, others, now) {
        Err(truth) => Verdict::Rest(truth),
        Ok(index) => match hold(expr, bounds, subject, own, others, now) {
            Some(hold) => Verdict::Held(index, hold),
            None => Verdict::Act(index),
        },
    }
}

/// The history for which the condition holds, whatever the bounds say.
pub fn holding(expr: &Expr, subject: Subject<'_>, own: &[Action], others: &[Action], now: i64) -> Result<usize, Truth> {
    // What was there before the target was changed says nothing about what it is now.
    let anew = own.iter().chain(others).filter_map(|a| changed(a, subject.target)).max().unwrap_or(i64::MIN);
    let mut truth = Truth::False;
    for (index, history) in subject.histories.iter().enumerate() {
        let since = &history[history.partition_point(|s| s.at <= anew)..];
        match evaluate(expr, since, now) {
            Truth::True => return Ok(index),
            Truth::Unknown => truth = Truth::Unknown,
            Truth::False => {}
        }
    }
    Err(if subject.histories.is_empty() { Truth::Unknown } else { truth })
}

/// When it changed this target last, if it did.
fn changed(action: &Action, target: &str) -> Option<i64> {
    let State::Over(at) = action.state else { return None };
    (action.changes && overlap(&action.target, target)).then_some(at)
}

/// One is the other, or a part of it.
fn overlap(a: &str, b: &str) -> bool {
    let part = |whole: &str, part: &str| part.strip_prefix(whole).is_some_and(|rest| rest.starts_with('/'));
    a == b || part(a, b) || part(b, a)
}

fn hold(
    expr: &Expr,
    bounds: Bounds,
    subject: Subject<'_>,
    own: &[Action],
    others: &[Action],
    now: i64,
) -> Option<Hold> {
    if subject.busy {
        return Some(Hold::Busy);
    }
    let all = own;
    // What was only said is no reason not to do it, once it may be done.
    let own: Vec<&Action> = own.iter().filter(|a| bounds.dry_run == (a.state == State::Dry)).collect();
    if own.iter().any(|a| a.state == State::Intended && overlap(&a.target, subject.target)) {
        return Some(Hold::Acting);
    }
    if bounds.changes
        && !bounds.dry_run
        && let Some(other) = others.iter().find(|a| is_at_work(a, subject.target, now))
    {
        let until = match other.state {
            State::Over(at) => Some(at.saturating_add(SETTLE)),
            State::Intended | State::Dry => None,
        };
        return Some(Hold::Other(other.rule.clone(), until));
    }
    waits(bounds, subject.target, &own, expr.reach(), now)
        .or_else(|| spent(bounds, &own, now))
        .or_else(|| full(bounds, all, now))
}

fn is_at_work(action: &Action, target: &str, now: i64) -> bool {
    let lasts = match action.state {
        State::Intended => true,
        State::Over(at) => now < at.saturating_add(SETTLE),
        State::Dry => false,
    };
    lasts && action.changes && overlap(&action.target, target)
}

/// The cooldown of a target. It doubles with each action that was needed again soon after the one before.
fn waits(bounds: Bounds, target: &str, own: &[&Action], reach: i64, now: i64) -> Option<Hold> {
    let mut times: Vec<i64> = own.iter().filter(|a| a.target == target).map(|a| a.at).collect();
    times.sort_unstable();
    let (mut wait, mut last) = (bounds.cooldown, None::<i64>);
    for at in times {
        let soon = wait.saturating_mul(2).saturating_add(reach);
        let in_vain = last.is_some_and(|last| at.saturating_sub(last) <= soon);
        wait = if in_vain { wait.saturating_mul(2).min(LONGEST_WAIT.max(bounds.cooldown)) } else { bounds.cooldown };
        last = Some(at);
    }
    let until = last?.saturating_add(wait);
    match until > now {
        false => None,
        true if wait > bounds.cooldown => Some(Hold::Backoff(until)),
        true => Some(Hold::Cooldown(until)),
    }
}

fn spent(bounds: Bounds, own: &[&Action], now: i64) -> Option<Hold> {
    let budget = usize::try_from(bounds.budget).unwrap_or(usize::MAX);
    let mut recent: Vec<i64> = own.iter().map(|a| a.at).filter(|at| at.saturating_add(HOUR) > now).collect();
    if recent.len() < budget {
        return None;
    }
    recent.sort_unstable();
    // The one whose end of counting makes room.
    let first = budget.checked_sub(1).and_then(|_| recent.get(recent.len() - budget));
    Some(Hold::Budget(first.map(|at| at.saturating_add(HOUR))))
}

fn full(bounds: Bounds, own: &[Action], now: i64) -> Option<Hold> {
    let counts = bounds.cooldown.max(HOUR);
    let oldest = own.iter().map(|a| a.at).filter(|at| at.saturating_add(counts) > now).min()?;
    let number = own.iter().filter(|a| a.at.saturating_add(counts) > now).count();
    (number >= MAX_LEDGER).then(|| Hold::Full(oldest.saturating_add(counts)))
}

/// Forgets the oldest of what is over, so that [`MAX_LEDGER`] are left.
pub fn keep<T>(ledger: &mut Vec<T>, is_over: impl Fn(&T) -> bool) {
    while ledger.len() > MAX_LEDGER {
        let Some(index) = ledger.iter().position(&is_over) else { return };
        ledger.remove(index);
    }
}
