//! A1: the real server under load from many clients, killed again and again at random moments, on one data directory.
//!
//! Each round: 64 clients write and read and two watches look on; `kill -9`; start again; the watch goes on where it was; the
//! state is listed; and the checker judges all of it, with what came before as its beginning.

use crate::dice::Dice;
use crate::history::{Action, Change, Expects, History, Item, Key, Outcome, Revision, Seen, Stream, Token};
use crate::ledger::Ledger;
use crate::recorder::Recorder;
use crate::wire::{Door, Wire};
use crate::{Report, check};
use anyhow::{Context as _, Result, bail, ensure};
use otternauts_harness::Otter;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const CONNECTIONS: u32 = 8;
const CLIENTS: u32 = 64;
const KEYS: u64 = 200;
/// The object that tells a watch that it has everything: clients use the numbers below.
const LAST: Key = 1_000;
/// The kill comes at a random moment of so many milliseconds of load.
const LONGEST: u64 = 500;

/// What all rounds together came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub rounds: u64,
    pub acknowledged: u64,
    /// Unanswered writes; and those of them that took place.
    pub unknown: u64,
    pub came_true: u64,
    pub reads: u64,
    pub events: u64,
}

/// The rounds on one server.
pub struct Kills<'a> {
    otter: &'a mut Otter,
    ledger: Ledger,
    seed: u64,
    /// What is stored between two rounds.
    at: Revision,
    state: Vec<Item>,
    token: Token,
    totals: Totals,
}

impl<'a> Kills<'a> {
    /// On a running server that has none of our objects yet.
    pub fn new(otter: &'a mut Otter, ledger: Ledger, seed: u64) -> Kills<'a> {
        Kills { otter, ledger, seed, at: 0, state: Vec::new(), token: 1, totals: Totals::default() }
    }

    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// One round.
    ///
    /// # Errors
    /// Any violation; the message has the seed and where the ledger is.
    pub async fn round(&mut self) -> Result<()> {
        let round = self.totals.rounds;
        let at = format!("seed {}, round {round}, ledger {}", self.seed, self.ledger.path().display());
        self.run(round).await.with_context(|| at)?;
        self.totals.rounds += 1;
        Ok(())
    }

    async fn run(&mut self, round: u64) -> Result<()> {
        let mut dice = Dice::part(self.seed, round);
        let door = Door::of(&self.otter.url, &self.otter.data_dir())?;
        if round == 0 {
            (self.at, self.state) = list(&mut door.connect().await?).await?;
        }
        let recorder = Arc::new(Recorder::new(KEYS, &self.state, self.token));
        let mut watches = JoinSet::new();
        for _ in 0..2 {
            let (mut wire, after) = (door.connect().await?, self.at);
            watches.spawn(async move { look_on(&mut wire, after).await });
        }
        let clients = start_clients(&door, &recorder, &dice).await?;
        tokio::time::sleep(Duration::from_millis(dice.below(LONGEST))).await;
        tokio::task::block_in_place(|| self.otter.kill());
        for client in clients.join_all().await {
            client?;
        }
        let mut streams = watches.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        let mut operations = recorder.take();
        self.totals.acknowledged += self.ledger.note(round, &operations)?;

        tokio::task::block_in_place(|| self.otter.boot());
        let door = Door::of(&self.otter.url, &self.otter.data_dir())?;
        let mut wire = door.connect().await?;
        let resumed = streams.first().map_or(self.at, last_seen);
        let last = word(recorder.token(), round == 0);
        for action in [Action::List, last, Action::List] {
            let sent = recorder.now();
            let outcome = wire.ask(&action).await?;
            ensure!(outcome != Outcome::Unknown, "no answer after the restart");
            recorder.note(CLIENTS, sent, action, outcome);
        }
        streams.push(resume(&mut wire, resumed).await?);
        operations.extend(recorder.take());
        self.token = recorder.token() + 1;
        self.judge(operations, streams)
    }

    fn judge(&mut self, operations: Vec<crate::history::Operation>, streams: Vec<Stream>) -> Result<()> {
        let Some(Outcome::Listed { at, items }) = operations.last().map(|last| last.outcome.clone()) else {
            bail!("the last operation is not a list")
        };
        let initial = std::mem::replace(&mut self.state, items);
        let start = std::mem::replace(&mut self.at, at);
        // The server writes objects of its own too, so its revisions have gaps here.
        let history = History { start, initial, operations, streams, alone: false };
        let Report { unknown, came_true, reads, events, .. } = match check(&history) {
            Ok(report) => report,
            Err(violations) => bail!("{violations:#?}"),
        };
        self.totals.unknown += unknown as u64;
        self.totals.came_true += came_true as u64;
        self.totals.reads += reads as u64;
        self.totals.events += events as u64;
        Ok(())
    }
}

/// Starts the clients; each ends with the first question that gets no answer.
async fn start_clients(door: &Door, recorder: &Arc<Recorder>, dice: &Dice) -> Result<JoinSet<Result<()>>> {
    let mut clients = JoinSet::new();
    let mut dice = dice.clone();
    let mut wires = Vec::new();
    for _ in 0..CONNECTIONS {
        wires.push(door.connect().await?);
    }
    for client in 0..CLIENTS {
        let (mut wire, recorder) = (wires[(client % CONNECTIONS) as usize].clone(), recorder.clone());
        let mut dice = Dice::part(dice.next(), u64::from(client));
        clients.spawn(async move {
            loop {
                let action = recorder.choose(&mut dice, 1);
                let sent = recorder.now();
                let outcome = wire.ask(&action).await?;
                let over = outcome == Outcome::Unknown;
                recorder.note(client, sent, action, outcome);
                if over {
                    return Ok(());
                }
            }
        });
    }
    Ok(clients)
}

/// The object after whose event nothing of the round can follow: made in the first round, changed in each other.
fn word(token: Token, first: bool) -> Action {
    let expects = if first { Expects::Absent } else { Expects::Exists };
    Action::Write(vec![Change { key: LAST, expects, put: Some(token) }])
}

async fn list(wire: &mut Wire) -> Result<(Revision, Vec<Item>)> {
    match wire.ask(&Action::List).await? {
        Outcome::Listed { at, items } => Ok((at, items)),
        other => bail!("a list was answered with {other:?}"),
    }
}

/// Watches until the server is gone.
async fn look_on(wire: &mut Wire, after: Revision) -> Result<Stream> {
    let mut stream = Stream { after, ..Stream::default() };
    let mut watching = wire.watch(after).await?;
    while let Some(seen) = watching.next().await? {
        stream.seen.extend(seen);
    }
    Ok(stream)
}

/// Watches from where another watch was cut off up to the last word.
async fn resume(wire: &mut Wire, after: Revision) -> Result<Stream> {
    let mut stream = Stream { after, ..Stream::default() };
    let mut watching = wire.watch(after).await?;
    loop {
        let next = tokio::time::timeout(Duration::from_secs(180), watching.next()).await;
        let Some(seen) = next.context("the resumed watch lacks the last word")?? else {
            bail!("the resumed watch ended")
        };
        stream.seen.extend(seen);
        if let Some(Seen::Event { key: LAST, revision, .. }) = stream.seen.last() {
            stream.complete_to = Some(*revision);
            return Ok(stream);
        }
    }
}

/// The newest revision of a stream: where a client goes on.
fn last_seen(stream: &Stream) -> Revision {
    stream.seen.last().map_or(stream.after, |seen| match seen {
        Seen::Event { revision, .. } => *revision,
        Seen::Bookmark(at) => *at,
    })
}
