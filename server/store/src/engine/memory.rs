//! The memory engine: the same contract with nothing behind it. For tests and for trying things out.

use crate::batch::Batch;
use crate::engine::{BodyRef, Visit, VisitHeader};
use crate::error::{Error, Result};
use crate::key::Revision;
use crate::log::{Header, Place, Row};
use crate::observer::{NoObserver, Observer};
use crate::record::{Committed, Write};
use crate::retention::{Ages, Clock, Keep, Retention, Step, system_clock};
use crate::visible::{Visible, committed};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a memory store behaves.
#[derive(Clone)]
pub struct MemoryOptions {
    pub retention: Retention,
    pub clock: Clock,
    pub observer: Arc<dyn Observer>,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        MemoryOptions { retention: Retention::default(), clock: system_clock(), observer: Arc::new(NoObserver) }
    }
}

pub(crate) struct Memory {
    clock: Clock,
    /// Whoever holds it is the one writer.
    writer: Mutex<Writer>,
    rows: RwLock<BTreeMap<Place, Row>>,
    meta: Mutex<BTreeMap<String, Bytes>>,
}

struct Writer {
    ages: Ages,
    closed: bool,
}

impl Memory {
    pub(crate) fn new(options: &MemoryOptions) -> Memory {
        let ages = Ages::new(options.retention, 0, 0, 0, (options.clock)());
        Memory {
            clock: options.clock.clone(),
            writer: Mutex::new(Writer { ages, closed: false }),
            rows: RwLock::default(),
            meta: Mutex::default(),
        }
    }

    pub(crate) fn commit(&self, visible: &Visible, writes: Vec<Write>) -> Result<Committed> {
        let mut writer = self.writer.lock();
        if writer.closed {
            return Err(Error::Closed);
        }
        let started = (self.clock)();
        let mut batch = Batch::new(visible.revision());
        let own = batch.admit(&visible.index.read(), writes)?;
        self.rows.write().extend(batch.rows.iter().map(|row| (row.place, row.clone())));
        let now = (self.clock)();
        visible.observer.committed(batch.rows.len(), now.saturating_sub(started));
        visible.apply(&batch, |place| self.rows.read().get(&place).map(Row::record));
        writer.ages.record(batch.revision, batch.rows.iter().map(Row::size).sum(), now);
        self.compact(visible, &mut writer.ages);
        Ok(committed(&batch, own))
    }

    fn compact(&self, visible: &Visible, ages: &mut Ages) {
        let target = visible.held(ages.target((self.clock)(), Keep::Policy));
        self.compact_to(visible, target);
    }

    fn compact_to(&self, visible: &Visible, target: Revision) {
        let mut oldest = visible.oldest();
        while oldest < target {
            let mut rows = self.rows.write();
            let history = rows.range(Place::last_of(oldest)..=Place::last_of(target));
            let step = Step::plan(history.map(|(place, row)| (*place, row.kind, row.previous)), target);
            oldest = step.oldest;
            visible.compact(oldest);
            for (_, place) in step.gone {
                rows.remove(&place);
            }
        }
    }

    pub(crate) fn rows(&self, places: &[Place], visit: Visit<'_>) -> Result<()> {
        let rows = self.rows.read();
        for row in places.iter().filter_map(|place| rows.get(place)) {
            visit(&Header::of(row), &BodyRef::Shared(&row.body));
        }
        Ok(())
    }

    pub(crate) fn headers(&self, places: &[Place], visit: VisitHeader<'_>) -> Result<()> {
        let rows = self.rows.read();
        for row in places.iter().filter_map(|place| rows.get(place)) {
            visit(&Header::of(row));
        }
        Ok(())
    }

    pub(crate) fn meta(&self, name: &str) -> Result<Option<Bytes>> {
        Ok(self.meta.lock().get(name).cloned())
    }

    pub(crate) fn metas(&self) -> Result<Vec<(String, Bytes)>> {
        Ok(self.meta.lock().iter().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    pub(crate) fn forget(&self, visible: &Visible, upto: Revision) -> Result<()> {
        let writer = self.writer.lock();
        if writer.closed {
            return Err(Error::Closed);
        }
        self.compact_to(visible, upto.min(visible.revision()));
        Ok(())
    }

    pub(crate) fn set_meta(&self, name: &str, value: Bytes) -> Result<()> {
        if self.writer.lock().closed {
            return Err(Error::Closed);
        }
        self.meta.lock().insert(name.to_owned(), value);
        Ok(())
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.writer.lock().closed = true;
        Ok(())
    }
}
