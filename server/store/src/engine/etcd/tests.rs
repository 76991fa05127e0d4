//! What only a cluster can show: several replicas, members that die, answers that get lost, limits of etcd itself.

use crate::conformance::factory::{cluster, ended, everything, key, list_of, put, set, take, text};
use crate::engine::Engine;
use crate::engine::etcd::proto::{TxnRequest, delete as delete_key, put as put_key};
use crate::engine::etcd::row::{Head, Keys};
use crate::*;
use otternauts_harness::{Etcd, EtcdTls};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

fn options(endpoints: Vec<String>, prefix: &str) -> EtcdOptions {
    EtcdOptions { endpoints, prefix: prefix.to_owned(), ..EtcdOptions::default() }
}

fn fresh_prefix() -> String {
    format!("/tests/{:016x}", rand::random::<u64>())
}

/// The shared cluster and an empty prefix in it; none where etcd is not installed, which the suite has said.
fn shared() -> Option<EtcdOptions> {
    Some(options(cluster::get()?, &fresh_prefix()))
}

fn engine(store: &Store) -> &super::Etcd {
    match &store.inner.engine {
        Engine::Etcd(engine) => engine,
        _ => panic!("not an etcd store"),
    }
}

/// Leaves a replica deaf: it learns of others' commits only when it asks.
fn deafen(store: &Store) {
    if let Some(follower) = engine(store).follower.lock().take() {
        follower.abort();
    }
}

fn count_of(record: &Record) -> u64 {
    let text = String::from_utf8_lossy(&record.body).into_owned();
    text.split('"').nth(3).and_then(|number| number.parse().ok()).expect("a number")
}

/// Adds one until it was answered `times` that it is done. Answers how many outcomes stayed unknown.
async fn count_up(store: Store, times: u64) -> u64 {
    let counter = key("default", "counter");
    let (mut done, mut unknown) = (0, 0);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(300);
    while done < times {
        assert!(tokio::time::Instant::now() < deadline, "{done} of {times}, {unknown} unknown");
        let now = match store.get(&counter).await {
            Ok(now) => now.expect("it is there"),
            Err(Error::Unavailable(_)) => continue,
            Err(error) => panic!("{error:?}"),
        };
        let next = put(&counter, Precondition::At(now.revision), &(count_of(&now) + 1).to_string());
        match store.commit(vec![next]).await {
            Ok(_) => done += 1,
            Err(Error::Unknown(_)) => unknown += 1,
            Err(Error::Conflict { .. } | Error::Unavailable(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    unknown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_answered_the_other_reads_at_once_and_watches() {
    let Some(options) = shared() else { return };
    let (one, two) = (Store::etcd(options.clone()).unwrap(), Store::etcd(options).unwrap());
    let mut watcher = two.watch(everything(), 0).await.unwrap();
    for round in 0..50 {
        let name = format!("o{}", round % 5);
        let (writer, reader) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let revision = set(writer, &key("default", &name), &format!("round {round}")).await;
        assert_eq!(revision, round + 1, "one counter for both, without gaps");
        // P8, in both ways of reading.
        let seen = reader.get(&key("default", &name)).await.unwrap().unwrap();
        assert_eq!(seen.body, text(&format!("round {round}"), revision));
        assert_eq!(reader.list(list_of(everything())).await.unwrap().revision, revision);
    }
    let events = take(&mut watcher, 50).await;
    assert_eq!(events.iter().map(|event| event.revision).collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());
    assert!(events.iter().skip(5).all(|event| event.previous.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_race_lose_no_increment() {
    let Some(options) = shared() else { return };
    let stores: Vec<Store> = (0..3).map(|_| Store::etcd(options.clone()).unwrap()).collect();
    set(&stores[0], &key("default", "counter"), "0").await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..6 {
        tasks.spawn(count_up(stores[number % 3].clone(), 20));
    }
    assert_eq!(tasks.join_all().await.iter().sum::<u64>(), 0, "no outcome was unknown");
    for store in &stores {
        let last = store.get(&key("default", "counter")).await.unwrap().unwrap();
        assert_eq!(last.body, text("120", 121));
    }
}

#[tokio::test]
async fn of_replicas_that_start_at_once_all_get_the_same_small_value() {
    let Some(options) = shared() else { return };
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..4 {
        let options = options.clone();
        tasks.spawn_blocking(move || (number, Store::etcd(options).unwrap()));
    }
    let mut found = Vec::new();
    for (number, store) in tasks.join_all().await {
        found.push(store.claim_meta("key", format!("made by {number}").into()).await.unwrap());
    }
    assert!(found.windows(2).all(|two| two[0] == two[1]), "{found:?}");
}

#[tokio::test]
async fn a_replica_that_slept_through_a_compaction_starts_over_and_tells_its_watchers() {
    let Some(options) = shared() else { return };
    let now = Arc::new(AtomicU64::new(0));
    let clock: Clock = {
        let now = now.clone();
        Arc::new(move || Duration::from_secs(now.load(Ordering::SeqCst)))
    };
    let retention = Retention { age: Duration::from_millis(1), bytes: 1 << 30, revisions: 5 };
    let awake = Store::etcd(EtcdOptions { retention, clock: clock.clone(), ..options.clone() }).unwrap();
    let asleep = Store::etcd(options).unwrap();
    set(&awake, &key("default", "first"), "first").await;
    assert!(asleep.get(&key("default", "first")).await.unwrap().is_some());
    deafen(&asleep);
    let mut watcher = asleep.watch(everything(), 1).await.unwrap();
    for round in 0..40 {
        now.fetch_add(1, Ordering::SeqCst);
        set(&awake, &key("default", &format!("o{}", round % 4)), &format!("round {round}")).await;
    }
    awake.set_meta("settle", bytes::Bytes::new()).await.unwrap();
    assert!(awake.oldest() > 30, "{}", awake.oldest());
    assert_eq!(asleep.revision(), 1, "it sleeps");
    let page = asleep.list(list_of(everything())).await.unwrap();
    assert_eq!((page.revision, page.records.len()), (41, 5));
    assert_eq!(asleep.oldest(), awake.oldest());
    assert!(matches!(ended(&mut watcher).await, Error::Compacted { asked: 1, .. }));
    // Who starts over goes on like everybody.
    let mut watcher = asleep.watch(everything(), 41).await.unwrap();
    set(&asleep, &key("default", "o1"), "again").await;
    let event = take(&mut watcher, 1).await.remove(0);
    assert_eq!((event.revision, event.previous.as_ref().map(|was| was.revision)), (42, Some(39)));
}

#[tokio::test]
async fn a_transaction_larger_than_etcd_takes_is_refused_in_etcds_words() {
    if !Etcd::is_installed() {
        return otternauts_harness::skip::skip("etcd's own limits", "etcd is not installed");
    }
    let etcd = Etcd::start(1, &[]);
    let store = Store::etcd(options(etcd.endpoints(), "/limits")).unwrap();
    let many = (0..200).map(|n| put(&key("default", &format!("o{n}")), Precondition::None, "x")).collect();
    let error = store.commit(many).await.unwrap_err();
    assert!(matches!(&error, Error::TooLarge(why) if why == "etcd: too many operations in txn request"), "{error:?}");
    for size in [1_600_000, 3_000_000] {
        let large = put(&key("default", "large"), Precondition::None, &"x".repeat(size));
        let error = store.commit(vec![large]).await.unwrap_err();
        assert!(matches!(&error, Error::TooLarge(why) if why == "etcd: request is too large"), "{error:?}");
    }
    assert_eq!(set(&store, &key("default", "fine"), "fine").await, 1);
    // Many small ones at once make several transactions of etcd, none too large.
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..300 {
        let (store, key) = (store.clone(), key("default", &format!("o{number}")));
        tasks.spawn(async move { set(&store, &key, &"x".repeat(20_000)).await });
    }
    let mut revisions = tasks.join_all().await;
    revisions.sort_unstable();
    assert_eq!(revisions, (2..=301).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_history_that_went_back_is_refused_for_good() {
    let Some(options) = shared() else { return };
    let store = Store::etcd(options.clone()).unwrap();
    for round in 0..5 {
        set(&store, &key("default", "web"), &format!("round {round}")).await;
    }
    let forged = [
        (Head { revision: 3, oldest: 0, nonce: 1 }, "history went back: etcd is at revision 3, and 5 was seen here"),
        (Head { revision: 5, oldest: 0, nonce: 1 }, "history went back: revision 5 in etcd is not the one"),
        (Head { revision: 9, oldest: 0, nonce: 1 }, "history went back: revision 6 is missing"),
    ];
    for (head, expected) in forged {
        let keys = Keys::under(&options.prefix);
        let request = TxnRequest { success: vec![put_key(keys.head, head.encode())], ..TxnRequest::default() };
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        engine(&store).view.client.txn(&request, deadline).await.unwrap();
        let write = put(&key("default", "web"), Precondition::None, "lost");
        for error in [store.list(list_of(everything())).await.map(drop), store.commit(vec![write]).await.map(drop)] {
            let error = error.unwrap_err();
            let text = format!("{error}: {}", super::view::cause(&error));
            assert!(text.contains(expected), "{text}");
        }
        assert_eq!(store.revision(), 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_went_back_and_grew_past_what_was_seen_is_not_joined() {
    let Some(options) = shared() else { return };
    let store = Store::etcd(options.clone()).unwrap();
    let seen = |name: &str| key("default", name);
    for round in 0..10 {
        set(&store, &seen(&format!("old{round}")), "of the first history").await;
    }
    let view = engine(&store).view.clone();
    // As etcd's operator leaves it who restores a backup: the newest rows are gone.
    let restored = async move {
        let at = |revision| crate::log::Place::new(revision, 0);
        let kept = view.rows(&[at(7)]).await?.remove(0);
        let head = Head { revision: 7, oldest: 0, nonce: kept.nonce };
        let mut success = vec![put_key(view.keys.head.clone(), head.encode())];
        success.extend((8..=10).map(|revision| delete_key(view.keys.row(at(revision)))));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        let request = TxnRequest { success, ..TxnRequest::default() };
        view.client.txn(&request, deadline).await.map(drop).map_err(|trouble| trouble.of_write())
    };
    engine(&store).spawn(restored).await.unwrap();
    let other = Store::etcd(options).unwrap();
    for round in 0..5 {
        set(&other, &seen(&format!("new{round}")), "of the second history").await;
    }
    assert_eq!(other.revision(), 12);
    for result in [store.get(&seen("old9")).await.map(drop), store.list(list_of(everything())).await.map(drop)] {
        let error = result.unwrap_err();
        let text = format!("{error}: {}", super::view::cause(&error));
        assert!(text.contains("history went back: revision 10 in etcd is not the one"), "{text}");
    }
    assert_eq!(store.revision(), 10);
    // Nothing is left that says so: then it begins anew, and what it had read of the first history is in no place of the second.
    let mut watcher = store.watch(everything(), 10).await.unwrap();
    set(&other, &seen("new2"), "of the second history").await;
    other.forget(13).await.unwrap();
    for (name, revision) in [("new0", 8), ("new1", 9), ("new2", 13), ("new3", 11), ("new4", 12)] {
        let found = store.get(&seen(name)).await.unwrap().unwrap();
        assert_eq!(found.body, text("of the second history", revision), "{name}");
    }
    assert!(store.get(&seen("old9")).await.unwrap().is_none());
    assert!(matches!(ended(&mut watcher).await, Error::Compacted { asked: 10, .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_when_the_leading_member_is_killed_and_stop_with_a_reason_when_two_are() {
    if !Etcd::is_installed() {
        return otternauts_harness::skip::skip("members that are killed", "etcd is not installed");
    }
    let mut etcd = Etcd::start(3, &[]);
    let store = Store::etcd(options(etcd.endpoints(), "/members")).unwrap();
    let counter = key("default", "counter");
    set(&store, &counter, "0").await;
    let first = etcd.leader();
    let counting = tokio::spawn(count_up(store.clone(), 400));
    etcd.kill(first);
    let unknown = counting.await.unwrap();
    let last = count_of(&store.get(&counter).await.unwrap().unwrap());
    assert!((400..=400 + unknown).contains(&last), "{last} counted, 400 answered, {unknown} unknown");

    let second = etcd.leader();
    etcd.kill(second);
    let revision = store.revision();
    let error = store.list(list_of(everything())).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(why) if why.starts_with("etcd: ")), "{error:?}");
    let error = store.commit(vec![put(&counter, Precondition::None, "lost")]).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_) | Error::Unknown(_)), "{error:?}");
    // What was seen can still be read by who asks for no more.
    assert_eq!(store.list_seen(list_of(everything())).await.unwrap().revision, revision);
    assert_eq!(count_of(&store.get_seen(&counter).await.unwrap().unwrap()), last);

    etcd.boot(first);
    etcd.boot(second);
    etcd.await_ready();
    let mut watcher = store.watch(everything(), store.revision()).await.unwrap();
    set(&store, &counter, "again").await;
    take(&mut watcher, 1).await;
}

/// A proxy before one member. `answers` brings what the member says to the client; when it ends, so does the connection.
async fn proxy<F: Future<Output = ()> + Send + 'static>(
    target: String,
    answers: impl Fn(OwnedReadHalf, OwnedWriteHalf) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(target.trim_start_matches("http://")).await.unwrap();
            let ((mut from_client, to_client), (from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            let answers = answers(from_server, to_client);
            tokio::spawn(async move {
                let up = tokio::spawn(async move {
                    let _ended = tokio::io::copy(&mut from_client, &mut to_server).await;
                });
                answers.await;
                up.abort();
            });
        }
    });
    address
}

/// Breaks each connection after so many answers, so that some answers to commits never arrive.
async fn cutting_proxy(target: String, cut: Arc<AtomicUsize>) -> String {
    let answers = move |mut from_server: OwnedReadHalf, mut to_client: OwnedWriteHalf| {
        let cut = cut.clone();
        async move {
            let mut bytes = vec![0; 16 << 10];
            let life = rand::random::<u32>() % 40;
            for _ in 0..life {
                let Ok(count @ 1..) = from_server.read(&mut bytes).await else { break };
                if to_client.write_all(&bytes[..count]).await.is_err() {
                    break;
                }
            }
            // The next answer is on its way, and never gets there.
            let _answer = from_server.read(&mut bytes).await;
            cut.fetch_add(1, Ordering::SeqCst);
        }
    };
    proxy(target, answers).await
}

/// Opens a store whose runtime is not this test's.
async fn opened(endpoint: String, prefix: &str) -> Store {
    let options = options(vec![endpoint], prefix);
    tokio::task::spawn_blocking(move || Store::etcd(options).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_got_lost_is_neither_lost_nor_done_twice() {
    let Some(shared) = shared() else { return };
    let cut = Arc::new(AtomicUsize::new(0));
    let proxy = cutting_proxy(shared.endpoints[0].clone(), cut.clone()).await;
    let (flaky, other) = (opened(proxy, &shared.prefix).await, Store::etcd(shared).unwrap());
    set(&other, &key("default", "counter"), "0").await;
    let both = [tokio::spawn(count_up(flaky.clone(), 60)), tokio::spawn(count_up(other.clone(), 60))];
    let mut unknown = 0;
    for counting in both {
        unknown += counting.await.unwrap();
    }
    let last = other.get(&key("default", "counter")).await.unwrap().unwrap();
    assert_eq!(unknown, 0, "each outcome was found out");
    assert_eq!(count_of(&last), 120);
    assert!(cut.load(Ordering::SeqCst) > 5, "connections were cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_refused_after_one_whose_answer_got_lost_is_not_said_to_be_undone() {
    if !Etcd::is_installed() {
        return otternauts_harness::skip::skip("a full etcd", "etcd is not installed");
    }
    let etcd = Etcd::start(1, &["--quota-backend-bytes=8388608"]);
    let mute = Arc::new(AtomicBool::new(false));
    let silent = mute.clone();
    let answers = move |mut from_server: OwnedReadHalf, mut to_client: OwnedWriteHalf| {
        let silent = silent.clone();
        async move {
            let mut bytes = vec![0; 16 << 10];
            while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                if !silent.load(Ordering::SeqCst) && to_client.write_all(&bytes[..count]).await.is_err() {
                    break;
                }
            }
        }
    };
    let store = opened(proxy(etcd.endpoint(0), answers).await, "/full").await;
    let other = opened(etcd.endpoint(0), "/full").await;
    let wanted = key("default", "wanted");
    mute.store(true, Ordering::SeqCst);
    let commit = tokio::spawn({
        let (store, write) = (store.clone(), put(&wanted, Precondition::None, "done"));
        async move { store.commit(vec![write]).await }
    });
    while other.get(&wanted).await.unwrap().is_none() {
        assert!(!commit.is_finished(), "it was carried out, and nobody was told");
    }
    let filler = "x".repeat(1_000_000);
    let full = loop {
        match other.commit(vec![put(&key("default", "filler"), Precondition::None, &filler)]).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(&full, Error::Unavailable(why) if why.contains("space exceeded")), "{full:?}");
    mute.store(false, Ordering::SeqCst);
    let error = commit.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Unknown(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_too_large_for_a_usual_page_are_read_in_smaller_ones() {
    let Some(shared) = shared() else { return };
    let other = Store::etcd(shared.clone()).unwrap();
    let large = "x".repeat(100_000);
    let write = async |names: std::ops::Range<u32>| {
        for name in names {
            set(&other, &key("default", &format!("o{name}")), &large).await;
        }
    };
    write(0..40).await;
    // A line that brings no more than ten of them in the time that an answer has.
    let answers = |from_server: OwnedReadHalf, mut to_client: OwnedWriteHalf| async move {
        let _ended = tokio::io::copy(&mut from_server.take(1_000_000), &mut to_client).await;
    };
    let narrow = proxy(shared.endpoints[0].clone(), answers).await;
    let store = opened(narrow, &shared.prefix).await;
    assert_eq!(store.revision(), 40);
    deafen(&store);
    write(40..80).await;
    // Nobody reads what may be old meanwhile; each time less is asked for.
    for _ in 0..10 {
        match store.get(&key("default", "o79")).await {
            Ok(found) => {
                assert_eq!(found.unwrap().body, text(&large, 80));
                break;
            }
            Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error:?}"),
        }
    }
    assert_eq!(store.revision(), 80);
}

#[tokio::test]
async fn over_tls_both_sides_show_certificates_and_neither_takes_anothers() {
    if !Etcd::is_installed() {
        return otternauts_harness::skip::skip("etcd over TLS", "etcd is not installed");
    }
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ours, theirs) = (EtcdTls::make(dir.path()), EtcdTls::make(other.path()));
    let etcd = Etcd::start_with(1, &[], Some(ours.clone()));
    let with = |ca: &EtcdTls, client: Option<&EtcdTls>| EtcdOptions {
        ca_file: Some(ca.ca.clone()),
        certificate_file: client.map(|client| client.certificate.clone()),
        key_file: client.map(|client| client.key.clone()),
        ..options(etcd.endpoints(), "/tls")
    };
    let store = Store::etcd(with(&ours, Some(&ours))).unwrap();
    assert_eq!(set(&store, &key("default", "web"), "sealed on its way").await, 1);
    let half = EtcdOptions { key_file: None, ..with(&ours, Some(&ours)) };
    assert!(matches!(Store::etcd(half), Err(Error::Engine(error)) if error.to_string().contains("needs its key")));
    for wrong in [with(&theirs, Some(&ours)), with(&ours, Some(&theirs)), with(&ours, None)] {
        let opened = tokio::task::spawn_blocking(move || Store::etcd(wrong).map(drop)).await.unwrap();
        assert!(matches!(&opened, Err(Error::Unavailable(why)) if why.starts_with("etcd: ")), "{opened:?}");
    }
}

#[test]
fn endpoints_and_certificates_that_cannot_be_used_are_said_to_be() {
    let missing = std::path::PathBuf::from("/nonexistent/ca.crt");
    let cases = [
        (options(vec!["127.0.0.1:2379".to_owned()], "/x"), "\"127.0.0.1:2379\" is not an endpoint"),
        (options(vec!["ftp://a:1".to_owned()], "/x"), "\"ftp://a:1\" is not an endpoint"),
        (options(Vec::new(), "/x"), "is not an endpoint"),
        (options(vec!["https://127.0.0.1:1".to_owned()], "/x"), "need the certificate of their authority"),
        (EtcdOptions { ca_file: Some(missing), ..EtcdOptions::default() }, "cannot use /nonexistent/ca.crt"),
    ];
    for (options, expected) in cases {
        let Err(Error::Engine(error)) = Store::etcd(options) else { panic!("it opened: {expected}") };
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_under_a_value_that_changed_is_not_committed_and_who_reads_knows_the_new_one_first_r28() {
    let Some(options) = shared() else { return };
    let (one, two) = (Store::etcd(options.clone()).unwrap(), Store::etcd(options).unwrap());
    one.set_meta("keys", "first".into()).await.unwrap();
    let told: Arc<parking_lot::Mutex<Vec<String>>> = Arc::default();
    let listen = |may: bool| -> Arc<dyn Fn(bytes::Bytes) -> bool + Send + Sync> {
        let told = told.clone();
        Arc::new(move |value| {
            told.lock().push(String::from_utf8_lossy(&value).into_owned());
            may || value == "first"
        })
    };
    one.follow("keys", Arc::new(|_| true)).await.unwrap();
    two.follow("keys", listen(true)).await.unwrap();
    deafen(&two);
    set(&two, &key("default", "a"), "1").await;
    assert!(one.replace_meta("keys", &"first".into(), "second".into()).await.unwrap());
    assert!(
        !two.replace_meta("keys", &"first".into(), "mine".into()).await.unwrap(),
        "of two that change it, one does"
    );

    let late = two.commit(vec![put(&key("default", "a"), Precondition::None, "2")]).await;
    assert!(matches!(late, Err(Error::Outdated)), "{late:?}");
    assert_eq!(*told.lock(), ["first", "second"]);
    let revision = set(&two, &key("default", "a"), "3").await;
    assert_eq!(revision, 2, "what was refused took no revision");

    // One's own change counts for oneself too, and a row is never seen before the value it was written under.
    deafen(&one);
    assert!(one.replace_meta("keys", &"second".into(), "third".into()).await.unwrap());
    let own = one.commit(vec![put(&key("default", "a"), Precondition::None, "4")]).await;
    assert!(matches!(own, Err(Error::Outdated)), "{own:?}");
    set(&one, &key("default", "a"), "5").await;
    assert_eq!(two.get(&key("default", "a")).await.unwrap().unwrap().body, text("5", 3));
    assert_eq!(*told.lock(), ["first", "second", "third"]);

    // Who cannot use a value commits nothing more.
    let three = engine(&two);
    three.follow("keys", listen(false)).await.unwrap();
    let refused = two.commit(vec![put(&key("default", "a"), Precondition::None, "6")]).await;
    // On a busy machine the last of its attempts may get no answer in the time that is left.
    assert!(matches!(refused, Err(Error::Unavailable(_) | Error::Unknown(_))), "{refused:?}");
    assert_eq!(one.get(&key("default", "a")).await.unwrap().unwrap().body, text("5", 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgetting_takes_what_another_replica_left_behind_p14() {
    let Some(options) = shared() else { return };
    let store = Store::etcd(options.clone()).unwrap();
    for round in 0..5 {
        set(&store, &key("default", "a"), &format!("round {round}")).await;
    }
    store.forget(3).await.unwrap();
    // As a replica leaves it that was killed between the head and the deletions.
    let keys = Keys::under(&options.prefix);
    let row = crate::log::Row {
        place: crate::log::Place::new(2, 0),
        key: key("default", "a"),
        kind: EventKind::Updated,
        schema: 7,
        previous: crate::log::Place::new(1, 0),
        body: "an old secret".into(),
    };
    let left = put_key(keys.row(row.place), crate::engine::etcd::row::encode(&row, 1));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let planted = TxnRequest { success: vec![left], ..TxnRequest::default() };
    let view = engine(&store).view.clone();
    engine(&store)
        .spawn(async move { view.client.txn(&planted, deadline).await.map_err(|trouble| trouble.of_write()) })
        .await
        .unwrap();
    store.forget(store.revision()).await.unwrap();
    let view = engine(&store).view.clone();
    let places: Vec<_> = (1..=5).map(|revision| crate::log::Place::new(revision, 0)).collect();
    let rows = engine(&store).spawn(async move { view.rows(&places).await }).await.unwrap();
    assert_eq!(rows.len(), 1, "only the newest is left");
}
