//! A file of the index is either as good as the whole log, or it is passed over.

#![allow(clippy::print_stdout, reason = "a random test prints its seed")]

use super::*;
use crate::engine::sqlite::head::Mark;
use crate::engine::sqlite::load::{Loaded, load};
use crate::engine::sqlite::{Sqlite, SqliteOptions, file, indexer};
use crate::key::Key;
use crate::record::{Body, Op, Precondition};
use crate::retention::Retention;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rusqlite::Connection;
use std::time::Duration;

fn change(resource: &str, name: String, gone: bool) -> crate::record::Write {
    let body = Body { head: vec![b'h'; 50].into(), tail: Bytes::from_static(b"\"}"), schema: 1, leaving: false };
    let op = if gone { Op::Delete { last: body } } else { Op::Put(body) };
    let namespace = if name.len().is_multiple_of(2) { "even" } else { "odd" };
    crate::record::Write { key: Key::new(resource, namespace, name), precondition: Precondition::None, op }
}

fn open(path: &Path, keep: u64) -> (Arc<Visible>, Sqlite) {
    let retention = Retention { age: Duration::ZERO, bytes: 0, revisions: keep };
    Sqlite::open(SqliteOptions { retention, ..SqliteOptions::new(path) }).unwrap()
}

/// Where the log of a quiet store stands.
fn stand(path: &Path, visible: &Visible) -> Stand {
    let connection = file::open_reader(path).unwrap();
    let query = "SELECT chain FROM log WHERE chain IS NOT NULL ORDER BY id DESC LIMIT 1";
    let chain: i64 = connection.query_row(query, [], |row| row.get(0)).unwrap();
    Stand { revision: visible.revision(), chain: Chain(chain as u64), oldest: visible.oldest(), history_bytes: 100_000 }
}

fn both(path: &Path, snapshot: Option<Snapshot>) -> (crate::error::Result<Loaded>, Loaded) {
    let mut connection = Connection::open(path).unwrap();
    (load(&mut connection, None, snapshot), load(&mut connection, None, None).unwrap())
}

/// Random writes, deletions and compaction before, while and after the file is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_from_the_file_and_a_start_from_the_whole_log_are_the_same() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("otternauts.db");
        let target = path.with_extension("db.index");
        let (visible, engine) = open(&path, 2_000);
        let engine = Arc::new(engine);
        // Up to 5,000 objects: more than one chunk.
        let mut some = |random: &mut StdRng, count: usize| {
            let resources = ["stacks.otternauts.dev", "configmaps", "secrets"];
            let names = 5_000 >> (round % 3);
            let mut writes = std::collections::BTreeMap::new();
            for _ in 0..count {
                let write =
                    change(resources[random.random_range(0..3)], format!("o{}", random.random_range(0..names)), false);
                writes.insert(write.key.clone(), write);
            }
            let mut writes: Vec<_> = writes.into_values().collect();
            for write in &mut writes {
                if visible.index.read().get(&write.key).is_some() && random.random_bool(0.4) {
                    *write = change(&write.key.resource, write.key.name.to_string(), true);
                }
            }
            writes
        };
        for _ in 0..20 {
            engine.commit(some(&mut random, 500)).await.unwrap();
        }
        for _ in 0..200 {
            engine.commit(some(&mut random, 1)).await.unwrap();
        }
        let from = stand(&path, &visible);
        // Between the chunks the writer goes on.
        let runtime = tokio::runtime::Handle::current();
        let whole = tokio::task::block_in_place(|| {
            let random = std::cell::RefCell::new(&mut random);
            let some = std::cell::RefCell::new(&mut some);
            super::write(&target, &visible, from, || {
                for _ in 0..30 {
                    let writes = (some.borrow_mut())(&mut random.borrow_mut(), 20);
                    runtime.block_on(engine.commit(writes)).unwrap();
                }
                false
            })
        });
        assert!(whole.unwrap());
        // The store writes a newer one when it closes.
        let written = read(&target).unwrap();
        for _ in 0..300 {
            engine.commit(some(&mut random, 3)).await.unwrap();
        }
        let floor = visible.oldest();
        engine.close().await.unwrap();
        let (fast, slow) = both(&path, Some(written));
        let fast = fast.unwrap();
        assert_eq!(fast.stands_at, (floor <= from.revision).then_some(from.revision), "it is used when it can be");
        assert_eq!(fast.index, slow.index, "seed {seed}, round {round}");
        assert_eq!((fast.chain, fast.floor), (slow.chain, slow.floor));
    }
}

/// Two resources, forty revisions, a file at revision 30.
async fn sample(path: &Path) -> Stand {
    let (visible, engine) = open(path, 1_000);
    let mut from = None;
    for number in 0..40 {
        engine.commit(vec![change("stacks.otternauts.dev", format!("o{}", number % 15), false)]).await.unwrap();
        if number == 29 {
            let at = stand(path, &visible);
            super::write(&path.with_extension("db.index"), &visible, at, || false).unwrap();
            from = Some(at);
        }
    }
    engine.close().await.unwrap();
    from.unwrap()
}

#[tokio::test]
async fn a_damaged_file_is_never_read_as_another_index() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    sample(&path).await;
    let target = path.with_extension("db.index");
    let good = std::fs::read(&target).unwrap();
    assert_eq!(read(&target).unwrap().index.objects(), 15);
    for at in 0..good.len() {
        for damage in [good[at] ^ 1, good[at] ^ 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = damage;
            std::fs::write(&target, &bytes).unwrap();
            assert!(damage == good[at] || read(&target).is_err(), "byte {at} is {damage}");
        }
        std::fs::write(&target, &good[..at]).unwrap();
        assert!(read(&target).is_err(), "cut at {at}");
    }
    std::fs::write(&target, [&good[..], b"x"].concat()).unwrap();
    assert!(read(&target).is_err(), "longer than it was");
    // The start says so and reads the log.
    assert!(indexer::found(&path).is_none());
    let (visible, engine) = open(&path, 1_000);
    assert_eq!((visible.revision(), visible.index.read().objects()), (40, 15));
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_does_not_fit_the_log_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let from = sample(&path).await;
    let target = path.with_extension("db.index");
    let (fast, slow) = both(&path, Some(read(&target).unwrap()));
    let fast = fast.unwrap();
    assert_eq!((fast.stands_at, &fast.index), (Some(from.revision), &slow.index));

    // Another history up to the same revision.
    let mut other = read(&target).unwrap();
    other.stand.chain = Chain(other.stand.chain.0 ^ 1);
    let (fast, slow) = both(&path, Some(other));
    let fast = fast.unwrap();
    assert_eq!((fast.stands_at, &fast.index), (None, &slow.index));

    // What came after it is partly compacted away.
    let (_, engine) = open(&path, 3);
    engine.commit(vec![change("stacks.otternauts.dev", "o1".to_owned(), true)]).await.unwrap();
    engine.forget(35).await.unwrap();
    engine.close().await.unwrap();
    let (fast, slow) = both(&path, Some(read(&target).unwrap()));
    let fast = fast.unwrap();
    assert_eq!((fast.stands_at, &fast.index), (None, &slow.index));
}

/// A8, A16: the file remembers what readers saw, also where the side file does not.
#[tokio::test]
async fn a_log_that_lost_what_readers_saw_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let from = sample(&path).await;
    let target = path.with_extension("db.index");
    let mut connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "DELETE FROM log WHERE id >> 16 > 35; UPDATE meta SET value = X'0000000000000023' WHERE name = '.revision'",
        )
        .unwrap();
    let mut snapshot = read(&target).unwrap();
    snapshot.seen = 36;
    let refused = load(&mut connection, None, Some(snapshot)).unwrap_err();
    let crate::Error::Engine(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.to_string(), "history went back: the newest revision is 35, and 36 was seen by readers");
    // What the side file says of a revision below the file's is still compared.
    let told = Mark { revision: 20, chain: Chain(1) };
    assert!(from.revision > told.revision);
    let refused = load(&mut connection, Some(told), Some(read(&target).unwrap())).unwrap_err();
    let crate::Error::Engine(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.to_string(), "history went back: revision 20 is not the one that was answered");
}

#[tokio::test]
async fn a_large_store_leaves_a_file_when_it_closes_and_starts_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let (_, engine) = open(&path, 1_000);
    for batch in 0..11 {
        let writes = (0..1_000).map(|number| change("configmaps", format!("o{}", batch * 1_000 + number), false));
        engine.commit(writes.collect()).await.unwrap();
    }
    engine.close().await.unwrap();
    let snapshot = indexer::found(&path).expect("a file");
    assert_eq!((snapshot.stand.revision, snapshot.index.objects()), (11, 11_000));
    let (fast, slow) = both(&path, Some(snapshot));
    let fast = fast.unwrap();
    assert_eq!((fast.stands_at, &fast.index), (Some(11), &slow.index));
    // Nothing changed: nothing is written.
    let written = |path: &Path| std::fs::metadata(indexer::path(path)).unwrap().modified().unwrap();
    let before = written(&path);
    let (_, engine) = open(&path, 1_000);
    engine.close().await.unwrap();
    assert_eq!(written(&path), before);
}

#[tokio::test]
async fn a_small_store_with_a_long_history_starts_from_a_file_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let (_, engine) = open(&path, 1_000);
    for _ in 0..11 {
        let writes = (0..1_000).map(|number| change("configmaps", format!("o{number}"), false));
        engine.commit(writes.collect()).await.unwrap();
    }
    engine.close().await.unwrap();
    let snapshot = indexer::found(&path).expect("a file");
    assert_eq!((snapshot.index.objects(), snapshot.index.rows()), (1_000, 12_000));
    let (fast, slow) = both(&path, Some(snapshot));
    assert_eq!(fast.unwrap().index, slow.index);
}
