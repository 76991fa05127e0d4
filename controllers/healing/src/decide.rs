//! All rules at one moment: which act, which are held back, and when to look again. Pure; the bounds of a single rule are
//! `otternauts_rules::decide`.

#[cfg(test)]
mod tests;

use otternauts_rules::{Action, Bounds, Expr, Hold, Sample, State, Subject, Truth, Verdict, decide, explain, holding};

/// From so many targets on, a rule that holds for more than this part of them at once acts on none (R42).
const MANY: usize = 10;
const MOST_PERCENT: usize = 30;

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
            (Verdict::Act(_), Some(hold)) => outcome.holds.push((target.name.clone(), hold.clone())),
            (Verdict::Rest(truth), _) => outcome.unknown |= truth == Truth::Unknown,
            (Verdict::Held(_, hold), _) => {
                outcome.wake = outcome.wake.into_iter().chain(hold.until()).min();
                outcome.holds.push((target.name.clone(), hold));
            }
            (Verdict::Act(which), None) => {
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
