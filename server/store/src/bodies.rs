//! The bodies of a page alone: a long list touches no name, counts nothing and copies each body once.

use crate::engine::sqlite::snapshot_rows;
use crate::error::{Error, Result};
use crate::index::Places;
use crate::key::Revision;
use crate::list::{PAGE_BYTES, in_log_order, rows};
use crate::log::Place;
use crate::observer::Operation;
use crate::record::List;
use crate::store::{Inner, Store};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;

/// A page whose bodies were gathered.
#[derive(Debug)]
pub struct Gathered<T> {
    pub into: T,
    /// The revision the whole list is at.
    pub revision: Revision,
    /// The namespace and name of the last one, where there is one.
    pub last: Option<(Arc<str>, Arc<str>)>,
    /// True when more follow the last.
    pub more: bool,
}

impl Store {
    /// The bodies of the page that [`Store::list_seen`] would answer, in its order, each put into `into` from where it lies. `None` unless
    /// all of them were written under `schema`, are undamaged, have not changed since the page's revision and are together no more
    /// bytes than a page may have: otherwise [`Store::list`] says what there is.
    pub async fn gather<T: Send + 'static>(
        &self,
        wanted: List,
        schema: u64,
        into: T,
        put: impl Fn(&mut T, &[u8]) + Send + 'static,
    ) -> Result<Option<Gathered<T>>> {
        let span = self.span("list", &wanted.range.resource);
        let (started, resource) = (Instant::now(), wanted.range.resource.clone());
        let work = self.inner.run(false, move |inner| gather(inner, &wanted, schema, into, put));
        let done = span.run(work).await;
        self.inner.visible.observer.operation(Operation::List, &resource, started.elapsed());
        done
    }
}

fn gather<T>(
    inner: &Inner,
    wanted: &List,
    schema: u64,
    mut into: T,
    put: impl Fn(&mut T, &[u8]),
) -> Result<Option<Gathered<T>>> {
    let (revision, Places { mut places, last, more }) = {
        let index = inner.visible.index.read();
        let at = wanted.at.unwrap_or(index.revision);
        if at > index.revision || at < index.oldest || !index.history(&wanted.range.resource, at, 1).is_empty() {
            return Ok(None);
        }
        let most = if wanted.limit == 0 { usize::MAX } else { wanted.limit };
        (at, index.places(&wanted.range, wanted.after.as_ref(), most))
    };
    let bound = if wanted.limit == 0 { usize::MAX } else { PAGE_BYTES };
    let mut bytes = 0;
    let shown = inner.visible.cache.show(&places, schema, |body| {
        bytes += body.len();
        put(&mut into, body);
    });
    let Some(left) = bound.checked_sub(bytes) else { return Ok(None) };
    let rest = places.split_off(shown);
    let Some(bodies) = read(inner, &rest, schema, left)? else { return Ok(None) };
    bodies.iter().for_each(|body| put(&mut into, body));
    Ok(Some(Gathered { into, revision, last, more }))
}

/// What the cache does not show in one go: from it and from the log, in the order of `places`.
fn read(inner: &Inner, places: &[Place], schema: u64, bound: usize) -> Result<Option<Vec<Bytes>>> {
    let cached = inner.visible.cache.get_all(places.iter().copied());
    if cached.iter().flatten().any(|record| record.schema != schema) {
        return Ok(None);
    }
    let mut bodies: Vec<Option<Bytes>> = cached.into_iter().map(|found| found.map(|record| record.body)).collect();
    let missing = in_log_order((0..places.len()).filter(|i| bodies[*i].is_none()).map(|i| (places[i], i)));
    let mut bytes: usize = bodies.iter().flatten().map(Bytes::len).sum();
    let mut other = false;
    for missing in missing.chunks(snapshot_rows()) {
        if bytes > bound || other {
            return Ok(None);
        }
        let read = rows(inner, missing, usize::MAX, |i, its, body| {
            other |= its != schema;
            bytes += body.len();
            bodies[i] = Some(body);
        });
        match read {
            Err(Error::Corrupt { .. }) => return Ok(None),
            read => read?,
        }
    }
    // One that is gone was compacted away meanwhile.
    let found: Option<Vec<Bytes>> = bodies.into_iter().collect();
    Ok(found.filter(|_| !other && bytes <= bound))
}
