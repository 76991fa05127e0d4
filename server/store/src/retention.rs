//! How much history is kept, and how far compaction may go now.

use crate::event::EventKind;
use crate::key::Revision;
use crate::log::Place;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time since some fixed moment; never goes back. Enters as a parameter so that tests need not wait.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The machine's monotonic clock.
pub(crate) fn system_clock() -> Clock {
    let start = Instant::now();
    Arc::new(move || start.elapsed())
}

/// How much history is kept: `age` or `bytes`, whichever is less, but never fewer than the newest `revisions`.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    pub age: Duration,
    pub bytes: u64,
    pub revisions: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Retention { age: Duration::from_secs(300), bytes: 1 << 30, revisions: 10_000 }
    }
}

/// How much of the policy the disk has room for (R41).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Policy,
    /// No least number of revisions.
    AgeAlone,
    Nothing,
}

/// One stretch of history: everything above the mark before it, up to `revision`.
#[derive(Debug)]
struct Mark {
    /// When its newest revision was committed.
    at: Duration,
    revision: Revision,
    bytes: u64,
}

/// Marks are not finer than this, so five minutes of history cost a few kilobytes to remember.
const MARK_TIME: Duration = Duration::from_secs(1);
const MARK_BYTES: u64 = 16 << 20;

/// The ages and sizes of the history, oldest first.
#[derive(Debug)]
pub(crate) struct Ages {
    policy: Retention,
    marks: VecDeque<Mark>,
    bytes: u64,
    newest: Revision,
    /// Below it everything may go: it only rises.
    target: Revision,
}

impl Ages {
    /// History found at start counts as made now: it is kept a little longer than promised, never shorter.
    pub(crate) fn new(policy: Retention, oldest: Revision, newest: Revision, bytes: u64, now: Duration) -> Ages {
        let mut ages = Ages { policy, marks: VecDeque::new(), bytes: 0, newest, target: oldest };
        if newest > oldest {
            ages.record(newest, bytes, now);
        }
        ages
    }

    /// Remembers a committed batch.
    pub(crate) fn record(&mut self, revision: Revision, bytes: u64, now: Duration) {
        self.newest = revision;
        self.bytes += bytes;
        let time = MARK_TIME.min(self.policy.age / 8);
        let size = MARK_BYTES.min(self.policy.bytes / 8);
        let started = self.marks.len().checked_sub(2).map_or(Duration::ZERO, |before| self.marks[before].at);
        match self.marks.back_mut() {
            Some(mark) if now.saturating_sub(started) < time && mark.bytes + bytes <= size => {
                mark.at = now;
                mark.revision = revision;
                mark.bytes += bytes;
            }
            _ => self.marks.push_back(Mark { at: now, revision, bytes }),
        }
    }

    /// Up to which revision history may go now; everything at or below it that is not live.
    pub(crate) fn target(&mut self, now: Duration, keep: Keep) -> Revision {
        let least = if keep == Keep::Policy { self.policy.revisions } else { 0 };
        let ceiling = self.newest.saturating_sub(least);
        while let Some(mark) = self.marks.front() {
            let due = now.saturating_sub(mark.at) >= self.policy.age || self.bytes > self.policy.bytes;
            let due = due || keep == Keep::Nothing;
            if !due {
                break;
            }
            if mark.revision > ceiling {
                self.target = self.target.max(ceiling);
                break;
            }
            self.target = self.target.max(mark.revision);
            self.bytes -= mark.bytes;
            self.marks.pop_front();
        }
        self.target
    }

    /// How many bytes the history has that may not go yet.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What [`Ages::target`] last answered.
    pub(crate) fn due(&self) -> Revision {
        self.target
    }

    /// How long until more may go, with no further commit; `None`: never.
    pub(crate) fn wait(&self, now: Duration) -> Option<Duration> {
        let mark = self.marks.front()?;
        if self.newest.saturating_sub(self.policy.revisions) <= self.target {
            return None;
        }
        Some((mark.at + self.policy.age).saturating_sub(now))
    }
}

/// The most history rows one compaction step looks at; a larger transaction is taken whole.
pub(crate) const STEP_ROWS: usize = 500;

/// One step of compaction: these rows go, and `oldest` is the new floor of history.
#[derive(Debug)]
pub(crate) struct Step {
    pub oldest: Revision,
    /// Each with the revision that made it go, ascending: a step may be cut short behind any of those.
    pub gone: Vec<(Revision, Place)>,
}

impl Step {
    /// Plans a step from the history above the present floor, in order: `(place, kind, previous)`, at or below `target`.
    ///
    /// Each row at or below the new floor makes the row before it unreachable; a deletion is itself only history.
    pub(crate) fn plan(rows: impl Iterator<Item = (Place, EventKind, Place)>, target: Revision) -> Step {
        let mut gone = Vec::new();
        let mut oldest = 0;
        for (seen, (place, kind, previous)) in rows.enumerate() {
            if seen >= STEP_ROWS && place.revision() != oldest {
                return Step { oldest, gone };
            }
            oldest = place.revision();
            if !previous.is_none() {
                gone.push((oldest, previous));
            }
            if kind == EventKind::Deleted {
                gone.push((oldest, place));
            }
        }
        Step { oldest: target, gone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(age: u64, bytes: u64, revisions: u64) -> Retention {
        Retention { age: Duration::from_secs(age), bytes, revisions }
    }

    #[test]
    fn history_goes_by_age_but_never_under_the_newest_revisions() {
        let mut ages = Ages::new(policy(300, 1 << 30, 10), 0, 0, 0, Duration::ZERO);
        for revision in 1..=100 {
            ages.record(revision, 1000, Duration::from_secs(revision));
        }
        assert_eq!(ages.target(Duration::from_secs(200), Keep::Policy), 0);
        assert_eq!(ages.target(Duration::from_secs(350), Keep::Policy), 50);
        assert_eq!(ages.target(Duration::from_secs(10_000), Keep::Policy), 90);
        assert_eq!(ages.wait(Duration::from_secs(10_000)), None);
    }

    #[test]
    fn history_goes_by_size_before_its_age() {
        let mut ages = Ages::new(policy(300, 10_000, 1), 0, 0, 0, Duration::ZERO);
        for revision in 1..=100 {
            ages.record(revision, 1000, Duration::from_secs(1));
        }
        let target = ages.target(Duration::from_secs(1), Keep::Policy);
        assert!((88..=91).contains(&target), "{target}");
        assert_eq!(ages.wait(Duration::from_secs(1)), Some(Duration::from_secs(300)));
    }

    #[test]
    fn a_short_disk_keeps_less_and_a_full_one_nothing() {
        let mut ages = Ages::new(policy(300, 1 << 30, 10), 0, 0, 0, Duration::ZERO);
        for revision in 1..=100 {
            ages.record(revision, 1000, Duration::from_secs(revision));
        }
        assert_eq!(ages.target(Duration::from_secs(350), Keep::AgeAlone), 50);
        assert_eq!(ages.target(Duration::from_secs(399), Keep::AgeAlone), 99);
        assert_eq!(ages.target(Duration::from_secs(399), Keep::Nothing), 100);
        assert_eq!(ages.target(Duration::from_secs(399), Keep::Policy), 100, "what is gone does not come back");
    }

    #[test]
    fn an_idle_store_with_little_history_never_wakes() {
        let mut ages = Ages::new(Retention::default(), 0, 9_000, 1 << 20, Duration::ZERO);
        assert_eq!(ages.target(Duration::from_secs(1_000_000), Keep::Policy), 0);
        assert_eq!(ages.wait(Duration::from_secs(1_000_000)), None);
    }
}
