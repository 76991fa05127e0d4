//! Stores to test, and short words for what tests do with them.

use crate::*;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// An engine under test: opens a store, and (when it has files) opens them again.
pub(crate) struct Lab {
    kind: &'static str,
    pub retention: Retention,
    now: Arc<Mutex<Duration>>,
    directory: tempfile::TempDir,
    /// Nobody else's in the cluster that all tests share.
    prefix: String,
}

impl Lab {
    /// Every engine that this machine has.
    pub(crate) fn all() -> Vec<Lab> {
        Lab::kinds().into_iter().map(Lab::of).collect()
    }

    pub(crate) fn kinds() -> Vec<&'static str> {
        let mut kinds = vec!["memory", "sqlite"];
        #[cfg(feature = "etcd")]
        if cluster::get().is_some() {
            kinds.push("etcd");
        }
        kinds
    }

    /// The engines that keep what they have when they are opened again.
    pub(crate) fn durable() -> Vec<Lab> {
        Lab::all().into_iter().filter(Lab::is_durable).collect()
    }

    pub(crate) fn of(kind: &'static str) -> Lab {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let prefix = format!("/conformance/{:016x}", rand::random::<u64>());
        Lab { kind, retention: Retention::default(), now: Arc::default(), directory, prefix }
    }

    /// Keeps so many revisions and nothing more, as soon as the clock has moved a second.
    pub(crate) fn keeping(mut self, revisions: u64) -> Lab {
        self.retention = Retention { age: Duration::from_millis(1), bytes: 1 << 30, revisions };
        self
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("otternauts.db")
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.kind != "memory"
    }

    pub(crate) fn open(&self) -> Store {
        let now = self.now.clone();
        let clock: Clock = Arc::new(move || *now.lock());
        match self.kind {
            "memory" => {
                Store::memory_with(&MemoryOptions { retention: self.retention, clock, ..MemoryOptions::default() })
            }
            #[cfg(feature = "etcd")]
            "etcd" => Store::etcd(EtcdOptions {
                endpoints: cluster::get().expect("it was there when the lab was made").to_vec(),
                prefix: self.prefix.clone(),
                retention: self.retention,
                clock,
                ..EtcdOptions::default()
            })
            .expect("the store opens"),
            _ => Store::sqlite(SqliteOptions {
                path: self.path(),
                retention: self.retention,
                clock,
                ..SqliteOptions::default()
            })
            .expect("the store opens"),
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        *self.now.lock() += time;
    }
}

/// One real cluster of three members for all tests of this process.
#[cfg(feature = "etcd")]
pub(crate) mod cluster {
    use otternauts_harness::Etcd;
    use std::sync::OnceLock;

    static CLUSTER: OnceLock<Option<Etcd>> = OnceLock::new();

    /// Its endpoints; none, said loudly, where etcd is not installed.
    pub(crate) fn get() -> Option<Vec<String>> {
        let cluster = CLUSTER.get_or_init(|| {
            if !Etcd::is_installed() {
                otternauts_harness::skip::skip("the store's conformance on etcd", "etcd is not installed");
                return None;
            }
            // One test writes 400 objects at once; etcd's own limit of 128 is tested with a cluster of its own.
            Some(Etcd::start(3, &["--max-txn-ops=1024"]))
        });
        cluster.as_ref().map(Etcd::endpoints)
    }
}

pub(crate) const STACKS: &str = "stacks.otternauts.dev";

pub(crate) fn key(namespace: &str, name: &str) -> Key {
    Key::new(STACKS, namespace, name)
}

pub(crate) fn body(text: &str) -> Body {
    Body {
        head: format!("{{\"text\":\"{text}\",\"resourceVersion\":\"").into(),
        tail: bytes::Bytes::from_static(b"\"}"),
        schema: 7,
        leaving: false,
    }
}

pub(crate) fn text(text: &str, revision: Revision) -> String {
    format!("{{\"text\":\"{text}\",\"resourceVersion\":\"{revision}\"}}")
}

pub(crate) fn put(key: &Key, precondition: Precondition, content: &str) -> Write {
    Write { key: key.clone(), precondition, op: Op::Put(body(content)) }
}

pub(crate) fn delete(key: &Key, precondition: Precondition, content: &str) -> Write {
    Write { key: key.clone(), precondition, op: Op::Delete { last: body(content) } }
}

/// Writes whatever was there, and says the revision.
pub(crate) async fn set(store: &Store, key: &Key, content: &str) -> Revision {
    store.commit(vec![put(key, Precondition::None, content)]).await.expect("a plain write succeeds").revision
}

pub(crate) async fn remove(store: &Store, key: &Key, content: &str) -> Revision {
    store.commit(vec![delete(key, Precondition::Exists, content)]).await.expect("a plain deletion succeeds").revision
}

pub(crate) fn everything() -> Range {
    Range::resource(STACKS)
}

pub(crate) fn list_of(range: Range) -> List {
    List { range, at: None, after: None, limit: 0 }
}

/// `namespace/name` of each record.
pub(crate) fn places(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| format!("{}/{}", record.key.namespace, record.key.name)).collect()
}

/// The next events of a watch, which must come.
pub(crate) async fn events(watcher: &mut Watcher) -> Vec<Arc<Event>> {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(180), watcher.next()).await.expect("an event comes");
        if let WatchItem::Events(events) = next.expect("the watch goes on") {
            return events;
        }
    }
}

/// What a watch ends with, where nothing else may come.
pub(crate) async fn ended(watcher: &mut Watcher) -> Error {
    let next = tokio::time::timeout(Duration::from_secs(180), watcher.next()).await.expect("the watch ends");
    next.expect_err("nothing comes before the end")
}

/// Events until `count` have come.
pub(crate) async fn take(watcher: &mut Watcher, count: usize) -> Vec<Arc<Event>> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(events(watcher).await);
    }
    all
}

/// One line an event, easy to compare.
pub(crate) fn line(event: &Event) -> String {
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
