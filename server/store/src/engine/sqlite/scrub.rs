//! The scrub: every row and the whole chain are read again at a bounded rate, so that damage is found before it is
//! needed (A9), and what is served from memory is held against it (B16). Once after a start, and once for so much written;
//! never because time goes by.

mod comparison;

use crate::engine::sqlite::load::{Follower, META_CHAIN, META_OLDEST, meta_number};
use crate::engine::sqlite::task::{Stop, Task};
use crate::engine::sqlite::{engine, file, visit_row};
use crate::error::{Error, Result};
use crate::log::{Chain, Place};
use crate::observer::Statement;
use crate::visible::Visible;
use comparison::{Comparison, Differs};
use rusqlite::{Connection, OptionalExtension};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often and how fast everything stored is checked.
#[derive(Clone, Debug)]
pub struct Scrub {
    /// How long after the start the first one begins.
    pub first: Duration,
    /// One more for each so many bytes written.
    pub every_bytes: u64,
    /// How many bytes it reads in a second.
    pub bytes_per_second: u64,
}

impl Default for Scrub {
    fn default() -> Self {
        Scrub { first: Duration::from_secs(10), every_bytes: 4 << 30, bytes_per_second: 16 << 20 }
    }
}

/// One read transaction looks at no more than this (R39).
const CHUNK_BYTES: u64 = 1 << 20;
const CHUNK_ROWS: usize = 500;
const CHUNK_TIME: Duration = Duration::from_secs(1);

const ROWS_AFTER: &str = "SELECT id, resource, namespace, name, op, schema, previous, checksum, body, chain FROM log \
     WHERE id > ?1 ORDER BY id";

/// Starts passes when they are due.
pub(super) struct Scrubber {
    options: Scrub,
    path: PathBuf,
    written: u64,
    task: Option<Task<()>>,
}

impl Scrubber {
    /// Begins the first pass, after a while.
    pub(super) fn start(database: &Path, options: Scrub, visible: &Arc<Visible>) -> Scrubber {
        let mut scrubber = Scrubber { options, path: database.to_owned(), written: 0, task: None };
        scrubber.begin(visible, scrubber.options.first);
        scrubber
    }

    /// So much more was written.
    pub(super) fn wrote(&mut self, bytes: u64, visible: &Arc<Visible>) {
        self.written += bytes;
        if self.written >= self.options.every_bytes && self.task.as_ref().is_none_or(Task::is_over) {
            self.begin(visible, Duration::ZERO);
        }
    }

    fn begin(&mut self, visible: &Arc<Visible>, after: Duration) {
        self.written = 0;
        let (path, rate, visible) = (self.path.clone(), self.options.bytes_per_second.max(1), visible.clone());
        let task = Task::start("store-scrub", move |stop| {
            if stop.wait(after) {
                return;
            }
            let started = Instant::now();
            match file::open_reader(&path).and_then(|connection| pass(&connection, &visible, rate, &stop)) {
                Ok(Some(found)) => {
                    visible.observer.statement(Statement::Scrub, started.elapsed());
                    tracing::debug!(rows = found.rows, damaged = found.damaged, "everything stored was checked");
                }
                Ok(None) => {}
                Err(error) => {
                    visible.found_damage();
                    tracing::error!(error = &error as &dyn std::error::Error, "what is stored cannot be checked");
                }
            }
        });
        match task {
            Ok(task) => self.task = Some(task),
            Err(error) => tracing::warn!(%error, "no thread to check what is stored"),
        }
    }
}

/// What a pass found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub rows: u64,
    pub damaged: u64,
    /// What memory has otherwise.
    differs: Vec<Differs>,
}

/// Reads all there is, from the first row to the newest. `None`: asked to stop.
pub(super) fn pass(connection: &Connection, visible: &Visible, rate: u64, stop: &Stop) -> Result<Option<Found>> {
    let mut found = Found::default();
    let mut after = Place::NONE;
    let mut walk = Walk::default();
    loop {
        connection.execute_batch("BEGIN").map_err(engine)?;
        let chunk = chunk(connection, visible, after, Instant::now() + CHUNK_TIME, &mut walk, &mut found);
        connection.execute_batch("ROLLBACK").map_err(engine)?;
        let (last, bytes) = chunk?;
        let Some(last) = last else {
            found.differs.extend(walk.comparison.finish(connection, visible)?);
            for differs in &found.differs {
                visible.found_damage();
                tracing::error!(
                    error = differs as &dyn std::error::Error,
                    "memory is not what is stored: restart this server"
                );
            }
            return Ok(Some(found));
        };
        after = last;
        let pause = Duration::from_secs_f64(bytes as f64 / rate as f64);
        if stop.wait(pause) {
            return Ok(None);
        }
    }
}

/// What a pass knows on its way.
#[derive(Default)]
struct Walk {
    follower: Option<Follower>,
    comparison: Comparison,
}

/// Checks some rows after a place, until a moment, but one at least. Answers the last of them, none at the end, and how many bytes they
/// had.
fn chunk(
    connection: &Connection,
    visible: &Visible,
    after: Place,
    until: Instant,
    Walk { follower, comparison }: &mut Walk,
    found: &mut Found,
) -> Result<(Option<Place>, u64)> {
    let oldest = meta_number(connection, META_OLDEST)?;
    // Compaction went past the place: the chain is known again where history begins now.
    if follower.as_ref().is_none_or(|follower| !follower.can_go_on(oldest)) {
        *follower = follower_from(connection, oldest, after)?;
    }
    let mut statement = connection.prepare_cached(ROWS_AFTER).map_err(engine)?;
    let mut rows = statement.query([after.0 as i64]).map_err(engine)?;
    let (mut last, mut bytes) = (None, 0);
    for _ in 0..CHUNK_ROWS {
        if last.is_some() && (bytes >= CHUNK_BYTES || Instant::now() >= until) {
            break;
        }
        let Some(row) = rows.next().map_err(engine)? else { break };
        let place = Place(row.get::<_, i64>(0).map_err(engine)? as u64);
        last = Some(place);
        found.rows += 1;
        let mut report = |error: &Error| {
            found.damaged += 1;
            visible.found_damage();
            // What does not match its checksum has been told of where it was read.
            if !matches!(error, Error::Corrupt { .. }) {
                tracing::error!(
                    revision = place.revision(),
                    error = error as &dyn std::error::Error,
                    "damage was found"
                );
            }
        };
        bytes += row.get_ref(8).and_then(|body| Ok(body.as_blob()?.len() as u64)).unwrap_or_default() + 64;
        let mut differs = Ok(());
        if let Err(error) = visit_row(row, &mut |header, body| differs = comparison.row(visible, header, body)) {
            report(&error);
        }
        found.differs.extend(differs.err());
        if place.revision() > oldest
            && let Some(follower) = follower
        {
            let checksum: i64 = row.get(7).map_err(engine)?;
            let chain: Option<i64> = row.get(9).map_err(engine)?;
            let chain = chain.map(|chain| Chain(chain as u64));
            if let Err(error) = follower.follow(place.revision(), checksum as u64, chain) {
                report(&error);
                // One break is told once; the rest is followed from behind it.
                follower.resume(place.revision(), chain);
            }
        }
    }
    Ok((last, bytes))
}

/// Where the chain can be followed from: the floor of history, or the revision of the place we are at.
fn follower_from(connection: &Connection, oldest: u64, after: Place) -> Result<Option<Follower>> {
    if after.revision() <= oldest {
        return Ok(Some(Follower::new(oldest, Chain(meta_number(connection, META_CHAIN)?))));
    }
    let query = "SELECT chain FROM log WHERE id = ?1 AND chain IS NOT NULL";
    let chain: Option<i64> =
        connection.query_row(query, [after.0 as i64], |row| row.get(0)).optional().map_err(engine)?;
    Ok(chain.map(|chain| Follower::new(after.revision(), Chain(chain as u64))))
}

#[cfg(test)]
mod tests;
