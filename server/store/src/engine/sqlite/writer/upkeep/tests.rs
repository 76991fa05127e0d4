//! Compaction and checkpoints when somebody is in their way (C1, C6, P26).

use crate::engine::sqlite::{SqliteOptions, file};
use crate::error::Error;
use crate::key::Key;
use crate::record::{Body, Op, Precondition, Write};
use crate::retention::Retention;
use crate::store::Store;
use bytes::Bytes;
use otternauts_harness::until;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

fn put(name: &str, size: usize) -> Write {
    let body = Body { head: vec![b'h'; size].into(), tail: Bytes::from_static(b"\"}"), schema: 1, leaving: false };
    Write { key: Key::new("leases", "default", name), precondition: Precondition::None, op: Op::Put(body) }
}

fn rows(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap()
}

/// Another program that has the database open.
fn foreigner(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection
}

/// One error in each pass, for many passes (kine #414 stopped for good after the first).
#[tokio::test]
async fn compaction_goes_on_after_each_error_c6() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let retention = Retention { age: Duration::ZERO, bytes: 1, revisions: 1 };
    let store = Store::sqlite(SqliteOptions { retention, ..SqliteOptions::new(&path) }).unwrap();
    store.commit(vec![put("o", 100)]).await.unwrap();
    let foreign = foreigner(&path);
    const PASSES: usize = 20;
    for pass in 1..=PASSES {
        let inject = "CREATE TRIGGER injected BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'injected'); END";
        foreign.execute_batch(inject).unwrap();
        for _ in 0..5 {
            store.commit(vec![put("o", 100)]).await.unwrap();
        }
        assert!(rows(&foreign) >= 6, "pass {pass}: {} rows, so nothing was injected", rows(&foreign));
        foreign.execute_batch("DROP TRIGGER injected").unwrap();
        // The last time without a commit that would remind it.
        if pass < PASSES {
            store.commit(vec![put("o", 100)]).await.unwrap();
        }
        until("compaction to catch up", Duration::from_secs(60), || {
            let left = rows(&foreign);
            if left == 2 { Ok(()) } else { Err(format!("pass {pass}: {left} rows")) }
        });
    }
    // "database is locked" (k3s #11269) refuses a commit, and is over when it is over.
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.commit(vec![put("o", 100)]).await;
    assert!(matches!(refused, Err(Error::Engine(_))), "{refused:?}");
    foreign.execute_batch("ROLLBACK").unwrap();
    for _ in 0..5 {
        store.commit(vec![put("o", 100)]).await.unwrap();
    }
    until("compaction to catch up", Duration::from_secs(60), || {
        let left = rows(&foreign);
        if left == 2 { Ok(()) } else { Err(format!("{left} rows")) }
    });
}

/// Who has history forgotten wants the old bytes gone, which lie in the write-ahead log until it is emptied (P14).
#[tokio::test]
async fn history_is_forgotten_once_the_log_is_empty_too_and_a_reader_in_the_way_is_told_of() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let store = Store::sqlite(SqliteOptions::new(&path)).unwrap();
    store.commit(vec![put("o", 100)]).await.unwrap();
    store.commit(vec![put("o", 100)]).await.unwrap();
    let size = || std::fs::metadata(file::beside(&path, "-wal")).unwrap().len();
    let foreign = foreigner(&path);
    foreign.execute_batch("BEGIN").unwrap();
    rows(&foreign);
    let refused = store.forget(store.revision()).await;
    assert!(matches!(refused, Err(Error::HeldBack)), "{refused:?}");
    assert!(size() > 0);
    // Commits go on meanwhile, and it is answered when the reader is gone.
    let asked = tokio::spawn({
        let store = store.clone();
        async move { store.forget(store.oldest()).await }
    });
    for _ in 0..3 {
        store.commit(vec![put("p", 100)]).await.unwrap();
    }
    assert!(!asked.is_finished());
    foreign.execute_batch("ROLLBACK").unwrap();
    asked.await.unwrap().unwrap();
    assert_eq!(size(), 0);
}

/// Ours hold no snapshot for long (R39); one that we have no power over is told of, and what it cost is given back.
#[tokio::test]
async fn a_reader_of_another_program_holds_the_log_back_only_while_it_reads_c1() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let store = Store::sqlite(SqliteOptions::new(&path)).unwrap();
    store.commit(vec![put("o", 100)]).await.unwrap();
    let size = || std::fs::metadata(file::beside(&path, "-wal")).unwrap().len() >> 20;
    // 4 MiB and a thousand pages each.
    let write = async || {
        let writes = (0..42).map(|number| put(&format!("o{number}"), 100_000)).collect();
        store.commit(writes).await.unwrap();
    };
    for _ in 0..10 {
        write().await;
        assert!(size() <= 16, "with nobody in the way it has {} MiB", size());
    }
    let foreign = foreigner(&path);
    foreign.execute_batch("BEGIN").unwrap();
    let seen = rows(&foreign);
    for _ in 0..18 {
        write().await;
    }
    assert!(size() > 64, "the reader was not in the way: {} MiB", size());
    assert_eq!(rows(&foreign), seen, "it reads its state");
    foreign.execute_batch("ROLLBACK").unwrap();
    for _ in 0..2 {
        write().await;
    }
    assert!(size() <= 16, "it was not given back: {} MiB", size());
}
