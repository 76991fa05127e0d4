//! The second opinion: a linearisability search after Wing and Gong, with Lowe's memory of configurations.
//!
//! It ignores every revision and only asks: is there an order of the operations, each at a moment between its question and
//! its answer, in which one plain map of objects gives all these answers? It shares no code with the checker, and takes
//! exponential time in the worst case: for short histories.

use crate::history::{Action, Change, Expects, History, Key, Moment, Outcome, Token};
use std::collections::HashSet;

/// The longest history it takes.
pub const MOST: usize = 128;

/// The objects that exist, by number.
type State = Vec<(Key, Token)>;

/// Why there is no answer or a bad one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No order explains the answers.
    NotLinearizable,
    /// More than [`MOST`] operations.
    TooLong,
}

/// Whether some order explains the history.
///
/// # Errors
/// See [`Refusal`].
pub fn check(history: &History) -> Result<(), Refusal> {
    if history.operations.len() > MOST {
        return Err(Refusal::TooLong);
    }
    let mut state: State = history.initial.iter().map(|item| (item.key, item.token)).collect();
    state.sort_unstable();
    let mut search = Search { history, tried: HashSet::new() };
    if search.go(0, &state) { Ok(()) } else { Err(Refusal::NotLinearizable) }
}

struct Search<'a> {
    history: &'a History,
    /// Which operations are done, and what that made: never tried twice.
    tried: HashSet<(u128, State)>,
}

impl Search<'_> {
    fn go(&mut self, done: u128, state: &State) -> bool {
        let operations = &self.history.operations;
        let left = |number: &usize| done & (1 << number) == 0;
        // Whatever comes next must have been sent before the first of the missing answers came.
        let answers = (0..operations.len()).filter(left).filter_map(|number| operations[number].answered);
        let Some(first): Option<Moment> = answers.min() else { return true };
        if !self.tried.insert((done, state.clone())) {
            return false;
        }
        for number in (0..operations.len()).filter(left) {
            let operation = &operations[number];
            if operation.sent > first {
                continue;
            }
            if let Some(next) = step(&operation.action, &operation.outcome, state)
                && self.go(done | 1 << number, &next)
            {
                return true;
            }
        }
        false
    }
}

/// The state after an operation with this outcome; `None` when this state would have given another.
fn step(action: &Action, outcome: &Outcome, state: &State) -> Option<State> {
    match (action, outcome) {
        (Action::Write(changes), Outcome::Done(_) | Outcome::Unknown) => write(changes, state),
        (Action::Write(changes), Outcome::Refused) => write(changes, state).is_none().then(|| state.clone()),
        (Action::Get(key), Outcome::Found(found)) => {
            (get(state, *key) == found.map(|(token, _)| token)).then(|| state.clone())
        }
        (Action::List, Outcome::Listed { items, .. }) => {
            let mut listed: State = items.iter().map(|item| (item.key, item.token)).collect();
            listed.sort_unstable();
            (listed == *state).then(|| state.clone())
        }
        // A read without an answer says nothing.
        (Action::Get(_) | Action::List, Outcome::Unknown) => Some(state.clone()),
        _ => None,
    }
}

fn write(changes: &[Change], state: &State) -> Option<State> {
    let holds = |change: &Change| {
        let now = get(state, change.key);
        let expected = match change.expects {
            Expects::Absent => now.is_none(),
            Expects::Exists => now.is_some(),
            Expects::At(_, token) => now == Some(token),
            Expects::Anything => true,
        };
        expected && (change.put.is_some() || now.is_some())
    };
    if !changes.iter().all(holds) {
        return None;
    }
    let mut next = state.clone();
    for change in changes {
        next.retain(|(key, _)| *key != change.key);
        if let Some(token) = change.put {
            next.push((change.key, token));
        }
    }
    next.sort_unstable();
    Some(next)
}

fn get(state: &State, key: Key) -> Option<Token> {
    state.iter().find(|(other, _)| *other == key).map(|(_, token)| *token)
}
