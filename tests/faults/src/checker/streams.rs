//! Watches against the log: exactly its changes after the start, in order, once, and no bookmark ahead of an event.

use super::Violation;
use super::log::{Entry, Log};
use crate::history::{History, Key, Revision, Seen, Stream};

pub(super) fn check(history: &History, log: &Log, violations: &mut Vec<Violation>) {
    for (number, stream) in history.streams.iter().enumerate() {
        // What comes after a first difference is noise.
        if let Err(violation) = follow(number, stream, log) {
            violations.push(violation);
        }
    }
}

fn follow(number: usize, stream: &Stream, log: &Log) -> Result<(), Violation> {
    let mut follower = Follower::new(number, &log.entries, stream.after, |_| true);
    for seen in &stream.seen {
        follower.see(&log.entries, seen)?;
    }
    stream.complete_to.map_or(Ok(()), |end| follower.end(&log.entries, end))
}

/// Holds one watch against a log while both grow, without keeping what was seen.
#[derive(Debug)]
pub struct Follower<W> {
    stream: usize,
    wanted: W,
    /// Everything of the log before it was delivered, or is not wanted.
    next: usize,
    last: Revision,
}

impl<W: Fn(Key) -> bool> Follower<W> {
    /// A watch, by its number, of the wanted objects of this log after a revision.
    pub fn new(stream: usize, log: &[Entry], after: Revision, wanted: W) -> Follower<W> {
        let next = log.partition_point(|entry| entry.revision <= after);
        Follower { stream, wanted, next, last: after }
    }

    /// The newest revision that was seen: where a client goes on.
    pub fn at(&self) -> Revision {
        self.last
    }

    /// What the watch delivers next. The log, which only grows, has everything that it can be.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn see(&mut self, log: &[Entry], seen: &Seen) -> Result<(), Violation> {
        let stream = self.stream;
        match *seen {
            Seen::Event { revision, key, kind, token } => {
                let is = Entry { revision, key, kind, token };
                match self.expected(log) {
                    Some(wanted) if wanted == is => self.next += 1,
                    Some(wanted) if (wanted.revision, wanted.key) == (revision, key) => {
                        return Err(Violation::WrongEvent { stream, revision, key });
                    }
                    Some(wanted) if wanted.revision <= revision => {
                        return Err(Violation::Missed { stream, revision: wanted.revision, key: wanted.key });
                    }
                    _ => return Err(Violation::Unexpected { stream, revision, key }),
                }
            }
            Seen::Bookmark(at) => {
                if at < self.last || self.expected(log).is_some_and(|wanted| wanted.revision <= at) {
                    return Err(Violation::Bookmark { stream, at });
                }
            }
        }
        self.last = seen.revision();
        Ok(())
    }

    /// Everything up to this revision must have been delivered.
    ///
    /// # Errors
    /// What is missing.
    pub fn end(&mut self, log: &[Entry], end: Revision) -> Result<(), Violation> {
        match self.expected(log) {
            Some(wanted) if wanted.revision <= end => {
                Err(Violation::Missed { stream: self.stream, revision: wanted.revision, key: wanted.key })
            }
            _ => Ok(()),
        }
    }

    fn expected(&mut self, log: &[Entry]) -> Option<Entry> {
        while log.get(self.next).is_some_and(|entry| !(self.wanted)(entry.key)) {
            self.next += 1;
        }
        log.get(self.next).copied()
    }
}
