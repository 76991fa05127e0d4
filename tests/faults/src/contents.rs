//! Everything a closed database of a control plane holds, as its store reads it.

use crate::victim;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use otternauts_store::{Key, List, Range, Revision};
use std::collections::BTreeMap;
use std::path::Path;

/// Each live object: its revision and its bytes, sealed fields as they are.
pub type Contents = BTreeMap<Key, (Revision, Bytes)>;

/// Reads them all. Opening finishes what a crash has left, so give it a copy where that matters.
///
/// # Errors
/// When the store does not open, or an object cannot be read.
pub async fn contents(database: &Path) -> Result<Contents> {
    let store = victim::open(victim::keeping(database)).context("the store does not open")?;
    let mut contents = Contents::new();
    for (resource, _) in store.counts() {
        let list = List { range: Range::resource(resource), at: None, after: None, limit: 0 };
        let found = store.list(list).await?;
        contents.extend(found.records.into_iter().map(|record| (record.key, (record.revision, record.body))));
    }
    store.close().await?;
    Ok(contents)
}
