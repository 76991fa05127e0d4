//! What readers see of the log, whichever engine keeps it: the index, the cache, the hub, and the one way a durable batch gets there.

use crate::batch::Batch;
use crate::cache::Cache;
use crate::event::{Event, EventKind};
use crate::hub::Hub;
use crate::index::Index;
use crate::key::Revision;
use crate::log::{Header, Place, Row};
use crate::observer::Observer;
use crate::planted::{Bug, planted};
use crate::record::{Committed, Record};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub(crate) struct Visible {
    pub index: RwLock<Index>,
    pub hub: Hub,
    pub cache: Cache,
    pub observer: Arc<dyn Observer>,
    /// Revisions that somebody still lists at: compaction stops before them.
    pub holds: Mutex<Vec<Revision>>,
    damaged: AtomicBool,
}

impl Visible {
    pub(crate) fn new(index: Index, observer: Arc<dyn Observer>) -> Visible {
        let hub = Hub::new(index.revision);
        let (cache, holds) = (Cache::default(), Mutex::default());
        Visible { index: RwLock::new(index), hub, cache, observer, holds, damaged: AtomicBool::new(false) }
    }

    /// Something stored does not match its checksum.
    pub(crate) fn found_damage(&self) {
        self.damaged.store(true, Ordering::Relaxed);
        self.observer.corrupted();
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(crate) fn revision(&self) -> Revision {
        self.index.read().revision
    }

    pub(crate) fn oldest(&self) -> Revision {
        self.index.read().oldest
    }

    /// How far compaction may go when it wants to go to `target`.
    pub(crate) fn held(&self, target: Revision) -> Revision {
        self.holds.lock().iter().copied().fold(target, Revision::min)
    }

    /// Forgets history at or below `oldest`; of resources that have neither objects nor history then, everything.
    pub(crate) fn compact(&self, oldest: Revision) {
        let mut index = self.index.write();
        if index.compact(oldest) {
            self.hub.keep(|resource| index.has(resource));
        }
    }

    /// As [`Visible::publish`], and the cache has it.
    pub(crate) fn apply(&self, batch: &Batch, read: impl FnMut(Place) -> Option<Record>) {
        self.publish(batch, read);
        self.cache.follow(&batch.rows);
    }

    /// Makes a durable batch visible: index, then watchers (R3). Only the writer calls it, after the fsync; `read`
    /// fetches a row that is not in the cache.
    pub(crate) fn publish(&self, batch: &Batch, mut read: impl FnMut(Place) -> Option<Record>) {
        let committed = Some(Instant::now());
        let mut events = Vec::with_capacity(batch.rows.len());
        for row in &batch.rows {
            let previous = match row.previous {
                Place::NONE => None,
                place => batch.at(place).map(Row::record).or_else(|| self.cache.get(place)).or_else(|| read(place)),
            };
            events.push(Arc::new(Event {
                revision: row.place.revision(),
                key: row.key.clone(),
                kind: row.kind,
                record: row.record(),
                previous,
                committed,
            }));
        }
        {
            let mut index = self.index.write();
            for row in &batch.rows {
                if planted(Bug::StaleIndex) && row.kind == EventKind::Updated && row.place.revision() % 97 == 0 {
                    index.revision = row.place.revision();
                    continue;
                }
                index.apply(&Header::of(row));
            }
        }
        self.hub.publish(events, batch.revision);
    }
}

/// The answer to one transaction of a batch that was made durable.
pub(crate) fn committed(batch: &Batch, rows: std::ops::Range<usize>) -> Committed {
    let rows = &batch.rows[rows];
    let revision = rows.first().map_or(batch.revision, |row| row.place.revision());
    Committed { revision, records: rows.iter().map(Row::record).collect() }
}
