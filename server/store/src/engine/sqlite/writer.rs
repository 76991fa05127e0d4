//! The one writer: group commit, compaction and checkpoints, all on one thread with the only writable connection.
//!
//! Order of a batch (R3): check against the index, one transaction, COMMIT with its fsync, index and watchers, answers.

use crate::batch::Batch;
use crate::engine::sqlite::disk::{Disk, Level};
use crate::engine::sqlite::head::{Head, Mark};
use crate::engine::sqlite::index_file::Stand;
use crate::engine::sqlite::indexer::Indexer;
use crate::engine::sqlite::load::META_REVISION;
use crate::engine::sqlite::premises::Premises;
use crate::engine::sqlite::scrub::Scrubber;
use crate::engine::sqlite::{ROWS, Request, engine, visit_run};
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::key::Revision;
use crate::locked::Locked;
use crate::log::{Chain, Header, Place, Row, kind_code};
use crate::planted::{Bug, planted, point};
use crate::record::{Committed, Record, Write};
use crate::retention::{Ages, Clock};
use crate::visible::{Visible, committed};
use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use std::ops::Range;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

mod upkeep;
use upkeep::{Stall, free_pages};

/// A batch takes no further transaction once it has so many writes or bytes.
const BATCH_WRITES: usize = 256;
const BATCH_BYTES: usize = 16 << 20;
/// How soon the writer looks again when a timer is due and nothing could be done.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

const INSERT: &str = "INSERT INTO log (id, resource, namespace, name, op, schema, previous, checksum, chain, body)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const SET_META: &str = "INSERT INTO meta (name, value) VALUES (?1, ?2)
                        ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// What the writer holds open; the lock is let go last.
pub(super) struct Files {
    pub connection: Connection,
    pub head: Head,
    pub premises: Premises,
    pub disk: Disk,
    pub indexer: Indexer,
    pub scrubber: Scrubber,
    pub lock: Locked,
}

/// What the start has verified.
pub(super) struct Verified {
    /// The chain at the newest revision.
    pub chain: Chain,
    /// What compaction let go of.
    pub floor: Revision,
}

pub(super) struct Writer {
    files: Files,
    visible: Arc<Visible>,
    clock: Clock,
    ages: Ages,
    chain: Chain,
    /// What compaction has let go of on disk; what readers are told may be a little more.
    floor: Revision,
    /// Pages in the WAL after the newest commit, told by SQLite.
    wal: Arc<AtomicI32>,
    /// Pages in the WAL when it was last checkpointed.
    checkpointed: i32,
    /// Compaction failed and waits.
    stalled: Option<Stall>,
    /// History up to here goes at once, whatever holds or policy say.
    forced: Revision,
    /// Who waits for it.
    forgetting: Vec<Forgetting>,
    /// When the write-ahead log was last tried to be emptied for them, and a reader was in the way.
    held_back: Option<Instant>,
    /// History was let go of for a full disk, and the disk not looked at since.
    emptied: bool,
}

/// A transaction waiting for its batch.
struct Waiting {
    reply: oneshot::Sender<Result<Committed>>,
    _place: OwnedSemaphorePermit,
    outcome: Result<Range<usize>>,
}

/// Somebody who waits until history up to a revision is gone.
struct Forgetting {
    upto: Revision,
    asked: Instant,
    reply: oneshot::Sender<Result<()>>,
}

impl Writer {
    pub(super) fn new(
        mut files: Files,
        visible: Arc<Visible>,
        clock: Clock,
        ages: Ages,
        verified: Verified,
    ) -> Result<Writer> {
        let wal = Arc::new(AtomicI32::new(0));
        let pages = wal.clone();
        let told = move |_: &mut rusqlite::hooks::Wal, now: std::ffi::c_int| {
            pages.store(now, Ordering::Relaxed);
            Ok(())
        };
        files.connection.wal_hook(Some(told)).map_err(engine)?;
        Ok(Writer {
            files,
            visible,
            clock,
            ages,
            chain: verified.chain,
            floor: verified.floor,
            wal,
            checkpointed: 0,
            stalled: None,
            forced: 0,
            forgetting: Vec::new(),
            held_back: None,
            emptied: false,
        })
    }

    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        let mut next = None;
        loop {
            let request = match next.take() {
                Some(request) => request,
                None => match self.receive(requests) {
                    Ok(request) => request,
                    Err(RecvTimeoutError::Timeout) => {
                        self.maintain();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                },
            };
            match request {
                Request::Commit { writes, reply, _place } => {
                    next = self.group(writes, reply, _place, requests);
                    self.stalled = None;
                }
                Request::SetMeta { name, value, reply } => {
                    let result = self.set_meta(&name, &value);
                    // Whoever asked may have gone.
                    let _ = reply.send(result);
                }
                Request::Forget { upto, reply } => {
                    let upto = upto.min(self.visible.revision());
                    self.forced = self.forced.max(upto);
                    self.forgetting.push(Forgetting { upto, asked: Instant::now(), reply });
                    self.stalled = None;
                }
                Request::Close { reply } => {
                    let result = self.close();
                    let _ = reply.send(result);
                    return;
                }
            }
            self.maintain();
        }
    }

    fn receive(&self, requests: &Receiver<Request>) -> std::result::Result<Request, RecvTimeoutError> {
        match self.wait() {
            Some(time) => requests.recv_timeout(time),
            None => requests.recv().map_err(|mpsc::RecvError| RecvTimeoutError::Disconnected),
        }
    }

    /// How long to wait for requests before there is other work; `None` when there is none to come: an idle store with
    /// nothing to compact never wakes.
    fn wait(&self) -> Option<Duration> {
        let head = [self.files.head.due(), self.until_cut()].into_iter().flatten().min();
        if let Some(stall) = self.stalled {
            return [head, Some(stall.left())].into_iter().flatten().min();
        }
        let to_empty = self.files.disk.level() == Level::Full && !self.emptied;
        if to_empty || self.visible.held(self.ages.due()).max(self.forced) > self.floor {
            return Some(Duration::ZERO);
        }
        let compaction = self.ages.wait((self.clock)()).map(|wait| wait.max(SHORTEST_WAIT));
        [head, compaction].into_iter().flatten().min()
    }

    /// Commits a transaction together with what is queued behind it. Returns the first request that is something else.
    fn group(
        &mut self,
        writes: Vec<Write>,
        reply: oneshot::Sender<Result<Committed>>,
        place: OwnedSemaphorePermit,
        requests: &Receiver<Request>,
    ) -> Option<Request> {
        let mut batch = Batch::new(self.visible.revision());
        let mut waiting = Vec::new();
        let mut next = None;
        self.look_at_disk();
        let outcome = self.admit(&mut batch, writes);
        waiting.push(Waiting { reply, _place: place, outcome });
        let mut bytes: usize = batch.rows.iter().map(|row| row.body.len()).sum();
        while batch.rows.len() < BATCH_WRITES && bytes < BATCH_BYTES && waiting.len() < 4 * BATCH_WRITES {
            match requests.try_recv() {
                Ok(Request::Commit { writes, reply, _place }) => {
                    let outcome = self.admit(&mut batch, writes);
                    if let Ok(rows) = &outcome {
                        bytes += batch.rows[rows.clone()].iter().map(|row| row.body.len()).sum::<usize>();
                    }
                    waiting.push(Waiting { reply, _place, outcome });
                }
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        if planted(Bug::AckBeforeCommit) {
            answer(&batch, std::mem::take(&mut waiting), Ok(()));
        }
        let result = if batch.rows.is_empty() { Ok(()) } else { self.commit(&batch) };
        let committed = result.is_ok();
        answer(&batch, waiting, result);
        if committed {
            point("after-answer");
            // While those who were answered think of something next; who reads before it reads the log.
            self.visible.cache.follow(&batch.rows);
        }
        next
    }

    fn admit(&self, batch: &mut Batch, writes: Vec<Write>) -> Result<Range<usize>> {
        let index = self.visible.index.read();
        self.files.disk.admit(&writes, &index)?;
        batch.admit(&index, writes)
    }

    fn look_at_disk(&mut self) {
        if self.files.disk.is_due() {
            // A log that is too short to be cut for its length could else keep a database that is empty inside from being written to,
            // for as long as nothing is written.
            if self.wal.load(Ordering::Relaxed) > 0 && self.files.disk.is_short() {
                self.cut_log();
            }
            let Files { connection, disk, .. } = &mut self.files;
            disk.look(|| free_pages(connection));
        }
    }

    /// Makes a batch durable, then visible.
    fn commit(&mut self, batch: &Batch) -> Result<()> {
        let started = Instant::now();
        point("before-begin");
        if planted(Bug::PublishBeforeCommit) {
            let connection = &self.files.connection;
            self.visible.publish(batch, |place| read_record(connection, place));
        }
        // What leads to space is tried once more, with the ballast gone and history after it.
        let deletes = batch.rows.iter().all(|row| row.kind == EventKind::Deleted);
        let again = deletes || self.files.disk.level() != Level::Enough;
        let chain = match self.write(batch).map_err(|error| failure("commit", error)) {
            Err(Error::Full) => {
                self.found_full();
                if !again {
                    return Err(Error::Full);
                }
                self.relieve();
                self.write(batch).map_err(|error| failure("commit", error))?
            }
            written => written?,
        };
        self.stop_if_lost();
        self.chain = chain;
        self.files.head.note(Mark { revision: batch.revision, chain });
        self.visible.observer.committed(batch.rows.len(), started.elapsed());
        point("after-commit");
        if !planted(Bug::PublishBeforeCommit) {
            let connection = &self.files.connection;
            self.visible.publish(batch, |place| read_record(connection, place));
        }
        point("after-publish");
        let bytes = batch.rows.iter().map(Row::size).sum();
        self.ages.record(batch.revision, bytes, (self.clock)());
        self.files.scrubber.wrote(bytes, &self.visible);
        Ok(())
    }

    /// What was just written into a file that nobody will find is not answered (A10).
    fn stop_if_lost(&mut self) {
        if let Some(path) = self.files.premises.lost() {
            let path = path.display();
            tracing::error!(%path, "a file of the database was taken away or replaced while it was open: stopping at once");
            std::process::abort();
        }
    }

    fn write(&mut self, batch: &Batch) -> rusqlite::Result<Chain> {
        let mut chain = self.chain;
        let transaction = self.files.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(INSERT)?;
            for rows in batch.rows.chunk_by(|a, b| a.place.revision() == b.place.revision()) {
                let checksums: Vec<u64> = rows.iter().map(|row| Header::of(row).checksum(&row.body)).collect();
                chain = chain.extend(rows[0].place.revision(), checksums.iter().copied());
                for (position, (row, checksum)) in rows.iter().zip(&checksums).enumerate() {
                    let last = position + 1 == rows.len();
                    insert.execute(params![
                        row.place.0 as i64,
                        &*row.key.resource,
                        &*row.key.namespace,
                        &*row.key.name,
                        kind_code(row.kind),
                        row.schema as i64,
                        row.previous.0 as i64,
                        *checksum as i64,
                        last.then_some(chain.0 as i64),
                        &*row.body,
                    ])?;
                    point("after-statement");
                }
            }
        }
        point("before-commit");
        transaction.commit()?;
        Ok(chain)
    }

    fn set_meta(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let write = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.prepare_cached(SET_META)?.execute(params![name, value])?;
            transaction.commit()
        };
        let written = match write(&mut self.files.connection).map_err(|error| failure("meta", error)) {
            Err(Error::Full) if self.found_full() => {
                write(&mut self.files.connection).map_err(|error| failure("meta", error))
            }
            written => written,
        };
        self.stop_if_lost();
        written
    }

    /// Where the log is now.
    fn stand(&self) -> Stand {
        let (revision, oldest) = (self.visible.revision(), self.visible.oldest());
        Stand { revision, chain: self.chain, oldest, history_bytes: self.ages.bytes() }
    }

    fn close(self) -> Result<()> {
        let (stand, revision) = (self.stand(), self.visible.revision().to_be_bytes());
        let written = self.files.connection.execute(SET_META, params![META_REVISION, revision]);
        match written.map_err(|error| failure("close", error)) {
            // The log says it too.
            Ok(_) | Err(Error::Full) => {}
            Err(error) => return Err(error),
        }
        let Files { connection, mut head, disk, indexer, scrubber, lock, .. } = self.files;
        drop(scrubber);
        if disk.level() == Level::Enough {
            indexer.finish(&self.visible, stand);
        }
        point("before-close");
        let closed = connection.close().map_err(|(_, error)| failure("close", error));
        point("after-close");
        let told = head.write().map_err(|error| Error::Engine(Box::new(error)));
        drop(lock);
        closed.and(told)
    }
}

/// Answers everybody of a batch. Also who was refused waits for the commit: the refusal may rest on a write of this batch.
fn answer(batch: &Batch, waiting: Vec<Waiting>, result: Result<()>) {
    let failed = result.err().map(Repeated::new);
    for Waiting { reply, outcome, .. } in waiting {
        let answer = match (outcome, &failed) {
            (outcome, None) => outcome.map(|rows| committed(batch, rows)),
            (_, Some(failed)) => Err(failed.error()),
        };
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }
}

/// One failure told to many.
struct Repeated(Arc<Error>);

#[derive(Debug, thiserror::Error)]
#[error("the batch was not committed")]
struct NotCommitted(#[source] Arc<Error>);

impl Repeated {
    fn new(error: Error) -> Repeated {
        Repeated(Arc::new(error))
    }

    fn error(&self) -> Error {
        match &*self.0 {
            Error::Full => Error::Full,
            _ => Error::Engine(Box::new(NotCommitted(self.0.clone()))),
        }
    }
}

/// What an error of the writable connection means. After a failed write or fsync nobody knows what is on disk: the
/// process stops and recovers from there; it never answers on a retry (R4, P25).
fn failure(doing: &'static str, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            tracing::error!(error = &error as &dyn std::error::Error, doing, "the disk failed: stopping at once");
            std::process::abort();
        }
        Some(ErrorCode::DiskFull) => Error::Full,
        _ => engine(error),
    }
}

/// The row an event needs as its previous state. An unreadable one harms only itself (P16).
fn read_record(connection: &Connection, place: Place) -> Option<Record> {
    let mut found = None;
    let result = connection.prepare_cached(ROWS).map_err(engine).and_then(|mut statement| {
        visit_run(&mut statement, &[place], &mut |header, body| {
            let key = crate::key::Key::new(header.resource, header.namespace, header.name);
            found = Some(Record { key, revision: place.revision(), body: body.bytes(), schema: header.schema });
        })
    });
    if let Err(error) = result {
        tracing::error!(error = &error as &dyn std::error::Error, "the previous state of an object cannot be read");
    }
    found
}
