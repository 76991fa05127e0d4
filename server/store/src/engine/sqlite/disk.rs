//! The disk guard (R41, P24): while space is short nothing new is taken in, so that what is there can be let go.
//!
//! Free space is asked for at most once a second, and only when somebody writes.

use crate::engine::sqlite::ballast::Ballast;
use crate::error::Error;
use crate::index::Index;
use crate::record::{Op, Write};
use crate::retention::Keep;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When writes are refused, and how much is kept for that time.
#[derive(Clone, Debug)]
pub struct DiskGuard {
    /// With less free than this, creates and updates are refused.
    pub free_bytes: u64,
    /// The same, in hundredths of what the disk can hold. The larger of the two counts.
    pub free_percent: u8,
    /// How large the ballast is; on a small disk one twentieth of it. 0: none.
    pub ballast_bytes: u64,
    /// Resources whose existing objects may always be updated: what a server needs to go on living.
    pub always: Vec<Arc<str>>,
}

impl Default for DiskGuard {
    fn default() -> Self {
        DiskGuard { free_bytes: 256 << 20, free_percent: 5, ballast_bytes: 64 << 20, always: Vec::new() }
    }
}

/// How much space there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    #[default]
    Enough,
    /// Less than is to be kept free.
    Low,
    /// A write found no space.
    Full,
}

/// What the file system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// For us, without what is reserved for root.
    pub free: u64,
    /// What we could use if it were empty.
    pub total: u64,
}

impl Space {
    /// Of the file system that holds `path`.
    pub(super) fn of(path: &Path) -> io::Result<Space> {
        let is = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(is.f_frsize);
        let used = is.f_blocks.saturating_sub(is.f_bfree);
        Ok(Space { free: bytes(is.f_bavail), total: bytes(used.saturating_add(is.f_bavail)) })
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// With less free than this the write-ahead log is cut early.
const TIGHT: u64 = 64 << 20;
/// What a start needs.
const START_BYTES: u64 = 1 << 20;
const LEAST_PAGES: i32 = 64;
const STEP_BYTES: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct Disk {
    options: DiskGuard,
    directory: PathBuf,
    ballast: Ballast,
    level: Level,
    space: Space,
    looked: Option<Instant>,
}

/// Before the database is opened: a full disk has no room for the index of its write-ahead log, nor for what else is
/// written at start, unless the ballast makes some. It is made again as soon as there is space for it.
pub(super) fn make_room(database: &Path, options: &DiskGuard) {
    let mut disk = Disk::open(database, options.clone());
    if disk.space.free < START_BYTES && disk.ballast.release() > 0 {
        tracing::warn!("the disk is full: the ballast was given back to start");
    }
}

impl Disk {
    /// Looks at the disk below the database; makes the ballast when there is room for it.
    pub(super) fn open(database: &Path, options: DiskGuard) -> Disk {
        let directory = match database.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let space = Space::of(&directory).unwrap_or(Space { free: u64::MAX, total: u64::MAX });
        let ballast = Ballast::find(database, options.ballast_bytes.min(space.total / 20));
        Disk { options, directory, ballast, level: Level::Enough, space, looked: None }
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Where space is short, so many pages of the write-ahead log are the most, and then it is cut: to be checkpointed
    /// on a full disk it must fit into the ballast.
    pub(super) fn log_pages(&self) -> Option<i32> {
        let tight = self.level != Level::Enough || self.space.free < TIGHT;
        tight.then(|| i32::try_from(self.ballast.target() / 4 / 4096).unwrap_or(i32::MAX).max(LEAST_PAGES))
    }

    /// How many bytes one step of compaction may let go of.
    pub(super) fn step_bytes(&self) -> u64 {
        if self.level == Level::Enough { STEP_BYTES } else { STEP_BYTES.min(self.ballast.target() / 8) }
    }

    /// How much history there is room for. Without a ballast what is deleted must be of use at once.
    pub(super) fn keeps(&self) -> Keep {
        match self.level {
            _ if !self.ballast.is_settled() => Keep::Nothing,
            Level::Enough => Keep::Policy,
            Level::Low => Keep::AgeAlone,
            Level::Full => Keep::Nothing,
        }
    }

    /// Whether [`Disk::look`] has something to do.
    pub(super) fn is_due(&self) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY)
    }

    /// Whether the space that the write-ahead log takes may be what is missing. On a full disk it is cut anyway.
    pub(super) fn is_short(&self) -> bool {
        self.level != Level::Full && Space::of(&self.directory).is_ok_and(|space| space.free < self.wanted())
    }

    /// Asks the file system. `reusable`: bytes inside the database that hold nothing; asked for when it matters.
    pub(super) fn look(&mut self, reusable: impl FnOnce() -> u64) {
        self.looked = Some(Instant::now());
        let space = match Space::of(&self.directory) {
            Ok(space) => space,
            Err(error) => {
                tracing::warn!(%error, "the free space of the disk is not known");
                return;
            }
        };
        self.space = space;
        if !self.ballast.is_settled() {
            if let Err(error) = self.ballast.make(space.free) {
                tracing::warn!(%error, "the ballast cannot be made");
            }
            self.space = Space::of(&self.directory).unwrap_or(space);
        }
        let reusable = if self.space.free < self.wanted() { reusable() } else { 0 };
        let level = judge(self.space.free, reusable, self.needed(), &self.ballast, self.level);
        self.enter(level);
    }

    /// A write found no space: the ballast goes. False when there was none to give back.
    pub(super) fn found_full(&mut self) -> bool {
        self.enter(Level::Full);
        self.ballast.release() > 0
    }

    /// Whether a transaction may be written now: everything while there is space, then only what leads to less.
    pub(super) fn admit(&self, writes: &[Write], index: &Index) -> Result<(), Error> {
        if self.level == Level::Enough || writes.iter().all(|write| self.is_needed(write, index)) {
            return Ok(());
        }
        match self.level {
            Level::Full => Err(Error::Full),
            _ => Err(Error::LowOnSpace { free: self.space.free, needed: self.needed() }),
        }
    }

    fn is_needed(&self, write: &Write, index: &Index) -> bool {
        match &write.op {
            Op::Delete { .. } => true,
            Op::Put(body) => {
                let known = body.leaving || self.options.always.contains(&write.key.resource);
                known && index.get(&write.key).is_some()
            }
        }
    }

    fn needed(&self) -> u64 {
        self.options.free_bytes.max(self.space.total / 100 * u64::from(self.options.free_percent))
    }

    fn wanted(&self) -> u64 {
        wanted(self.needed(), &self.ballast, self.level)
    }

    fn enter(&mut self, level: Level) {
        if level == self.level {
            return;
        }
        let (free, needed) = (self.space.free, self.needed());
        match level {
            Level::Enough => tracing::info!(free, needed, "the disk has space again: everything may be written"),
            Level::Low => {
                tracing::warn!(free, needed, "the disk is nearly full: creates and updates are refused, deletes go on");
            }
            Level::Full => {
                tracing::error!("the disk is full: only deletions are taken, and history is let go of");
            }
        }
        self.level = level;
    }
}

/// With how much space, on the disk and inside the database, everything is taken in.
fn wanted(needed: u64, ballast: &Ballast, was: Level) -> u64 {
    // Again only somewhat above the limit, so that it does not come and go.
    let wanted = if was == Level::Enough { needed } else { needed + needed / 16 };
    // The database itself may have taken the ballast's place; then so much is kept free inside it.
    if ballast.is_settled() { wanted } else { wanted + ballast.target() }
}

/// Pure: from what is free on the disk, what can be used again inside the database, and how it was before.
fn judge(free: u64, reusable: u64, needed: u64, ballast: &Ballast, was: Level) -> Level {
    // What the database can use again counts, but the write-ahead log needs real space.
    let log_fits = free >= needed.min(ballast.target() / 2);
    match log_fits && free.saturating_add(reusable) >= wanted(needed, ballast, was) {
        true => Level::Enough,
        false if was == Level::Full && !log_fits => Level::Full,
        false => Level::Low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::log::{Header, Place};
    use crate::record::{Body, Precondition};
    use bytes::Bytes;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_level_follows_what_is_free_and_what_can_be_used_again() {
        use Level::{Enough, Full, Low};
        let directory = tempfile::tempdir().unwrap();
        // (free, reusable, was, is), in MiB; 256 are needed, 272 after it was low
        let cases = [
            (1000, 0, Enough, Enough),
            (256, 0, Enough, Enough),
            (255, 0, Enough, Low),
            (256, 0, Low, Low),
            (272, 0, Low, Enough),
            (100, 160, Enough, Enough),
            (100, 160, Low, Low),
            (100, 172, Full, Enough),
            // The log would not fit, however much the database could use again.
            (10, 1000, Low, Low),
            (10, 1000, Full, Full),
            (40, 0, Full, Low),
        ];
        let mut ballast = Ballast::find(&directory.path().join("otternauts.db"), 64 * MIB);
        ballast.make(1000 * MIB).unwrap();
        for (free, reusable, was, is) in cases {
            let judged = judge(free * MIB, reusable * MIB, 256 * MIB, &ballast, was);
            assert_eq!(judged, is, "{free} MiB free, {reusable} reusable, was {was:?}");
        }
        // Without it as much more must be free inside the database.
        ballast.release();
        assert_eq!(judge(100 * MIB, 219 * MIB, 256 * MIB, &ballast, Enough), Low);
        assert_eq!(judge(100 * MIB, 220 * MIB, 256 * MIB, &ballast, Enough), Enough);
        assert_eq!(judge(10 * MIB, 1000 * MIB, 256 * MIB, &ballast, Full), Full);
    }

    #[test]
    fn what_is_free_inside_the_database_stands_for_a_ballast_that_cannot_be_made() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("otternauts.db");
        // Where it would be is something else.
        std::fs::create_dir(directory.path().join("otternauts.db.ballast")).unwrap();
        let Space { free, total } = Space::of(directory.path()).unwrap();
        let target = total / 20;
        let free_bytes = free.saturating_sub(target / 2) / 17 * 16;
        let options = DiskGuard { free_bytes, free_percent: 0, ballast_bytes: u64::MAX, ..DiskGuard::default() };
        let mut disk = Disk::open(&database, options);
        for (reusable, is) in [(0, Level::Low), (total, Level::Enough)] {
            disk.level = Level::Low;
            disk.look(|| reusable);
            assert_eq!(disk.level(), is, "{reusable} reusable, {disk:?}");
        }
    }

    #[test]
    fn a_low_disk_takes_deletions_and_what_is_needed_to_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let options = DiskGuard { always: vec!["leases".into()], ..DiskGuard::default() };
        let mut disk = Disk::open(&directory.path().join("otternauts.db"), options);
        let mut index = Index::new(0);
        for (position, resource) in ["stacks", "leases"].into_iter().enumerate() {
            let place = Place::new(1, position);
            let kind = crate::EventKind::Created;
            let previous = Place::NONE;
            index.apply(&Header { place, resource, namespace: "n", name: "old", kind, schema: 0, previous });
        }
        let body = |leaving| Body { head: Bytes::new(), tail: Bytes::new(), schema: 0, leaving };
        // (resource, name, operation, taken on a low disk)
        let cases = [
            ("stacks", "new", Op::Put(body(false)), false),
            ("stacks", "old", Op::Put(body(false)), false),
            ("stacks", "old", Op::Put(body(true)), true),
            ("stacks", "new", Op::Put(body(true)), false),
            ("stacks", "old", Op::Delete { last: body(false) }, true),
            ("leases", "old", Op::Put(body(false)), true),
            ("leases", "new", Op::Put(body(false)), false),
        ];
        for (resource, name, op, taken) in cases {
            let write = Write { key: Key::new(resource, "n", name), precondition: Precondition::None, op };
            let writes = [write];
            disk.level = Level::Enough;
            assert!(disk.admit(&writes, &index).is_ok());
            disk.level = Level::Low;
            let answer = disk.admit(&writes, &index);
            assert_eq!(answer.is_ok(), taken, "{writes:?}");
            assert!(taken || matches!(answer, Err(Error::LowOnSpace { .. })));
            disk.level = Level::Full;
            let answer = disk.admit(&writes, &index);
            assert!(taken == answer.is_ok() && (taken || matches!(answer, Err(Error::Full))), "{writes:?}");
        }
    }

    #[test]
    fn limits_are_of_what_can_be_used_on_this_disk() {
        let directory = tempfile::tempdir().unwrap();
        let space = Space::of(directory.path()).unwrap();
        assert!(space.free <= space.total && space.total > 0, "{space:?}");
        let disk = Disk::open(&directory.path().join("otternauts.db"), DiskGuard::default());
        assert_eq!(disk.needed(), (256 * MIB).max(disk.space.total / 100 * 5));
        assert!(disk.ballast.target() <= 64 * MIB && disk.ballast.target() <= disk.space.total / 20);
    }
}
