//! The watch hub: fed by committed batches in revision order, read by watchers at their own pace (R9 to R11).
//!
//! Each resource has one topic, and a topic one bounded window of its newest events, shared by all its watchers. A
//! watcher is a cursor into it, nothing more: being slow costs nobody anything, and who falls out of the window reads the
//! log. Watchers of the same scope (a resource, a namespace, one object) wait together, so a commit wakes only those it
//! concerns.

use crate::bell::Bell;
use crate::event::Event;
use crate::key::{Range, Revision};
use crate::planted::{Bug, planted};
use foldhash::HashMap;
use parking_lot::RwLock;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// A topic's window: so many events, or so many bytes of them, whichever is less.
const WINDOW_EVENTS: usize = 4096;
const WINDOW_BYTES: usize = 4 << 20;
/// The window of a topic that nobody watches: enough for who lists and then watches.
const QUIET_EVENTS: usize = 256;
const QUIET_BYTES: usize = 256 << 10;
/// What an event costs beside its body.
const EVENT_OVERHEAD: usize = 256;
/// One answer to a watcher holds no more than this, but never half a revision.
const BATCH_EVENTS: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
/// How many revisions of its own events a group remembers: enough to know that a quiet group missed nothing.
const GROUP_REVISIONS: usize = 16;

#[derive(Debug)]
pub(crate) struct Hub {
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    /// Every event at or below it is in its topic.
    published: AtomicU64,
    closed: AtomicBool,
    bell: Bell,
}

#[derive(Debug)]
pub(crate) struct Topic {
    state: RwLock<TopicState>,
}

#[derive(Debug)]
struct TopicState {
    window: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Every event of the topic above it is in the window.
    floor: Revision,
    groups: HashMap<Scope, Group>,
}

/// What part of a resource a watcher wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    namespace: Option<Arc<str>>,
    name: Option<Arc<str>>,
}

/// The watchers of one scope.
#[derive(Debug)]
struct Group {
    notify: Arc<Notify>,
    watchers: usize,
    /// The newest revisions with an event of the scope; every one above `floor` is here.
    recent: VecDeque<Revision>,
    floor: Revision,
}

/// What a cursor finds.
pub(crate) enum Pending {
    /// Nothing of the scope up to this revision.
    Nothing(Revision),
    /// Events, and the cursor after them.
    Events(Vec<Arc<Event>>, Revision),
    /// The cursor (moved as far as it could be) is below the window: the log has the rest.
    Behind(Revision),
}

/// A place in a topic's waiting room; leaving it is `Drop`.
#[derive(Debug)]
pub(crate) struct Seat {
    topic: Arc<Topic>,
    scope: Scope,
    pub notify: Arc<Notify>,
}

impl Hub {
    pub(crate) fn new(revision: Revision) -> Hub {
        Hub {
            topics: RwLock::new(HashMap::default()),
            published: AtomicU64::new(revision),
            closed: AtomicBool::new(false),
            bell: Bell::default(),
        }
    }

    /// Takes in one committed batch, ordered, all revisions up to `revision` complete. Only the writer calls it.
    pub(crate) fn publish(&self, events: Vec<Arc<Event>>, revision: Revision) {
        let mut by_topic: Vec<(Arc<str>, Vec<Arc<Event>>)> = Vec::new();
        for event in events {
            if planted(Bug::SkipOneWatchEvent) && event.revision % 97 == 0 {
                continue;
            }
            match by_topic.iter_mut().find(|(resource, _)| *resource == event.key.resource) {
                Some((_, events)) => events.push(event),
                None => by_topic.push((event.key.resource.clone(), vec![event])),
            }
        }
        let mut wake = Vec::new();
        for (resource, events) in by_topic {
            self.topic(&resource).push(events, &mut wake);
        }
        self.published.store(revision, Ordering::Release);
        for (notify, watchers) in wake {
            self.bell.ring(notify, watchers);
        }
    }

    /// Forgets every event: the index was built anew at `revision`, and who waits looks at the log.
    #[cfg(feature = "etcd")]
    pub(crate) fn restart(&self, revision: Revision) {
        // No topic is made meanwhile: it would begin at what was published before, and have nothing of what came since.
        let topics = self.topics.write();
        for topic in topics.values() {
            topic.state.write().restart(revision);
        }
        self.published.store(revision, Ordering::Release);
        drop(topics);
        for topic in self.topics.read().values() {
            for group in topic.state.read().groups.values() {
                group.notify.notify_waiters();
            }
        }
    }

    /// Lets go of the windows that nobody watches, of resources that are no more: names come and go for ever (P7).
    pub(crate) fn keep(&self, there: impl Fn(&str) -> bool) {
        // With the lock held a topic that only the map has cannot be joined or written to.
        self.topics.write().retain(|resource, topic| Arc::strong_count(topic) > 1 || there(resource));
    }

    #[cfg(test)]
    pub(crate) fn topics(&self) -> usize {
        self.topics.read().len()
    }

    /// Joins the watchers of a range, in one step with the topic's newest event (R11).
    pub(crate) fn join(&self, range: &Range) -> Seat {
        let topic = self.topic(&range.resource);
        let scope = Scope { namespace: range.namespace.clone(), name: range.name.clone() };
        let mut state = topic.state.write();
        let newest = state.window.back().map_or(state.floor, |event| event.revision);
        let group = state.groups.entry(scope.clone()).or_insert_with(|| Group {
            notify: Arc::new(Notify::new()),
            watchers: 0,
            recent: VecDeque::new(),
            floor: newest,
        });
        group.watchers += 1;
        let notify = group.notify.clone();
        drop(state);
        Seat { topic, scope, notify }
    }

    /// What a seat's cursor finds now.
    pub(crate) fn pending(&self, seat: &Seat, range: &Range, cursor: Revision) -> Pending {
        // Read before the topic: everything at or below it is in the topic by now.
        let published = self.published.load(Ordering::Acquire);
        seat.topic.state.read().pending(&seat.scope, range, cursor, published)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends every watch.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for topic in self.topics.read().values() {
            for group in topic.state.read().groups.values() {
                group.notify.notify_waiters();
            }
        }
    }

    fn topic(&self, resource: &Arc<str>) -> Arc<Topic> {
        if let Some(topic) = self.topics.read().get(resource) {
            return topic.clone();
        }
        let mut topics = self.topics.write();
        let topic = topics.entry(resource.clone()).or_insert_with(|| {
            let state = TopicState {
                window: VecDeque::new(),
                bytes: 0,
                floor: self.published.load(Ordering::Acquire),
                groups: HashMap::default(),
            };
            Arc::new(Topic { state: RwLock::new(state) })
        });
        topic.clone()
    }
}

impl Topic {
    fn push(&self, events: Vec<Arc<Event>>, wake: &mut Vec<(Arc<Notify>, usize)>) {
        let mut state = self.state.write();
        for event in events {
            state.mark(&event, wake);
            state.bytes += size(&event);
            state.window.push_back(event);
        }
        let quiet = state.groups.is_empty();
        let (most, most_bytes) = if quiet { (QUIET_EVENTS, QUIET_BYTES) } else { (WINDOW_EVENTS, WINDOW_BYTES) };
        while state.window.len() > most || state.bytes > most_bytes {
            if planted(Bug::UnboundedWatcherQueue) {
                break;
            }
            let Some(event) = state.window.pop_front() else { break };
            state.bytes -= size(&event);
            state.floor = event.revision;
        }
    }
}

impl TopicState {
    #[cfg(feature = "etcd")]
    fn restart(&mut self, revision: Revision) {
        self.window.clear();
        self.bytes = 0;
        self.floor = revision;
        for group in self.groups.values_mut() {
            group.recent.clear();
            group.floor = revision;
        }
    }

    /// Notes an event in every group it concerns.
    fn mark(&mut self, event: &Event, wake: &mut Vec<(Arc<Notify>, usize)>) {
        if self.groups.is_empty() {
            return;
        }
        for (by_namespace, by_name) in [(false, false), (true, false), (false, true), (true, true)] {
            let scope = Scope {
                namespace: by_namespace.then(|| event.key.namespace.clone()),
                name: by_name.then(|| event.key.name.clone()),
            };
            let Some(group) = self.groups.get_mut(&scope) else { continue };
            if group.recent.back() == Some(&event.revision) {
                continue;
            }
            if group.recent.len() == GROUP_REVISIONS
                && let Some(oldest) = group.recent.pop_front()
            {
                group.floor = oldest;
            }
            group.recent.push_back(event.revision);
            if !wake.iter().any(|(notify, _)| Arc::ptr_eq(notify, &group.notify)) {
                wake.push((group.notify.clone(), group.watchers));
            }
        }
    }

    fn pending(&self, scope: &Scope, range: &Range, mut cursor: Revision, published: Revision) -> Pending {
        if let Some(group) = self.groups.get(scope)
            && cursor >= group.floor
        {
            match group.recent.iter().find(|&&revision| revision > cursor) {
                None => return Pending::Nothing(cursor.max(published)),
                Some(first) => cursor = first - 1,
            }
        }
        if cursor < self.floor {
            return Pending::Behind(cursor);
        }
        let start = self.window.partition_point(|event| event.revision <= cursor);
        let mut events: Vec<Arc<Event>> = Vec::new();
        let mut bytes = 0;
        let mut seen = cursor;
        for event in self.window.range(start..) {
            if (events.len() >= BATCH_EVENTS || bytes >= BATCH_BYTES) && event.revision != seen {
                return Pending::Events(events, seen);
            }
            seen = event.revision;
            if range.holds(&event.key.namespace, &event.key.name) {
                bytes += event.record.body.len();
                events.push(event.clone());
            }
        }
        let cursor = seen.max(published);
        if events.is_empty() { Pending::Nothing(cursor) } else { Pending::Events(events, cursor) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.topic.state.write();
        if let Some(group) = state.groups.get_mut(&self.scope) {
            group.watchers -= 1;
            if group.watchers == 0 {
                state.groups.remove(&self.scope);
            }
        }
    }
}

/// The previous object is mostly the one before it in the same window, so only the newer body counts.
fn size(event: &Event) -> usize {
    event.record.body.len() + EVENT_OVERHEAD
}
