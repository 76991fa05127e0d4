//! Everything of a range, then every change of it, for as long as the store is open.

use otternauts_store::{Error, EventKind, List, Range, Record, Store, WatchItem, Watcher};
use std::time::Duration;

/// After an error of the store, before the range is read again.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) enum Seen {
    /// What follows is the whole range, read anew: forget what is not repeated.
    Start,
    /// There, or changed.
    Object(Record),
    /// Gone; its last state.
    Gone(Record),
}

pub(super) struct Follower {
    store: Store,
    range: Range,
    watcher: Option<Watcher>,
}

impl Follower {
    pub fn new(store: &Store, range: Range) -> Self {
        Self { store: store.clone(), range, watcher: None }
    }

    /// The next things seen, in order; `None` when the store is closed.
    pub async fn next(&mut self) -> Option<Vec<Seen>> {
        loop {
            let step = match &mut self.watcher {
                None => self.start().await.map(Some),
                Some(watcher) => watcher.next().await.map(seen),
            };
            match step {
                Ok(Some(seen)) => return Some(seen),
                Ok(None) => {}
                Err(Error::Closed) => return None,
                Err(Error::Compacted { .. }) => self.watcher = None,
                Err(error) => {
                    tracing::error!(range = ?self.range, %error, "a task of the server cannot follow its objects");
                    self.watcher = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn start(&mut self) -> Result<Vec<Seen>, Error> {
        let list = List { range: self.range.clone(), at: None, after: None, limit: 0 };
        let page = self.store.list(list).await?;
        self.watcher = Some(self.store.watch(self.range.clone(), page.revision).await?);
        Ok(std::iter::once(Seen::Start).chain(page.records.into_iter().map(Seen::Object)).collect())
    }
}

/// `None`: nothing happened.
fn seen(item: WatchItem) -> Option<Vec<Seen>> {
    let WatchItem::Events(events) = item else { return None };
    let one = |record: Record, kind| match kind {
        EventKind::Deleted => Seen::Gone(record),
        EventKind::Created | EventKind::Updated => Seen::Object(record),
    };
    Some(events.iter().map(|event| one(event.record.clone(), event.kind)).collect())
}
