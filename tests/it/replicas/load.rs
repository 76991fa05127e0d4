//! Clients that write to two replicas without a pause, and note what they were answered.

use super::{FAILOVER, PATIENCE, told};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams};
use otternauts_harness::{Otter, until};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const CLIENTS: usize = 8;
/// A client that is not answered gives up then: what became of that write it does not know.
const ANSWER: Duration = Duration::from_secs(15);

/// What was acknowledged: by name, the version; and when, by which replica.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    versions: BTreeMap<String, u64>,
    answers: Vec<(Instant, usize)>,
}

impl Ledger {
    /// Waits until each of these replicas has answered a hundred times more.
    pub fn more(&self, what: &str, replicas: &[usize]) {
        let answered = || {
            let book = self.0.lock().expect("not poisoned");
            let count = |replica: &usize| book.answers.iter().filter(|(_, of)| of == replica).count();
            replicas.iter().map(count).collect::<Vec<usize>>()
        };
        let goals: Vec<usize> = answered().iter().map(|count| count + 100).collect();
        until(what, PATIENCE, || {
            let now = answered();
            if now.iter().zip(&goals).all(|(now, goal)| now >= goal) { Ok(()) } else { Err(now) }
        });
    }

    /// Since a fault, none of these replicas was silent for longer than is promised. Call it when each of them answers again.
    pub fn check_silence(&self, what: &str, fault: Instant, replicas: &[usize]) {
        for replica in replicas {
            let silence = self.silence(fault, *replica);
            told(&format!("{what}: replica {replica} answers no write for {:.1} s", silence.as_secs_f64()));
            assert!(silence < FAILOVER, "{what}: replica {replica} answered no write for {silence:?}");
        }
    }

    /// How long a replica answered nobody, at most, from a moment until its last answer.
    fn silence(&self, since: Instant, replica: usize) -> Duration {
        let book = self.0.lock().expect("not poisoned");
        let answers = book.answers.iter().filter(|(at, of)| *at >= since && *of == replica).map(|(at, _)| *at);
        let mut last = since;
        let mut longest = Duration::ZERO;
        for at in answers {
            longest = longest.max(at.duration_since(last));
            last = at;
        }
        longest
    }
}

/// The clients at work.
pub struct Load {
    ledger: Ledger,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Half of the clients to each replica.
    pub async fn start(replicas: &[Otter; 2]) -> Load {
        let (ledger, stop) = (Ledger::default(), Arc::new(AtomicBool::new(false)));
        let mut tasks = Vec::new();
        for client in 0..CLIENTS {
            let replica = client % 2;
            let maps: Api<ConfigMap> = Api::namespaced(replicas[replica].client().await, "default");
            tasks.push(tokio::spawn(write(maps, client, replica, ledger.clone(), Arc::clone(&stop))));
        }
        Load { ledger, stop, tasks }
    }

    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Ends it. Both replicas have everything that was acknowledged, at the version that was said, and no two writes have the same.
    pub async fn check(self, replicas: &[Otter; 2]) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.expect("no client panics");
        }
        let ledger = self.ledger.0.lock().expect("not poisoned").versions.clone();
        let mut versions: Vec<u64> = ledger.values().copied().collect();
        versions.sort_unstable();
        versions.dedup();
        assert_eq!(versions.len(), ledger.len(), "each write has a revision of its own, on both replicas");
        for otter in replicas {
            let maps: Api<ConfigMap> = Api::namespaced(otter.client().await, "default");
            let stored = maps.list(&ListParams::default()).await.expect("a list").items;
            let stored: BTreeMap<String, u64> = stored
                .into_iter()
                .filter_map(|map| Some((map.metadata.name?, map.metadata.resource_version?.parse().ok()?)))
                .collect();
            for (name, version) in &ledger {
                assert_eq!(stored.get(name), Some(version), "{name} was acknowledged at {version}");
            }
        }
    }
}

async fn write(maps: Api<ConfigMap>, client: usize, replica: usize, ledger: Ledger, stop: Arc<AtomicBool>) {
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let name = format!("c{client}-{number}");
        let map = json!({"metadata": {"name": name}, "data": {"n": name}});
        let map: ConfigMap = serde_json::from_value(map).expect("a ConfigMap");
        match tokio::time::timeout(ANSWER, maps.create(&PostParams::default(), &map)).await {
            Ok(Ok(made)) => {
                let version = made.metadata.resource_version.and_then(|v| v.parse().ok()).expect("a version");
                let mut book = ledger.0.lock().expect("not poisoned");
                book.versions.insert(name, version);
                book.answers.push((Instant::now(), replica));
            }
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
