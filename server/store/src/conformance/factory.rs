//! Stores to test, and short words for what tests do with them.

use crate::*;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// An engine under test: opens a store, and (when it has files) opens them again.
pub(super) struct Lab {
    kind: &'static str,
    pub retention: Retention,
    now: Arc<Mutex<Duration>>,
    directory: tempfile::TempDir,
}

impl Lab {
    pub(super) fn all() -> Vec<Lab> {
        ["memory", "sqlite"].into_iter().map(Lab::of).collect()
    }

    pub(super) fn of(kind: &'static str) -> Lab {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Lab { kind, retention: Retention::default(), now: Arc::default(), directory }
    }

    /// Keeps so many revisions and nothing more, as soon as the clock has moved a second.
    pub(super) fn keeping(mut self, revisions: u64) -> Lab {
        self.retention = Retention { age: Duration::from_millis(1), bytes: 1 << 30, revisions };
        self
    }

    pub(super) fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("otternauts.db")
    }

    pub(super) fn is_durable(&self) -> bool {
        self.kind != "memory"
    }

    pub(super) fn open(&self) -> Store {
        let now = self.now.clone();
        let clock: Clock = Arc::new(move || *now.lock());
        match self.kind {
            "memory" => {
                Store::memory_with(&MemoryOptions { retention: self.retention, clock, ..MemoryOptions::default() })
            }
            _ => Store::sqlite(SqliteOptions {
                path: self.path(),
                retention: self.retention,
                clock,
                ..SqliteOptions::default()
            })
            .expect("the store opens"),
        }
    }

    pub(super) fn pass(&self, time: Duration) {
        *self.now.lock() += time;
    }
}

pub(super) const STACKS: &str = "stacks.otternauts.dev";

pub(super) fn key(namespace: &str, name: &str) -> Key {
    Key::new(STACKS, namespace, name)
}

pub(super) fn body(text: &str) -> Body {
    Body {
        head: format!("{{\"text\":\"{text}\",\"resourceVersion\":\"").into(),
        tail: bytes::Bytes::from_static(b"\"}"),
        schema: 7,
        leaving: false,
    }
}

pub(super) fn text(text: &str, revision: Revision) -> String {
    format!("{{\"text\":\"{text}\",\"resourceVersion\":\"{revision}\"}}")
}

pub(super) fn put(key: &Key, precondition: Precondition, content: &str) -> Write {
    Write { key: key.clone(), precondition, op: Op::Put(body(content)) }
}

pub(super) fn delete(key: &Key, precondition: Precondition, content: &str) -> Write {
    Write { key: key.clone(), precondition, op: Op::Delete { last: body(content) } }
}

/// Writes whatever was there, and says the revision.
pub(super) async fn set(store: &Store, key: &Key, content: &str) -> Revision {
    store.commit(vec![put(key, Precondition::None, content)]).await.expect("a plain write succeeds").revision
}

pub(super) async fn remove(store: &Store, key: &Key, content: &str) -> Revision {
    store.commit(vec![delete(key, Precondition::Exists, content)]).await.expect("a plain deletion succeeds").revision
}

pub(super) fn everything() -> Range {
    Range::resource(STACKS)
}

pub(super) fn list_of(range: Range) -> List {
    List { range, at: None, after: None, limit: 0 }
}

/// `namespace/name` of each record.
pub(super) fn places(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| format!("{}/{}", record.key.namespace, record.key.name)).collect()
}

/// The next events of a watch, which must come.
pub(super) async fn events(watcher: &mut Watcher) -> Vec<Arc<Event>> {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(20), watcher.next()).await.expect("an event comes");
        if let WatchItem::Events(events) = next.expect("the watch goes on") {
            return events;
        }
    }
}

/// Events until `count` have come.
pub(super) async fn take(watcher: &mut Watcher, count: usize) -> Vec<Arc<Event>> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(events(watcher).await);
    }
    all
}

/// One line an event, easy to compare.
pub(super) fn line(event: &Event) -> String {
    let previous = event.previous.as_ref();
    assert_eq!(event.record.revision, event.revision);
    assert_eq!(event.record.key, event.key);
    format!(
        "{} {:?} {}/{} {} was {}",
        event.revision,
        event.kind,
        event.key.namespace,
        event.key.name,
        String::from_utf8_lossy(&event.record.body),
        previous.map_or("absent".into(), |record| String::from_utf8_lossy(&record.body).into_owned()),
    )
}
