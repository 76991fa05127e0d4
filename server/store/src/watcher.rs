//! One watch: a cursor that reads the hub's window, or the log when it is further behind.

use crate::engine::BodyRef;
use crate::error::{Error, Result};
use crate::event::{Event, WatchItem};
use crate::hub::{Pending, Seat};
use crate::key::{Key, Range, Revision};
use crate::list::gone;
use crate::log::{Header, Place, Row};
use crate::observer::Statement;
use crate::record::Record;
use crate::store::Inner;
use std::collections::HashMap;
use std::sync::Arc;

/// How much of history is delivered at a time: so many rows, or about so many bytes of them, but never half a revision.
const HISTORY_ROWS: usize = 256;
const HISTORY_BYTES: usize = 1 << 20;
/// The most rows read in one step: large ones may follow small ones.
const STEP_ROWS: usize = 64;
/// After so many rows of history without an event, the watcher reports how far it is.
const SILENT_ROWS: usize = 16 * HISTORY_ROWS;

/// One watch. Slow readers are caught up from the log; they never hold anybody up.
///
/// An idle watcher is this value and a seat shared with all of the same range: well under 1 KiB.
pub struct Watcher {
    inner: Arc<Inner>,
    seat: Seat,
    range: Range,
    /// Everything of the range at or below it was delivered.
    cursor: Revision,
    /// It has been in the window: to be out of it is news, not the beginning.
    hot: bool,
}

impl Watcher {
    pub(crate) fn new(inner: Arc<Inner>, range: Range, after: Revision) -> Result<Watcher> {
        if inner.visible.hub.is_closed() {
            return Err(Error::Closed);
        }
        let seat = inner.visible.hub.join(&range);
        let oldest = inner.visible.oldest();
        if after < oldest {
            return Err(Error::Compacted { asked: after, oldest });
        }
        Ok(Watcher { inner, seat, range, cursor: after, hot: false })
    }

    /// The next batch. Waits as long as nothing happens: the time for bookmarks is the caller's affair, who takes their
    /// revision from [`Watcher::progress`]. [`WatchItem::Progress`] only comes when much history was passed without an
    /// event. [`Error::Compacted`] ends the watch: the reader was slower than the history is long.
    ///
    /// Dropping the future loses nothing: the cursor moves only with what is returned.
    pub async fn next(&mut self) -> Result<WatchItem> {
        let notify = self.seat.notify.clone();
        let mut silent = 0;
        loop {
            // Made before looking, so that a commit between looking and waiting wakes it.
            let woken = notify.notified();
            if self.inner.visible.hub.is_closed() {
                return Err(Error::Closed);
            }
            match self.inner.visible.hub.pending(&self.seat, &self.range, self.cursor) {
                Pending::Events(events, cursor) => {
                    self.hot = true;
                    self.deliver(&events, cursor);
                    return Ok(WatchItem::Events(events));
                }
                Pending::Nothing(cursor) => {
                    self.hot = true;
                    self.cursor = cursor;
                    woken.await;
                }
                Pending::Behind(cursor) => {
                    self.cursor = cursor;
                    if std::mem::take(&mut self.hot) {
                        self.inner.visible.observer.fell_behind(&self.range.resource);
                    }
                    let range = self.range.clone();
                    let Some(history) = self.inner.run(false, move |inner| history(inner, &range, cursor)).await?
                    else {
                        return Err(gone(&self.inner, cursor).await);
                    };
                    silent += history.rows;
                    self.deliver(&history.events, history.cursor);
                    if !history.events.is_empty() {
                        return Ok(WatchItem::Events(history.events));
                    }
                    if silent >= SILENT_ROWS {
                        return Ok(WatchItem::Progress(self.cursor));
                    }
                }
            }
        }
    }

    /// What is in the window already, without waiting; `None` leaves everything else to [`Watcher::next`].
    pub fn ready(&mut self) -> Option<Vec<Arc<Event>>> {
        match self.inner.visible.hub.pending(&self.seat, &self.range, self.cursor) {
            Pending::Events(events, cursor) => {
                self.hot = true;
                self.deliver(&events, cursor);
                Some(events)
            }
            Pending::Nothing(cursor) => {
                self.hot = true;
                self.cursor = cursor;
                None
            }
            Pending::Behind(_) => None,
        }
    }

    /// The revision up to which everything of the range has been delivered: what a bookmark may say (B13). Never below
    /// the revision the watch started after.
    pub fn progress(&mut self) -> Revision {
        if let Pending::Nothing(cursor) = self.inner.visible.hub.pending(&self.seat, &self.range, self.cursor) {
            self.cursor = cursor;
        }
        self.cursor
    }

    fn deliver(&mut self, events: &[Arc<Event>], cursor: Revision) {
        debug_assert!(events.first().is_none_or(|event| event.revision > self.cursor), "R11: revisions rise");
        debug_assert!(events.is_sorted_by_key(|event| event.revision), "R11: revisions rise");
        debug_assert!(events.last().is_none_or(|event| event.revision <= cursor));
        self.cursor = cursor;
    }
}

struct History {
    events: Vec<Arc<Event>>,
    rows: usize,
    cursor: Revision,
}

/// Changes of a range above a revision, read from the log; `None` when a row of them is gone.
fn history(inner: &Inner, range: &Range, after: Revision) -> Result<Option<History>> {
    let (places, newest) = {
        let index = inner.visible.index.read();
        if after < index.oldest {
            return Err(Error::Compacted { asked: after, oldest: index.oldest });
        }
        let places = index.history(&range.resource, after, HISTORY_ROWS);
        let complete = places.len() < HISTORY_ROWS;
        (places, complete.then_some(index.revision.max(after)))
    };
    let mut history = History { events: Vec::new(), rows: 0, cursor: after };
    let (mut known, mut bytes, mut at_once) = (HashMap::new(), 0, 1);
    let mut rest = &places[..];
    // Few at first, so that large objects are not read only to be dropped.
    while let Some(last) = rest.get(at_once - 1).or(rest.last()) {
        if bytes >= HISTORY_BYTES {
            return Ok(Some(history));
        }
        let (now, later) = rest.split_at(rest.partition_point(|place| place.revision() <= last.revision()));
        let found = match read(inner, range, now, &mut known, HISTORY_BYTES - bytes) {
            // What is there is told first; what follows may be too much at once, and is begun with one row again.
            Err(_) if !history.events.is_empty() => return Ok(Some(history)),
            found => found?,
        };
        let Some((taken, events)) = found else { return Ok(None) };
        for event in events {
            let begins = history.events.last().is_some_and(|last| last.revision != event.revision);
            if begins && bytes >= HISTORY_BYTES {
                history.cursor = event.revision - 1;
                return Ok(Some(history));
            }
            bytes += event.record.body.len() + event.previous.as_ref().map_or(0, |previous| previous.body.len());
            history.events.push(event);
        }
        history.rows += taken;
        if let Some(next) = now.get(taken) {
            history.cursor = next.revision() - 1;
            return Ok(Some(history));
        }
        history.cursor = last.revision();
        at_once = (at_once * 2).min(STEP_ROWS);
        rest = later;
    }
    history.cursor = newest.unwrap_or(history.cursor);
    Ok(Some(history))
}

/// The events of rows, up to the revision with which they are more bytes than there is room for, and of how many rows they are; `None`
/// when one that is needed is gone. `known`: what was read before, and now.
fn read(
    inner: &Inner,
    range: &Range,
    places: &[Place],
    known: &mut HashMap<Place, Record>,
    room: usize,
) -> Result<Option<(usize, Vec<Arc<Event>>)>> {
    let visible = &inner.visible;
    let mut rows: Vec<Row> = Vec::new();
    let (mut found, mut taken, mut bytes) = (0, 0, 0);
    inner.engine.rows(visible, Statement::History, places, &mut |header: &Header<'_>, body: &BodyRef<'_>| {
        found += 1;
        let begins = rows.last().is_none_or(|row| row.place.revision() != header.place.revision());
        if taken + 1 < found || (begins && bytes > room) {
            return;
        }
        taken = found;
        if range.holds(header.namespace, header.name) {
            bytes += body.len();
            rows.push(Row {
                place: header.place,
                key: Key::new(range.resource.clone(), header.namespace, header.name),
                kind: header.kind,
                schema: header.schema,
                previous: header.previous,
                body: body.bytes(),
            });
        }
    })?;
    if found != places.len() {
        return Ok(None);
    }
    known.extend(rows.iter().map(|row| (row.place, row.record())));
    let previous = rows.iter().map(|row| row.previous);
    let mut missing: Vec<Place> = previous.filter(|place| !place.is_none() && !known.contains_key(place)).collect();
    missing.sort_unstable();
    inner.engine.rows(visible, Statement::History, &missing, &mut |header: &Header<'_>, body: &BodyRef<'_>| {
        let key = Key::new(range.resource.clone(), header.namespace, header.name);
        let revision = header.place.revision();
        known.insert(header.place, Record { key, revision, body: body.bytes(), schema: header.schema });
    })?;
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        let previous = match row.previous {
            Place::NONE => None,
            place => match known.get(&place) {
                Some(record) => Some(record.clone()),
                None => return Ok(None),
            },
        };
        let (revision, key, kind) = (row.place.revision(), row.key.clone(), row.kind);
        events.push(Arc::new(Event { revision, key, kind, record: row.record(), previous, committed: None }));
    }
    Ok(Some((taken, events)))
}
