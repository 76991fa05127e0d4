//! Writes a history down while clients make it, and knows what they know.

use crate::dice::Dice;
use crate::history::{Action, Change, Expects, Item, Key, Moment, Operation, Outcome, Revision, Token};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Shared by all clients of one run.
#[derive(Debug)]
pub struct Recorder {
    base: Instant,
    tokens: AtomicU64,
    operations: Mutex<Vec<Operation>>,
    /// What somebody last read or wrote: the basis of preconditions, often old, as it should be.
    known: Mutex<HashMap<Key, (Revision, Token)>>,
    keys: u64,
    /// How many writes were done and answered.
    done: tokio::sync::watch::Sender<u64>,
}

impl Recorder {
    /// For objects 0 to `keys` - 1, whose state at the beginning is `initial`; tokens begin at `token`.
    pub fn new(keys: u64, initial: &[Item], token: Token) -> Recorder {
        let known = initial.iter().map(|item| (item.key, (item.revision, item.token))).collect();
        Recorder {
            base: Instant::now(),
            tokens: AtomicU64::new(token),
            operations: Mutex::default(),
            known: Mutex::new(known),
            keys,
            done: tokio::sync::watch::Sender::new(0),
        }
    }

    /// Returns when so many writes were done and answered.
    pub async fn until_answered(&self, least: u64) {
        let mut done = self.done.subscribe();
        // It cannot fail: the sender is ours.
        let _reached = done.wait_for(|done| *done >= least).await;
    }

    pub fn now(&self) -> Moment {
        self.base.elapsed().as_nanos() as Moment
    }

    /// The next token that nobody used.
    pub fn token(&self) -> Token {
        self.tokens.load(Ordering::Relaxed)
    }

    /// What a client does next: writes of all kinds, some on purpose too late, and reads.
    pub fn choose(&self, dice: &mut Dice, most_changes: u64) -> Action {
        match dice.below(100) {
            0..15 => Action::Get(dice.below(self.keys) as Key),
            15..18 => Action::List,
            18..22 if most_changes > 1 => self.transaction(dice, most_changes),
            _ => Action::Write(vec![self.change(dice, None)]),
        }
    }

    fn transaction(&self, dice: &mut Dice, most: u64) -> Action {
        let count = (2 + dice.below(most - 1)).min(self.keys);
        let first = dice.below(self.keys);
        let keys = (0..count).map(|step| ((first + step) % self.keys) as Key);
        let put = |key| Change { key, expects: Expects::Anything, put: Some(self.fresh()) };
        Action::Write(keys.map(put).collect())
    }

    fn change(&self, dice: &mut Dice, key: Option<Key>) -> Change {
        let key = key.unwrap_or_else(|| dice.below(self.keys) as Key);
        let known = self.known.lock().expect("no client panics with it").get(&key).copied();
        let Some((revision, token)) = known else {
            return Change { key, expects: Expects::Absent, put: Some(self.fresh()) };
        };
        match dice.below(10) {
            0 => Change { key, expects: Expects::Absent, put: Some(self.fresh()) },
            1..3 => Change { key, expects: Expects::Exists, put: Some(self.fresh()) },
            3..5 => Change { key, expects: Expects::At(revision, token), put: None },
            _ => Change { key, expects: Expects::At(revision, token), put: Some(self.fresh()) },
        }
    }

    fn fresh(&self) -> Token {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes an operation that was sent at `sent` and is over now; `answered` is `None` when nothing came back.
    pub fn note(&self, client: u32, sent: Moment, action: Action, outcome: Outcome) {
        let answered = (outcome != Outcome::Unknown).then(|| self.now());
        self.learn(&action, &outcome);
        if matches!(outcome, Outcome::Done(_)) {
            self.done.send_modify(|done| *done += 1);
        }
        let operation = Operation { client, sent, answered, action, outcome };
        self.operations.lock().expect("no client panics with it").push(operation);
    }

    fn learn(&self, action: &Action, outcome: &Outcome) {
        let mut known = self.known.lock().expect("no client panics with it");
        match (action, outcome) {
            (Action::Write(changes), Outcome::Done(revision)) => {
                for change in changes {
                    match (change.put, revision) {
                        (Some(token), Some(revision)) => _ = known.insert(change.key, (*revision, token)),
                        _ => _ = known.remove(&change.key),
                    }
                }
            }
            (Action::Write(changes), Outcome::Refused) if changes[0].expects == Expects::Absent => {}
            // Whoever was refused reads again; here: forgets, so that the next client creates it or is refused for that.
            (Action::Write(changes), Outcome::Refused) => _ = known.remove(&changes[0].key),
            (Action::Get(key), Outcome::Found(Some((token, revision)))) => _ = known.insert(*key, (*revision, *token)),
            (Action::Get(key), Outcome::Found(None)) => _ = known.remove(key),
            (_, Outcome::Listed { items, .. }) => {
                known.extend(items.iter().map(|item| (item.key, (item.revision, item.token))));
            }
            _ => {}
        }
    }

    /// Everything noted so far; it is gone from here then.
    pub fn take(&self) -> Vec<Operation> {
        std::mem::take(&mut *self.operations.lock().expect("no client panics with it"))
    }
}
