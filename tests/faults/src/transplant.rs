//! A value moved from one stored object to another, with every checksum right: what only sealing can notice (P13, A11).

use crate::victim;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use otternauts_store::{Body, Key, Op, Precondition, Record, Store, Write};
use serde_json::Value;
use std::path::Path;

/// A field of `data` of an object.
#[derive(Clone, Copy, Debug)]
pub struct Spot<'a> {
    /// `secrets`
    pub resource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub field: &'a str,
}

/// Puts what is stored in one place, sealed as it is, where something else stands. Answers that text.
///
/// # Errors
/// When either is not there, or the store does not open.
pub async fn transplant(database: &Path, from: Spot<'_>, to: Spot<'_>) -> Result<String> {
    let store = victim::open(victim::keeping(database))?;
    let (donor, target) = (stored(&store, from).await?, stored(&store, to).await?);
    let (graft, old) = (field(&donor, from)?, field(&target, to)?);
    ensure!(graft != old, "both hold the same");
    let text = std::str::from_utf8(&target.body)?;
    ensure!(text.matches(&old).count() == 1, "the stored text stands there once");
    let text = text.replace(&old, &graft);
    // The store puts the digits of the new revision there.
    let mark = "\"resourceVersion\":\"";
    let head = text.find(mark).context("a place for the revision")? + mark.len();
    let tail = head + text[head..].find('"').context("the end of the revision")?;
    let part = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let body = Body { head: part(&text[..head]), tail: part(&text[tail..]), schema: target.schema, leaving: false };
    let write = Write { key: target.key.clone(), precondition: Precondition::At(target.revision), op: Op::Put(body) };
    store.commit(vec![write]).await?;
    store.close().await?;
    Ok(graft)
}

async fn stored(store: &Store, spot: Spot<'_>) -> Result<Record> {
    let key = Key::new(spot.resource, spot.namespace, spot.name);
    store.get(&key).await?.with_context(|| format!("{key:?} is not there"))
}

fn field(record: &Record, spot: Spot<'_>) -> Result<String> {
    let object: Value = serde_json::from_slice(&record.body)?;
    Ok(object["data"][spot.field].as_str().with_context(|| format!("{spot:?} is not there"))?.to_owned())
}
