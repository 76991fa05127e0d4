//! Lists: pages of one state, the newest or an older one that history still has.

use crate::engine::BodyRef;
use crate::engine::sqlite::{SHORT, SNAPSHOT_ROWS, snapshot_rows};
use crate::error::{Error, Result, Unreadable};
use crate::event::EventKind;
use crate::index::Entry;
use crate::key::{Key, Revision};
use crate::log::{Header, Place};
use crate::observer::Statement;
use crate::record::{List, Page, Record};
use crate::store::Inner;
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A page with a limit is cut shorter than that where its objects are large.
pub(crate) const PAGE_BYTES: usize = 16 << 20;
/// How often a list of the newest state starts over because compaction passed it by.
const TRIES: usize = 100;

/// Objects that were elsewhere at an older revision: where; none: nowhere.
type Before = BTreeMap<(Arc<str>, Arc<str>), Place>;

/// What the index says at one moment.
struct Plan {
    at: Revision,
    entries: Vec<Entry>,
    /// Changes above `at`, to be undone.
    later: Vec<Place>,
    remaining_after: Option<u64>,
}

/// A page, and what of it cannot be read.
type Read = (Page, Vec<Unreadable>);

/// A page without the objects that are damaged, and these by name. With a limit, it has so many bytes at most, or one object.
pub(crate) async fn list(inner: &Arc<Inner>, list: List, bytes: usize) -> Result<Read> {
    // Who sets no limit wants all of it.
    let bound = if list.limit > 0 { bytes } else { usize::MAX };
    let list = Arc::new(list);
    for _ in 0..TRIES {
        let plan = plan(inner, &list)?;
        let at = plan.at;
        // So short a list is read on the calling thread.
        let short = plan.later.is_empty() && plan.entries.len() <= SHORT;
        let wanted = list.clone();
        let page = inner.run(short, move |inner| fill(inner, &wanted, plan, bound)).await?;
        if let Some(page) = page {
            return Ok(page);
        }
        if list.at.is_some() {
            return Err(gone(inner, at).await);
        }
    }
    Err(lost(inner.visible.revision()))
}

/// A row that the index names is not there, and compaction did not take it.
#[derive(Debug, thiserror::Error)]
#[error("the log lacks a row of revision {0} or below that the index names")]
pub(crate) struct Lost(Revision);

pub(crate) fn lost(revision: Revision) -> Error {
    Error::Engine(Box::new(Lost(revision)))
}

/// Why a row is not there that who reads at this revision needs: another replica may have compacted, and we have not seen it yet.
pub(crate) async fn gone(inner: &Inner, at: Revision) -> Error {
    if let Err(error) = inner.engine.fresh().await {
        return error;
    }
    let oldest = inner.visible.oldest();
    if at < oldest { Error::Compacted { asked: at, oldest } } else { lost(at) }
}

fn plan(inner: &Inner, list: &List) -> Result<Plan> {
    let index = inner.visible.index.read();
    let at = list.at.unwrap_or(index.revision);
    if at > index.revision {
        return Err(Error::Future { asked: at, current: index.revision });
    }
    if at < index.oldest {
        return Err(Error::Compacted { asked: at, oldest: index.oldest });
    }
    let later = match list.at {
        Some(at) if at < index.revision => index.history(&list.range.resource, at, usize::MAX),
        _ => Vec::new(),
    };
    // Each later change touches one key, so this many more entries surely hold the page and one beyond it.
    let most = if list.limit == 0 { usize::MAX } else { list.limit.saturating_add(later.len()).saturating_add(1) };
    let entries = index.walk(&list.range, list.after.as_ref(), most);
    let remaining_after = match entries.get(list.limit.wrapping_sub(1)) {
        Some((namespace, name, _)) if list.limit > 0 && entries.len() > list.limit => {
            index.count_after(&list.range, &(namespace.clone(), name.clone()))
        }
        _ => None,
    };
    Ok(Plan { at, entries, later, remaining_after })
}

/// Reads the bodies; `None` when a row is gone.
fn fill(inner: &Inner, list: &List, plan: Plan, bound: usize) -> Result<Option<Read>> {
    let Plan { at, mut entries, later, mut remaining_after } = plan;
    if !later.is_empty() {
        let Some(before) = states_before(inner, list, &later)? else { return Ok(None) };
        if !before.is_empty() {
            remaining_after = None;
            entries = undo(entries, before);
        }
    }
    let mut more = list.limit > 0 && entries.len() > list.limit;
    if more {
        entries.truncate(list.limit);
    }
    let (records, unreadable) = loop {
        match records(inner, &list.range.resource, &entries, bound)? {
            Found::All(mut records, mut unreadable) => {
                let fit = fitting(&records, bound);
                if fit < records.len() {
                    // What cannot be read behind the cut belongs to a later page.
                    let next = records.split_off(fit).swap_remove(0).key;
                    unreadable.retain(|object| object.key < next);
                    (more, remaining_after) = (true, None);
                }
                break (records, unreadable);
            }
            Found::Gone => return Ok(None),
            Found::TooMuch(most) => {
                entries.truncate(most);
                (more, remaining_after) = (true, None);
            }
        }
    };
    let page = Page { records, revision: at, more, remaining: if more { remaining_after } else { None } };
    Ok(Some((page, unreadable)))
}

/// Of each object of the range that changed later, where it was before; none: it did not exist.
fn states_before(inner: &Inner, list: &List, later: &[Place]) -> Result<Option<Before>> {
    let mut before = Before::new();
    let mut found = 0;
    for places in later.chunks(SNAPSHOT_ROWS) {
        inner.engine.headers(&inner.visible, places, &mut |header: &Header<'_>| {
            found += 1;
            let after = list.after.as_ref().map(|(namespace, name)| (namespace.as_ref(), name.as_ref()));
            if list.range.holds(header.namespace, header.name) && after < Some((header.namespace, header.name)) {
                debug_assert_eq!(header.previous.is_none(), header.kind == EventKind::Created);
                before.entry((header.namespace.into(), header.name.into())).or_insert(header.previous);
            }
        })?;
    }
    Ok((found == later.len()).then_some(before))
}

/// Puts objects back to where they were, keeping the order.
fn undo(entries: Vec<Entry>, before: Before) -> Vec<Entry> {
    let mut result = Vec::with_capacity(entries.len());
    let mut before = before.into_iter().peekable();
    for (namespace, name, place) in entries {
        while let Some(((n, o), was)) = before.next_if(|((n, o), _)| (n, o) < (&namespace, &name)) {
            push(&mut result, n, o, was);
        }
        match before.next_if(|((n, o), _)| (n, o) == (&namespace, &name)) {
            Some((_, was)) => push(&mut result, namespace, name, was),
            None => result.push((namespace, name, place)),
        }
    }
    for ((n, o), was) in before {
        push(&mut result, n, o, was);
    }
    result
}

fn push(entries: &mut Vec<Entry>, namespace: Arc<str>, name: Arc<str>, place: Place) {
    if !place.is_none() {
        entries.push((namespace, name, place));
    }
}

enum Found {
    /// All that can be read, and the others.
    All(Vec<Record>, Vec<Unreadable>),
    /// One of them is not there any more.
    Gone,
    /// Together they are more bytes than one page may hold: so many may fit.
    TooMuch(usize),
}

/// How many records from the first on are within so many bytes; one always is.
fn fitting(records: &[Record], bound: usize) -> usize {
    let mut bytes = 0;
    let over = records.iter().position(|record| {
        bytes += record.body.len();
        bytes > bound
    });
    over.map_or(records.len(), |over| over.max(1))
}

/// The records of entries, from the cache or the log; of one entry alone whatever its size.
fn records(inner: &Inner, resource: &Arc<str>, entries: &[Entry], bound: usize) -> Result<Found> {
    let mut records: Vec<Option<Record>> = inner.visible.cache.get_all(entries.iter().map(|(_, _, place)| *place));
    let missing = in_log_order((0..entries.len()).filter(|i| records[*i].is_none()).map(|i| (entries[i].2, i)));
    let mut bytes: usize = records.iter().flatten().map(|record| record.body.len()).sum();
    let mut unreadable: Vec<usize> = Vec::new();
    let (mut rest, mut at_once) = (&missing[..], if bound == usize::MAX { snapshot_rows() } else { 2 * SHORT });
    while !rest.is_empty() {
        if bytes > bound && entries.len() > 1 {
            // As many as fit on average of what was seen, but not nearly all again and again.
            let fit = bound / (bytes / (entries.len() - rest.len())).max(1);
            return Ok(Found::TooMuch(fit.clamp(1, entries.len().div_ceil(2))));
        }
        // Few at first, so that large objects are not read only to be dropped.
        let (now, later) = rest.split_at(at_once.min(rest.len()));
        let found = match read(inner, resource, entries, now, bound.saturating_sub(bytes)) {
            // One of them is damaged: which ones, and all others, are found one by one (P16).
            Err(Error::Corrupt { .. }) => one_by_one(inner, resource, entries, now, &mut unreadable)?,
            found => found?,
        };
        let (taken, most) = (found.len(), now.len());
        for (i, record) in found {
            bytes += record.body.len();
            records[i] = Some(record);
        }
        // Where there was no room for all, what is left of them is not gone.
        rest = if bytes > bound && taken < most { &rest[taken..] } else { later };
        at_once = at_once.saturating_mul(4).min(snapshot_rows());
    }
    unreadable.sort_unstable();
    let gone = (0..records.len()).any(|i| records[i].is_none() && unreadable.binary_search(&i).is_err());
    if gone {
        return Ok(Found::Gone);
    }
    let named = unreadable.iter().map(|i| {
        let (namespace, name, place) = &entries[*i];
        let key = Key { resource: resource.clone(), namespace: namespace.clone(), name: name.clone() };
        Unreadable { key, revision: place.revision() }
    });
    let named = named.collect();
    Ok(Found::All(records.into_iter().flatten().collect(), named))
}

fn one_by_one(
    inner: &Inner,
    resource: &Arc<str>,
    entries: &[Entry],
    wanted: &[(Place, usize)],
    unreadable: &mut Vec<usize>,
) -> Result<Vec<(usize, Record)>> {
    let mut found = Vec::with_capacity(wanted.len());
    for one in wanted {
        match read(inner, resource, entries, std::slice::from_ref(one), usize::MAX) {
            Err(Error::Corrupt { .. }) => unreadable.push(one.1),
            read => found.extend(read?),
        }
    }
    Ok(found)
}

/// Reads some of the entries, given by place and index, places ascending.
fn read(
    inner: &Inner,
    resource: &Arc<str>,
    entries: &[Entry],
    wanted: &[(Place, usize)],
    room: usize,
) -> Result<Vec<(usize, Record)>> {
    let mut found = Vec::with_capacity(wanted.len());
    rows(inner, wanted, room, |i, schema, body| {
        let (namespace, name, place) = &entries[i];
        let key = Key { resource: resource.clone(), namespace: namespace.clone(), name: name.clone() };
        found.push((i, Record { key, revision: place.revision(), body, schema }));
    })?;
    Ok(found)
}

/// Rows of a page as they are best read: neighbours at once, and each page of the log a single time.
pub(crate) fn in_log_order(missing: impl Iterator<Item = (Place, usize)>) -> Vec<(Place, usize)> {
    let mut missing: Vec<(Place, usize)> = missing.collect();
    missing.sort_unstable();
    missing
}

/// Reads rows, given by place and index, places ascending: shows the index, schema and body of each that is there, up to the one with
/// which they are more bytes than there is room for.
pub(crate) fn rows(
    inner: &Inner,
    wanted: &[(Place, usize)],
    room: usize,
    mut show: impl FnMut(usize, u64, Bytes),
) -> Result<()> {
    let (mut blocks, mut bytes) = (Blocks::default(), 0);
    let places: Vec<Place> = wanted.iter().map(|(place, _)| *place).collect();
    let mut rest = wanted.iter();
    inner.engine.rows(&inner.visible, Statement::List, &places, &mut |header: &Header<'_>, body: &BodyRef<'_>| {
        let Some((_, i)) = rest.find(|(place, _)| *place == header.place) else { return };
        if bytes > room {
            return;
        }
        bytes += body.len();
        let body = match body {
            BodyRef::Shared(bytes) => (*bytes).clone(),
            BodyRef::Borrowed(bytes) => blocks.keep(bytes),
        };
        show(*i, header.schema, body);
    })
}

/// Bodies of one list side by side in blocks: a page of five hundred is some ten allocations, given back as a whole.
#[derive(Default)]
struct Blocks(BytesMut);

impl Blocks {
    const SIZE: usize = 64 << 10;

    fn keep(&mut self, body: &[u8]) -> Bytes {
        if self.0.capacity() < body.len() {
            self.0 = BytesMut::with_capacity(Self::SIZE.max(body.len()));
        }
        self.0.extend_from_slice(body);
        self.0.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::factory::{key, set};
    use crate::store::Store;

    /// P7: large objects behind small ones are not all copied before anybody looks at how large they are.
    #[tokio::test]
    async fn no_more_is_copied_than_there_is_room_for() {
        let store = Store::memory();
        for number in 0..10 {
            set(&store, &key("one", &format!("o{number}")), &"x".repeat(1000)).await;
        }
        let wanted: Vec<(Place, usize)> = (0..10).map(|i| (Place::new(i as Revision + 1, 0), i)).collect();
        let mut shown = Vec::new();
        rows(&store.inner, &wanted, 2500, |i, _, _| shown.push(i)).unwrap();
        assert_eq!(shown, [0, 1, 2]);
    }
}
