//! All rules at one moment: which act, which are held back, and when to look again. Pure; the bounds of a single rule are
//! `otternauts_rules::decide`.

#[cfg(test)]
mod tests;

use otternauts_rules::{Action, Bounds, Expr, Hold, Sample, State, Subject, Truth, Verdict, decide, explain, holding};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// From so many targets on, a rule that holds for more than [`MOST_PERCENT`] of them acts on none (R42).
const MANY: usize = 10;
/// Of its targets a rule changes so many within [`WHILE`], and at least one.
const MOST_PERCENT: usize = 30;
/// Of the Servers of a cluster all rules together change so many within [`WHILE`], and at least one.
const SERVERS_PERCENT: usize = 10;
const WHILE: i64 = 600_000;

/// A rule, its ledger, and all that it is about.
#[derive(Clone, Debug)]
pub struct View {
    /// `namespace/name`.
    pub rule: String,
    /// When it was made, in milliseconds since 1970: of two rules for one target the older one acts.
    pub created: i64,
    pub expr: Expr,
    pub bounds: Bounds,
    pub ledger: Vec<Action>,
    pub targets: Vec<Target>,
}

/// Something that can be acted upon.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub name: String,
    pub histories: Vec<Vec<Sample>>,
    pub busy: bool,
    /// Of a Server: the targets that are the Servers of its cluster, itself among them.
    pub peers: Arc<BTreeSet<String>>,
}

impl Target {
    fn subject(&self) -> Subject<'_> {
        Subject { target: &self.name, histories: &self.histories, busy: self.busy }
    }
}

/// What follows for one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What is to be done, each with its cause.
    pub acts: Vec<(String, String)>,
    /// What holds and is not acted upon.
    pub holds: Vec<(String, Hold)>,
    /// Nothing holds, but not everything is known.
    pub unknown: bool,
    /// When something that holds it back ends.
    pub wake: Option<i64>,
}

impl Outcome {
    fn hold(&mut self, target: &Target, hold: Hold) {
        self.wake = self.wake.into_iter().chain(hold.until()).min();
        self.holds.push((target.name.clone(), hold));
    }

    pub fn is_firing(&self) -> bool {
        !self.acts.is_empty() || !self.holds.is_empty()
    }

    /// The label of the metric.
    pub fn result(&self) -> &'static str {
        match self {
            _ if !self.acts.is_empty() => "firing",
            _ if !self.holds.is_empty() => "held",
            Self { unknown: true, .. } => "unknown",
            _ => "quiet",
        }
    }
}

/// What each rule does now, in the order of `views`. What an older rule is about to do is known to the younger ones.
pub fn round(views: &[View], now: i64) -> Vec<Outcome> {
    let mut order: Vec<usize> = (0..views.len()).collect();
    order.sort_by_key(|i| (views[*i].created, &views[*i].rule));
    let mut ledgers: Vec<Vec<Action>> = views.iter().map(|v| v.ledger.clone()).collect();
    let mut outcomes = vec![Outcome::default(); views.len()];
    for index in order {
        let others = ledgers.iter().enumerate().filter(|(i, _)| *i != index);
        let others: Vec<Action> = others.flat_map(|(_, ledger)| ledger.iter().cloned()).collect();
        outcomes[index] = one(&views[index], &mut ledgers[index], &others, now);
    }
    outcomes
}

fn one(view: &View, ledger: &mut Vec<Action>, others: &[Action], now: i64) -> Outcome {
    let mut outcome = Outcome::default();
    let widespread = widespread(view, others, now);
    for target in &view.targets {
        let verdict = decide(&view.expr, view.bounds, target.subject(), ledger, others, now);
        match (verdict, &widespread) {
            (Verdict::Act(_), Some(hold)) => outcome.hold(target, hold.clone()),
            (Verdict::Rest(truth), _) => outcome.unknown |= truth == Truth::Unknown,
            (Verdict::Held(_, hold), _) => outcome.hold(target, hold),
            (Verdict::Act(which), None) => {
                if let Some(hold) = too_many(view, target, ledger, others, now) {
                    outcome.hold(target, hold);
                    continue;
                }
                let cause = explain(&view.expr, &target.histories[which], now);
                outcome.acts.push((target.name.clone(), cause));
                let state = if view.bounds.dry_run { State::Dry } else { State::Intended };
                let (rule, target) = (view.rule.clone(), target.name.clone());
                ledger.push(Action { rule, target, at: now, state, changes: view.bounds.changes });
            }
        }
    }
    outcome
}

/// A rule that holds for a large part of all that it is about must not change all of it.
fn widespread(view: &View, others: &[Action], now: i64) -> Option<Hold> {
    let of = view.targets.len();
    if of < MANY || !view.bounds.changes {
        return None;
    }
    let holds = |t: &&Target| holding(&view.expr, t.subject(), &view.ledger, others, now).is_ok();
    let number = view.targets.iter().filter(holds).count();
    (number * 100 > of * MOST_PERCENT).then_some(Hold::Widespread(number, of))
}

/// So much of what belongs together was changed lately that this target has to wait.
fn too_many(view: &View, target: &Target, own: &[Action], others: &[Action], now: i64) -> Option<Hold> {
    if !view.bounds.changes {
        return None;
    }
    // A rule that only speaks is held to what it said, and to nothing that others do.
    let counts = |a: &&Action| view.bounds.dry_run == (a.state == State::Dry);
    let ours = |name: &str| view.targets.iter().any(|t| t.name == name);
    let mine = own.iter().filter(counts).filter(|a| ours(&a.target));
    let of_rule = full(mine, target, share(view.targets.len(), MOST_PERCENT), now);
    let all = own.iter().chain(others.iter().filter(|_| !view.bounds.dry_run)).filter(counts);
    let of_cluster = all.filter(|a| target.peers.contains(&a.target));
    of_rule
        .into_iter()
        .chain(full(of_cluster, target, share(target.peers.len(), SERVERS_PERCENT), now))
        .max()
        .map(Hold::Many)
}

fn share(of: usize, percent: usize) -> usize {
    (of * percent / 100).max(1)
}

/// When it is no longer so that `most` other targets were changed within [`WHILE`].
fn full<'a>(actions: impl Iterator<Item = &'a Action>, target: &Target, most: usize, now: i64) -> Option<i64> {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for action in actions.filter(|a| a.changes && a.target != target.name) {
        let until = match action.state {
            State::Over(at) => at.max(action.at),
            State::Intended | State::Dry => action.at,
        };
        let until = until.saturating_add(WHILE);
        let known = last.entry(&action.target).or_insert(until);
        *known = (*known).max(until);
    }
    let mut untils: Vec<i64> = last.into_values().filter(|until| *until > now).collect();
    untils.sort_unstable();
    let frees = untils.len().checked_sub(most)?;
    untils.get(frees).copied()
}
