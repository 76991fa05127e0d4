//! How far the events of an engine were heard, by the engine's own clock.

use crate::docker::Event;

/// Events of one nanosecond that are remembered; an engine does not make that many.
const SAME_INSTANT: usize = 64;

#[derive(Default)]
pub(super) struct Cursor {
    nanos: i64,
    /// Those heard at exactly `nanos`: the engine repeats them when asked from there.
    heard: Vec<Event>,
}

impl Cursor {
    /// Where to begin: where it was left, or at `first` when nothing was heard yet. Nanoseconds by the engine's clock.
    pub(super) fn start(&mut self, first: i64) -> i64 {
        if self.nanos == 0 {
            self.nanos = first;
        }
        self.nanos
    }

    /// Whether an event is told for the first time.
    pub(super) fn is_new(&mut self, event: &Event) -> bool {
        if event.time_nanos > self.nanos {
            self.nanos = event.time_nanos;
            self.heard.clear();
        } else if event.time_nanos == self.nanos && self.heard.contains(event) {
            return false;
        }
        if event.time_nanos == self.nanos && self.heard.len() < SAME_INSTANT {
            self.heard.push(event.clone());
        }
        // An earlier time than the last one: two of the engine's threads crossed.
        true
    }
}
