//! A1: the real server under load from many clients, killed again and again at random moments, on one data directory.
//!
//! Each round: 64 clients write and read and two watches look on; `kill -9`; start again; the watch goes on where it was; the
//! state is listed; and the checker judges all of it, with what came before as its beginning.

use crate::dice::Dice;
use crate::history::{Action, Change, Expects, History, Item, Key, Kind, Outcome, Revision, Seen, Stream, Token};
use crate::ledger::{Entry, Ledger};
use crate::recorder::Recorder;
use crate::wire::{Door, Wire};
use crate::{Report, check};
use anyhow::{Context as _, Result, bail, ensure};
use otternauts_harness::Otter;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const CONNECTIONS: u32 = 8;
const CLIENTS: u32 = 64;
const KEYS: u64 = 200;
/// The object that tells a watch that it has everything: clients use the numbers below.
const LAST: Key = 1_000;
/// The kill comes after a random number of answers, and so many milliseconds more at most.
const LONGER: u64 = 20;
/// A server that gives no such number of answers by then hangs.
const PATIENCE: Duration = Duration::from_secs(180);

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

impl Totals {
    /// As JSON, of so much time; whoever comes here has seen no violation.
    pub fn line(&self, seed: u64, time: Duration) -> String {
        let line = serde_json::json!({"test": "kills", "seed": seed, "rounds": self.rounds, "acknowledged": self.acknowledged,
            "lost": 0, "phantom": 0, "unanswered": self.unknown, "unansweredThatTookPlace": self.came_true,
            "reads": self.reads, "watchEvents": self.events, "seconds": time.as_secs()});
        line.to_string()
    }
}

/// The rounds on one server.
pub struct Kills<'a> {
    otter: &'a mut Otter,
    ledger: Ledger,
    seed: u64,
    /// Below it is the number of answered writes after which the kill comes.
    burst: u64,
    /// What is stored between two rounds.
    at: Revision,
    state: Vec<Item>,
    token: Token,
    totals: Totals,
    /// All of the newest round.
    judged: History,
}

impl<'a> Kills<'a> {
    /// On a running server that has none of our objects yet; a round is killed after any number of answered writes below `burst`,
    /// so that a slow machine has as many answers as a fast one.
    pub fn new(otter: &'a mut Otter, ledger: Ledger, seed: u64, burst: u64) -> Kills<'a> {
        Kills {
            otter,
            ledger,
            seed,
            burst,
            at: 0,
            state: Vec::new(),
            token: 1,
            totals: Totals::default(),
            judged: History::default(),
        }
    }

    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// One round.
    ///
    /// # Errors
    /// Any violation; the message has the seed and where the ledger is.
    pub async fn round(&mut self) -> Result<()> {
        self.round_during(|_| Ok(())).await
    }

    /// One round in which something else is done in the midst of the load; it may block.
    ///
    /// # Errors
    /// As [`Kills::round`], and its own.
    pub async fn round_during(&mut self, other: impl FnOnce(&Otter) -> Result<()>) -> Result<()> {
        let round = self.totals.rounds;
        let at = format!("seed {}, round {round}, ledger {}", self.seed, self.ledger.path().display());
        self.run(round, other).await.with_context(|| at)?;
        self.totals.rounds += 1;
        Ok(())
    }

    /// The server's data was replaced meanwhile, and it is gone on with from what is there now, which is answered.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn begin_anew(&mut self) -> Result<(Revision, &[Item])> {
        let door = Door::of(&self.otter.url, &self.otter.data_dir())?;
        (self.at, self.state) = list(&mut door.connect().await?).await?;
        Ok((self.at, &self.state))
    }

    /// What was stored at a revision of the newest round, by the watches that saw every change of it.
    pub fn state_at(&self, revision: Revision) -> Vec<Item> {
        let mut state: BTreeMap<Key, Item> = self.judged.initial.iter().map(|item| (item.key, *item)).collect();
        // The first watch was cut off, and the last one went on from there to the end.
        let streams = self.judged.streams.first().into_iter().chain(self.judged.streams.last());
        for seen in streams.flat_map(|stream| &stream.seen) {
            match *seen {
                Seen::Event { revision: at, key, kind: Kind::Deleted, .. } if at <= revision => _ = state.remove(&key),
                Seen::Event { revision: at, key, token, .. } if at <= revision => {
                    state.insert(key, Item { key, token, revision: at });
                }
                _ => {}
            }
        }
        state.into_values().collect()
    }

    /// What the newest round has in the ledger.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn acknowledged(&self) -> Result<Vec<Entry>> {
        self.ledger.entries(self.totals.rounds.saturating_sub(1))
    }

    /// The server that is killed.
    pub fn otter(&mut self) -> &mut Otter {
        self.otter
    }

    async fn run(&mut self, round: u64, other: impl FnOnce(&Otter) -> Result<()>) -> Result<()> {
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
        let (least, longer) = (dice.below(self.burst), Duration::from_millis(dice.below(LONGER)));
        let answers = |count| tokio::time::timeout(PATIENCE, recorder.until_answered(count));
        answers(least / 2).await.with_context(|| format!("not even {} answers", least / 2))?;
        tokio::task::block_in_place(|| other(self.otter))?;
        answers(least).await.with_context(|| format!("not even {least} answers"))?;
        tokio::time::sleep(longer).await;
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
        let last = word(recorder.token(), self.state.iter().all(|item| item.key != LAST));
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
        self.judged = history;
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

/// The object after whose event nothing of the round can follow: made where it is not there, else changed.
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
    stream.seen.last().map_or(stream.after, Seen::revision)
}
