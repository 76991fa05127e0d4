//! A few read-only connections, each used for one short snapshot at a time (R39).
//!
//! One of them is for short reads only, so that these never wait behind a list: they run on the caller's thread.

use crate::engine::sqlite::{engine, file};
use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use std::path::Path;

/// How many connections there are; more readers than this wait for one another.
const CONNECTIONS: usize = 4;

pub(super) struct Pool {
    state: Mutex<State>,
    returned: Condvar,
    short: Mutex<Option<Connection>>,
}

struct State {
    idle: Vec<Connection>,
    closed: bool,
}

impl Pool {
    pub(super) fn open(path: &Path) -> Result<Pool> {
        let idle = (0..CONNECTIONS).map(|_| file::open_reader(path)).collect::<Result<Vec<_>>>()?;
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

    /// Reads one state of the database, in a transaction, which spares each statement its own.
    pub(super) fn snapshot<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let loan = Loan { connection: Some(self.take()?), pool: self };
        let connection = loan.connection.as_ref().expect("a loan has its connection until it is dropped");
        connection.execute_batch("BEGIN").map_err(engine)?;
        let result = read(connection);
        // A read transaction has nothing to lose, and a connection is only given back outside one.
        let ended = connection.execute_batch("ROLLBACK").map_err(engine);
        result.and_then(|value| ended.map(|()| value))
    }

    fn take(&self) -> Result<Connection> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return Err(Error::Closed);
            }
            if let Some(connection) = state.idle.pop() {
                return Ok(connection);
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

/// Gives the connection back also when the reader panics.
struct Loan<'a> {
    connection: Option<Connection>,
    pool: &'a Pool,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let mut state = self.pool.state.lock();
        let whole = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
        if !state.closed && whole {
            state.idle.push(connection);
            self.pool.returned.notify_one();
        }
    }
}
