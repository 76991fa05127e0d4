//! The world as far as a Notifier can tell of it.

use jiff::Timestamp;
use otternauts_types::notifier::{NoticeObject, Severity};

/// Why an object is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub reason: String,
    pub message: String,
    pub severity: Severity,
}

/// How an object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// With what its condition says about it.
    Well(String),
    /// On its way, or nothing is said of it: what was told before still holds.
    Unsettled,
    Bad(Problem),
}

/// An object whose conditions we follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub object: NoticeObject,
    /// Of a Stack: the version it is at.
    pub version: Option<i64>,
    pub standing: Standing,
    /// Since when it has been seen standing like this, by our own clock.
    pub since: Timestamp,
}

/// An Event: something happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Of the Event object; it grows with each repetition.
    pub revision: u64,
    pub object: NoticeObject,
    pub severity: Severity,
    pub reason: String,
    pub note: String,
    /// When it happened, as its writer says.
    pub time: Timestamp,
    /// When we first saw this revision, by our own clock.
    pub seen: Timestamp,
}

/// Everything that was looked at.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub subjects: Vec<Subject>,
    /// In the order of their revisions.
    pub happenings: Vec<Happening>,
}
