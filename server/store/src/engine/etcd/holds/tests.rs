//! Two replicas on a real etcd: one holds, the other writes and compacts whenever it may.

use crate::conformance::factory::{cluster, everything, key, list_of, set};
use crate::engine::Engine;
use crate::engine::etcd::client::Trouble;
use crate::engine::etcd::proto::{TxnRequest, delete_range};
use crate::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const OBJECTS: u64 = 8;

/// Who holds, and who compacts: it keeps five revisions, and time passes with each commit.
struct Two {
    holder: Store,
    compactor: Store,
    clock: Arc<AtomicU64>,
    /// Milliseconds that a commit takes.
    pace: u64,
    round: AtomicU64,
}

impl Two {
    async fn open(pace: u64) -> Option<Two> {
        let endpoints = cluster::get()?;
        let prefix = format!("/tests/{:016x}", rand::random::<u64>());
        let options = EtcdOptions { endpoints, prefix, ..EtcdOptions::default() };
        let clock = Arc::new(AtomicU64::new(0));
        let told = clock.clone();
        let compacting = EtcdOptions {
            retention: Retention { age: Duration::ZERO, bytes: 1 << 30, revisions: 5 },
            clock: Arc::new(move || Duration::from_millis(told.load(Ordering::SeqCst))),
            ..options.clone()
        };
        let [holder, compactor] = [options, compacting].map(|options| Store::etcd(options).unwrap());
        let two = Two { holder, compactor, clock, pace, round: AtomicU64::new(0) };
        two.write(OBJECTS).await;
        Some(two)
    }

    async fn write(&self, times: u64) {
        for _ in 0..times {
            let round = self.round.fetch_add(1, Ordering::SeqCst);
            self.clock.fetch_add(self.pace, Ordering::SeqCst);
            set(&self.compactor, &key("default", &format!("o{}", round % OBJECTS)), &format!("round {round}")).await;
        }
    }

    /// Everything at the held revision, page by page.
    async fn read(&self, at: Revision) -> Result<Vec<Record>> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.holder.list(List { at: Some(at), after, limit: 3, ..list_of(everything()) }).await?;
            found.extend(page.records);
            let Some(last) = found.last().filter(|_| page.more) else { return Ok(found) };
            after = Some((last.key.namespace.clone(), last.key.name.clone()));
        }
    }

    /// History is forgotten above this revision.
    async fn passed(&self, at: Revision) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(180);
        while self.compactor.oldest() <= at {
            assert!(tokio::time::Instant::now() < deadline, "{} is as far as it goes", self.compactor.oldest());
            self.write(1).await;
        }
    }
}

/// As the compactor has written them: object by object, its last round before the revision.
fn expected(at: Revision) -> Vec<(String, u64)> {
    let rounds = (1..=at).rev().take(usize::try_from(OBJECTS).unwrap());
    let mut found: Vec<_> = rounds.map(|revision| (format!("o{}", (revision - 1) % OBJECTS), revision)).collect();
    found.sort();
    found
}

fn seen(records: &[Record]) -> Vec<(String, u64)> {
    records.iter().map(|record| (record.key.name.to_string(), record.revision)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_holds_another_does_not_compact_until_it_is_let_go() {
    let Some(two) = Two::open(2_000).await else { return };
    two.write(20).await;
    let hold = two.holder.hold().await.unwrap();
    let at = hold.revision;
    assert_eq!(at, 28, "everything that was answered anywhere");
    for _ in 0..5 {
        two.write(12).await;
        assert_eq!(seen(&two.read(at).await.unwrap()), expected(at));
    }
    assert!((20..=at).contains(&two.compactor.oldest()), "up to there it goes: {}", two.compactor.oldest());
    // A second one, which goes first.
    let second = two.holder.hold().await.unwrap();
    assert!(second.revision > at);
    drop(second);
    two.write(12).await;
    assert_eq!(seen(&two.read(at).await.unwrap()), expected(at));
    drop(hold);
    two.passed(at).await;
    assert!(matches!(two.read(at).await, Err(Error::Compacted { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_was_given_in_the_middle_of_a_compaction_counts() {
    // It reads the holds every seventh time or so: those taken since, it finds out by comparison.
    let Some(two) = Two::open(150).await else { return };
    let two = Arc::new(two);
    let stop = Arc::new(AtomicU64::new(0));
    let writing = tokio::spawn({
        let (two, stop) = (two.clone(), stop.clone());
        async move {
            while stop.load(Ordering::SeqCst) == 0 {
                two.write(1).await;
            }
        }
    });
    for _ in 0..15 {
        let hold = two.holder.hold().await.unwrap();
        let (at, newest) = (hold.revision, two.holder.revision());
        // Until the other would have compacted it.
        while two.compactor.revision() < newest + 8 {
            assert!(!writing.is_finished(), "a write failed");
            tokio::task::yield_now().await;
        }
        assert_eq!(seen(&two.read(at).await.unwrap()), expected(at), "held at {at}");
    }
    stop.store(1, Ordering::SeqCst);
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lists_at_a_hold_that_has_run_out_or_was_passed_on_purpose_is_told() {
    let Some(two) = Two::open(2_000).await else { return };
    let hold = two.holder.hold().await.unwrap();
    two.compactor.forget(two.compactor.revision()).await.unwrap();
    two.write(1).await;
    two.compactor.forget(two.compactor.revision()).await.unwrap();
    // The other has it all in memory, until it knows.
    two.holder.list(list_of(everything())).await.unwrap();
    let read = two.read(hold.revision).await;
    assert!(matches!(read, Err(Error::Compacted { .. })), "a rotation of keys waits for nobody: {read:?}");

    let hold = two.holder.hold().await.unwrap();
    // As when its owner was cut off for too long.
    let Engine::Etcd(engine) = &two.holder.inner.engine else { panic!("not an etcd store") };
    let view = engine.view.clone();
    let gone = delete_range(view.keys.hold(None), view.keys.end_of_holds());
    let request = TxnRequest { success: vec![gone], ..TxnRequest::default() };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let deleted = engine.spawn(async move { view.client.txn(&request, deadline).await.map_err(Trouble::of_write) });
    deleted.await.unwrap();
    two.passed(hold.revision).await;
    assert!(matches!(two.read(hold.revision).await, Err(Error::Compacted { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_renewed_until_it_is_given_back() {
    let Some(two) = Two::open(2_000).await else { return };
    let Engine::Etcd(engine) = &two.holder.inner.engine else { panic!("not an etcd store") };
    let view = engine.view.clone();
    let leases = async move {
        let client = &view.client;
        let (one, other) = (client.grant(30).await?, client.grant(30).await?);
        assert_ne!(one, other);
        assert!(client.keep_alive(one).await? && client.keep_alive(one).await? && client.keep_alive(other).await?);
        client.revoke(one).await?;
        assert!(!client.keep_alive(one).await?, "it is gone");
        assert!(client.keep_alive(other).await?);
        client.revoke(other).await
    };
    engine.spawn(async move { leases.await.map_err(Trouble::of_read) }).await.unwrap();
}
