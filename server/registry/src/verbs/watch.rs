//! WATCH.

use crate::WatchEvent;

/// One watch under way. Dropping it ends it.
pub struct WatchSession {}

#[allow(clippy::unused_async, clippy::todo)]
impl WatchSession {
    /// The next event, waiting for it; `None` when the watch is over. Minute bookmarks come by themselves; the caller owns the
    /// timeout. Cancel safe.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        todo!()
    }

    /// A bookmark for the end of a watch (row W13): the version up to which everything has been sent. `None` when the client did
    /// not ask for bookmarks.
    pub fn bookmark(&self) -> Option<WatchEvent> {
        todo!()
    }
}
