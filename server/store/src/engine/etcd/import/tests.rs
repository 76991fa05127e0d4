//! A prefix that is filled, given free, left behind: with a real cluster.

use crate::conformance::factory::{STACKS, cluster, everything, key, list_of, put, set, text};
use crate::engine::etcd::import::{EtcdImporter, NotEmpty};
use crate::engine::etcd::state::Purpose;
use crate::*;
use std::error::Error as _;

fn options() -> Option<EtcdOptions> {
    let prefix = format!("/imports/{:016x}", rand::random::<u64>());
    Some(EtcdOptions { endpoints: cluster::get()?, prefix, ..EtcdOptions::default() })
}

fn records(count: u64) -> Vec<Record> {
    let record = |number: u64| {
        let name = format!("o{number:04}");
        let body = text(&name, number / 3 + 1).into();
        // Three at each revision, as of one transaction.
        Record { key: key("default", &name), revision: number / 3 + 1, body, schema: 9 }
    };
    (0..count).map(record).collect()
}

fn import(options: &EtcdOptions, records: &[Record], revision: Revision) -> EtcdImporter {
    let mut importer = EtcdImporter::begin(options, "a test").unwrap();
    for record in records {
        importer.put(record).unwrap();
    }
    importer.set_meta("vault", b"kept").unwrap();
    importer.finish(revision, 4).unwrap();
    importer
}

/// The reason below the engine's own words.
fn reason<T>(result: Result<T>) -> String {
    let error = result.err().expect("refused");
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

type Line = (Key, Revision, bytes::Bytes, u64);

fn lines(records: &[Record]) -> Vec<Line> {
    records.iter().map(|r| (r.key.clone(), r.revision, r.body.clone(), r.schema)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_imported_is_served_as_it_was_and_history_starts_there_r44() {
    let Some(options) = options() else { return };
    let records = records(1000);
    let importer = import(&options, &records, 1_000_000_400);
    let before = importer.open().unwrap();
    assert_eq!(lines(&before.list(list_of(everything())).await.unwrap().records), lines(&records));
    before.close().await.unwrap();
    assert!(reason(Store::etcd(options.clone())).contains("a test was not finished"));
    importer.complete().unwrap();

    for _ in 0..2 {
        let store = Store::etcd(options.clone()).unwrap();
        assert_eq!((store.revision(), store.oldest()), (1_000_000_400, 1_000_000_400));
        assert_eq!(store.epoch().await.unwrap(), 4);
        assert_eq!(lines(&store.list(list_of(everything())).await.unwrap().records), lines(&records));
        assert_eq!(store.metas().await.unwrap(), [("vault".to_owned(), "kept".into())], "the engine's own is left out");
        let watched = store.watch(Range::resource(STACKS), 300).await;
        assert!(matches!(watched, Err(Error::Compacted { .. })));
        store.close().await.unwrap();
    }
    let (one, two) = (Store::etcd(options.clone()).unwrap(), Store::etcd(options).unwrap());
    let changed = put(&records[5].key, Precondition::At(records[5].revision), "changed");
    assert_eq!(one.commit(vec![changed]).await.unwrap().revision, 1_000_000_401);
    assert_eq!(two.get(&records[5].key).await.unwrap().unwrap().body, text("changed", 1_000_000_401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_import_opens_for_nobody_and_the_next_one_starts_over() {
    let Some(options) = options() else { return };
    let mut first = EtcdImporter::begin(&options, "the first").unwrap();
    for record in records(500) {
        first.put(&record).unwrap();
    }
    // As `kill -9` would leave it.
    assert!(reason(Store::etcd(options.clone())).contains("the first was not finished"));
    EtcdImporter::look(&options).unwrap();
    let kept = records(3);
    let second = import(&options, &kept, 77);
    assert!(reason(first.set_meta("late", b"x")).contains("another import"), "it writes nothing into the second's");
    assert!(reason(first.finish(500, 0)).contains("another import"));
    assert!(reason(first.open()).contains("another import"));
    second.complete().unwrap();
    assert!(reason(first.complete()).contains("another import"));
    let store = Store::etcd(options).unwrap();
    assert_eq!(lines(&store.list(list_of(everything())).await.unwrap().records), lines(&kept));
    assert_eq!((store.revision(), store.metas().await.unwrap().len()), (77, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_imported_over_what_somebody_has_and_an_object_that_is_too_large_is_named() {
    let Some(options) = options() else { return };
    let refused = |options: &EtcdOptions| {
        for error in [EtcdImporter::look(options).err(), EtcdImporter::begin(options, "x").err()] {
            let Some(Error::Engine(source)) = error else { panic!("{error:?}") };
            assert!(source.downcast_ref::<NotEmpty>().is_some(), "{source}");
        }
        reason(EtcdImporter::look(options))
    };
    let large = Record { key: key("default", "large"), revision: 1, body: vec![b' '; 2 << 20].into(), schema: 1 };
    let mut importer = EtcdImporter::begin(&options, "x").unwrap();
    let error = importer.put(&large).expect_err("refused");
    assert!(
        matches!(&error, Error::TooLarge(why) if why.starts_with("stacks.otternauts.dev default/large: ")),
        "{error}"
    );
    import(&options, &records(1), 5).complete().unwrap();
    assert!(refused(&options).ends_with("a control plane has its store there"));

    let store = Store::etcd(options.clone()).unwrap();
    store.leave(5, "to the moon").await.unwrap();
    assert!(refused(&options).contains("it holds what was moved to the moon"));

    // The prefix of something else: ours would lie below it.
    let parent = options.prefix.rsplit_once('/').map(|(parent, _)| parent.to_owned()).unwrap();
    assert!(refused(&EtcdOptions { prefix: parent, ..options }).contains("it has the key /imports/"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_left_can_be_written_by_nobody_any_more_p11() {
    let Some(options) = options() else { return };
    let leave = EtcdOptions { purpose: Purpose::Leave, ..options.clone() };
    assert!(reason(Store::etcd(leave.clone())).contains("there is no store of ours"));
    let replica = Store::etcd(options.clone()).unwrap();
    let at = set(&replica, &key("default", "a"), "1").await;
    let leaving = Store::etcd(leave.clone()).unwrap();
    assert_eq!(leaving.moved().await.unwrap(), None);
    set(&replica, &key("default", "a"), "2").await;
    assert!(reason(leaving.leave(at, "away").await).contains("somebody wrote meanwhile"));
    leaving.leave(at + 1, "away").await.unwrap();

    // A replica that was overlooked.
    let late = replica.commit(vec![put(&key("default", "a"), Precondition::None, "3")]).await;
    assert!(late.is_err(), "{late:?}");
    assert!(replica.get(&key("default", "a")).await.is_err(), "it does not say what may be old");
    assert!(reason(Store::etcd(options)).contains("was moved away"));

    let again = Store::etcd(leave).unwrap();
    assert_eq!(again.moved().await.unwrap().as_deref(), Some("away"));
    assert_eq!(again.get(&key("default", "a")).await.unwrap().unwrap().body, text("2", at + 1));
    again.leave(at + 1, "away").await.unwrap();
}
