//! When the index is written to its file: seldom, behind commits, on a thread of its own; and when the store closes.

use crate::engine::sqlite::file::beside;
use crate::engine::sqlite::index_file::{self, Snapshot, Stand};
use crate::engine::sqlite::task::Task;
use crate::key::Revision;
use crate::planted::is_small;
use crate::visible::Visible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// With fewer rows than this, of objects and of history, a start reads the log as quickly.
pub(super) const LEAST: u64 = 10_000;
/// So many changes after the last file make a new one due: half of the history that is kept at least, so that the log
/// can still tell what came after it.
const CHANGES: u64 = 5_000;
/// Writing takes at most this part of the time.
const SHARE: u32 = 50;
const SHORTEST: Duration = Duration::from_secs(10);

pub(super) struct Indexer {
    path: PathBuf,
    /// Where the file stands that is known to be good.
    stands_at: Option<Revision>,
    /// When the last one was begun, and how long it took.
    last: Option<(Instant, Duration)>,
    task: Option<Task<Option<Revision>>>,
}

fn least() -> u64 {
    if is_small() { 1 } else { LEAST }
}

/// The name of the file beside a database.
pub(super) fn path(database: &Path) -> PathBuf {
    beside(database, ".index")
}

/// The file beside a database, if there is one that can be read.
pub(super) fn found(database: &Path) -> Option<Snapshot> {
    match index_file::read(&path(database)) {
        Ok(snapshot) => Some(snapshot),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!(%error, "the index file cannot be used: the whole log is read");
            }
            None
        }
    }
}

impl Indexer {
    pub(super) fn new(database: &Path, stands_at: Option<Revision>) -> Indexer {
        Indexer { path: path(database), stands_at, last: None, task: None }
    }

    /// Begins to write when enough has changed. `stand` is where the log is now; called after commits.
    pub(super) fn write_if_due(&mut self, visible: &Arc<Visible>, stand: Stand) {
        if self.task.as_ref().is_some_and(Task::is_over)
            && let Some(task) = self.task.take()
        {
            self.stands_at = task.result().flatten().or(self.stands_at);
            if let Some((begun, took)) = &mut self.last {
                *took = begun.elapsed();
            }
        }
        let changes = stand.revision - self.stands_at.unwrap_or(0).min(stand.revision);
        let rested = self.last.is_none_or(|(begun, took)| begun.elapsed() >= SHORTEST.max(took * SHARE));
        let due = if is_small() { changes >= CHANGES / 250 } else { changes >= CHANGES && rested };
        if self.task.is_some() || !due || visible.index.read().rows() < least() {
            return;
        }
        self.last = Some((Instant::now(), Duration::ZERO));
        let (path, visible) = (self.path.clone(), visible.clone());
        let task = Task::start("store-index", move |stop| {
            let done = index_file::write(&path, &visible, stand, || stop.is_asked());
            match done {
                Ok(whole) => whole.then_some(stand.revision),
                Err(error) => {
                    tracing::warn!(%error, "the index cannot be written to its file: the next start reads the whole log");
                    None
                }
            }
        });
        match task {
            Ok(task) => self.task = Some(task),
            Err(error) => tracing::warn!(%error, "no thread to write the index"),
        }
    }

    /// The store closes: the file is brought up to date, if it is of use.
    pub(super) fn finish(mut self, visible: &Visible, stand: Stand) {
        // One under way is given up: the new one is better.
        let begun = self.task.take().is_some();
        let unchanged = !begun && self.stands_at == Some(stand.revision);
        if unchanged || visible.index.read().rows() < least() {
            return;
        }
        if let Err(error) = index_file::write(&self.path, visible, stand, || false) {
            tracing::warn!(%error, "the index cannot be written to its file: the next start reads the whole log");
        }
    }
}
