//! Small values: keys of their own, which take no revision of the log.

use crate::engine::etcd::client::{PATIENCE, Trouble};
use crate::engine::etcd::proto::{RangeRequest, TxnRequest, get, holds, put};
use crate::engine::etcd::view::View;
use crate::error::Result;
use bytes::Bytes;
use tokio::time::Instant;

pub(super) async fn read(view: &View, key: Bytes) -> Result<Option<Bytes>> {
    let answer = view.client.read(vec![get(key)], view.patience()).await.map_err(Trouble::of_read)?;
    Ok(answer.ranges().flat_map(|range| range.kvs).next().map(|kv| kv.value))
}

pub(super) async fn all(view: &View) -> Result<Vec<(String, Bytes)>> {
    let (key, range_end) = (view.keys.meta(""), view.keys.end_of_meta());
    let start = key.len();
    let found = view.client.range(RangeRequest { key, range_end, ..RangeRequest::default() }).await;
    let found = found.map_err(Trouble::of_read)?.kvs.into_iter();
    let found = found.map(|kv| (String::from_utf8_lossy(&kv.key[start..]).into_owned(), kv.value));
    // The engine's own begin with a dot.
    Ok(found.filter(|(name, _)| !name.starts_with('.')).collect())
}

/// Putting the same value twice is putting it once, so it may be tried again.
pub(super) async fn write(view: &View, key: Bytes, value: Bytes) -> Result<()> {
    let request = TxnRequest { success: vec![put(key, value)], ..TxnRequest::default() };
    view.client.txn(&request, Instant::now() + PATIENCE).await.map(drop).map_err(Trouble::of_write)
}

/// Another value in place of this one; `false`: there is another already.
pub(super) async fn replace(view: &View, key: Bytes, before: Bytes, value: Bytes) -> Result<bool> {
    let request = TxnRequest {
        compare: vec![holds(key.clone(), Some(before))],
        success: vec![put(key.clone(), value.clone())],
        failure: vec![get(key)],
    };
    let answer = view.client.txn(&request, Instant::now() + PATIENCE).await.map_err(Trouble::of_write)?;
    let done = answer.succeeded;
    // Our own value there: the answer of an attempt before got lost.
    Ok(done || answer.ranges().flat_map(|range| range.kvs).next().is_some_and(|kv| kv.value == value))
}

/// The value there is, or else this one, which everybody finds from then on.
pub(super) async fn claim(view: &View, key: Bytes, value: Bytes) -> Result<Bytes> {
    let request = TxnRequest {
        compare: vec![holds(key.clone(), None)],
        success: vec![put(key.clone(), value.clone())],
        failure: vec![get(key)],
    };
    let answer = view.client.txn(&request, Instant::now() + PATIENCE).await.map_err(Trouble::of_write)?;
    let found = answer.ranges().flat_map(|range| range.kvs).next();
    Ok(found.map_or(value, |kv| kv.value))
}
