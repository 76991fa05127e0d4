//! A few read-only connections, each used for one short snapshot at a time (R39).
//!
//! One of them is for short reads only, so that these never wait behind a list: they run on the caller's thread.
//!
//! A snapshot keeps the write-ahead log from being emptied: whoever reads much looks at [`Time`] and goes on in a new one, and
//! a statement that does not end is cancelled.

use crate::engine::sqlite::{engine, file};
use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A snapshot that was held so long is ended at the next occasion.
const ENOUGH: Duration = Duration::from_secs(1);
/// A statement is cancelled when its snapshot was held so long (R39).
pub(super) const LONGEST: Duration = Duration::from_secs(5);
/// So many steps of SQLite's machine pass between two looks at the clock: some dozen rows.
const STEPS: i32 = 1_000;
const NEVER: u64 = u64::MAX;
/// How many connections there are; more readers than this wait for one another.
const CONNECTIONS: usize = 4;

pub(super) struct Pool {
    state: Mutex<State>,
    returned: Condvar,
    short: Mutex<Option<Connection>>,
}

struct State {
    idle: Vec<Reader>,
    closed: bool,
}

/// A connection that cancels what runs on it when its time is over.
struct Reader {
    connection: Connection,
    deadline: Arc<Deadline>,
}

/// Milliseconds after a moment; [`NEVER`] outside snapshots.
struct Deadline {
    from: Instant,
    at: AtomicU64,
}

/// How long a snapshot has been held.
pub(super) struct Time(Instant);

impl Time {
    /// Whether it is to be ended, and gone on with in a new one.
    pub(super) fn is_over(&self) -> bool {
        self.0.elapsed() >= ENOUGH
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a read was cancelled after {0:?}: the write-ahead log cannot be emptied while it goes on")]
struct Overdue(Duration);

impl Reader {
    fn open(path: &Path) -> Result<Reader> {
        let mut connection = file::open_reader(path)?;
        let deadline = Arc::new(Deadline { from: Instant::now(), at: AtomicU64::new(NEVER) });
        let watched = deadline.clone();
        connection.progress_handler(STEPS, Some(move || watched.is_over())).map_err(engine)?;
        Ok(Reader { connection, deadline })
    }
}

impl Deadline {
    fn set(&self, time: Duration) {
        let at = u64::try_from((self.from.elapsed() + time).as_millis()).unwrap_or(NEVER);
        self.at.store(at, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        match self.at.load(Ordering::Relaxed) {
            NEVER => false,
            at => self.from.elapsed().as_millis() > u128::from(at),
        }
    }
}

impl Pool {
    pub(super) fn open(path: &Path) -> Result<Pool> {
        let idle = (0..CONNECTIONS).map(|_| Reader::open(path)).collect::<Result<Vec<_>>>()?;
        let short = Mutex::new(Some(file::open_reader(path)?));
        Ok(Pool { state: Mutex::new(State { idle, closed: false }), returned: Condvar::new(), short })
    }

    /// A few rows, at once. Each statement sees a state of its own.
    pub(super) fn short<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        match &*self.short.lock() {
            Some(connection) => read(connection),
            None => Err(Error::Closed),
        }
    }

    /// Reads one state of the database, in a transaction, which spares each statement its own. For no longer than `most`.
    pub(super) fn snapshot<T>(&self, most: Duration, read: impl FnOnce(&Connection, &Time) -> Result<T>) -> Result<T> {
        let loan = Loan { reader: Some(self.take()?), pool: self };
        let Reader { connection, deadline } = loan.reader.as_ref().expect("a loan has its reader until it is dropped");
        connection.execute_batch("BEGIN").map_err(engine)?;
        deadline.set(most);
        let result = read(connection, &Time(Instant::now()));
        deadline.at.store(NEVER, Ordering::Relaxed);
        // A read transaction has nothing to lose, and a connection is only given back outside one.
        let ended = connection.execute_batch("ROLLBACK").map_err(engine);
        match result {
            Err(error) if is_cancelled(&error) => Err(Error::Engine(Box::new(Overdue(most)))),
            result => result.and_then(|value| ended.map(|()| value)),
        }
    }

    fn take(&self) -> Result<Reader> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return Err(Error::Closed);
            }
            if let Some(reader) = state.idle.pop() {
                return Ok(reader);
            }
            self.returned.wait(&mut state);
        }
    }

    /// Closes idle connections now and lent ones as they come back.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.idle.clear();
        self.returned.notify_all();
        drop(state);
        self.short.lock().take();
    }
}

fn is_cancelled(error: &Error) -> bool {
    let Error::Engine(source) = error else { return false };
    let sqlite = source.downcast_ref::<rusqlite::Error>();
    sqlite.and_then(rusqlite::Error::sqlite_error_code) == Some(rusqlite::ErrorCode::OperationInterrupted)
}

/// Gives the connection back also when whoever reads panics.
struct Loan<'a> {
    reader: Option<Reader>,
    pool: &'a Pool,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        reader.deadline.at.store(NEVER, Ordering::Relaxed);
        let mut state = self.pool.state.lock();
        let whole = reader.connection.is_autocommit() || reader.connection.execute_batch("ROLLBACK").is_ok();
        if !state.closed && whole {
            state.idle.push(reader);
            self.pool.returned.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R39: the connection can be used again afterwards.
    #[test]
    fn a_read_that_does_not_end_is_cancelled_and_harms_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("otternauts.db");
        let writer = file::open(&path).unwrap();
        let pool = Pool::open(&path).unwrap();
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        for _ in 0..2 * CONNECTIONS {
            let count = |connection: &Connection, _: &Time| {
                connection.query_row(endless, [], |row| row.get::<_, i64>(0)).map_err(engine)
            };
            let Err(Error::Engine(error)) = pool.snapshot(Duration::from_millis(20), count) else { panic!("it ended") };
            assert!(error.to_string().starts_with("a read was cancelled after 20ms"), "{error}");
            let one = |connection: &Connection, _: &Time| {
                connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0)).map_err(engine)
            };
            assert_eq!(pool.snapshot(LONGEST, one).unwrap(), 1);
        }
        // Nobody holds the log back any more.
        let busy: i64 = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        assert_eq!(busy, 0);
    }
}
