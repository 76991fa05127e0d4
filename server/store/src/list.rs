//! Lists: pages of one state, the newest or an older one that history still has.

use crate::engine::BodyRef;
use crate::engine::sqlite::SHORT;
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::index::Entry;
use crate::key::{Key, Revision};
use crate::log::{Header, Place};
use crate::observer::Statement;
use crate::record::{List, Page, Record};
use crate::store::Inner;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The most rows read in one snapshot transaction (R39).
const SNAPSHOT_ROWS: usize = 500;
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

pub(crate) async fn list(inner: &Arc<Inner>, list: List) -> Result<Page> {
    let list = Arc::new(list);
    for _ in 0..TRIES {
        let plan = plan(inner, &list)?;
        let at = plan.at;
        // So short a list is read on the calling thread.
        let short = plan.later.is_empty() && plan.entries.len() <= SHORT;
        let wanted = list.clone();
        let page = inner.run(short, move |inner| fill(inner, &wanted, plan)).await?;
        if let Some(page) = page {
            return Ok(page);
        }
        if list.at.is_some() {
            let oldest = inner.visible.oldest();
            if at >= oldest {
                return Err(lost(at));
            }
            return Err(Error::Compacted { asked: at, oldest });
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
fn fill(inner: &Inner, list: &List, plan: Plan) -> Result<Option<Page>> {
    let Plan { at, mut entries, later, mut remaining_after } = plan;
    if !later.is_empty() {
        let Some(before) = states_before(inner, list, &later)? else { return Ok(None) };
        if !before.is_empty() {
            remaining_after = None;
            entries = undo(entries, before);
        }
    }
    let more = list.limit > 0 && entries.len() > list.limit;
    if more {
        entries.truncate(list.limit);
    }
    let Some(records) = records(inner, &list.range.resource, &entries)? else { return Ok(None) };
    Ok(Some(Page { records, revision: at, more, remaining: if more { remaining_after } else { None } }))
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

/// The records of entries, from the cache or the log; `None` when one is gone.
fn records(inner: &Inner, resource: &Arc<str>, entries: &[Entry]) -> Result<Option<Vec<Record>>> {
    let mut records = Vec::with_capacity(entries.len());
    for entries in entries.chunks(SNAPSHOT_ROWS) {
        let start = records.len();
        let mut missing: Vec<Place> = Vec::new();
        let mut cached: HashMap<Place, Record> = HashMap::new();
        for (_, _, place) in entries {
            match inner.visible.cache.get(*place) {
                Some(record) => drop(cached.insert(*place, record)),
                None => missing.push(*place),
            }
        }
        let mut rest = entries.iter();
        let mut take_cached = |upto: Option<Place>, records: &mut Vec<Record>| -> Option<Key> {
            for (namespace, name, place) in rest.by_ref() {
                if Some(*place) == upto {
                    let key = Key { resource: resource.clone(), namespace: namespace.clone(), name: name.clone() };
                    return Some(key);
                }
                records.extend(cached.remove(place));
            }
            None
        };
        if !missing.is_empty() {
            let what = Statement::List;
            inner.engine.rows(&inner.visible, what, &missing, &mut |header: &Header<'_>, body: &BodyRef<'_>| {
                if let Some(key) = take_cached(Some(header.place), &mut records) {
                    let revision = header.place.revision();
                    records.push(Record { key, revision, body: body.bytes(), schema: header.schema });
                }
            })?;
        }
        take_cached(None, &mut records);
        if records.len() - start != entries.len() {
            return Ok(None);
        }
    }
    Ok(Some(records))
}
