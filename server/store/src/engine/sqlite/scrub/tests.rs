//! What the scrub finds (A9), and that it does not cry wolf while history goes.

use super::*;
use crate::engine::sqlite::{Sqlite, SqliteOptions};
use crate::key::Key;
use crate::observer::Observer;
use crate::record::{Body, Op, Precondition, Write};
use crate::retention::Retention;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what is said to be damaged.
#[derive(Default)]
struct Counter(AtomicU64, AtomicU64);

impl Observer for Counter {
    fn corrupted(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn statement(&self, statement: Statement, _elapsed: Duration) {
        if statement == Statement::Scrub {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn put(name: String) -> Write {
    let body = Body { head: vec![b'h'; 3000].into(), tail: Bytes::from_static(b"\"}"), schema: 1, leaving: false };
    Write { key: Key::new("stacks", "default", name), precondition: Precondition::None, op: Op::Put(body) }
}

fn options(path: &Path, counter: &Arc<Counter>, keep: u64) -> SqliteOptions {
    let retention = Retention { age: Duration::ZERO, bytes: 0, revisions: keep };
    let never = Scrub { first: Duration::from_secs(1 << 30), ..Scrub::default() };
    SqliteOptions { retention, observer: counter.clone(), scrub: never, ..SqliteOptions::new(path) }
}

fn scrub(path: &Path, visible: &Arc<Visible>) -> Found {
    let (path, visible) = (path.to_owned(), visible.clone());
    let task = Task::start("scrub", move |stop| {
        let connection = file::open_reader(&path).unwrap();
        pass(&connection, &visible, 1 << 40, &stop).unwrap().unwrap()
    });
    task.unwrap().result().unwrap()
}

#[tokio::test]
async fn damage_anywhere_in_the_log_is_found() {
    // (damage, how often it is told of)
    let cases = [
        ("SELECT 1", 0),
        ("UPDATE log SET body = CAST(replace(body, X'68686868', X'68696868') AS BLOB) WHERE id >> 16 = 900", 1),
        ("UPDATE log SET name = 'x' WHERE id >> 16 = 3", 1),
        ("UPDATE log SET op = 9 WHERE id >> 16 = 500", 1),
        // The chain: changed, and a revision that is gone.
        ("UPDATE log SET chain = chain + 1 WHERE id >> 16 = 950", 1),
        ("DELETE FROM log WHERE id >> 16 = 960", 1),
    ];
    for (script, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("otternauts.db");
        let counter = Arc::new(Counter::default());
        let (visible, engine) = Sqlite::open(options(&path, &counter, 100)).unwrap();
        for number in 0..1_000 {
            engine.commit(vec![put(format!("o{number}"))]).await.unwrap();
        }
        // The writer lets go of the last of it after it answered.
        let deadline = Instant::now() + Duration::from_secs(180);
        while visible.oldest() < 900 {
            assert!(Instant::now() < deadline, "history begins at {}", visible.oldest());
            tokio::task::yield_now().await;
        }
        Connection::open(&path).unwrap().execute_batch(script).unwrap();
        let found = scrub(&path, &visible);
        let told = counter.0.load(Ordering::SeqCst);
        assert!(found.damaged >= expected && (expected > 0 || found.damaged == 0), "{script}: {found:?}");
        assert!(told >= found.damaged && found.rows >= 999, "{script}: {found:?}");
        // A break of the chain is told once at its place, and not of everything behind it.
        assert!(found.damaged <= 2, "{script}: {found:?}");
        engine.close().await.unwrap();
    }
}

/// Else it would be the end of the pass: nothing behind it would be looked at, and what is deleted there would count as lost.
#[tokio::test]
async fn a_machine_that_stands_still_before_the_first_row_ends_no_pass() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let (visible, engine) = Sqlite::open(options(&path, &Arc::default(), 10)).unwrap();
    engine.commit(vec![put("o".to_owned())]).await.unwrap();
    let connection = file::open_reader(&path).unwrap();
    let (mut walk, mut found) = (Walk::default(), Found::default());
    let (last, _) = chunk(&connection, &visible, Place::NONE, Instant::now(), &mut walk, &mut found).unwrap();
    assert_eq!(last, Some(Place::new(1, 0)));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_while_history_is_written_and_let_go_of() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let counter = Arc::new(Counter::default());
    let (visible, engine) = Sqlite::open(options(&path, &counter, 10)).unwrap();
    let engine = Arc::new(engine);
    let writer = engine.clone();
    let writing = tokio::spawn(async move {
        for number in 0..1_000 {
            // Transactions of more than one row, so that a chunk may end inside one.
            writer.commit((0..3).map(|part| put(format!("o{}", (number * 3 + part) % 300))).collect()).await.unwrap();
        }
    });
    let mut passes = 0;
    while !writing.is_finished() || passes < 3 {
        let (path, visible) = (path.clone(), visible.clone());
        let found = tokio::task::spawn_blocking(move || scrub(&path, &visible)).await.unwrap();
        assert_eq!(found.damaged, 0, "{found:?} after {passes} passes");
        passes += 1;
    }
    writing.await.unwrap();
    assert_eq!(counter.0.load(Ordering::SeqCst), 0);
    engine.close().await.unwrap();
}

#[tokio::test]
async fn one_pass_follows_a_start_and_one_each_so_many_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let counter = Arc::new(Counter::default());
    let often = Scrub { first: Duration::ZERO, every_bytes: 100_000, ..Scrub::default() };
    let options = SqliteOptions { scrub: often, ..options(&path, &counter, 10) };
    let (_, engine) = Sqlite::open(options).unwrap();
    let passes = || counter.1.load(Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(180);
    while passes() < 1 {
        assert!(Instant::now() < deadline, "no first pass");
        tokio::task::yield_now().await;
    }
    while passes() < 3 {
        assert!(Instant::now() < deadline, "{} passes", passes());
        engine.commit(vec![put("o".to_owned())]).await.unwrap();
    }
    engine.close().await.unwrap();
}
