//! Bugs and stops that tests plant, to see that they are caught (reliability, section 6; docs/faults.md).
//!
//! They exist only with the feature `planted` in a build with debug assertions: no release build can contain them, whatever
//! features it asks for. Then `OTTERNAUTS_PLANTED` names one bug, `OTTERNAUTS_STOP=POINT:N` aborts the process when it
//! passes a point for the Nth time, and `OTTERNAUTS_LATE=POINT:MICROSECONDS` holds it up there each time, for less than that.

/// A promise that is broken on purpose. Each is caught by the test that docs/faults.md names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The WAL is not synced at a commit (P1).
    SynchronousNormal,
    /// Answers before the commit (P1).
    AckBeforeCommit,
    /// Readers and watchers see a batch before its commit (P2).
    PublishBeforeCommit,
    /// Some events reach no watcher (P5).
    SkipOneWatchEvent,
    /// Rows are served without a look at their checksum (R2).
    DropChecksum,
    /// The window of a kind grows as long as the process lives (P7).
    UnboundedWatcherQueue,
    /// A list keeps one snapshot until its end (R39).
    OneLongReadTransaction,
    /// Some changes do not reach the index (P8).
    StaleIndex,
}

#[cfg(not(all(feature = "planted", debug_assertions)))]
mod switch {
    use super::Bug;

    pub(crate) const fn planted(_: Bug) -> bool {
        false
    }

    pub(crate) const fn point(_: &'static str) {}

    pub(crate) const fn announce() {}

    pub(crate) const fn is_small() -> bool {
        false
    }
}

#[cfg(all(feature = "planted", debug_assertions))]
mod switch {
    use super::Bug;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    const BUGS: [(Bug, &str); 8] = [
        (Bug::SynchronousNormal, "synchronous=NORMAL"),
        (Bug::AckBeforeCommit, "ack-before-commit"),
        (Bug::PublishBeforeCommit, "publish-before-commit"),
        (Bug::SkipOneWatchEvent, "skip-one-watch-event"),
        (Bug::DropChecksum, "drop-checksum"),
        (Bug::UnboundedWatcherQueue, "unbounded-watcher-queue"),
        (Bug::OneLongReadTransaction, "one-long-read-transaction"),
        (Bug::StaleIndex, "stale-index"),
    ];

    fn chosen() -> Option<Bug> {
        static CHOSEN: OnceLock<Option<Bug>> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let name = std::env::var("OTTERNAUTS_PLANTED").ok()?;
            BUGS.iter().find(|(_, known)| *known == name).map(|(bug, _)| *bug)
        })
    }

    /// Whether this bug is chosen.
    pub(crate) fn planted(bug: Bug) -> bool {
        chosen() == Some(bug)
    }

    /// `POINT:NUMBER` in the environment.
    fn point_of(variable: &str) -> Option<(String, u64)> {
        let text = std::env::var(variable).ok()?;
        let (point, number) = text.split_once(':')?;
        Some((point.to_owned(), number.parse().ok()?))
    }

    /// A place where the process may be told to stop dead, or to be late.
    pub(crate) fn point(name: &'static str) {
        static STOP: OnceLock<Option<(String, u64)>> = OnceLock::new();
        static LATE: OnceLock<Option<(String, u64)>> = OnceLock::new();
        static PASSED: AtomicU64 = AtomicU64::new(0);
        if let Some((point, count)) = STOP.get_or_init(|| point_of("OTTERNAUTS_STOP"))
            && point == name
            && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count
        {
            std::process::abort();
        }
        if let Some((point, most)) = LATE.get_or_init(|| point_of("OTTERNAUTS_LATE"))
            && point == name
        {
            // By turns anything below it, so that no two passes meet the same readers.
            let part = PASSED.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
            std::thread::sleep(Duration::from_micros((most * part) >> 16));
        }
    }

    /// Whether what is worth its while only for large stores is done for small ones too: `OTTERNAUTS_SMALL=1`.
    pub(crate) fn is_small() -> bool {
        static SMALL: OnceLock<bool> = OnceLock::new();
        *SMALL.get_or_init(|| std::env::var_os("OTTERNAUTS_SMALL").is_some_and(|value| value == "1"))
    }

    /// Nobody shall run such a build unknowingly.
    pub(crate) fn announce() {
        if let Some(bug) = chosen() {
            tracing::error!(?bug, "A BUG IS PLANTED INTO THIS STORE: it breaks its promises on purpose");
        }
    }
}

pub(crate) use switch::{announce, is_small, planted, point};
