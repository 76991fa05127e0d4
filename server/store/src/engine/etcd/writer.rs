//! The one writer of this replica: what waits is committed together, in one etcd transaction that compares the head.
//!
//! The comparison is everything. It holds only if nobody committed since what this replica has seen, so preconditions
//! were judged by the newest state; and it holds at most once, so a transaction whose answer was lost can be sent again
//! as it is: the second time it either does what the first did not, or finds the head moved and does nothing.

use crate::batch::Batch;
use crate::engine::etcd::client::PATIENCE;
use crate::engine::etcd::compaction::Compaction;
use crate::engine::etcd::proto::{TxnRequest, get, holds, put};
use crate::engine::etcd::row::{Head, encode};
use crate::engine::etcd::view::{MOST_OPS, View};
use crate::error::{Error, Result};
use crate::key::Revision;
use crate::log::Place;
use crate::record::{Committed, Op, Record, Write};
use crate::visible::committed;
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

/// A batch takes no further transaction once it has so many rows (the head is one more operation) or bytes (etcd's limit is 1.5 MiB).
const BATCH_ROWS: usize = MOST_OPS - 1;
const BATCH_BYTES: usize = 1 << 20;
/// What a row costs beside its body.
const ROW_OVERHEAD: usize = 256;
/// A batch has so much time at least, also when it had to wait for others.
const LEAST: Duration = Duration::from_secs(1);
/// How often a batch may find that another replica was first.
const TRIES: usize = 200;

/// What the writer is asked for.
pub(super) enum Request {
    Commit(Waiting),
    /// Waits for its turn, so that who is answered knows everything before it done, compaction too.
    SetMeta {
        name: String,
        value: Bytes,
        reply: oneshot::Sender<Result<()>>,
    },
    Forget {
        upto: Revision,
        reply: oneshot::Sender<Result<()>>,
    },
    Close(oneshot::Sender<()>),
}

/// A transaction waiting for its batch.
pub(super) struct Waiting {
    pub writes: Vec<Write>,
    /// When it was asked for.
    pub since: Instant,
    pub reply: oneshot::Sender<Result<Committed>>,
    pub _place: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    pub view: Arc<View>,
    pub compaction: Compaction,
}

/// A batch as it is sent.
struct Attempt {
    batch: Batch,
    head: Head,
    before: HashMap<Place, Record>,
    request: TxnRequest,
    /// The small value that is followed, as this was made under it.
    under: Option<Bytes>,
    /// Of each transaction: its rows, or why it is refused.
    outcomes: Vec<Result<Range<usize>>>,
}

/// How an attempt ended.
enum Sent {
    Done,
    /// Another replica was first.
    Lost,
}

impl Writer {
    /// Ends when it is told to close, or when nobody can ask any more.
    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut held = None;
        loop {
            let next = match held.take() {
                Some(request) => Some(request),
                None => self.receive(&mut requests).await,
            };
            match next {
                None => return,
                Some(Request::Close(reply)) => {
                    let _nobody_waits = reply.send(());
                    return;
                }
                Some(Request::SetMeta { name, value, reply }) => {
                    let key = self.view.keys.meta(&name);
                    let _gone = reply.send(super::meta::write(&self.view, key, value).await);
                    // As after a commit: who sets a second value finds everything done that was due.
                    self.compaction.run(&self.view).await;
                }
                Some(Request::Forget { upto, reply }) => {
                    let _gone = reply.send(self.compaction.forget(&self.view, upto).await);
                }
                Some(Request::Commit(waiting)) => {
                    let mut batch = vec![waiting];
                    held = gather(&mut batch, &mut requests);
                    self.commit(batch).await;
                    self.compaction.run(&self.view).await;
                }
            }
        }
    }

    /// The next request. While none comes, history that is due goes.
    async fn receive(&mut self, requests: &mut mpsc::UnboundedReceiver<Request>) -> Option<Request> {
        loop {
            let Some(wait) = self.compaction.wait(&self.view) else { return requests.recv().await };
            match tokio::time::timeout(wait.max(Duration::from_millis(100)), requests.recv()).await {
                Ok(request) => return request,
                Err(_) => self.compaction.run(&self.view).await,
            }
        }
    }

    async fn commit(&self, waiting: Vec<Waiting>) {
        let started = std::time::Instant::now();
        let mut waiting: Vec<Waiting> = waiting.into_iter().filter(|waiting| !waiting.reply.is_closed()).collect();
        let result = self.try_commit(&waiting).await;
        match result {
            Ok((attempt, outcomes)) => {
                self.view.visible.observer.committed(attempt.batch.rows.len(), started.elapsed());
                for (waiting, outcome) in waiting.drain(..).zip(outcomes) {
                    let _gone = waiting.reply.send(outcome.map(|rows| committed(&attempt.batch, rows)));
                }
            }
            Err(error) => {
                for waiting in waiting.drain(..) {
                    let _gone = waiting.reply.send(Err(again(&error)));
                }
            }
        }
    }

    /// Commits what can be, and answers what became of each transaction.
    async fn try_commit(&self, waiting: &[Waiting]) -> Result<(Attempt, Vec<Result<Range<usize>>>)> {
        // Nobody waits longer than that, however many batches were before.
        let now = Instant::now();
        let oldest = waiting.iter().map(|waiting| waiting.since).min().unwrap_or(now);
        let deadline = (oldest + PATIENCE).max(now + LEAST);
        for tried in 0..TRIES {
            let mut attempt = self.attempt(waiting).await?;
            let done = if attempt.batch.rows.is_empty() {
                // Refusals count only by the newest state.
                let judged_at = attempt.head;
                self.view.fresh().await?;
                self.view.head().revision == judged_at.revision
            } else {
                matches!(self.send(&attempt, deadline).await?, Sent::Done)
            };
            if !done && attempt.under != self.view.followed.last() {
                // Not again as it is: it was made under what does not count any more.
                return Err(Error::Outdated);
            }
            if done {
                let outcomes = std::mem::take(&mut attempt.outcomes);
                return Ok((attempt, outcomes));
            }
            if Instant::now() >= deadline {
                break;
            }
            if tried > 2 {
                // Several replicas write at once: not all of them in step.
                let pause = rand::random::<u64>() % (1 << tried.min(5));
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
        Err(Error::Unavailable("etcd: other replicas were always quicker to write".to_owned()))
    }

    /// Judges every transaction by what this replica has seen.
    async fn attempt(&self, waiting: &[Waiting]) -> Result<Attempt> {
        let under = self.view.followed.last();
        let (known, batch, outcomes) = {
            let applied = self.view.applied.lock();
            let index = self.view.visible.index.read();
            let mut batch = Batch::new(applied.head.revision);
            let outcomes: Vec<_> = waiting.iter().map(|waiting| batch.admit(&index, waiting.writes.clone())).collect();
            (applied.head, batch, outcomes)
        };
        if batch.rows.is_empty() {
            let request = TxnRequest::default();
            return Ok(Attempt { batch, head: known, before: HashMap::new(), request, under, outcomes });
        }
        let before = self.view.before(&batch.rows).await?;
        let head = Head { revision: batch.revision, oldest: known.oldest, nonce: rand::random() };
        let keys = &self.view.keys;
        let expected = (known.revision > 0).then(|| known.encode());
        let mut success: Vec<_> =
            batch.rows.iter().map(|row| put(keys.row(row.place), encode(row, head.nonce))).collect();
        success.push(put(keys.head.clone(), head.encode()));
        let mut compare = vec![holds(keys.head.clone(), expected)];
        compare.extend(self.view.followed.condition());
        let request = TxnRequest { compare, success, failure: vec![get(keys.head.clone())] };
        Ok(Attempt { batch, head, before, request, under, outcomes })
    }

    async fn send(&self, attempt: &Attempt, deadline: Instant) -> Result<Sent> {
        match self.view.client.decide(&attempt.request, deadline).await {
            Ok((answer, _)) if answer.succeeded => {
                self.view.apply(attempt.batch.rows.clone(), attempt.head, &attempt.before)?;
                Ok(Sent::Done)
            }
            Ok((_, before)) => self.lost(attempt, before).await,
            Err(trouble) => Err(trouble.of_write()),
        }
    }

    /// The head is not what was expected: somebody else moved it, or we did, when the answer of an attempt `before` got lost.
    async fn lost(&self, attempt: &Attempt, before: bool) -> Result<Sent> {
        let unknown = |error: Error| Error::Unknown(super::view::cause(&error));
        if !before {
            self.view.fresh().await?;
            return Ok(Sent::Lost);
        }
        let place = attempt.batch.rows[0].place;
        let found = self.view.rows(&[place]).await.map_err(unknown)?;
        self.view.fresh().await.map_err(unknown)?;
        match found.first() {
            Some(stored) if stored.nonce == attempt.head.nonce => Ok(Sent::Done),
            Some(_) => Ok(Sent::Lost),
            None => Err(Error::Unknown("etcd: the answer was lost, and history went on since".to_owned())),
        }
    }
}

/// Takes what waits already, as much as one etcd transaction holds. Answers the first that did not fit in.
fn gather(batch: &mut Vec<Waiting>, requests: &mut mpsc::UnboundedReceiver<Request>) -> Option<Request> {
    let (mut rows, mut bytes) = batch
        .iter()
        .fold((0, 0), |(rows, bytes), waiting| (rows + waiting.writes.len(), bytes + size(&waiting.writes)));
    while rows < BATCH_ROWS && bytes < BATCH_BYTES {
        match requests.try_recv() {
            Ok(Request::Commit(waiting)) => {
                (rows, bytes) = (rows + waiting.writes.len(), bytes + size(&waiting.writes));
                if rows > BATCH_ROWS || bytes > BATCH_BYTES {
                    return Some(Request::Commit(waiting));
                }
                batch.push(waiting);
            }
            Ok(other) => return Some(other),
            Err(_) => return None,
        }
    }
    None
}

fn size(writes: &[Write]) -> usize {
    let body = |write: &Write| match &write.op {
        Op::Put(body) | Op::Delete { last: body } => body.head.len() + body.tail.len(),
    };
    writes.iter().map(|write| body(write) + ROW_OVERHEAD).sum()
}

/// The same failure for another of the batch.
fn again(error: &Error) -> Error {
    match error {
        Error::Unavailable(why) => Error::Unavailable(why.clone()),
        Error::Unknown(why) => Error::Unknown(why.clone()),
        Error::TooLarge(why) => Error::TooLarge(why.clone()),
        Error::Outdated => Error::Outdated,
        error => Error::Engine(super::view::cause(error).into()),
    }
}

/// For compaction: the head with another beginning of history.
pub(super) fn move_oldest(view: &View, known: Head, oldest: u64) -> (Head, TxnRequest) {
    let head = Head { oldest, ..known };
    let key: Bytes = view.keys.head.clone();
    let compare = vec![holds(key.clone(), Some(known.encode()))];
    (head, TxnRequest { compare, success: vec![put(key, head.encode())], failure: Vec::new() })
}
