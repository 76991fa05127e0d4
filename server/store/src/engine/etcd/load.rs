//! Start: the index is built from all rows, read at one revision of etcd, page by page.

use crate::cache::Cache;
use crate::engine::etcd::client::{ATTEMPT, PATIENCE, Trouble, fewer, more_than};
use crate::engine::etcd::proto::{RangeRequest, get};
use crate::engine::etcd::row::{FORMAT, Head};
use crate::engine::etcd::state::{Purpose, State};
use crate::engine::etcd::view::{Broken, Step, View, contiguous};
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::index::Index;
use crate::key::Revision;
use crate::log::{Header, Place};
use std::collections::VecDeque;

/// Rows asked for at once, and fewer when they are too large for that.
const PAGE: i64 = 1000;
/// How often a scan starts over because etcd compacted the revision it reads at.
const TRIES: usize = 5;

/// What a scan found.
pub(super) struct Loaded {
    pub head: Head,
    pub index: Index,
    /// Bodies that were read on the way.
    pub cache: Cache,
    pub trail: VecDeque<Step>,
    pub history_bytes: u64,
    /// Rows that a compaction left behind when it was cut short.
    pub left: Vec<Place>,
}

#[derive(Debug, thiserror::Error)]
enum Foreign {
    #[error("the prefix in etcd holds {0:?}, which this version does not know: a newer one wrote it, or somebody else")]
    Format(String),
    #[error("what is there in etcd is not whole: {0} was not finished; run it again with the same target")]
    Arriving(String),
    #[error("what is there in etcd was moved {0}, and is not served any more")]
    Moved(String),
    #[error("there is no store of ours in etcd under this prefix")]
    Nothing,
    #[error("what was imported into etcd is not ours any more: another import has taken its place")]
    TakenOver,
    #[error("etcd compacted away what was being read, {TRIES} times")]
    Compacted,
}

/// Whether the store may be opened for this purpose. Marks an empty prefix as ours if it is to be served from.
pub(super) async fn claim(view: &View, purpose: &Purpose) -> Result<()> {
    let format = view.keys.format.clone();
    let refuse = |why: Foreign| Err(Error::Engine(Box::new(why)));
    let found = match purpose {
        Purpose::Serve => super::meta::claim(view, format, FORMAT.into()).await.map_err(|error| match error {
            // Whether it is written already or not, nobody relies on it yet.
            Error::Unknown(why) => Error::Unavailable(why),
            error => error,
        })?,
        _ => match super::meta::read(view, format).await? {
            Some(found) => found,
            None => return refuse(Foreign::Nothing),
        },
    };
    match (purpose, State::of(&found)) {
        (Purpose::Arriving(mark), _) if *mark == found => Ok(()),
        (Purpose::Arriving(_), _) => refuse(Foreign::TakenOver),
        (_, State::Ours) | (Purpose::Leave, State::Moved(_)) => Ok(()),
        (_, State::Arriving(note)) => refuse(Foreign::Arriving(note)),
        (_, State::Moved(note)) => refuse(Foreign::Moved(note)),
        (_, State::Foreign(text)) => refuse(Foreign::Format(text)),
    }
}

/// Reads everything anew. Watchers whose place in history is gone learn it; the others go on.
pub(super) async fn reload(view: &View) -> Result<Vec<Place>> {
    for _ in 0..TRIES {
        match scan(view).await {
            Ok(mut loaded) => {
                let left = std::mem::take(&mut loaded.left);
                // After the rows: what they were written under is known then, or something newer that opens them too.
                super::followed::refresh(view).await?;
                view.replace(loaded);
                return Ok(left);
            }
            Err(Scan::Compacted) => {}
            Err(Scan::Failed(error)) => return Err(error),
        }
    }
    Err(Error::Engine(Box::new(Foreign::Compacted)))
}

enum Scan {
    Compacted,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Scan {
    fn from(error: E) -> Self {
        Scan::Failed(error.into())
    }
}

async fn scan(view: &View) -> Result<Loaded, Scan> {
    let answer =
        view.client.read(vec![get(view.keys.head.clone())], view.patience()).await.map_err(Trouble::of_read)?;
    let revision = answer.revision();
    let head = match answer.ranges().next().and_then(|range| range.kvs.into_iter().next()) {
        Some(kv) => Head::decode(&kv.value).ok_or_else(|| Broken::Bytes("head".to_owned()))?,
        None => Head::default(),
    };
    let (trail, left) = (VecDeque::new(), Vec::new());
    let (index, cache) = (Index::new(head.oldest), Cache::default());
    let mut loaded = Loaded { head, index, cache, trail, history_bytes: 0, left };
    let (mut from, mut limit) = (view.keys.row(Place::NONE), PAGE);
    loop {
        let (key, range_end) = (from.clone(), view.keys.end_of_rows());
        let range = RangeRequest { key, range_end, limit, revision, keys_only: false };
        let patience = if limit > 1 { ATTEMPT } else { PATIENCE };
        let page = match view.client.range_within(range, patience).await {
            Ok(page) => page,
            Err(trouble) if trouble.is_compacted() => return Err(Scan::Compacted),
            Err(Trouble::Silent { .. }) if limit > 1 => {
                limit = fewer(limit);
                continue;
            }
            Err(trouble) => return Err(trouble.of_read().into()),
        };
        let mut last = None;
        for kv in page.kvs {
            last = Some(view.stored(&kv.key, kv.value)?).map(|stored| {
                let place = stored.row.place;
                take_in(&mut loaded, &stored.row);
                place
            });
        }
        match last {
            Some(last) if page.more => {
                from = view.keys.row(Place(last.0 + 1));
                limit = more_than(limit).min(PAGE);
            }
            _ => break,
        }
    }
    complete(&loaded)?;
    Ok(loaded)
}

fn take_in(loaded: &mut Loaded, row: &crate::log::Row) {
    let old = row.place.revision() <= loaded.head.oldest;
    let replaced = loaded.index.get(&row.key);
    if let Some(place) = replaced {
        loaded.cache.remove(place);
        if old {
            loaded.left.push(place);
        }
    }
    loaded.index.apply(&Header::of(row));
    if !old {
        loaded.trail.push_back((row.place, row.kind, row.previous));
        loaded.history_bytes += row.size();
    }
    match row.kind {
        EventKind::Deleted if old => loaded.left.push(row.place),
        EventKind::Deleted => {}
        _ => loaded.cache.put(row.place, row.record()),
    }
}

/// The log reaches the head without a gap.
fn complete(loaded: &Loaded) -> Result<()> {
    let Head { revision, oldest, .. } = loaded.head;
    let found: Vec<Revision> = loaded.trail.iter().map(|(place, _, _)| place.revision()).collect();
    contiguous(oldest, revision, found.into_iter())
}
