//! Whether a replica serves from a store in etcd. Nothing is asked of it: it is seen by what it writes.
//!
//! Every replica stands for the Lease of housekeeping. Who holds it renews it every two seconds; where nobody does, whoever serves takes it
//! within three; where its holder died, another takes it when its ten seconds are over. So a store in which nothing moves for longer
//! than that has nobody who serves from it, but for one that is frozen or cut off: that one is fenced when the store is left.

use crate::ending::Ending;
use anyhow::Context as _;
use otternauts_store::{Key, Range, Store};
use serde_json::Value;
use std::time::Duration;

const LEASES: &str = "leases.coordination.k8s.io";
/// Those of a replica's own, see `duties.rs`.
const NAMES: [&str; 2] = ["otternauts-housekeeping", "otternauts-controllers"];

/// The Lease's ten seconds, and the time in which a waiting replica tries.
const HELD: Duration = Duration::from_secs(13);
const FREE: Duration = Duration::from_secs(5);

/// Refused when anything moves.
pub async fn refuse_live(store: &Store, tell: &(impl Fn(&str) + Sync)) -> anyhow::Result<()> {
    store.fresh().await.context("cannot read the store")?;
    let at = store.revision();
    let holder = holder(store).await?;
    let window = if holder.is_some() { HELD } else { FREE };
    let held =
        holder.as_deref().map_or_else(|| "no Lease is held".to_owned(), |holder| format!("last led by {holder}"));
    tell(&format!("watching for {} s whether a replica serves from it ({held})", window.as_secs()));
    let mut watcher = store.watch(Range::resource(LEASES), at).await.context("cannot watch the store")?;
    let moved = tokio::time::timeout(window, watcher.next()).await.is_ok();
    store.fresh().await.context("cannot read the store")?;
    if !moved && store.revision() == at {
        return Ok(());
    }
    let who = self::holder(store).await?.map_or_else(String::new, |holder| format!(", led by {holder}"));
    let what = if moved { "a Lease of it was renewed" } else { "something was written" };
    Err(Ending::conflict(format!(
        "a replica serves from it{who}: {what} while I looked (revision {at} to {}); stop every otter serve that uses it first",
        store.revision()
    ))
    .into())
}

/// Who holds one of the Leases.
async fn holder(store: &Store) -> anyhow::Result<Option<String>> {
    for name in NAMES {
        let key = Key::new(LEASES, crate::inside::SYSTEM_NAMESPACE, name);
        let Some(record) = store.get(&key).await.context("cannot read the Leases")? else { continue };
        let lease: Value = serde_json::from_slice(&record.body).unwrap_or_default();
        if let Some(holder) = lease["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty()) {
            return Ok(Some(holder.to_owned()));
        }
    }
    Ok(None)
}
