//! Measurements, not tests: `cargo test -p otternauts-store -- --ignored --nocapture --test-threads=1`.

#![allow(clippy::print_stdout, reason = "a measurement prints its result")]

use crate::*;
use std::time::{Duration, Instant};

const STACKS: &str = "stacks.otternauts.dev";

fn body() -> Body {
    Body { head: vec![b'h'; 500].into(), tail: vec![b't'; 500].into(), schema: 1, leaving: false }
}

fn write(namespace: &str, name: String) -> Write {
    Write { key: Key::new(STACKS, namespace, name), precondition: Precondition::None, op: Op::Put(body()) }
}

fn open(directory: &tempfile::TempDir) -> Store {
    Store::sqlite(SqliteOptions::new(directory.path().join("otternauts.db"))).expect("the store opens")
}

fn rate(what: &str, count: usize, elapsed: Duration) {
    println!("{what}: {:.0}/s ({count} in {elapsed:.2?})", count as f64 / elapsed.as_secs_f64());
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run with --ignored"]
async fn commits_and_reads() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    for writers in [1, 16, 64, 256] {
        let count = (writers * 400).clamp(2_000, 40_000);
        let started = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..writers {
            let store = store.clone();
            tasks.spawn(async move {
                for number in 0..count / writers {
                    store.commit(vec![write("default", format!("w{writer}-{number}"))]).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        rate(&format!("commits of 1 KB, {writers} writers"), count, started.elapsed());
    }
    // More objects than the cache holds, in an order it does not help.
    let mut list = List { range: Range::resource(STACKS), at: None, after: None, limit: 0 };
    let all = store.list(list.clone()).await.unwrap().records;
    let count = 40_000;
    let started = Instant::now();
    for number in 0..count {
        store.get(&all[number * 7919 % all.len()].key).await.unwrap().unwrap();
    }
    rate(&format!("gets among {} objects", all.len()), count, started.elapsed());
    let started = Instant::now();
    for _ in 0..count {
        store.get(&all[17].key).await.unwrap().unwrap();
    }
    rate("gets of a hot object", count, started.elapsed());
    for limit in [500, 10_000] {
        list.limit = limit;
        let started = Instant::now();
        assert_eq!(store.list(list.clone()).await.unwrap().records.len(), limit);
        println!("a list of {limit} objects: {:.2?}", started.elapsed());
    }
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run with --ignored"]
async fn start_and_memory_of_a_million_objects() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let before = resident();
    let started = Instant::now();
    for batch in 0..2_000 {
        let writes = (0..500).map(|number| write(&format!("team-{}", batch % 50), format!("web-{batch}-{number}")));
        store.commit(writes.collect()).await.unwrap();
    }
    rate("objects loaded", 1_000_000, started.elapsed());
    store.close().await.unwrap();
    drop(store);
    println!("resident before {before} kB, after closing {} kB", resident());
    let index = directory.path().join("otternauts.db.index");
    println!("the index file has {} bytes", std::fs::metadata(&index).map_or(0, |file| file.len()));
    for from in ["the index file", "the whole log"] {
        let before = resident();
        let started = Instant::now();
        let store = open(&directory);
        let (took, more) = (started.elapsed(), resident() - before);
        println!("started from {from} with {:?} in {took:.2?}, {more} kB more", store.counts());
        drop(store);
        let _may_be_gone = std::fs::remove_file(&index);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run with --ignored"]
async fn fan_out() {
    let store = Store::memory();
    let before = resident();
    let mut idle = Vec::new();
    for number in 0..10_000 {
        let range = Range { name: Some(format!("o{number}").into()), ..Range::namespace(STACKS, "idle") };
        let mut watcher = store.watch(range, 0).await.unwrap();
        idle.push(tokio::spawn(async move { watcher.next().await.map(drop) }));
    }
    println!("10,000 idle watchers: {} kB", resident() - before);
    const EVENTS: usize = 5_000;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let mut watcher = store.watch(Range::resource(STACKS), 0).await.unwrap();
        tasks.spawn(async move {
            let mut seen = 0;
            while seen < EVENTS {
                let WatchItem::Events(events) = watcher.next().await.unwrap() else { continue };
                seen += events.len();
            }
        });
    }
    let started = Instant::now();
    for number in 0..EVENTS {
        store.commit(vec![write("busy", format!("o{}", number % 100))]).await.unwrap();
    }
    println!("{EVENTS} commits beside 1,000 watchers: {:.2?}", started.elapsed());
    tasks.join_all().await;
    rate("deliveries", EVENTS * 1_000, started.elapsed());
    for task in idle {
        task.abort();
    }
}
