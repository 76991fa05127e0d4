//! WATCH (section 1.15): the current state where it is asked for, then every change.

use super::{bad_version, parse_version};
use crate::WatchEvent;
use crate::registry::{Registry, store_status};
use crate::request::{Caller, Target, WatchOptions};
use crate::selection::Selection;
use crate::shape::Shape;
use crate::writing::options_error;
use otternauts_meta::{FieldError, Path, Status};
use otternauts_store::{Error, Event, EventKind, List, Record, Revision, WatchItem, Watcher};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Row W13; tests do not wait a minute.
const BOOKMARK_EVERY: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(60) };

/// The state is read as it is taken: at first so many objects, then about as many as these bytes hold (P7).
const FIRST: usize = 500;
const MOST: usize = 4000;
const STATE_BYTES: usize = 1 << 20;

/// Where a watch begins.
enum Start {
    /// Changes after this revision.
    After(Revision),
    /// The state first, at least as new as this, else the newest; `bookmark`: then the end of it is marked.
    State { at_least: Option<Revision>, bookmark: bool },
    /// Changes from now on.
    Now,
}

/// One watch under way. Dropping it ends it.
pub struct WatchSession {
    registry: Registry,
    shape: Shape,
    selection: Selection,
    /// `None` once the watch is over.
    watcher: Option<Watcher>,
    initial: std::vec::IntoIter<Record>,
    /// What of the initial state was not read yet, all as it was at one revision. It is gone with the history there, like what the
    /// watcher is to say after it.
    rest: Option<List>,
    /// The mark after the initial state, until it is sent.
    end_of_state: Option<WatchEvent>,
    ready: VecDeque<(WatchEvent, Option<std::time::Instant>)>,
    /// When the event that was given out last was committed.
    committed: Option<std::time::Instant>,
    bookmarks: bool,
    next_bookmark: Instant,
    definitions: tokio::sync::watch::Receiver<u64>,
}

impl Registry {
    /// An error here is a plain HTTP error; what goes wrong later is an ERROR event (rows W10, W12).
    pub async fn watch(
        &self,
        caller: &Caller,
        target: &Target,
        options: &WatchOptions,
    ) -> Result<WatchSession, Status> {
        let _ = caller;
        let definitions = self.definitions_changed();
        let shape = self.shape(target);
        let start = start(options)?;
        let selection = Selection::new(&shape, target, &options.labels, &options.fields)?;
        let mut session = WatchSession {
            registry: self.clone(),
            shape,
            selection,
            watcher: None,
            initial: Vec::new().into_iter(),
            rest: None,
            end_of_state: None,
            ready: VecDeque::new(),
            committed: None,
            bookmarks: options.allow_bookmarks,
            next_bookmark: Instant::now() + BOOKMARK_EVERY,
            definitions,
        };
        if let Err(status) = session.begin(start).await {
            session.watcher = None;
            session.ready.push_back((WatchEvent::Error(status), None));
        }
        Ok(session)
    }
}

impl WatchSession {
    async fn begin(&mut self, start: Start) -> Result<(), Status> {
        let store = self.registry.inner.store.clone();
        let after = match start {
            Start::After(revision) => revision,
            Start::Now => store.revision(),
            Start::State { at_least, bookmark } => {
                match at_least {
                    Some(revision) => self.registry.wait_for(revision).await?,
                    None => store.fresh().await.map_err(|e| store_status(&e))?,
                }
                let list = List { range: self.selection.range.clone(), at: None, after: None, limit: FIRST };
                let revision = self.read_state(list).await.map_err(|e| store_status(&e))?;
                if bookmark {
                    let resource_version = revision.to_string();
                    self.end_of_state = Some(WatchEvent::Bookmark { resource_version, initial_end: true });
                }
                revision
            }
        };
        let watcher = store.watch(self.selection.range.clone(), after).await;
        self.watcher = Some(watcher.map_err(|error| watch_status(&error))?);
        Ok(())
    }

    /// Reads objects of the initial state, and answers its revision. Dropped halfway, nothing has changed.
    async fn read_state(&mut self, list: List) -> Result<Revision, Error> {
        let page = self.registry.inner.store.list_within(list.clone(), STATE_BYTES).await?;
        let last = page.records.last().filter(|_| page.more);
        self.rest = last.map(|last| {
            let bytes: usize = page.records.iter().map(|record| record.body.len()).sum();
            let each = (bytes / page.records.len()).max(1);
            let after = Some((last.key.namespace.clone(), last.key.name.clone()));
            List { at: Some(page.revision), after, limit: (STATE_BYTES / each).clamp(1, MOST), ..list }
        });
        self.initial = page.records.into_iter();
        Ok(page.revision)
    }

    /// The next event, waiting for it; `None` when the watch is over. Minute bookmarks come by themselves; the caller owns the
    /// timeout. Cancel safe.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.next_ready() {
                return Some(event);
            }
            if let Some(rest) = self.rest.clone() {
                if let Err(error) = self.read_state(rest).await {
                    self.drop_state();
                    self.take(Err(error));
                }
                continue;
            }
            let watcher = self.watcher.as_mut()?;
            tokio::select! {
                biased;
                item = watcher.next() => self.take(item),
                changed = self.definitions.changed() => {
                    if changed.is_err() || !self.is_served_as_before() {
                        self.watcher = None;
                    }
                }
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    return self.bookmark();
                }
            }
        }
    }

    /// An event that is there already; `None` when [`WatchSession::next`] would have to wait or to read.
    pub fn ready(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.next_ready() {
                return Some(event);
            }
            if self.rest.is_some() {
                return None;
            }
            let events = self.watcher.as_mut()?.ready()?;
            self.take(Ok(WatchItem::Events(events)));
        }
    }

    /// A bookmark for the end of a watch (row W13): the version up to which everything has been sent. `None` when the client did
    /// not ask for bookmarks.
    pub fn bookmark(&mut self) -> Option<WatchEvent> {
        let stated = self.initial.len() == 0 && self.rest.is_none() && self.end_of_state.is_none();
        let settled = self.ready.is_empty() && stated;
        if !self.bookmarks || !settled {
            return None;
        }
        let position = self.watcher.as_mut()?.progress();
        Some(WatchEvent::Bookmark { resource_version: position.to_string(), initial_end: false })
    }

    /// When the event that [`WatchSession::next`] gave out last was committed; `None` for state, marks and what came from the log.
    pub fn committed(&self) -> Option<std::time::Instant> {
        self.committed
    }

    fn next_ready(&mut self) -> Option<WatchEvent> {
        self.committed = None;
        for record in self.initial.by_ref() {
            let served = match self.selection.matches(&self.shape, &record) {
                Ok(true) => self.shape.serve(&record),
                Ok(false) => continue,
                Err(status) => Err(status),
            };
            return Some(match served {
                Ok(bytes) => WatchEvent::Added(bytes),
                Err(status) => {
                    self.watcher = None;
                    self.drop_state();
                    WatchEvent::Error(status)
                }
            });
        }
        if self.rest.is_some() {
            return None;
        }
        if let Some(end) = self.end_of_state.take() {
            return Some(end);
        }
        let (event, committed) = self.ready.pop_front()?;
        self.committed = committed;
        Some(event)
    }

    fn drop_state(&mut self) {
        (self.initial, self.rest, self.end_of_state) = (Vec::new().into_iter(), None, None);
    }

    /// The bytes that wait here for whoever reads the watch.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        let waiting = self.ready.iter().map(|(event, _)| match event {
            WatchEvent::Added(bytes) | WatchEvent::Modified(bytes) | WatchEvent::Deleted(bytes) => bytes.len(),
            WatchEvent::Bookmark { .. } | WatchEvent::Error(_) => 0,
        });
        self.initial.as_slice().iter().map(|record| record.body.len()).chain(waiting).sum()
    }

    pub(crate) fn take(&mut self, item: Result<WatchItem, Error>) {
        let events = match item {
            Ok(WatchItem::Progress(_)) => return,
            Ok(WatchItem::Events(events)) => events,
            Err(error) => {
                self.watcher = None;
                if !matches!(error, Error::Closed) {
                    self.ready.push_back((WatchEvent::Error(watch_status(&error)), None));
                }
                return;
            }
        };
        for event in events {
            match self.shown(&event) {
                Ok(Some(shown)) => self.ready.push_back((shown, event.committed)),
                Ok(None) => {}
                Err(status) => {
                    self.watcher = None;
                    self.ready.push_back((WatchEvent::Error(status), None));
                    return;
                }
            }
        }
    }

    /// Rows W7 and W8: what a change is to somebody who sees only what the selectors choose.
    fn shown(&self, event: &Event) -> Result<Option<WatchEvent>, Status> {
        let chosen = |record: &Record| self.selection.matches(&self.shape, record);
        let unread = event.kind != EventKind::Created && event.previous.is_none();
        if unread && !self.selection.is_everything() {
            // Nobody can say whether it was chosen.
            return Err(Status::expired("an object was changed or deleted whose state before could not be read"));
        }
        let before = match &event.previous {
            Some(previous) => chosen(previous)?,
            None => unread,
        };
        if event.kind == EventKind::Deleted {
            return Ok(if before { Some(WatchEvent::Deleted(self.shape.serve(&event.record)?)) } else { None });
        }
        let after = chosen(&event.record)?;
        Ok(match (before, after) {
            (false, false) => None,
            (false, true) => Some(WatchEvent::Added(self.shape.serve(&event.record)?)),
            (true, true) => Some(WatchEvent::Modified(self.shape.serve(&event.record)?)),
            (true, false) => match &event.previous {
                Some(previous) => {
                    let object = self.shape.read(previous)?;
                    Some(WatchEvent::Deleted(self.shape.bytes(&object, Some(event.revision))))
                }
                None => None,
            },
        })
    }

    /// Rows X5, W23: a watch of a kind that changed its face, or went, is closed.
    fn is_served_as_before(&self) -> bool {
        let definition = &self.shape.definition;
        let definitions = self.registry.definitions();
        let now = definitions.find(&definition.group, &self.shape.version, &definition.names.plural);
        now.is_some_and(|now| now.hash == definition.hash)
    }
}

/// Row W10.
fn watch_status(error: &Error) -> Status {
    match error {
        Error::Compacted { asked, oldest } => Status::expired(format!("too old resource version: {asked} ({oldest})")),
        // The state after it can be listed, or the list says what is wrong.
        Error::Corrupt { .. } => Status::expired("an event after this resource version cannot be read"),
        other => store_status(other),
    }
}

/// Rows W4, W5, W14, W17.
fn start(options: &WatchOptions) -> Result<Start, Status> {
    let forbidden =
        |field: &str, detail: &str| Err(options_error("ListOptions", FieldError::forbidden(&Path::new(field), detail)));
    let matching = options.resource_version_match.as_str();
    match options.send_initial_events {
        None if !matching.is_empty() => {
            return forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            );
        }
        Some(_) if matching != "NotOlderThan" => {
            return forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            );
        }
        _ => {}
    }
    let version = parse_version(&options.resource_version).map_err(|e| bad_version(&e))?;
    let bookmark = options.allow_bookmarks;
    Ok(match (options.send_initial_events, version) {
        (Some(true), version) => Start::State { at_least: version, bookmark },
        (Some(false), None | Some(0)) => Start::Now,
        (None, version @ (None | Some(0))) => Start::State { at_least: version, bookmark },
        (_, Some(version)) => Start::After(version),
    })
}
