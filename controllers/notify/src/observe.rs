//! What happens, kept as it is now: the board. Fed by watches, read by every reconcile; nothing is polled.

use crate::observed::{Happening, Observed, Standing, Subject};
use crate::standing;
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event as KubeEvent;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use otternauts_types::notifier::{NoticeObject, Severity};
use otternauts_types::{Cluster, Condition, Server, Stack};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Events remembered at once; the oldest of the namespace that has most go first, so that none drives out another's.
const MAX_EVENTS: usize = 5_000;

/// Kinds whose conditions are followed.
fn kinds() -> [ApiResource; 3] {
    [ApiResource::erase::<Cluster>(&()), ApiResource::erase::<Server>(&()), ApiResource::erase::<Stack>(&())]
}

/// A watch of the board: one for each kind, and one for Events.
type Source = usize;

/// Shared by the watches and the reconciles.
#[derive(Clone)]
pub struct Board(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    subjects: BTreeMap<(Source, String), Subject>,
    /// By the uid of the Event.
    events: HashMap<String, Happening>,
    /// Watches that have not yet told everything there is.
    incomplete: HashSet<Source>,
    /// What a list has told so far: whatever is not in it by its end is gone.
    listed: HashMap<Source, HashSet<String>>,
    /// The last answer, good until something changes: all Notifiers look at the same.
    answer: Option<Arc<Observed>>,
}

impl Board {
    pub fn new() -> Self {
        let incomplete = (0..=kinds().len()).collect();
        Self(Arc::new(Mutex::new(State { incomplete, ..State::default() })))
    }

    /// Everything known; None while something is not known yet, since what is missing would pass for gone.
    pub fn observed(&self) -> Option<Arc<Observed>> {
        let mut state = self.0.lock();
        if !state.incomplete.is_empty() {
            return None;
        }
        if let Some(answer) = &state.answer {
            return Some(Arc::clone(answer));
        }
        let mut happenings: Vec<Happening> = state.events.values().cloned().collect();
        happenings.sort_by_key(|h| h.revision);
        let answer = Arc::new(Observed { subjects: state.subjects.values().cloned().collect(), happenings });
        state.answer = Some(Arc::clone(&answer));
        Some(answer)
    }

    /// The newest Event.
    pub fn newest(&self) -> Option<u64> {
        self.0.lock().events.values().map(|h| h.revision).max()
    }

    /// Follows everything; an item each time something changed that could be told.
    pub fn follow(&self, client: &Client) -> impl Stream<Item = ()> + Send + 'static {
        let mut all = futures::stream::SelectAll::new();
        for (source, kind) in kinds().into_iter().enumerate() {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
            let (board, name) = (self.clone(), kind.kind.clone());
            let watch = watcher(api, watcher::Config::default()).default_backoff();
            all.push(watch.filter_map(move |e| told(board.objects(source, &name, e))).boxed());
        }
        let (board, source) = (self.clone(), kinds().len());
        let watch = watcher(Api::<KubeEvent>::all(client.clone()), watcher::Config::default()).default_backoff();
        all.push(watch.filter_map(move |e| told(board.happened(source, e))).boxed());
        all
    }

    fn objects(
        &self,
        source: Source,
        kind: &str,
        event: Result<watcher::Event<DynamicObject>, watcher::Error>,
    ) -> bool {
        let mut state = self.0.lock();
        state.answer = None;
        match event {
            Ok(watcher::Event::Apply(object)) => state.put(source, kind, &object),
            Ok(watcher::Event::InitApply(object)) => {
                state.list(source).insert(object.uid().unwrap_or_default());
                state.put(source, kind, &object)
            }
            Ok(watcher::Event::Delete(object)) => {
                state.subjects.remove(&(source, object.uid().unwrap_or_default())).is_some()
            }
            Ok(watcher::Event::Init) => {
                state.listed.insert(source, HashSet::new());
                false
            }
            Ok(watcher::Event::InitDone) => {
                let listed = state.listed.remove(&source).unwrap_or_default();
                state.subjects.retain(|(of, uid), _| *of != source || listed.contains(uid));
                state.incomplete.remove(&source);
                true
            }
            Err(error) => broken(&error, state.incomplete.contains(&source)),
        }
    }

    fn happened(&self, source: Source, event: Result<watcher::Event<KubeEvent>, watcher::Error>) -> bool {
        let mut state = self.0.lock();
        state.answer = None;
        match event {
            Ok(watcher::Event::Apply(event)) => state.note(&event),
            Ok(watcher::Event::InitApply(event)) => {
                state.list(source).insert(event.uid().unwrap_or_default());
                state.note(&event)
            }
            Ok(watcher::Event::Delete(event)) => {
                state.events.remove(&event.uid().unwrap_or_default());
                false
            }
            Ok(watcher::Event::Init) => {
                state.listed.insert(source, HashSet::new());
                false
            }
            Ok(watcher::Event::InitDone) => {
                let listed = state.listed.remove(&source).unwrap_or_default();
                state.events.retain(|uid, _| listed.contains(uid));
                state.incomplete.remove(&source);
                true
            }
            Err(error) => broken(&error, state.incomplete.contains(&source)),
        }
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn list(&mut self, source: Source) -> &mut HashSet<String> {
        self.listed.entry(source).or_default()
    }

    /// True when the object stands otherwise than before.
    fn put(&mut self, source: Source, kind: &str, object: &DynamicObject) -> bool {
        let conditions = object.data.pointer("/status/conditions").cloned().unwrap_or_default();
        let conditions: Vec<Condition> = serde_json::from_value(conditions).unwrap_or_default();
        let uid = object.uid().unwrap_or_default();
        let new = Subject {
            object: NoticeObject {
                kind: kind.to_owned(),
                namespace: object.namespace().unwrap_or_default(),
                name: object.name_any(),
                uid: uid.clone(),
            },
            version: object.data.pointer("/status/currentVersion").and_then(serde_json::Value::as_i64),
            // What is being deleted is on its way, whatever its conditions say.
            standing: match object.metadata.deletion_timestamp {
                Some(_) => Standing::Unsettled,
                None => standing::of(&conditions),
            },
            since: Timestamp::now(),
        };
        let key = (source, uid);
        let Some(old) = self.subjects.get_mut(&key) else {
            self.subjects.insert(key, new);
            return true;
        };
        if same(&old.standing, &new.standing) && old.version == new.version {
            // Only the words differ: it stands as it stood.
            old.standing = new.standing;
            return false;
        }
        *old = new;
        true
    }

    fn note(&mut self, event: &KubeEvent) -> bool {
        let Some(happening) = happening(event) else { return false };
        self.events.insert(event.uid().unwrap_or_default(), happening);
        if self.events.len() > MAX_EVENTS
            && let Some(uid) = superfluous(&self.events)
        {
            self.events.remove(&uid);
        }
        true
    }
}

/// The oldest Event of the namespace with most of them.
fn superfluous(events: &HashMap<String, Happening>) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    events.values().for_each(|h| *counts.entry(&h.object.namespace).or_default() += 1);
    let busiest = counts.into_iter().max_by_key(|(_, n)| *n)?.0;
    let own = events.iter().filter(|(_, h)| h.object.namespace == busiest);
    own.min_by_key(|(_, h)| h.revision).map(|(uid, _)| uid.clone())
}

fn same(a: &Standing, b: &Standing) -> bool {
    match (a, b) {
        (Standing::Bad(a), Standing::Bad(b)) => a.reason == b.reason,
        (Standing::Well(_), Standing::Well(_)) | (Standing::Unsettled, Standing::Unsettled) => true,
        _ => false,
    }
}

fn happening(event: &KubeEvent) -> Option<Happening> {
    let regarding = event.regarding.as_ref()?;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let last = event.series.as_ref().map(|s| s.last_observed_time.0);
    let time = last
        .or(event.event_time.as_ref().map(|t| t.0))
        .or(event.deprecated_last_timestamp.as_ref().map(|t| t.0))
        .or(event.metadata.creation_timestamp.as_ref().map(|t| t.0))?;
    // Whoever writes an Event may write in its namespace, whatever the Event says it is about.
    let namespace = if text(&regarding.namespace).is_empty() { String::new() } else { event.namespace()? };
    let (kind, name) = (text(&regarding.kind), text(&regarding.name));
    let uid = Some(text(&regarding.uid)).filter(|uid| !uid.is_empty());
    let uid = uid.unwrap_or_else(|| format!("{kind}/{namespace}/{name}"));
    Some(Happening {
        revision: event.resource_version()?.parse().ok()?,
        object: NoticeObject { kind, namespace, name, uid },
        severity: if event.type_.as_deref() == Some("Warning") { Severity::Warning } else { Severity::Normal },
        reason: text(&event.reason),
        note: text(&event.note),
        time,
        seen: Timestamp::now(),
    })
}

/// The watch goes on by itself, after a while. Until it has told everything once, nothing is told at all: that must be seen.
fn broken(error: &watcher::Error, incomplete: bool) -> bool {
    if incomplete {
        tracing::warn!(%error, "a watch has not begun; no notification is sent before it has");
    } else {
        tracing::debug!(%error, "a watch was interrupted");
    }
    false
}

async fn told(changed: bool) -> Option<()> {
    changed.then_some(())
}

#[cfg(test)]
mod tests;
