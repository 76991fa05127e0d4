//! Commits: compare and set, atomicity, one revision each, durability.

use super::factory::*;
use crate::*;
use bytes::Bytes;
use std::time::Duration;

#[tokio::test]
async fn a_write_is_stored_as_it_will_be_served_with_its_revision_inside() {
    for lab in Lab::all() {
        let store = lab.open();
        let web = key("default", "web");
        let done = store.commit(vec![put(&web, Precondition::Absent, "one")]).await.unwrap();
        assert_eq!((done.revision, store.revision()), (1, 1));
        let stored = store.get(&web).await.unwrap().unwrap();
        assert_eq!(stored.body, text("one", 1));
        assert_eq!(done.records[0].body, stored.body);
        assert_eq!((stored.revision, stored.schema), (1, 7));
        assert_eq!(store.get(&key("default", "other")).await.unwrap().map(|record| record.revision), None);
    }
}

#[tokio::test]
async fn preconditions_are_checked_and_a_refused_write_changes_nothing() {
    use Precondition::*;
    // (what is there, precondition, deletion?, accepted?)
    let cases = [
        (false, Absent, false, true),
        (true, Absent, false, false),
        (false, Exists, false, false),
        (true, Exists, false, true),
        (true, At(1), false, true),
        (true, At(2), false, false),
        (false, At(1), false, false),
        (false, At(0), false, false),
        (false, None, false, true),
        (true, None, false, true),
        (true, At(1), true, true),
        (true, At(9), true, false),
        (false, None, true, false),
        (false, Exists, true, false),
        (true, None, true, true),
    ];
    for lab_kind in Lab::kinds() {
        for (there, precondition, deletion, accepted) in cases {
            let lab = Lab::of(lab_kind);
            let store = lab.open();
            let web = key("default", "web");
            if there {
                set(&store, &web, "first").await;
            }
            let before = store.revision();
            let write = match deletion {
                true => delete(&web, precondition, "last"),
                false => put(&web, precondition, "second"),
            };
            let case = format!("{lab_kind} there={there} {precondition:?} deletion={deletion}");
            match store.commit(vec![write]).await {
                Ok(done) => {
                    assert!(accepted, "{case}");
                    assert_eq!(done.revision, before + 1, "{case}");
                }
                Err(Error::Conflict { key, current }) => {
                    assert!(!accepted, "{case}");
                    assert_eq!((key, current), (web.clone(), there.then_some(1)), "{case}");
                    assert_eq!(store.revision(), before, "{case}");
                }
                Err(error) => panic!("{case}: {error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing_at_one_revision() {
    for lab in Lab::all() {
        let store = lab.open();
        let (a, b) = (key("default", "a"), key("default", "b"));
        set(&store, &a, "a").await;
        let both = vec![put(&b, Precondition::Absent, "b"), put(&a, Precondition::At(99), "a2")];
        assert!(matches!(store.commit(both).await, Err(Error::Conflict { key, current: Some(1) }) if key == a));
        assert!(store.get(&b).await.unwrap().is_none());
        assert_eq!(store.revision(), 1);

        let both = vec![put(&b, Precondition::Absent, "b"), delete(&a, Precondition::At(1), "gone")];
        let done = store.commit(both).await.unwrap();
        assert_eq!(done.revision, 2);
        assert_eq!(done.records.iter().map(|record| record.revision).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(done.records[1].body, text("gone", 2));
        assert!(store.get(&a).await.unwrap().is_none());

        let twice = vec![put(&a, Precondition::None, "1"), put(&a, Precondition::None, "2")];
        assert!(matches!(store.commit(twice).await, Err(Error::Engine(_))));
        assert_eq!(store.commit(Vec::new()).await.unwrap().revision, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_racing_creations_one_wins_and_revisions_have_no_gap() {
    for lab in Lab::all() {
        let store = lab.open();
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..16 {
            let store = store.clone();
            tasks.spawn(async move {
                let mut won = Vec::new();
                for name in 0..40 {
                    let write = put(&key("default", &format!("o{name}")), Precondition::Absent, &task.to_string());
                    match store.commit(vec![write]).await {
                        Ok(done) => won.push(done.revision),
                        Err(Error::Conflict { current: Some(_), .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
                won
            });
        }
        let mut revisions = tasks.join_all().await.concat();
        revisions.sort_unstable();
        assert_eq!(revisions, (1..=40).collect::<Vec<_>>());
        assert_eq!(store.counts(), [(STACKS.into(), 40)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_counters_lose_no_increment() {
    for lab in Lab::all() {
        let store = lab.open();
        let counter = key("default", "counter");
        set(&store, &counter, "0").await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (store, counter) = (store.clone(), counter.clone());
            tasks.spawn(async move {
                let (mut done, deadline) = (0, tokio::time::Instant::now() + Duration::from_secs(300));
                while done < 25 {
                    assert!(tokio::time::Instant::now() < deadline, "{done} of 25");
                    let now = store.get(&counter).await.unwrap().unwrap();
                    let value = number(&now.body);
                    let next = put(&counter, Precondition::At(now.revision), &(value + 1).to_string());
                    done += usize::from(store.commit(vec![next]).await.is_ok());
                }
            });
        }
        tasks.join_all().await;
        let last = store.get(&counter).await.unwrap().unwrap();
        assert_eq!(last.body, text("200", 201));
    }
}

/// Reads the number back out of a test body.
fn number(body: &[u8]) -> u64 {
    let text = std::str::from_utf8(body).unwrap();
    text.split('"').nth(3).unwrap().parse().unwrap()
}

#[tokio::test]
async fn small_values_are_kept_and_take_no_revision() {
    for lab in Lab::all() {
        let store = lab.open();
        assert_eq!(store.meta("key").await.unwrap(), None);
        store.set_meta("key", Bytes::from_static(b"1")).await.unwrap();
        store.set_meta("key", Bytes::from_static(b"2")).await.unwrap();
        assert_eq!(store.meta("key").await.unwrap(), Some(Bytes::from_static(b"2")));
        assert_eq!(store.revision(), 0);
    }
}

#[tokio::test]
async fn a_closed_store_refuses_writes_and_ends_watches() {
    for lab in Lab::all() {
        let store = lab.open();
        set(&store, &key("default", "a"), "a").await;
        let mut watcher = store.watch(everything(), 1).await.unwrap();
        store.close().await.unwrap();
        let write = put(&key("default", "b"), Precondition::None, "b");
        assert!(matches!(store.commit(vec![write]).await, Err(Error::Closed)));
        assert!(matches!(store.set_meta("a", Bytes::new()).await, Err(Error::Closed)));
        assert!(matches!(ended(&mut watcher).await, Error::Closed));
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_opened_again_has_everything_and_goes_on_counting() {
    for (lab, orderly) in Lab::durable().into_iter().zip([true; 9]).chain(Lab::durable().into_iter().zip([false; 9])) {
        let store = lab.open();
        for round in 0..30 {
            set(&store, &key("default", &format!("o{}", round % 7)), &format!("round {round}")).await;
        }
        remove(&store, &key("default", "o3"), "gone").await;
        store.set_meta("id", Bytes::from_static(b"abc")).await.unwrap();
        let before = store.list(list_of(everything())).await.unwrap();
        if orderly {
            store.close().await.unwrap();
        }
        drop(store);

        let store = lab.open();
        assert_eq!((store.revision(), store.oldest()), (31, 0));
        let after = store.list(list_of(everything())).await.unwrap();
        assert_eq!(places(&after.records), places(&before.records));
        assert!(after.records.iter().zip(&before.records).all(|(a, b)| a.body == b.body && a.schema == b.schema));
        assert_eq!(store.meta("id").await.unwrap(), Some(Bytes::from_static(b"abc")));
        assert_eq!(set(&store, &key("default", "o3"), "back").await, 32);
        let mut watcher = store.watch(everything(), 0).await.unwrap();
        let replay = take(&mut watcher, 32).await;
        assert_eq!(replay.iter().map(|event| event.revision).collect::<Vec<_>>(), (1..=32).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_file_that_is_open_cannot_be_opened_again() {
    let lab = Lab::of("sqlite");
    let store = lab.open();
    let again = Store::sqlite(SqliteOptions::new(lab.path()));
    let Err(Error::Engine(error)) = again else { panic!("it opened") };
    assert!(error.to_string().contains("in use"), "{error}");
    drop(store);
    lab.open();
}

#[tokio::test]
async fn a_database_of_somebody_else_or_of_a_newer_version_is_refused() {
    // (what is done to the file, what the refusal says)
    let cases = [
        ("CREATE TABLE theirs (a)", "not a database of ours"),
        ("PRAGMA application_id = 1869901428; PRAGMA user_version = 2; CREATE TABLE log (a)", "layout 2"),
    ];
    for (script, expected) in cases {
        let lab = Lab::of("sqlite");
        rusqlite::Connection::open(lab.path()).unwrap().execute_batch(script).unwrap();
        let Err(Error::Engine(error)) = Store::sqlite(SqliteOptions::new(lab.path())) else { panic!("it opened") };
        assert!(error.to_string().contains(expected), "{error}");
    }
}
