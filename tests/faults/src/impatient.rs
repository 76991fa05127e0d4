//! B4: clients that wait one millisecond for an answer and then ask again, word for word, until they are answered. What they ask for
//! happens once: one object for each name, and a counter that is raised by compare and set is as high as it was raised.

use crate::history::{Action, Change, Expects, Item, Key, Kind, Outcome, Revision, Seen, Token};
use crate::wire::{Door, Wire};
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::JoinSet;

const CLIENTS: Key = 16;
/// Of the first question; each further one waits twice as long, so that a slow machine answers at last.
const PATIENCE: Duration = Duration::from_millis(1);
const MOST_PATIENCE: Duration = Duration::from_secs(2);
/// Who was not answered so often never is.
const TRIES: u32 = 100;
/// The counter is raised once in so many creates.
const CREATES_A_RAISE: Key = 4;
/// An event that is not there by then never comes.
const LONGEST: Duration = Duration::from_secs(180);

/// What all clients together came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub creates: u64,
    pub raises: u64,
    /// Questions that were given up.
    pub late: u64,
    /// Connections that were made anew: the server had ended them, or refused a question for now.
    pub ended: u64,
    /// Changes that had taken place without an answer: asked for again, they were refused for that.
    pub found_done: u64,
}

impl Totals {
    /// As JSON; whoever comes here has seen nothing twice.
    pub fn line(&self, seconds: u64) -> String {
        let line = serde_json::json!({"test": "impatient", "creates": self.creates, "raises": self.raises, "late": self.late, "connectionsEnded": self.ended,
            "foundDone": self.found_done, "twice": 0, "lost": 0, "seconds": seconds});
        line.to_string()
    }
}

/// Creates at least so many objects, on a server that has none of our objects yet.
///
/// # Errors
/// What happened twice, or not at all; and questions that are never answered.
pub async fn run(door: &Door, creates: Key) -> Result<Totals> {
    let each = creates.div_ceil(CLIENTS);
    let counters = each * CLIENTS;
    let last = counters + CLIENTS;
    let mut wire = door.connect().await?;
    let Outcome::Listed { at, .. } = wire.ask(&Action::List).await? else { bail!("no list") };
    let watch = tokio::spawn(look_on(door.connect().await?, at, last));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (door, wire) = (door.clone(), door.connect().await?);
        let client = Client { door, wire, totals: Totals::default() };
        clients.spawn(client.work((number * each..(number + 1) * each).collect(), counters + number));
    }
    let mut totals = Totals::default();
    for client in clients.join_all().await {
        let client = client?;
        totals.creates += client.creates;
        totals.raises += client.raises;
        totals.late += client.late;
        totals.ended += client.ended;
        totals.found_done += client.found_done;
    }
    let word = Action::Write(vec![Change { key: last, expects: Expects::Absent, put: Some(1) }]);
    ensure!(matches!(wire.ask(&word).await?, Outcome::Done(_)), "the last word is not taken");
    let mut expected: HashMap<Key, Token> = (0..counters).map(|key| (key, token(key))).collect();
    expected.extend((counters..last).map(|counter| (counter, u64::from(each / CREATES_A_RAISE))));
    expected.insert(last, 1);

    let seen = tokio::time::timeout(LONGEST, watch).await.context("the watch lacks the last word")???;
    ensure!(seen == expected, "what the watch saw created and raised: {}", differences(&seen, &expected));
    let Outcome::Listed { items, .. } = wire.ask(&Action::List).await? else { bail!("no list") };
    ensure!(items.len() == expected.len(), "{} objects of {} names", items.len(), expected.len());
    let listed = items.iter().map(|item| (item.key, item.token)).collect();
    ensure!(listed == expected, "what is there: {}", differences(&listed, &expected));
    Ok(totals)
}

fn differences(found: &HashMap<Key, Token>, expected: &HashMap<Key, Token>) -> String {
    let keys = found.keys().chain(expected.keys());
    let some = keys.filter(|key| found.get(key) != expected.get(key)).take(10);
    some.map(|key| format!("o{key} is {:?} instead of {:?}; ", found.get(key), expected.get(key))).collect()
}

/// What an object is created with.
fn token(key: Key) -> Token {
    u64::from(key) + 1
}

/// The state that all events up to the last word make, each of which must be a creation or a raise by one.
async fn look_on(mut wire: Wire, after: Revision, last: Key) -> Result<HashMap<Key, Token>> {
    let mut state = HashMap::new();
    let mut watching = wire.watch(after).await?;
    while !state.contains_key(&last) {
        for seen in watching.next().await?.context("the watch ended")? {
            let Seen::Event { key, kind, token, revision } = seen else { continue };
            let before = state.insert(key, token);
            match (kind, before) {
                (Kind::Added, None) => {}
                (Kind::Modified, Some(before)) if before + 1 == token => {}
                _ => bail!("at {revision} o{key} is {kind:?}, from {before:?} to {token}"),
            }
        }
    }
    Ok(state)
}

struct Client {
    door: Door,
    wire: Wire,
    totals: Totals,
}

impl Client {
    async fn work(mut self, names: Vec<Key>, counter: Key) -> Result<Totals> {
        let mut at = self.create(counter, 0).await?.revision;
        for (done, name) in (1..).zip(names) {
            self.create(name, token(name)).await?;
            self.totals.creates += 1;
            if done % CREATES_A_RAISE == 0 {
                at = self.raise(counter, at, self.totals.raises).await?;
                self.totals.raises += 1;
            }
        }
        Ok(self.totals)
    }

    async fn create(&mut self, key: Key, token: Token) -> Result<Item> {
        self.happens(Change { key, expects: Expects::Absent, put: Some(token) }).await
    }

    /// Raises a counter of ours that was written at a revision; answers the next one.
    async fn raise(&mut self, key: Key, at: Revision, value: Token) -> Result<Revision> {
        let change = Change { key, expects: Expects::At(at, value), put: Some(value + 1) };
        Ok(self.happens(change).await?.revision)
    }

    /// Asks for a change that nobody else makes until it is answered; a refusal means that it was made, unanswered.
    async fn happens(&mut self, change: Change) -> Result<Item> {
        let (key, token) = (change.key, change.put.context("nothing is deleted")?);
        let (outcome, late) = self.insist(&Action::Write(vec![change])).await?;
        if let Outcome::Done(Some(revision)) = outcome {
            return Ok(Item { key, token, revision });
        }
        ensure!(
            outcome == Outcome::Refused && late > 0,
            "{change:?} was answered with {outcome:?}, asked {late} times before"
        );
        self.totals.found_done += 1;
        match self.insist(&Action::Get(key)).await?.0 {
            Outcome::Found(Some((found, revision))) if found == token => Ok(Item { key, token, revision }),
            other => bail!("{change:?} was refused, asked {late} times before, and is not there: {other:?}"),
        }
    }

    /// Asks until it is answered; says how often it was not.
    async fn insist(&mut self, action: &Action) -> Result<(Outcome, u32)> {
        let mut patience = PATIENCE;
        for late in 0..TRIES {
            match tokio::time::timeout(patience, self.wire.ask(action)).await {
                Ok(Ok(Outcome::Unknown)) => {
                    self.wire = self.door.connect().await?;
                    self.totals.ended += 1;
                }
                Ok(outcome) => return Ok((outcome?, late)),
                Err(_) => {}
            }
            self.totals.late += 1;
            patience = (patience * 2).min(MOST_PATIENCE);
        }
        bail!("{action:?} was never answered")
    }
}
