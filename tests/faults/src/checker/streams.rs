//! Watches against the log: exactly its changes after the start, in order, once, and no bookmark ahead of an event.

use super::Violation;
use super::log::{Entry, Log};
use crate::history::{History, Seen, Stream};

pub(super) fn check(history: &History, log: &Log, violations: &mut Vec<Violation>) {
    for (number, stream) in history.streams.iter().enumerate() {
        // What comes after a first difference is noise.
        if let Err(violation) = follow(number, stream, log) {
            violations.push(violation);
        }
    }
}

fn follow(number: usize, stream: &Stream, log: &Log) -> Result<(), Violation> {
    let first = log.entries.partition_point(|entry| entry.revision <= stream.after);
    let mut expected = log.entries[first..].iter().peekable();
    let mut last = stream.after;
    for seen in &stream.seen {
        match *seen {
            Seen::Event { revision, key, kind, token } => {
                let is = Entry { revision, key, kind, token };
                match expected.peek() {
                    Some(&&wanted) if wanted == is => _ = expected.next(),
                    Some(&&wanted) if (wanted.revision, wanted.key) == (revision, key) => {
                        return Err(Violation::WrongEvent { stream: number, revision, key });
                    }
                    Some(&&wanted) if wanted.revision <= revision => {
                        return Err(Violation::Missed { stream: number, revision: wanted.revision, key: wanted.key });
                    }
                    _ => return Err(Violation::Unexpected { stream: number, revision, key }),
                }
                last = revision;
            }
            Seen::Bookmark(at) => {
                if at < last || expected.peek().is_some_and(|wanted| wanted.revision <= at) {
                    return Err(Violation::Bookmark { stream: number, at });
                }
                last = at;
            }
        }
    }
    match (stream.complete_to, expected.peek()) {
        (Some(end), Some(wanted)) if wanted.revision <= end => {
            Err(Violation::Missed { stream: number, revision: wanted.revision, key: wanted.key })
        }
        _ => Ok(()),
    }
}
