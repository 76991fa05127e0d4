//! History on demand: forgotten at once, held a while, looked through.

use super::factory::*;
use crate::*;
use bytes::Bytes;
use std::sync::{Arc, Mutex};

/// The texts of every row the log has of the tests' resource.
async fn scanned(store: &Store) -> Vec<String> {
    let found: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = found.clone();
    let visit = move |_: &Key, _, body: &[u8]| sink.lock().unwrap().push(String::from_utf8_lossy(body).into_owned());
    store.scan(STACKS, visit).await.unwrap();
    let mut found = found.lock().unwrap().clone();
    found.sort();
    found
}

#[tokio::test]
async fn forgotten_history_is_gone_from_the_log_and_newer_history_is_not() {
    for lab in Lab::all() {
        let store = lab.open();
        let (a, b) = (key("ns", "a"), key("ns", "b"));
        let first = set(&store, &a, "a1").await;
        set(&store, &a, "a2").await;
        set(&store, &b, "b1").await;
        let gone = remove(&store, &b, "b2").await;
        assert_eq!(scanned(&store).await.len(), 4, "what was replaced and what was deleted is there");
        store.forget(gone).await.unwrap();
        let last = set(&store, &a, "a3").await;
        let rows = scanned(&store).await;
        assert_eq!(rows, [text("a2", first + 1), text("a3", last)], "of the past only what newer history needs");
        assert!(store.oldest() >= gone);
        let watched = store.watch(everything(), first).await;
        assert!(matches!(watched, Err(Error::Compacted { .. })), "a version from before is told at once (P6)");
        let mut watcher = store.watch(everything(), gone).await.unwrap();
        assert_eq!(events(&mut watcher).await[0].revision, last);
        // More than there is: everything up to now.
        store.forget(Revision::MAX).await.unwrap();
        assert_eq!(scanned(&store).await, [text("a3", last)]);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_history_after_the_forgotten_replaced_is_still_the_state_before() {
    for lab in Lab::all() {
        let store = lab.open();
        let (a, b) = (key("ns", "a"), key("ns", "b"));
        let first = set(&store, &a, "a1").await;
        set(&store, &a, "a2").await;
        let upto = set(&store, &b, "b1").await;
        set(&store, &a, "a3").await;
        let gone = remove(&store, &b, "b2").await;
        store.forget(upto).await.unwrap();
        assert_eq!(store.oldest(), upto);
        let before = [text("a2", first + 1), text("b1", upto)];
        let page = store.list(List { at: Some(upto), ..list_of(everything()) }).await.unwrap();
        assert_eq!(page.records.into_iter().map(|record| record.body).collect::<Vec<_>>(), before);
        let mut watcher = store.watch(everything(), upto).await.unwrap();
        let told = take(&mut watcher, 2).await;
        let told: Vec<Bytes> = told.iter().filter_map(|event| Some(event.previous.as_ref()?.body.clone())).collect();
        assert_eq!(told, before);
        let rows = [&before[0], &text("a3", upto + 1), &before[1], &text("b2", gone)].map(String::clone);
        assert_eq!(scanned(&store).await, rows, "and nothing that nobody needs");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_held_revision_stays_listable_until_it_is_let_go() {
    for lab in Lab::all() {
        let lab = lab.keeping(2);
        let store = lab.open();
        for number in 0..10 {
            set(&store, &key("ns", &format!("o{number}")), "before").await;
        }
        let hold = store.hold().await.unwrap();
        for round in 0..20 {
            lab.pass(std::time::Duration::from_secs(2));
            set(&store, &key("ns", &format!("o{}", round % 10)), "after").await;
        }
        let page = store.list(List { at: Some(hold.revision), ..list_of(everything()) }).await.unwrap();
        assert_eq!(page.records.len(), 10);
        assert!(page.records.iter().all(|record| record.body.starts_with(b"{\"text\":\"before\"")));
        let held = hold.revision;
        drop(hold);
        // Compaction goes on with the next commits, step by step.
        for _ in 0..50 {
            lab.pass(std::time::Duration::from_secs(2));
            set(&store, &key("ns", "o1"), "later").await;
        }
        assert!(store.oldest() > held, "{} after {held}", store.oldest());
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn all_small_values_are_named_but_the_engines_own() {
    for lab in Lab::all() {
        let store = lab.open();
        set(&store, &key("ns", "a"), "a1").await;
        store.set_meta("one", Bytes::from_static(b"1")).await.unwrap();
        store.set_meta("two", Bytes::from_static(b"2")).await.unwrap();
        store.forget(Revision::MAX).await.unwrap();
        let metas = store.metas().await.unwrap();
        assert_eq!(metas, [("one".into(), Bytes::from_static(b"1")), ("two".into(), Bytes::from_static(b"2"))]);
        assert_eq!(store.epoch().await.unwrap(), 0);
        store.close().await.unwrap();
    }
}
