//! Holds that every replica respects: while somebody lists at a revision, nobody's compaction passes it.
//!
//! A hold is a key that lives as long as a lease of etcd's: whoever dies or is cut off holds nothing up for longer. Compaction reads the
//! holds, and moves the beginning of history only if none was taken since it read them. So a hold that was given counts, whoever
//! compacts at that moment; one whose lease has run out is told to its owner by [`Error::Compacted`], as any history that is gone.

#[cfg(test)]
mod tests;

use crate::engine::etcd::client::{PATIENCE, Trouble};
use crate::engine::etcd::proto::{Compare, RangeRequest, Request, TxnRequest, get, none_since, put_leased};
use crate::engine::etcd::row::Head;
use crate::engine::etcd::view::{Broken, View};
use crate::error::{Error, Result};
use crate::key::Revision;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Seconds that a hold outlives its owner by at most.
const LASTS: i64 = 30;
/// How often its owner says that it lives.
const RENEWAL: Duration = Duration::from_secs(8);
/// How often a hold is taken anew because history went on meanwhile.
const TRIES: usize = 10;

/// What all replicas hold, as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    /// Compaction stops before it.
    pub revision: Revision,
    /// Of etcd's own, when it was read.
    at: i64,
}

impl Floor {
    /// True in a transaction only if nobody has taken a hold since it was read.
    pub(super) fn condition(&self, view: &View) -> Compare {
        none_since(view.keys.hold(None), view.keys.end_of_holds(), self.at)
    }
}

/// Reads them.
pub(super) async fn floor(view: &View) -> Result<Floor, Trouble> {
    let (key, range_end) = (view.keys.hold(None), view.keys.end_of_holds());
    let range = RangeRequest { key, range_end, ..RangeRequest::default() };
    let answer = view.client.read(vec![Request::Range(range).into()], PATIENCE).await?;
    let at = answer.revision();
    let kvs = answer.ranges().flat_map(|range| range.kvs);
    // What cannot be read is from a newer version: everything is kept for it.
    let held = kvs.map(|kv| kv.value.as_ref().try_into().map_or(0, u64::from_be_bytes));
    Ok(Floor { revision: held.min().unwrap_or(Revision::MAX), at })
}

/// Lets go when it is dropped.
pub(super) struct Held {
    pub revision: Revision,
    _end: oneshot::Sender<()>,
}

/// Holds the newest revision that this replica has seen.
pub(super) async fn take(view: &Arc<View>) -> Result<Held> {
    let lease = view.client.grant(LASTS).await.map_err(Trouble::of_read)?;
    for _ in 0..TRIES {
        view.fresh().await?;
        let revision = view.head().revision;
        let value = revision.to_be_bytes().to_vec().into();
        let request = TxnRequest {
            success: vec![put_leased(view.keys.hold(Some(lease)), value, lease), get(view.keys.head.clone())],
            ..TxnRequest::default()
        };
        // Putting it twice is putting it once.
        let answer = view.client.txn(&request, Instant::now() + PATIENCE).await.map_err(Trouble::of_read)?;
        let head = answer.ranges().flat_map(|range| range.kvs).next();
        let head = head.map_or(Some(Head::default()), |kv| Head::decode(&kv.value));
        if head.ok_or_else(|| Broken::Bytes("head".to_owned()))?.oldest <= revision {
            let (end, ended) = oneshot::channel();
            tokio::spawn(keep(Arc::clone(view), lease, ended));
            return Ok(Held { revision, _end: end });
        }
    }
    let _runs_out = view.client.revoke(lease).await;
    Err(Error::Unavailable("etcd: history is forgotten faster than it can be held".to_owned()))
}

/// Renews the lease until its hold is let go of, and gives it back then.
async fn keep(view: Arc<View>, lease: i64, mut ended: oneshot::Receiver<()>) {
    while tokio::time::timeout(RENEWAL, &mut ended).await.is_err() {
        match view.client.keep_alive(lease).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!("a hold on history has run out, because etcd could not be reached for {LASTS} s");
                return;
            }
            Err(error) => tracing::warn!(%error, "a hold on history could not be renewed, and is tried again"),
        }
    }
    if let Err(error) = view.client.revoke(lease).await {
        tracing::info!(%error, "a hold on history could not be given back, and runs out");
    }
}
