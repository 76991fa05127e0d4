//! Many clients on one store in this process, and watches beside them: the long runs of B1.

use crate::dice::Dice;
use crate::history::{Action, Expects, History, Item, Key, Kind, Outcome, Revision, Seen, Stream, Token};
use crate::recorder::Recorder;
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use otternauts_store::{Body, Error, EventKind, List, Op, Precondition, Range, Record, Store, WatchItem, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The kind of the objects.
pub const RESOURCE: &str = "victims.faults.test";
const NAMESPACE: &str = "default";
/// An event that is not there by then never comes.
const PATIENCE: Duration = Duration::from_secs(180);

/// How much of what.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub clients: u32,
    /// Of each client.
    pub operations: u32,
    pub keys: u64,
    pub watchers: u32,
    /// The most objects one transaction writes.
    pub changes: u64,
}

/// Runs the load on a store that nobody else writes to, and tells what happened.
///
/// # Errors
/// What the store refuses although the load is right.
pub async fn run(store: &Store, load: Load, seed: u64) -> Result<History> {
    let (start, initial) = list(store).await?;
    let token = initial.iter().map(|item| item.token).max().unwrap_or_default() + 1;
    let recorder = Arc::new(Recorder::new(load.keys, &initial, token));
    let mut watches = JoinSet::new();
    for number in 0..load.watchers {
        let (store, dice) = (store.clone(), Dice::part(seed, 1_000 + u64::from(number)));
        watches.spawn(async move { watch(&store, start, dice).await });
    }
    let mut clients = JoinSet::new();
    for client in 0..load.clients {
        let (store, recorder, mut dice) = (store.clone(), recorder.clone(), Dice::part(seed, u64::from(client)));
        clients.spawn(async move {
            for _ in 0..load.operations {
                let action = recorder.choose(&mut dice, load.changes);
                ask(&store, &recorder, client, action).await?;
            }
            anyhow::Ok(())
        });
    }
    for done in clients.join_all().await {
        done?;
    }
    // The last word: everybody's watch ends with it, and the final state is read after it.
    let last = Action::Write(vec![crate::history::Change {
        key: LAST,
        expects: Expects::Anything,
        put: Some(recorder.token()),
    }]);
    ask(store, &recorder, load.clients, last).await?;
    ask(store, &recorder, load.clients, Action::List).await?;
    let mut streams = Vec::new();
    let rest = tokio::time::timeout(PATIENCE, watches.join_all()).await;
    for stream in rest.context("a watch waits for ever for an event that it was not given")? {
        streams.extend(stream?);
    }
    Ok(History { start, initial, operations: recorder.take(), streams, alone: true })
}

async fn ask(store: &Store, recorder: &Recorder, client: u32, action: Action) -> Result<()> {
    let sent = recorder.now();
    let outcome = answer(store, &action).await.with_context(|| format!("{action:?}"))?;
    recorder.note(client, sent, action, outcome);
    Ok(())
}

/// One operation on the store.
///
/// # Errors
/// Everything but a refused precondition.
pub async fn answer(store: &Store, action: &Action) -> Result<Outcome> {
    Ok(match action {
        Action::Write(changes) => match store.commit(changes.iter().map(write).collect()).await {
            Ok(done) => Outcome::Done(Some(done.revision)),
            Err(Error::Conflict { .. }) => Outcome::Refused,
            Err(error) => return Err(error.into()),
        },
        Action::Get(number) => {
            let found = store.get(&key(*number)).await?;
            Outcome::Found(found.as_ref().map(item).transpose()?.map(|item| (item.token, item.revision)))
        }
        Action::List => {
            let (at, items) = list(store).await?;
            Outcome::Listed { at, items }
        }
    })
}

/// The whole state and its revision.
///
/// # Errors
/// The store's, and bodies that are not what was written.
pub async fn list(store: &Store) -> Result<(Revision, Vec<Item>)> {
    let page = store.list(List { range: Range::resource(RESOURCE), at: None, after: None, limit: 0 }).await?;
    Ok((page.revision, page.records.iter().map(item).collect::<Result<_>>()?))
}

/// A watch that is dropped and resumed where it was, again and again, until the last word of the load.
async fn watch(store: &Store, start: Revision, mut dice: Dice) -> Result<Vec<Stream>> {
    let mut streams = vec![];
    let mut after = start;
    let mut seen_everything = false;
    while !seen_everything {
        let mut stream = Stream { after, ..Stream::default() };
        let mut watcher = store.watch(Range::resource(RESOURCE), after).await?;
        for _ in 0..1 + dice.below(60) {
            let before = stream.seen.len();
            match watcher.next().await {
                Ok(item) => take(&mut stream, item)?,
                Err(Error::Closed) => return Ok(streams),
                Err(error) => return Err(error.into()),
            }
            // A transaction is never split: the end of a batch is a bookmark by itself (B14).
            if let Some(Seen::Event { revision, .. }) = stream.seen.last().copied() {
                stream.seen.push(Seen::Bookmark(revision));
            }
            if dice.chance(20) {
                stream.seen.push(Seen::Bookmark(watcher.progress()));
            }
            seen_everything = stream.seen[before..].iter().any(|seen| is_last_word(seen, start));
            if seen_everything {
                break;
            }
        }
        if let Some(Seen::Bookmark(at)) = stream.seen.last() {
            after = *at;
        }
        stream.complete_to = Some(after);
        streams.push(stream);
    }
    Ok(streams)
}

/// Objects are numbered from 0; the one that ends the load has a higher number than any client uses.
fn is_last_word(seen: &Seen, start: Revision) -> bool {
    matches!(seen, Seen::Event { key, revision, .. } if *key == LAST && *revision > start)
}

/// The object that ends a load; clients use the numbers below.
pub const LAST: Key = 1_000;

/// Adds what a watch delivered.
///
/// # Errors
/// A body that is not what was written.
pub fn take(stream: &mut Stream, delivered: WatchItem) -> Result<()> {
    match delivered {
        WatchItem::Progress(at) => stream.seen.push(Seen::Bookmark(at)),
        WatchItem::Events(events) => {
            for event in events {
                let Item { key, token, revision } = item(&event.record)?;
                let kind = match event.kind {
                    EventKind::Created => Kind::Added,
                    EventKind::Updated => Kind::Modified,
                    EventKind::Deleted => Kind::Deleted,
                };
                // A deletion carries the last state, whatever body the client sent for it.
                let token = match (&event.previous, kind) {
                    (Some(previous), Kind::Deleted) => item(previous)?.token,
                    (None, Kind::Deleted | Kind::Modified) => bail!("no previous state at {revision}"),
                    _ => token,
                };
                stream.seen.push(Seen::Event { revision, key, kind, token });
            }
        }
    }
    Ok(())
}

pub fn key(number: Key) -> otternauts_store::Key {
    otternauts_store::Key::new(RESOURCE, NAMESPACE, format!("o{number}"))
}

/// One change as the store takes it. The body names its token twice, so that half a body is no body.
pub fn write(change: &crate::history::Change) -> Write {
    write_of(change, 0)
}

/// The same with `more` bytes of body.
pub fn write_of(change: &crate::history::Change, more: usize) -> Write {
    let precondition = match change.expects {
        Expects::Absent => Precondition::Absent,
        Expects::Exists => Precondition::Exists,
        Expects::At(revision, _) => Precondition::At(revision),
        Expects::Anything => Precondition::None,
    };
    let token = change.put.unwrap_or_default();
    let (fill, check) = ("x".repeat(more), !token);
    let head = format!("{{\"token\":{token},\"fill\":\"{fill}\",\"check\":{check},\"resourceVersion\":\"");
    let body = Body { head: Bytes::from(head), tail: Bytes::from_static(b"\"}"), schema: 7, leaving: false };
    let op = if change.put.is_some() { Op::Put(body) } else { Op::Delete { last: body } };
    Write { key: key(change.key), precondition, op }
}

/// Reads a record back.
///
/// # Errors
/// When it is not what [`write`] made.
pub fn item(record: &Record) -> Result<Item> {
    let text = || String::from_utf8_lossy(&record.body[..record.body.len().min(80)]).into_owned();
    let body: serde_json::Value = serde_json::from_slice(&record.body).with_context(text)?;
    let number = record.key.name.strip_prefix('o').and_then(|number| number.parse().ok());
    let (Some(key), Some(token), Some(check)) = (number, body["token"].as_u64(), body["check"].as_u64()) else {
        bail!("not a body of ours: {}", text());
    };
    let revision = body["resourceVersion"].as_str().and_then(|revision| revision.parse().ok());
    if check != !token || revision != Some(record.revision) {
        bail!("wrong bytes at revision {}: {}", record.revision, text());
    }
    Ok(Item { key, token: token as Token, revision: record.revision })
}
