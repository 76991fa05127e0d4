//! The log as it must have been: every write that is known to have taken place, by revision, and the states it makes.

use super::{Report, Violation};
use crate::history::{Action, Change, Expects, History, Item, Key, Kind, Outcome, Revision, Seen, Token};
use std::collections::{BTreeMap, HashMap};

/// An object's state: what is stored and since when; none: it does not exist.
pub(super) type State = Option<(Token, Revision)>;

/// One change of the log, as a watch must show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub revision: Revision,
    pub key: Key,
    pub kind: Kind,
    pub token: Token,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    /// Which operation took place at a revision.
    pub at: BTreeMap<Revision, usize>,
    /// At which revision an operation took place.
    pub took_place: HashMap<usize, Revision>,
    /// In the order of revisions, and of changes inside one.
    pub entries: Vec<Entry>,
    /// Each object's states, oldest first, the first one at the start.
    states: HashMap<Key, Vec<(Revision, State)>>,
}

impl Log {
    pub(super) fn build(history: &History, violations: &mut Vec<Violation>) -> Log {
        let mut log = Log::default();
        for (number, operation) in history.operations.iter().enumerate() {
            if let (Action::Write(_), Outcome::Done(Some(revision))) = (&operation.action, &operation.outcome) {
                if let Some(first) = log.at.insert(*revision, number) {
                    violations.push(Violation::SameRevision { revision: *revision, first, second: number });
                }
                log.took_place.insert(number, *revision);
            }
        }
        Witnesses::new(history).hear(&mut log, violations);
        for (number, operation) in history.operations.iter().enumerate() {
            if operation.outcome == Outcome::Done(None) && !log.took_place.contains_key(&number) {
                violations.push(Violation::Lost { operation: number });
            }
        }
        log.replay(history, violations);
        log
    }

    /// The object's state when `revision` was the newest.
    pub(super) fn state(&self, key: Key, revision: Revision) -> State {
        let states = self.states.get(&key)?;
        let after = states.partition_point(|(since, _)| *since <= revision);
        after.checked_sub(1).and_then(|last| states[last].1)
    }

    /// Revisions in `low..=high` at which the state of one of these objects begins: with `low` itself, all there is to try.
    pub(super) fn moments(&self, keys: &[Key], low: Revision, high: Revision) -> Vec<Revision> {
        let mut moments = vec![low];
        for key in keys {
            let Some(states) = self.states.get(key) else { continue };
            let first = states.partition_point(|(since, _)| *since <= low);
            moments.extend(states[first..].iter().map(|(since, _)| *since).take_while(|since| *since <= high));
        }
        moments
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.states.keys().copied()
    }

    fn replay(&mut self, history: &History, violations: &mut Vec<Violation>) {
        let mut now: HashMap<Key, State> = HashMap::new();
        for Item { key, token, revision } in &history.initial {
            now.insert(*key, Some((*token, *revision)));
            self.states.insert(*key, vec![(history.start.min(*revision), Some((*token, *revision)))]);
        }
        let mut expected = history.start;
        for (&revision, &operation) in &self.at {
            expected += 1;
            if history.alone && revision != expected {
                violations.push(Violation::Gap { revision: expected });
                expected = revision;
            }
            for change in changes(history, operation) {
                let key = change.key;
                let before = now.get(&key).copied().flatten();
                if !holds(change.expects, before) || (before.is_none() && change.put.is_none()) {
                    violations.push(Violation::Precondition { operation, revision, key });
                }
                let after = change.put.map(|token| (token, revision));
                let (kind, token) = match (before, after) {
                    (None, Some((token, _))) => (Kind::Added, token),
                    (Some(_), Some((token, _))) => (Kind::Modified, token),
                    (Some((token, _)), None) => (Kind::Deleted, token),
                    (None, None) => continue,
                };
                now.insert(key, after);
                self.states.entry(key).or_default().push((revision, after));
                self.entries.push(Entry { revision, key, kind, token });
            }
        }
    }

    pub(super) fn report(&self, history: &History) -> Report {
        let mut report = Report { operations: history.operations.len(), ..Report::default() };
        for (number, operation) in history.operations.iter().enumerate() {
            match (&operation.action, &operation.outcome) {
                (Action::Write(_), Outcome::Done(_)) => report.acknowledged += 1,
                (Action::Write(_), Outcome::Refused) => report.refused += 1,
                (Action::Write(_), _) => {
                    report.unknown += 1;
                    report.came_true += usize::from(self.took_place.contains_key(&number));
                }
                (_, Outcome::Unknown) => report.unknown += 1,
                _ => report.reads += 1,
            }
        }
        let seen = history.streams.iter().flat_map(|stream| &stream.seen);
        report.events = seen.filter(|seen| matches!(seen, Seen::Event { .. })).count();
        report
    }
}

pub(super) fn changes(history: &History, operation: usize) -> &[Change] {
    match &history.operations[operation].action {
        Action::Write(changes) => changes,
        _ => &[],
    }
}

pub(super) fn holds(expects: Expects, state: State) -> bool {
    match expects {
        Expects::Absent => state.is_none(),
        Expects::Exists => state.is_some(),
        Expects::At(revision, _) => state.is_some_and(|(_, since)| since == revision),
        Expects::Anything => true,
    }
}

/// Who saw a write that was not answered: watches and reads say that it took place, and when.
struct Witnesses<'a> {
    history: &'a History,
    by_token: HashMap<Token, usize>,
    /// Deletions whose answer does not say when, by the object they wanted deleted: answered ones first.
    deletions: HashMap<Key, Vec<usize>>,
    known: HashMap<Token, Revision>,
}

impl<'a> Witnesses<'a> {
    fn new(history: &'a History) -> Witnesses<'a> {
        let mut by_token = HashMap::new();
        let mut deletions: HashMap<Key, Vec<usize>> = HashMap::new();
        for (number, operation) in history.operations.iter().enumerate() {
            for change in changes(history, number) {
                match change.put {
                    Some(token) => _ = by_token.insert(token, number),
                    None if matches!(operation.outcome, Outcome::Unknown | Outcome::Done(None)) => {
                        deletions.entry(change.key).or_default().push(number);
                    }
                    None => {}
                }
            }
        }
        for deletions in deletions.values_mut() {
            // Of several that were not answered any may have been the one: the one that was sent first claims least.
            deletions.sort_by_key(|number| {
                let operation = &history.operations[*number];
                (operation.outcome == Outcome::Unknown, operation.sent)
            });
        }
        let known = history.initial.iter().map(|item| (item.token, item.revision)).collect();
        Witnesses { history, by_token, deletions, known }
    }

    fn hear(&self, log: &mut Log, violations: &mut Vec<Violation>) {
        for seen in self.history.streams.iter().flat_map(|stream| &stream.seen) {
            match *seen {
                Seen::Event { revision, key, kind: Kind::Deleted, token } => {
                    self.deleted(log, violations, (revision, key, token));
                }
                Seen::Event { revision, key, token, .. } => self.stored(log, violations, (revision, key, token)),
                Seen::Bookmark(_) => {}
            }
        }
        for operation in &self.history.operations {
            match (&operation.action, &operation.outcome) {
                (Action::Get(key), Outcome::Found(Some((token, revision)))) => {
                    self.stored(log, violations, (*revision, *key, *token));
                }
                (_, Outcome::Listed { items, .. }) => {
                    for item in items {
                        self.stored(log, violations, (item.revision, item.key, item.token));
                    }
                }
                _ => {}
            }
        }
    }

    /// Somebody saw this token, written at this revision.
    fn stored(&self, log: &mut Log, violations: &mut Vec<Violation>, seen: (Revision, Key, Token)) {
        let (revision, key, token) = seen;
        if self.known.get(&token).is_some_and(|since| *since == revision) {
            return;
        }
        let writer = self.by_token.get(&token).copied();
        let Some(writer) = writer.filter(|writer| changes(self.history, *writer).iter().any(|c| c.key == key)) else {
            violations.push(Violation::Phantom { revision, key, token });
            return;
        };
        match self.history.operations[writer].outcome {
            Outcome::Done(_) | Outcome::Unknown => Self::place(log, violations, writer, revision),
            _ => violations.push(Violation::Phantom { revision, key, token }),
        }
    }

    /// Somebody saw the deletion of the object that held this token.
    fn deleted(&self, log: &mut Log, violations: &mut Vec<Violation>, seen: (Revision, Key, Token)) {
        let (revision, key, token) = seen;
        if log.at.contains_key(&revision) {
            // Answered, or placed by another witness: the watch is held against it later.
            return;
        }
        let fits = |number: &&usize| {
            let free = !log.took_place.contains_key(number);
            free && changes(self.history, **number).iter().any(|change| match change.expects {
                Expects::At(_, read) => read == token,
                _ => change.key == key,
            })
        };
        match self.deletions.get(&key).and_then(|deletions| deletions.iter().find(fits)) {
            Some(number) => Self::place(log, violations, *number, revision),
            None => violations.push(Violation::Phantom { revision, key, token }),
        }
    }

    fn place(log: &mut Log, violations: &mut Vec<Violation>, writer: usize, revision: Revision) {
        match log.took_place.get(&writer) {
            Some(known) if *known == revision => {}
            Some(known) => {
                violations.push(Violation::Moved { operation: writer, answered: Some(*known), seen: revision });
            }
            None => {
                if let Some(first) = log.at.insert(revision, writer) {
                    violations.push(Violation::SameRevision { revision, first, second: writer });
                }
                log.took_place.insert(writer, revision);
            }
        }
    }
}
