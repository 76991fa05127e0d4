//! The bytes of recently written and recently read objects, bounded, so that a hot object costs no read.

use crate::event::EventKind;
use crate::log::{Place, Row};
use crate::record::Record;
use bytes::Bytes;
use foldhash::HashMap;
use parking_lot::RwLock;
use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many bytes of bodies are kept: the objects of a fleet of ordinary size are served without a read.
pub(crate) const CACHE_BYTES: usize = 32 << 20;
/// How many bodies are shown or taken in under one hold of the lock.
const AT_ONCE: usize = 128;
/// What an entry costs beside its body.
const OVERHEAD: usize = 256;

/// A second-chance cache: a hit only sets a flag, so readers share the lock.
#[derive(Default)]
pub(crate) struct Cache {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    slots: HashMap<Place, Slot>,
    hand: VecDeque<Place>,
    bytes: usize,
}

struct Slot {
    record: Record,
    used: AtomicBool,
}

impl Cache {
    pub(crate) fn get(&self, place: Place) -> Option<Record> {
        let state = self.state.read();
        let slot = state.slots.get(&place)?;
        slot.used.store(true, Ordering::Relaxed);
        Some(slot.record.clone())
    }

    /// As [`Cache::get`], and it counts for no use of it.
    pub(crate) fn peek(&self, place: Place) -> Option<Record> {
        Some(self.state.read().slots.get(&place)?.record.clone())
    }

    /// As [`Cache::get`], for many places under one lock.
    pub(crate) fn get_all(&self, places: impl Iterator<Item = Place>) -> Vec<Option<Record>> {
        let state = self.state.read();
        let get = |place| {
            let slot = state.slots.get(&place)?;
            slot.used.store(true, Ordering::Relaxed);
            Some(slot.record.clone())
        };
        places.map(get).collect()
    }

    /// As [`Cache::get_all`], of the bodies alone and only from the first on that are there and of this schema: how many.
    pub(crate) fn show(&self, places: &[Place], schema: u64, mut show: impl FnMut(&Bytes)) -> usize {
        let mut shown = 0;
        // Short holds of the lock: a writer waits for none of them long.
        for places in places.chunks(AT_ONCE) {
            let state = self.state.read();
            for place in places {
                let Some(slot) = state.slots.get(place).filter(|slot| slot.record.schema == schema) else {
                    return shown;
                };
                slot.used.store(true, Ordering::Relaxed);
                show(&slot.record.body);
                shown += 1;
            }
        }
        shown
    }

    pub(crate) fn put(&self, place: Place, record: Record) {
        self.state.write().put(place, record);
    }

    /// Takes in what was committed; what it replaces is let go of.
    pub(crate) fn follow(&self, rows: &[Row]) {
        for rows in rows.chunks(AT_ONCE) {
            let mut state = self.state.write();
            for row in rows {
                state.remove(row.previous);
                if row.kind != EventKind::Deleted {
                    state.put(row.place, row.record());
                }
            }
            state.sweep();
        }
    }

    /// Takes over what another has, and lets go of everything else.
    #[cfg(feature = "etcd")]
    pub(crate) fn replace(&self, other: Cache) {
        *self.state.write() = other.state.into_inner();
    }

    /// Lets go of a row that is no longer the newest of its object.
    #[cfg(any(test, feature = "etcd"))]
    pub(crate) fn remove(&self, place: Place) {
        let mut state = self.state.write();
        state.remove(place);
        state.sweep();
    }
}

impl State {
    fn put(&mut self, place: Place, record: Record) {
        let size = record.body.len() + OVERHEAD;
        if size > CACHE_BYTES / 8 {
            return;
        }
        if let Entry::Vacant(slot) = self.slots.entry(place) {
            slot.insert(Slot { record, used: AtomicBool::new(false) });
            self.hand.push_back(place);
            self.bytes += size;
            self.shrink();
        }
    }

    /// Forgets the turns of what is gone, when they are most of all.
    fn sweep(&mut self) {
        if self.hand.len() > 2 * self.slots.len() + 1024 {
            let State { slots, hand, .. } = self;
            hand.retain(|place| slots.contains_key(place));
        }
    }

    fn remove(&mut self, place: Place) {
        if let Some(slot) = self.slots.remove(&place) {
            self.bytes -= slot.record.body.len() + OVERHEAD;
        }
    }

    fn shrink(&mut self) {
        while self.bytes > CACHE_BYTES {
            let Some(place) = self.hand.pop_front() else { return };
            let Some(slot) = self.slots.get(&place) else { continue };
            if slot.used.swap(false, Ordering::Relaxed) {
                self.hand.push_back(place);
            } else {
                self.remove(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn record(revision: u64, size: usize) -> Record {
        let key = Key::new("stacks.otternauts.dev", "default", format!("s{revision}"));
        Record { key, revision, body: Bytes::from(vec![b'x'; size]), schema: 0 }
    }

    #[test]
    fn the_cache_stays_within_its_bytes_and_keeps_what_is_used() {
        let cache = Cache::default();
        cache.put(Place::new(1, 0), record(1, 1000));
        for revision in 2..40_000 {
            assert!(cache.get(Place::new(1, 0)).is_some());
            cache.put(Place::new(revision, 0), record(revision, 1000));
        }
        let state = cache.state.read();
        assert!(state.bytes <= CACHE_BYTES && state.bytes > CACHE_BYTES / 2, "{}", state.bytes);
        assert!(state.hand.len() <= 2 * state.slots.len() + 1024);
    }

    #[test]
    fn a_replaced_row_is_let_go() {
        let cache = Cache::default();
        for revision in 1..100_000 {
            cache.put(Place::new(revision, 0), record(revision, 10));
            cache.remove(Place::new(revision, 0));
        }
        let state = cache.state.read();
        assert_eq!((state.bytes, state.slots.len()), (0, 0));
        assert!(state.hand.len() <= 1025);
    }
}
