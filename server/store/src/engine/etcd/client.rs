//! The cluster as one: whichever member answers. Says of each failure whether anything can have happened.

use crate::engine::etcd::grpc::{Connection, Endpoint, Failure, Stream};
use crate::engine::etcd::proto::*;
use crate::error::Error;
use bytes::Bytes;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// One member has so long to answer before the next is asked.
pub(super) const ATTEMPT: Duration = Duration::from_secs(3);
/// All of them together: longer than an election takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// For reads while the cluster is known to be out of reach: somebody waits for the reason.
pub(super) const IMPATIENCE: Duration = Duration::from_secs(2);
/// How long one member has to take a connection before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

const TXN: &str = "/etcdserverpb.KV/Txn";
const RANGE: &str = "/etcdserverpb.KV/Range";
const COMPACT: &str = "/etcdserverpb.KV/Compact";
const WATCH: &str = "/etcdserverpb.Watch/Watch";
const GRANT: &str = "/etcdserverpb.Lease/LeaseGrant";
const KEEP_ALIVE: &str = "/etcdserverpb.Lease/LeaseKeepAlive";
const REVOKE: &str = "/etcdserverpb.Lease/LeaseRevoke";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// etcd's answer: it did not do it. `sent`: an attempt before, whose answer was lost, may have.
    #[error("etcd: {text}")]
    Refused { sent: bool, code: u32, text: String },
    /// No member answered in time. `sent`: one of them may have done it all the same.
    #[error("etcd: {why}")]
    Silent { sent: bool, why: String },
}

/// How many rows to ask for when so many did not come: perhaps they are more than comes through in one attempt.
pub(super) fn fewer(limit: i64) -> i64 {
    (limit / 4).max(1)
}

/// How many rows to ask for when so many came. Few had to be asked for because they are large, or because etcd was silent for a while,
/// and then no more come than before: it grows by so little each time that large ones are not asked for in vain again and again.
pub(super) fn more_than(limit: i64) -> i64 {
    limit + limit / 8 + 1
}

/// gRPC codes that we tell apart.
const INVALID: u32 = 3;
const EXHAUSTED: u32 = 8;
const OUT_OF_RANGE: u32 = 11;

impl Trouble {
    pub(super) fn is_compacted(&self) -> bool {
        matches!(self, Trouble::Refused { code: OUT_OF_RANGE, .. })
    }

    /// For who asked for a write that cannot have happened, or only read.
    pub(super) fn of_read(self) -> Error {
        match self {
            Trouble::Refused { code: INVALID, text, .. } => Error::TooLarge(format!("etcd: {text}")),
            // What etcd's transport does not even take in.
            Trouble::Refused { code: EXHAUSTED, text, .. } if text.contains("larger than max") => {
                Error::TooLarge("etcd: request is too large".to_owned())
            }
            trouble => Error::Unavailable(trouble.to_string()),
        }
    }

    pub(super) fn of_write(self) -> Error {
        let (Trouble::Silent { sent, .. } | Trouble::Refused { sent, .. }) = self;
        match self.of_read() {
            Error::Unavailable(why) if sent => Error::Unknown(why),
            // What is too large was so at the first attempt too.
            error => error,
        }
    }
}

pub(super) struct Client {
    endpoints: Vec<Endpoint>,
    current: tokio::sync::Mutex<Current>,
    /// The newest revision of etcd's own that an answer named.
    revision: Mutex<i64>,
}

struct Current {
    at: usize,
    /// Counts connections, so that only the first who finds one broken leaves it.
    number: u64,
    connection: Option<Connection>,
    /// When nobody could be reached last, and why.
    failed: Option<(Instant, String)>,
}

impl Client {
    /// `endpoints` is not empty.
    pub(super) fn new(endpoints: Vec<Endpoint>) -> Client {
        let current = Current { at: 0, number: 0, connection: None, failed: None };
        Client { endpoints, current: tokio::sync::Mutex::new(current), revision: Mutex::new(0) }
    }

    pub(super) async fn txn(&self, request: &TxnRequest, deadline: Instant) -> Result<TxnResponse, Trouble> {
        self.decide(request, deadline).await.map(|(answer, _)| answer)
    }

    /// The answer, and whether an earlier one may have got lost: then the request may have been carried out before.
    pub(super) async fn decide(&self, request: &TxnRequest, deadline: Instant) -> Result<(TxnResponse, bool), Trouble> {
        let (answer, before): (TxnResponse, bool) = self.ask(TXN, request, deadline).await?;
        let mut newest = self.revision.lock();
        *newest = answer.revision().max(*newest);
        Ok((answer, before))
    }

    /// Only reads: all of them at one revision.
    pub(super) async fn read(&self, ops: Vec<RequestOp>, patience: Duration) -> Result<TxnResponse, Trouble> {
        let request = TxnRequest { success: ops, ..TxnRequest::default() };
        self.txn(&request, Instant::now() + patience).await
    }

    pub(super) async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Trouble> {
        self.range_within(request, PATIENCE).await
    }

    pub(super) async fn range_within(
        &self,
        request: RangeRequest,
        patience: Duration,
    ) -> Result<RangeResponse, Trouble> {
        self.ask(RANGE, &request, Instant::now() + patience).await.map(|(answer, _)| answer)
    }

    pub(super) async fn compact(&self, revision: i64) -> Result<(), Trouble> {
        let request = CompactionRequest { revision };
        let answer = self.ask::<CompactionResponse>(COMPACT, &request, Instant::now() + PATIENCE).await;
        match answer {
            // Another replica was quicker.
            Err(trouble) if !trouble.is_compacted() => Err(trouble),
            _ => Ok(()),
        }
    }

    /// A lease for so many seconds. One whose answer got lost runs out unused.
    pub(super) async fn grant(&self, ttl: i64) -> Result<i64, Trouble> {
        let request = LeaseGrantRequest { ttl };
        self.ask::<LeaseResponse>(GRANT, &request, Instant::now() + PATIENCE).await.map(|(answer, _)| answer.id)
    }

    /// `false`: it has run out.
    pub(super) async fn keep_alive(&self, lease: i64) -> Result<bool, Trouble> {
        let request = LeaseRequest { id: lease };
        // A call of one question is one that ends after its answer.
        let answer = self.ask::<LeaseResponse>(KEEP_ALIVE, &request, Instant::now() + PATIENCE).await;
        answer.map(|(answer, _)| answer.ttl > 0)
    }

    /// Its keys go with it.
    pub(super) async fn revoke(&self, lease: i64) -> Result<(), Trouble> {
        let request = LeaseRequest { id: lease };
        self.ask::<Nothing>(REVOKE, &request, Instant::now() + PATIENCE).await.map(drop)
    }

    /// Changes of one key from now on; the first answer says that it is watched.
    pub(super) async fn watch(&self, key: Bytes) -> Result<(Stream, u64), Trouble> {
        let request = WatchRequest { create: Some(WatchCreateRequest { key }) };
        let (connection, number) = self.connection().await.map_err(|why| Trouble::Silent { sent: false, why })?;
        let opened = connection.open_stream(WATCH, &request, None);
        let opened = tokio::time::timeout(ATTEMPT, opened).await;
        match opened.unwrap_or_else(|_| Err(Failure::Broken("the watch was not answered".to_owned()))) {
            Ok(stream) => Ok((stream, number)),
            Err(failure) => {
                self.leave(number).await;
                Err(Trouble::Silent { sent: false, why: failure.to_string() })
            }
        }
    }

    pub(super) fn revision(&self) -> i64 {
        *self.revision.lock()
    }

    /// The answer, and whether an attempt before it may have been carried out.
    async fn ask<A: prost::Message + Default>(
        &self,
        path: &str,
        request: &impl prost::Message,
        deadline: Instant,
    ) -> Result<(A, bool), Trouble> {
        let mut sent = false;
        loop {
            let connected = tokio::time::timeout_at(deadline, self.connection()).await;
            let why = match connected.unwrap_or_else(|_| Err("no member can be reached in time".to_owned())) {
                Err(why) => why,
                Ok((connection, number)) => {
                    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
                    let failure = match connection.call(path, request, ATTEMPT.min(left)).await {
                        Ok(answer) => return Ok((answer, sent)),
                        Err(failure) => failure,
                    };
                    self.leave(number).await;
                    if let Failure::Status { code, text } = &failure
                        && is_final(*code, text)
                    {
                        return Err(Trouble::Refused { sent, code: *code, text: short(text) });
                    }
                    sent |= may_have_happened(&failure);
                    short(&failure.to_string())
                }
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(Trouble::Silent { sent, why });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The connection in use, or a new one to the first member that takes it. Who waited while others tried in vain does not try again.
    async fn connection(&self) -> Result<(Connection, u64), String> {
        let asked = Instant::now();
        let mut current = self.current.lock().await;
        if let Some(connection) = current.connection.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok((connection.clone(), current.number));
        }
        if let Some((_, why)) = current.failed.as_ref().filter(|(at, _)| *at >= asked) {
            return Err(why.clone());
        }
        match self.race(current.at).await {
            Ok((at, connection)) => {
                current.number += 1;
                current.at = at;
                current.connection = Some(connection.clone());
                Ok((connection, current.number))
            }
            Err(why) => {
                let why = format!("no member can be reached: {why}");
                current.failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    /// Whichever member takes a connection first. One that says nothing holds the next up for a moment only.
    async fn race(&self, first: usize) -> Result<(usize, Connection), String> {
        let mut attempts = tokio::task::JoinSet::new();
        for turn in 0..self.endpoints.len() {
            let at = (first + turn) % self.endpoints.len();
            let endpoint = self.endpoints[at].clone();
            let head_start = HEAD_START * u32::try_from(turn).unwrap_or(u32::MAX);
            attempts.spawn(async move {
                tokio::time::sleep(head_start).await;
                (at, Connection::open(&endpoint).await)
            });
        }
        let mut why = String::new();
        while let Some(attempt) = attempts.join_next().await {
            match attempt {
                Ok((at, Ok(connection))) => return Ok((at, connection)),
                Ok((_, Err(failure))) => why = failure.to_string(),
                Err(ended) => why = ended.to_string(),
            }
        }
        Err(why)
    }

    /// Goes on to the next member.
    pub(super) async fn leave(&self, number: u64) {
        let mut current = self.current.lock().await;
        if current.number == number && current.connection.take().is_some() {
            current.at += 1;
        }
    }
}

fn may_have_happened(failure: &Failure) -> bool {
    match failure {
        Failure::Connect(_) => false,
        Failure::Broken(_) => true,
        // A member without a leader, or with too much to do, says so before it begins.
        Failure::Status { text, .. } => !text.contains("no leader") && !text.contains("too many requests"),
    }
}

/// Asking another member, or later, would not change it.
fn is_final(code: u32, text: &str) -> bool {
    const NOT_FOUND: u32 = 5;
    const DENIED: u32 = 7;
    const PRECONDITION: u32 = 9;
    const UNIMPLEMENTED: u32 = 12;
    const UNAUTHENTICATED: u32 = 16;
    match code {
        INVALID | NOT_FOUND | DENIED | PRECONDITION | OUT_OF_RANGE | UNIMPLEMENTED | UNAUTHENTICATED => true,
        EXHAUSTED => !text.contains("too many requests"),
        _ => false,
    }
}

fn short(text: &str) -> String {
    text.trim_start_matches("etcdserver: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a silence few are asked for, and soon many again; large ones are asked for in vain once in several pages at most.
    #[test]
    fn what_is_asked_for_at_once_grows_again_and_slowly() {
        let mut limit = fewer(fewer(fewer(fewer(fewer(512)))));
        assert_eq!(limit, 1);
        let mut pages = 0;
        while limit < 512 {
            limit = more_than(limit);
            pages += 1;
        }
        assert!((20..60).contains(&pages), "{pages}");
        let enough = |from: i64| std::iter::successors(Some(fewer(from)), |&limit| Some(more_than(limit)));
        assert!((64..1024).all(|from| enough(from).take_while(|&limit| limit < from).count() >= 8));
    }
}
