//! What the writer does beside commits: compaction, checkpoints, and room on a full disk. All of it on the one thread.

use crate::engine::sqlite::disk::Level;
use crate::engine::sqlite::load::{META_CHAIN, META_OLDEST, META_REVISION};
use crate::engine::sqlite::writer::{Files, Forgetting, SET_META, Writer, failure};
use crate::error::Error;
use crate::log::Place;
use crate::observer::Statement;
use crate::planted::point;
use crate::retention::{Keep, Step};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// R40, in pages of the WAL: when what is in it is taken into the database, when it is begun anew, and when that is late.
const CHECKPOINT_PAGES: i32 = 1000;
const RESTART_PAGES: i32 = 4096;
/// From here on whoever reads is waited for, a moment with each checkpoint: commits slow down, and the log stays below what is an alarm.
const FORCE_PAGES: i32 = 8_192;
const ALARM_PAGES: i32 = 16_384;
/// Compaction that failed is tried again after so long, then after twice as long, and so on; and with each commit.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// Where a reader keeps the write-ahead log from being emptied for somebody who waits, it is tried again after so long, and given up
/// after so long: reads of ours take 5 s at most.
const CUT_AGAIN: Duration = Duration::from_millis(500);
const LONGEST_HELD_BACK: Duration = Duration::from_secs(15);
/// How many steps of compaction a full disk gets at once.
const RELIEF_STEPS: usize = 64;

/// Compaction failed and waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stall {
    since: Instant,
    wait: Duration,
}

impl Stall {
    fn after(before: Option<Stall>) -> Stall {
        let wait = before.map_or(RETRY, |before| (before.wait * 2).min(LONGEST_RETRY));
        Stall { since: Instant::now(), wait }
    }

    /// How long it still waits.
    pub(super) fn left(&self) -> Duration {
        self.wait.saturating_sub(self.since.elapsed())
    }
}

impl Writer {
    /// The disk is full: the ballast goes, and history after it. False when there was no ballast.
    pub(super) fn found_full(&mut self) -> bool {
        self.emptied = false;
        self.files.disk.found_full()
    }

    /// What is due beside commits, in small pieces: at most one step of compaction (more on a full disk, where everybody
    /// waits for the space), at most one checkpoint.
    pub(super) fn maintain(&mut self) {
        self.compact_step();
        if !self.emptied && self.files.disk.level() == Level::Full {
            self.relieve();
        }
        self.tell_forgotten();
        if let Err(error) = self.files.head.write_if_due() {
            tracing::warn!(error = &error as &dyn std::error::Error, "the side file cannot be written");
        }
        self.checkpoint_if_due();
        if self.files.disk.level() == Level::Enough {
            let stand = self.stand();
            self.files.indexer.write_if_due(&self.visible, stand);
        }
    }

    fn checkpoint_if_due(&mut self) {
        if let Err(error) = self.checkpoint() {
            let error = failure("checkpoint", error);
            if matches!(error, Error::Full) {
                self.found_full();
            }
            tracing::warn!(error = &error as &dyn std::error::Error, "checkpoint failed, the next commits retry it");
        }
    }

    /// Answers those whose history is gone, from the write-ahead log too: old rows lie there until it is emptied (P14).
    fn tell_forgotten(&mut self) {
        let oldest = self.floor;
        let due = |asked: &Forgetting| self.stalled.is_some() || asked.upto <= oldest;
        if !self.forgetting.iter().any(due) || self.until_cut().is_some_and(|wait| !wait.is_zero()) {
            return;
        }
        self.held_back = if self.cut_log() { None } else { Some(Instant::now()) };
        for asked in std::mem::take(&mut self.forgetting) {
            let answer = match (asked.upto <= oldest, self.held_back) {
                (true, None) => Ok(()),
                (true, Some(_)) if asked.asked.elapsed() >= LONGEST_HELD_BACK => Err(Error::HeldBack),
                (false, _) if self.stalled.is_some() => Err(Error::Full),
                _ => {
                    self.forgetting.push(asked);
                    continue;
                }
            };
            // Whoever asked may have gone.
            let _ = asked.reply.send(answer);
        }
        if self.forgetting.is_empty() {
            self.held_back = None;
        }
    }

    /// How long until the write-ahead log is tried again to be emptied: each try waits for readers, and commits wait for it.
    pub(super) fn until_cut(&self) -> Option<Duration> {
        self.held_back.map(|tried| CUT_AGAIN.saturating_sub(tried.elapsed()))
    }

    /// Compacts a little, if anything may go. False: nothing is left to do, or it cannot be done now.
    fn compact_step(&mut self) -> bool {
        let keeps = self.files.disk.keeps();
        let target = self.ages.target((self.clock)(), keeps);
        // What has no room cannot be held.
        let target = if keeps == Keep::Nothing { target } else { self.visible.held(target) }.max(self.forced);
        let oldest = self.floor;
        if target <= oldest {
            self.stalled = None;
            return false;
        }
        if self.stalled.is_some_and(|stall| !stall.left().is_zero()) {
            return false;
        }
        let started = Instant::now();
        let done = self.compact(oldest, target).map_err(|error| failure("compaction", error));
        self.visible.observer.statement(Statement::Compact, started.elapsed());
        match done {
            Ok(()) => {
                self.stalled = None;
                true
            }
            Err(Error::Full) if self.found_full() => true,
            Err(error) => {
                // It goes on where the last step that was committed ended (C6).
                let stall = Stall::after(self.stalled);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    wait = ?stall.wait,
                    "compaction failed: it is tried again with the next commit, or after a while"
                );
                self.stalled = Some(stall);
                false
            }
        }
    }

    /// One step of compaction, the new floor in the same transaction as the deletions (R6).
    fn compact(&mut self, oldest: u64, target: u64) -> rusqlite::Result<()> {
        let transaction = self.files.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut step = plan(&transaction, oldest, target)?;
        cut(&transaction, &mut step, self.files.disk.step_bytes())?;
        let chain: i64 = transaction.query_row(
            "SELECT chain FROM log WHERE id > ?1 AND id <= ?2 AND chain IS NOT NULL",
            [Place::last_of(step.oldest - 1).0 as i64, Place::last_of(step.oldest).0 as i64],
            |row| row.get(0),
        )?;
        {
            let mut delete = transaction.prepare_cached("DELETE FROM log WHERE id = ?1")?;
            for (_, place) in &step.gone {
                delete.execute([place.0 as i64])?;
                point("compaction-statement");
            }
            let mut set = transaction.prepare_cached(SET_META)?;
            set.execute(params![META_OLDEST, step.oldest.to_be_bytes()])?;
            set.execute(params![META_REVISION, self.visible.revision().to_be_bytes()])?;
            set.execute(params![META_CHAIN, chain.to_be_bytes()])?;
        }
        // Before the rows go: a reader that misses one then finds out why. Too high a floor after a failure is harmless,
        // because the next step begins where the last one that was committed ended (C6).
        self.visible.compact(step.oldest);
        point("before-compaction-commit");
        transaction.commit()?;
        point("after-compaction-commit");
        self.floor = step.oldest;
        Ok(())
    }

    /// On a full disk: gives back what the write-ahead log takes and lets go of history, as much as can be done soon.
    /// Then the ballast can be made again.
    pub(super) fn relieve(&mut self) {
        self.cut_log();
        for _ in 0..RELIEF_STEPS {
            self.emptied = !self.compact_step();
            if self.emptied {
                break;
            }
            self.checkpoint_if_due();
        }
        self.cut_log();
        if self.emptied {
            let Files { connection, disk, .. } = &mut self.files;
            disk.look(|| free_pages(connection));
        }
    }

    /// Empties the write-ahead log. False: a reader is in the way, or it failed.
    pub(super) fn cut_log(&mut self) -> bool {
        match self.checkpoint_now("TRUNCATE", self.wal.load(Ordering::Relaxed)) {
            Ok(emptied) => emptied.is_whole,
            Err(error) => {
                let error = failure("checkpoint", error);
                tracing::warn!(error = &error as &dyn std::error::Error, "the write-ahead log cannot be cut yet");
                false
            }
        }
    }

    /// R40: the WAL stays small, and only this thread ever checkpoints it (R1).
    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        let pages = self.wal.load(Ordering::Relaxed);
        if pages < self.checkpointed {
            self.checkpointed = 0;
        }
        let tight = self.files.disk.log_pages();
        if pages - self.checkpointed < tight.map_or(CHECKPOINT_PAGES, |pages| pages.min(CHECKPOINT_PAGES)) {
            return Ok(());
        }
        if tight.is_some() {
            return self.checkpoint_now("TRUNCATE", pages).map(drop);
        }
        // It waits for nobody, and the next commit begins the log anew if nobody reads at that moment.
        let done = self.checkpoint_now("PASSIVE", pages)?;
        if pages > FORCE_PAGES || (pages > RESTART_PAGES && done.left == 0) {
            // Readers come so close on one another that there is no such moment: short as they are, the last is waited for.
            let mode = if pages > ALARM_PAGES { "TRUNCATE" } else { "RESTART" };
            self.checkpoint_now(mode, pages)?;
        }
        Ok(())
    }

    fn checkpoint_now(&mut self, mode: &'static str, pages: i32) -> rusqlite::Result<Checkpointed> {
        let started = Instant::now();
        point("before-checkpoint");
        self.checkpointed = pages;
        let result = self.files.connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok((row.get::<_, i64>(0)? != 0, row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))
        });
        self.visible.observer.statement(Statement::Checkpoint, started.elapsed());
        point("after-checkpoint");
        self.visible.observer.checkpointed(mode == "TRUNCATE", result.is_ok(), started.elapsed());
        let (busy, left) = result?;
        if mode != "PASSIVE" && !busy {
            self.checkpointed = 0;
            self.wal.store(0, Ordering::Relaxed);
        }
        if pages > ALARM_PAGES && left > 0 {
            tracing::warn!(pages, left, "the write-ahead log is large: a reader holds it back");
        }
        Ok(Checkpointed { left, is_whole: !busy })
    }
}

/// What a checkpoint came to.
struct Checkpointed {
    /// Pages that a reader kept from being taken into the database.
    left: i64,
    /// It did all that its mode promises; nobody was in its way.
    is_whole: bool,
}

/// Cuts a step short behind the revision with which it lets go of so many bytes: what goes is overwritten, and all of
/// that passes through the write-ahead log at once.
fn cut(connection: &Connection, step: &mut Step, most: u64) -> rusqlite::Result<()> {
    let mut size = connection.prepare_cached("SELECT length(body) FROM log WHERE id = ?1")?;
    let mut bytes: u64 = 0;
    let mut end = None;
    for (at, (revision, place)) in step.gone.iter().enumerate() {
        if let Some((_, last)) = end.filter(|(_, last)| last != revision) {
            step.gone.truncate(at);
            step.oldest = last;
            return Ok(());
        }
        let body: Option<i64> = size.query_row([place.0 as i64], |row| row.get(0)).optional()?;
        bytes += body.and_then(|body| u64::try_from(body).ok()).unwrap_or_default();
        if bytes >= most {
            end = Some((at, *revision));
        }
    }
    Ok(())
}

/// Bytes of the database that hold nothing and are written again before it grows.
pub(super) fn free_pages(connection: &Connection) -> u64 {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let bytes = pragma("freelist_count").and_then(|pages| Ok(pages * pragma("page_size")?));
    bytes.ok().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default()
}

fn plan(connection: &Connection, oldest: u64, target: u64) -> rusqlite::Result<Step> {
    let mut history =
        connection.prepare_cached("SELECT id, op, previous FROM log WHERE id > ?1 AND id <= ?2 ORDER BY id")?;
    let bounds = [Place::last_of(oldest).0 as i64, Place::last_of(target).0 as i64];
    let mut failed = None;
    let rows = history.query_map(bounds, |row| {
        let code: i64 = row.get(1)?;
        let kind = crate::log::kind_of(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(1, code))?;
        Ok((Place(row.get::<_, i64>(0)? as u64), kind, Place(row.get::<_, i64>(2)? as u64)))
    })?;
    let step = Step::plan(rows.map_while(|row| row.map_err(|error| failed = Some(error)).ok()), target);
    match failed {
        Some(error) => Err(error),
        None => Ok(step),
    }
}

#[cfg(test)]
mod tests;
