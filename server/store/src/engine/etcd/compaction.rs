//! History goes: first the head says so, then the rows are deleted, then etcd forgets the versions of its keys.

use crate::engine::etcd::client::{PATIENCE, Trouble};
use crate::engine::etcd::holds::{self, Floor};
use crate::engine::etcd::proto::{RangeRequest, TxnRequest, delete};
use crate::engine::etcd::view::{MOST_OPS, View};
use crate::engine::etcd::writer::move_oldest;
use crate::error::{Error, Result};
use crate::key::{Range, Revision};
use crate::log::Place;
use crate::observer::Statement;
use crate::retention::{Keep, Step};
use std::collections::{HashSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// How much of its own past etcd keeps: we need none of it but while a replica starts.
const ETCD_PAST: Duration = Duration::from_secs(300);

/// For so long the holds that were read are taken as they were; what was taken since is found out by comparison.
const SAME_HOLDS: Duration = Duration::from_secs(1);

/// Keys looked at at once.
const SWEEP: i64 = 5000;
/// How many steps it takes at most to forget on demand: five hundred rows each.
const MOST_STEPS: usize = 100_000;

/// What this replica does about old history. Several may do it at once: the comparison of the head makes one of them the
/// first, and rows that nobody can reach may be deleted twice.
pub(super) struct Compaction {
    /// Rows that nobody can reach any more.
    gone: VecDeque<Place>,
    /// A revision of etcd's own, and when it was the newest.
    mark: Option<(Duration, i64)>,
    /// What is held by anybody, and when it was read.
    floor: Option<(Duration, Floor)>,
    /// Something failed: wait for the next commit.
    stalled: bool,
}

/// How far history goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Respect {
    /// Up to the first revision that is held.
    Holds,
    /// As far as it is told, whoever lists there.
    Nothing,
}

impl Compaction {
    /// `gone`: what an earlier compaction left behind.
    pub(super) fn new(gone: Vec<Place>) -> Compaction {
        Compaction { gone: gone.into(), mark: None, floor: None, stalled: false }
    }

    /// How long until there is something to do, with no further commit.
    pub(super) fn wait(&self, view: &View) -> Option<Duration> {
        if self.stalled {
            return None;
        }
        let applied = view.applied.lock();
        // What another replica holds is looked at again with the next commit, or when more is due.
        let held = self.floor.map_or(Revision::MAX, |(_, floor)| floor.revision);
        if applied.ages.due().min(held) > applied.head.oldest || !self.gone.is_empty() {
            return Some(Duration::ZERO);
        }
        applied.ages.wait((view.clock)())
    }

    /// Does what is due; what fails is left for the next time.
    pub(super) async fn run(&mut self, view: &View) {
        let started = std::time::Instant::now();
        let target = {
            let mut applied = view.applied.lock();
            applied.ages.target((view.clock)(), Keep::Policy)
        };
        match self.step(view, target, Respect::Holds).await {
            Ok(false) => self.stalled = false,
            Ok(true) => {
                self.stalled = false;
                view.visible.observer.statement(Statement::Compact, started.elapsed());
            }
            Err(error) => {
                self.stalled = true;
                tracing::warn!(%error, "compaction failed, and goes on with the next write");
            }
        }
    }

    /// Answers when no history at or below `upto` is left: not in the log, and not in etcd's own past.
    pub(super) async fn forget(&mut self, view: &View, upto: Revision) -> Result<()> {
        view.fresh().await?;
        let upto = upto.min(view.head().revision);
        let mut swept = false;
        for _ in 0..MOST_STEPS {
            if view.head().oldest >= upto && self.gone.is_empty() && !swept {
                // What another replica has still to delete, or left behind.
                self.gone.extend(leftovers(view).await?);
                swept = true;
            }
            if view.head().oldest >= upto && self.gone.is_empty() && swept {
                return view.client.compact(view.client.revision()).await.map_err(Trouble::of_write);
            }
            self.step(view, upto, Respect::Nothing).await.map_err(Trouble::of_write)?;
        }
        Err(Error::Unavailable("etcd: other replicas were always quicker to write".to_owned()))
    }

    /// What is held, if there is anything that could go.
    async fn held(&mut self, view: &View, target: Revision) -> Result<Option<Floor>, Trouble> {
        if view.head().oldest >= target {
            return Ok(None);
        }
        let now = (view.clock)();
        if let Some((_, floor)) = self.floor.filter(|(at, _)| now.saturating_sub(*at) < SAME_HOLDS) {
            return Ok(Some(floor));
        }
        let floor = holds::floor(view).await?;
        self.floor = Some((now, floor));
        Ok(Some(floor))
    }

    async fn step(&mut self, view: &View, target: Revision, respect: Respect) -> Result<bool, Trouble> {
        let floor = if respect == Respect::Holds { self.held(view, target).await? } else { None };
        let target = floor.map_or(target, |floor| floor.revision.min(target));
        let plan = {
            let applied = view.applied.lock();
            let history = applied.trail.iter().take_while(|(place, _, _)| place.revision() <= target).copied();
            (applied.head.oldest < target).then(|| (applied.head, Step::plan(history, target)))
        };
        let worked = plan.is_some() || !self.gone.is_empty();
        if let Some((known, Step { oldest, gone })) = plan {
            let (head, mut request) = move_oldest(view, known, oldest);
            request.compare.extend(floor.map(|floor| floor.condition(view)));
            let (answer, before) = view.client.decide(&request, Instant::now() + PATIENCE).await?;
            if answer.succeeded {
                // No row is new, so nothing can be missing.
                let _applies = view.apply(Vec::new(), head, &std::collections::HashMap::new());
                self.gone.extend(gone.into_iter().map(|(_, place)| place));
            } else if before {
                // Whoever moved the head that far, these rows are of no use to anybody once it is there.
                let _later = view.fresh().await;
                if view.head().oldest >= oldest {
                    self.gone.extend(gone.into_iter().map(|(_, place)| place));
                }
            } else {
                // Another replica writes, compacts or holds just now; this one looks again after its next commit.
                self.floor = None;
                let _later = view.fresh().await;
            }
        }
        while !self.gone.is_empty() {
            let count = self.gone.len().min(MOST_OPS);
            let success = self.gone.iter().take(count).map(|place| delete(view.keys.row(*place))).collect();
            let request = TxnRequest { success, ..TxnRequest::default() };
            view.client.txn(&request, Instant::now() + PATIENCE).await?;
            self.gone.drain(..count);
        }
        self.drop_versions(view).await?;
        Ok(worked)
    }

    /// Lets etcd drop old versions of keys, five minutes late, as kube-apiserver does.
    async fn drop_versions(&mut self, view: &View) -> Result<(), Trouble> {
        let now = (view.clock)();
        match self.mark {
            Some((at, _)) if now.saturating_sub(at) < ETCD_PAST => return Ok(()),
            Some((_, revision)) if revision > 0 => view.client.compact(revision).await?,
            _ => {}
        }
        self.mark = Some((now, view.client.revision()));
        Ok(())
    }
}

/// Rows of before the history that are nobody's newest state, and that no row of history has replaced: what it names as the state
/// before is read by who lists or watches from before it.
async fn leftovers(view: &View) -> Result<Vec<Place>> {
    let (oldest, needed) = {
        let applied = view.applied.lock();
        let index = view.visible.index.read();
        let resources = index.counts().into_iter().map(|(resource, _)| resource);
        let newest = resources.flat_map(|resource| index.walk(&Range::resource(resource), None, usize::MAX));
        let newest = newest.map(|(_, _, place)| place);
        let before = applied.trail.iter().map(|(_, _, previous)| *previous);
        (index.oldest, newest.chain(before).collect::<HashSet<Place>>())
    };
    let mut found = Vec::new();
    let mut key = view.keys.row(Place::NONE);
    let range_end = view.keys.row(Place(Place::last_of(oldest).0 + 1));
    loop {
        let range = RangeRequest { key, range_end: range_end.clone(), limit: SWEEP, revision: 0, keys_only: true };
        let page = view.client.range(range).await.map_err(Trouble::of_read)?;
        let places: Vec<Place> = page.kvs.iter().filter_map(|kv| view.keys.place(&kv.key)).collect();
        found.extend(places.iter().filter(|place| !needed.contains(*place)));
        match places.last() {
            Some(last) if page.more => key = view.keys.row(Place(last.0 + 1)),
            _ => return Ok(found),
        }
    }
}
