//! What only the SQLite engine can get wrong: damaged files, full disks, killed processes.

use super::*;
use crate::key::{Key, Range};
use crate::record::{Body, List, Op, Page, Precondition, Record};
use crate::store::Store;
use std::io::BufRead;
use std::path::Path;
use std::time::Duration;

const STACKS: &str = "stacks.otternauts.dev";

fn key(name: &str) -> Key {
    Key::new(STACKS, "default", name)
}

fn put(name: &str, size: usize) -> Write {
    let body = Body { head: vec![b'h'; size].into(), tail: Bytes::from_static(b"\"}"), schema: 1, leaving: false };
    Write { key: key(name), precondition: Precondition::None, op: Op::Put(body) }
}

fn everything() -> List {
    List { range: Range::resource(STACKS), at: None, after: None, limit: 0 }
}

/// A closed database with ten objects, each written twice.
async fn sample(path: &Path) {
    let store = Store::sqlite(SqliteOptions::new(path)).unwrap();
    for round in 0..2 {
        for number in 0..10 {
            store.commit(vec![put(&format!("o{number}"), 100 + round)]).await.unwrap();
        }
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_changed_byte_of_a_body_is_found_and_harms_only_its_object() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    sample(&path).await;
    let script =
        "UPDATE log SET body = CAST(replace(body, X'6868', X'6869') AS BLOB) WHERE name = 'o3' AND id > 10 * 65536";
    Connection::open(&path).unwrap().execute_batch(script).unwrap();

    let store = Store::sqlite(SqliteOptions::new(&path)).unwrap();
    let damaged = store.get(&key("o3")).await;
    assert!(matches!(&damaged, Err(Error::Corrupt { key: k, revision: 14 }) if *k == key("o3")), "{damaged:?}");
    assert!(store.get(&key("o4")).await.unwrap().is_some());
    // A list never leaves it out in silence, and names it.
    let o3 = crate::Unreadable { key: key("o3"), revision: 14 };
    let listed = store.list(everything()).await;
    assert!(matches!(&listed, Err(Error::Unreadable(objects)) if *objects == [o3.clone()]), "{listed:?}");
    let (Page { records, .. }, unreadable) = store.readable(everything()).await.unwrap();
    assert_eq!((records.len(), unreadable), (9, vec![o3]));
    assert!(store.is_damaged());
    // Page by page it is met once, in its place, wherever the bytes of a page end.
    for bytes in [1, 250, 350, 450, 1000] {
        let (mut names, mut list) = (Vec::new(), List { limit: 9, ..everything() });
        loop {
            let (page, unreadable) = crate::list::list(&store.inner, list.clone(), bytes).await.unwrap();
            let read = page.records.iter().map(|record| &record.key);
            let mut met: Vec<Key> = read.chain(unreadable.iter().map(|object| &object.key)).cloned().collect();
            met.sort();
            list.after = met.last().map(|last| (last.namespace.clone(), last.name.clone()));
            names.extend(met.iter().map(|key| key.name.to_string()));
            if !page.more {
                break;
            }
        }
        assert_eq!(names, (0..10).map(|number| format!("o{number}")).collect::<Vec<_>>(), "{bytes}");
    }
    // It can be written over, and then all is well.
    store.commit(vec![put("o3", 5)]).await.unwrap();
    assert_eq!(store.list(everything()).await.unwrap().records.len(), 10);
}

#[tokio::test]
async fn history_that_went_back_is_refused_at_start() {
    // (damage, what the refusal says); R2
    let cases = [
        ("DELETE FROM log WHERE id >> 16 = 7", "revision 7 is missing"),
        ("UPDATE log SET previous = 65536 WHERE id >> 16 = 13", "row of revision 13 does not match"),
        ("UPDATE log SET name = 'o3' WHERE id >> 16 = 13", "row of revision 13 does not match"),
        ("UPDATE log SET checksum = checksum + 1 WHERE id >> 16 = 13", "breaks at revision 13"),
        ("DELETE FROM log WHERE id >> 16 = 20", "revision 20 is missing"),
        ("UPDATE log SET chain = NULL WHERE id >> 16 = 20", "breaks at revision 20"),
    ];
    for (script, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("otternauts.db");
        sample(&path).await;
        // Only the chain is on trial here.
        std::fs::remove_file(file::beside(&path, ".head")).unwrap();
        Connection::open(&path).unwrap().execute_batch(script).unwrap();
        match Store::sqlite(SqliteOptions::new(&path)) {
            Err(Error::Engine(error)) => assert!(error.to_string().contains(expected), "{script}: {error}"),
            Err(error) => panic!("{script}: {error:?}"),
            Ok(_) => panic!("{script}: it opened"),
        }
    }
}

#[tokio::test]
async fn a_database_older_than_what_was_answered_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    sample(&path).await;
    let old = std::fs::read(&path).unwrap();
    let store = Store::sqlite(SqliteOptions::new(&path)).unwrap();
    store.commit(vec![put("later", 10)]).await.unwrap();
    store.close().await.unwrap();
    let newer = std::fs::read(&path).unwrap();

    // A8: the whole file is from before, and consistent in itself.
    std::fs::write(&path, &old).unwrap();
    let Err(Error::Engine(error)) = Store::sqlite(SqliteOptions::new(&path)) else { panic!("it opened") };
    assert_eq!(error.to_string(), "history went back: the newest revision is 20, and 21 was answered");

    // The same number of revisions, but another history.
    let head = file::beside(&path, ".head");
    let told = std::fs::read(&head).unwrap();
    std::fs::remove_file(&head).unwrap();
    let store = Store::sqlite(SqliteOptions::new(&path)).unwrap();
    store.commit(vec![put("another", 10)]).await.unwrap();
    store.close().await.unwrap();
    std::fs::write(&head, &told).unwrap();
    let Err(Error::Engine(error)) = Store::sqlite(SqliteOptions::new(&path)) else { panic!("it opened") };
    assert_eq!(error.to_string(), "history went back: revision 21 is not the one that was answered");

    // A side file that was cut or damaged proves nothing.
    std::fs::write(&path, &newer).unwrap();
    std::fs::write(&head, &told[..10]).unwrap();
    Store::sqlite(SqliteOptions::new(&path)).unwrap().close().await.unwrap();
    assert_eq!(std::fs::read(&head).unwrap().len(), told.len());
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_goes_on_reading() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(directory.path().join("otternauts.db"));
    let lock = file::lock(&options.path).unwrap();
    let connection = file::open(&options.path).unwrap();
    connection.pragma_update_and_check(None, "max_page_count", 64, |_| Ok(())).unwrap();
    let (visible, engine) = Sqlite::start(options, lock, connection).unwrap();
    let (visible, engine) = (visible, std::sync::Arc::new(engine));
    let mut written = 0;
    let refused = loop {
        match engine.commit(vec![put(&format!("o{written}"), 20_000)]).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100);
    };
    assert!(matches!(refused, Error::Full), "{refused:?}");
    assert_eq!(visible.revision(), written);
    assert!(written > 3);
    // A smaller write still fits, at the next revision: nothing of the refused one is left.
    let done = engine.commit(vec![put("small", 10)]).await.unwrap();
    assert_eq!(done.revision, written + 1);
    let mut seen = 0;
    let places: Vec<Place> = (1..=written + 1).map(|revision| Place::new(revision, 0)).collect();
    engine.rows(&visible, Statement::List, &places, &mut |_, _| seen += 1).unwrap();
    assert_eq!(seen, written + 1);
    engine.close().await.unwrap();
}

/// P7: a thousand watchers that catch up are a thousand readers of a few rows each, again and again.
#[tokio::test]
async fn watchers_that_catch_up_leave_the_connection_of_short_reads_alone() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(directory.path().join("otternauts.db"));
    let lock = file::lock(&options.path).unwrap();
    let connection = file::open(&options.path).unwrap();
    let (visible, engine) = Sqlite::start(options, lock, connection).unwrap();
    let engine = Arc::new(engine);
    engine.commit(vec![put("o", 10)]).await.unwrap();
    let (told, caught_up) = std::sync::mpsc::channel();
    let reader = engine.clone();
    let seen = engine.pool.short(|_| {
        std::thread::spawn(move || {
            let mut seen = 0;
            reader.rows(&visible, Statement::History, &[Place::new(1, 0)], &mut |_, _| seen += 1).unwrap();
            told.send(seen).unwrap();
        });
        Ok(caught_up.recv_timeout(Duration::from_secs(20)))
    });
    assert_eq!(seen.unwrap(), Ok(1));
    engine.close().await.unwrap();
}

#[tokio::test]
async fn the_write_ahead_log_stays_small_and_compacted_space_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let ticks = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let time = ticks.clone();
    let clock: Clock = Arc::new(move || Duration::from_secs(time.load(std::sync::atomic::Ordering::Relaxed)));
    let retention = Retention { age: Duration::from_secs(2), bytes: 1 << 30, revisions: 10 };
    let options = SqliteOptions { retention, clock, ..SqliteOptions::new(&path) };
    let store = Store::sqlite(options).unwrap();
    // 160 MB in all, 8 MB of it alive at any time.
    for _ in 0..20 {
        ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let writes = (0..80).map(|number| put(&format!("o{number}"), 100_000)).collect();
        store.commit(writes).await.unwrap();
        for number in 0..5 {
            store.commit(vec![put(&format!("o{number}"), 10)]).await.unwrap();
        }
    }
    let size = |suffix: &str| std::fs::metadata(file::beside(&path, suffix)).map_or(0, |file| file.len()) >> 20;
    assert!(size("-wal") <= 40, "the WAL has {} MiB", size("-wal"));
    assert!(size("") <= 60, "the database has {} MiB", size(""));
    assert!(store.oldest() > 80, "{}", store.oldest());
    store.close().await.unwrap();
    assert_eq!(size("-wal"), 0);
    let store = Store::sqlite(SqliteOptions::new(&path)).unwrap();
    assert_eq!((store.revision(), store.counts()[0].1), (120, 80));
}

/// The variable that makes [`victim`] do its work.
const VICTIM: &str = "OTTERNAUTS_TEST_STORE_VICTIM";

type Answers = std::collections::BTreeMap<String, u64>;

/// Runs [`victim`] in a process of its own through a line of shell, notes every answer it says, and kills it after so many.
fn run_victim(path: &Path, shell: &str, kill_after: usize, answers: &mut Answers) -> std::process::ExitStatus {
    let mut victim = std::process::Command::new("sh")
        .args(["-c", shell])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "engine::sqlite::tests::victim"])
        .env(VICTIM, path)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(victim.stdout.take().unwrap()).lines();
    for (number, line) in lines.map_while(std::result::Result::ok).enumerate() {
        if let Some((name, revision)) = line.strip_prefix("ack ").and_then(|ack| ack.split_once(' ')) {
            answers.insert(name.to_owned(), revision.parse().unwrap());
        }
        if number == kill_after {
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap()
}

/// Every answered write is there, at its revision.
async fn check_answers(path: &Path, answers: &Answers) {
    let store = Store::sqlite(SqliteOptions::new(path)).unwrap();
    assert!(store.revision() >= *answers.values().max().unwrap());
    for (name, revision) in answers {
        let stored = store.get(&key(name)).await.unwrap();
        assert_eq!(stored.map(|record| record.revision), Some(*revision), "{name}");
    }
    store.close().await.unwrap();
}

/// A1: in the middle of its work, five times on one file.
#[tokio::test]
async fn no_answered_write_is_lost_when_the_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let mut answers = Answers::new();
    for round in 0..5 {
        run_victim(&path, "exec \"$0\" \"$@\"", 50 + 137 * round, &mut answers);
        assert!(answers.len() >= 40 * (round + 1));
        check_answers(&path, &answers).await;
    }
}

/// R4, P25: beyond the size limit every write fails with EFBIG, for SQLite an I/O error.
#[tokio::test]
async fn an_io_error_stops_the_process_at_once_and_loses_no_answered_write() {
    use std::os::unix::process::ExitStatusExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let mut answers = Answers::new();
    let shell = "trap '' XFSZ; ulimit -c 0; ulimit -f 4000; exec \"$0\" \"$@\"";
    let status = run_victim(&path, shell, usize::MAX, &mut answers);
    const SIGABRT: i32 = 6;
    assert_eq!(status.signal(), Some(SIGABRT), "{status:?} after {} answers", answers.len());
    assert!(answers.len() > 100);
    check_answers(&path, &answers).await;
}

/// Not a test: sixteen writers that say each answer in one line, until somebody stops the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    if let Ok(path) = std::env::var(VICTIM) {
        write_until_killed(&path).await;
    }
}

async fn write_until_killed(path: &str) {
    use std::io::Write;
    let store = Store::sqlite(SqliteOptions::new(path)).unwrap();
    let start = store.revision();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..16 {
        let store = store.clone();
        tasks.spawn(async move {
            for number in 0..1_000_000 {
                let name = format!("o{start}-{writer}-{number}");
                let done = store.commit(vec![put(&name, 2000)]).await.unwrap();
                let line = format!("ack {name} {}\n", done.revision);
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn an_imported_database_has_the_same_bytes_and_no_past() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a.db"), directory.path().join("b.db"));
    sample(&from).await;
    let store = Store::sqlite(SqliteOptions::new(&from)).unwrap();
    // Three records of one revision.
    store.commit(vec![put("x", 1), put("y", 2), put("z", 3)]).await.unwrap();
    let page = store.list(everything()).await.unwrap();
    let bumped = page.revision + 1_000_000_000;

    let mut importer = Importer::create(&to).unwrap();
    for record in &page.records {
        importer.put(record).unwrap();
    }
    importer.set_meta("vault", b"kept").unwrap();
    assert!(importer.set_meta(".oldest", b"").is_err());
    importer.finish(bumped, 3).unwrap();
    assert!(!file::beside(&to, "-wal").exists(), "everything is in the one file");

    for _ in 0..2 {
        let store = Store::sqlite(SqliteOptions::new(&to)).unwrap();
        assert_eq!((store.revision(), store.oldest(), store.epoch().await.unwrap()), (bumped, bumped, 3));
        let restored = store.list(everything()).await.unwrap();
        let line = |record: &Record| (record.key.clone(), record.revision, record.body.clone(), record.schema);
        let lines = |records: &[Record]| records.iter().map(line).collect::<Vec<_>>();
        assert_eq!(lines(&restored.records), lines(&page.records));
        assert_eq!(store.meta("vault").await.unwrap().as_deref(), Some(&b"kept"[..]));
        let watched = store.watch(Range::resource(STACKS), page.revision).await;
        assert!(matches!(watched, Err(Error::Compacted { .. })), "whoever held a version lists anew (A14)");
        store.close().await.unwrap();
    }
    let store = Store::sqlite(SqliteOptions::new(&to)).unwrap();
    assert_eq!(store.commit(vec![put("x", 9)]).await.unwrap().revision, bumped + 1);
    store.close().await.unwrap();
    assert!(Store::sqlite(SqliteOptions::new(&to)).is_ok(), "the chain goes on from there");
}

#[test]
fn nothing_is_imported_over_leftovers() {
    // A15.
    for suffix in ["", "-wal", "-shm", "-journal", ".head", ".lock"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("otternauts.db");
        let leftover = file::beside(&path, suffix);
        std::fs::write(&leftover, b"").unwrap();
        let error = Importer::create(&path).err().expect("refused");
        let error = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(error.starts_with(&format!("{} is there already", leftover.display())), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_was_left_says_so_at_every_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otternauts.db");
    let store = Store::sqlite(SqliteOptions::new(&path)).unwrap();
    let at = store.commit(vec![put("a", 1)]).await.unwrap().revision;
    assert_eq!(store.moved().await.unwrap(), None);
    assert!(store.leave(at + 1, "to the moon").await.is_err());
    store.leave(at, "to the moon").await.unwrap();
    store.close().await.unwrap();
    let store = Store::sqlite(SqliteOptions::new(&path)).unwrap();
    assert_eq!(store.moved().await.unwrap().as_deref(), Some("to the moon"));
    assert!(store.metas().await.unwrap().is_empty(), "it does not go along");
    store.close().await.unwrap();
}

/// A machine's snapshot has the side file of its own time.
#[tokio::test]
async fn a_whole_directory_from_before_is_refused_where_the_mark_is_kept_elsewhere_a16() {
    let (machine, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = machine.path().join("otternauts.db");
    let options = |mark: bool| {
        let high_water_mark = mark.then(|| elsewhere.path().join("mark"));
        SqliteOptions { high_water_mark, ..SqliteOptions::new(&path) }
    };
    let live = async |mark: bool, name: &str| {
        let store = Store::sqlite(options(mark))?;
        store.commit(vec![put(name, 10)]).await?;
        store.close().await
    };
    live(true, "before").await.unwrap();
    let snapshot: Vec<_> = std::fs::read_dir(machine.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    live(true, "after").await.unwrap();
    for (path, bytes) in &snapshot {
        std::fs::write(path, bytes).unwrap();
    }
    let refused = live(true, "again").await.unwrap_err();
    let Error::Engine(error) = refused else { panic!("{refused}") };
    assert_eq!(error.to_string(), "history went back: the newest revision is 1, and 2 was answered");
    // Who says so goes on with it, as a command without the mark does.
    live(false, "again").await.unwrap();
}
