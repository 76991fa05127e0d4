//! Rotation of data keys under load (R28, J6), and values that were moved (J3).

use super::*;
use otternauts_store::{Body as StoredBody, Key, List, Op, Precondition, Range, SqliteOptions, Write};

fn secret(name: &str, value: &str) -> Value {
    json!({"metadata": {"name": name}, "stringData": {"k": value}})
}

async fn values(world: &World) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for number in 0..20 {
        let name = format!("s{number}");
        found.push((
            name.clone(),
            world.get(&format!("secrets@default {name}")).await.expect("readable")["data"].clone(),
        ));
    }
    found
}

#[tokio::test]
async fn a_rotation_moves_every_object_to_the_new_key_and_leaves_no_trace_of_the_old_one_j6() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::sqlite(SqliteOptions::new(dir.path().join("otternauts.db"))).expect("a new store");
    let (vault, _) = Vault::open(&Identity::generate(), None).expect("a new keyring");
    let vault = Arc::new(vault);
    let world = world_with(store, Arc::clone(&vault)).await;
    for number in 0..20 {
        world.create("secrets@default", secret(&format!("s{number}"), "before")).await.expect("created");
        world
            .merge(&format!("secrets@default s{number}"), json!({"stringData": {"k": format!("v{number}")}}))
            .await
            .expect("ok");
    }
    let annotated = json!({"metadata": {"annotations": {"note": "otter:v1:1:not-sealed"}}});
    world.merge("secrets@default s3", annotated).await.expect("a user's text may look like a sealed value");
    let before = values(&world).await;

    world.registry.install_keys(vault.with_new_key().expect("a key")).await;
    let store = world.registry.store().clone();
    let under = world.registry.sealed_under().await.expect("looked through").rows;
    assert!(under.keys().eq([&1]) && under[&1] >= 40, "history counts: {under:?}");
    // A write that was sealed under the old key and is committed after the change.
    let stale = store.get(&Key::new("secrets", "default", "s7")).await.expect("read").expect("there");
    let text = String::from_utf8(stale.body.to_vec()).expect("JSON");
    let split = text.find(&format!("\"{}\"", stale.revision)).expect("its version") + 1;
    let end = split + stale.revision.to_string().len();
    let body = StoredBody {
        head: Bytes::from(text[..split].to_owned()),
        tail: Bytes::from(text[end..].to_owned()),
        schema: stale.schema,
        leaving: false,
    };
    let write = Write { key: stale.key.clone(), precondition: Precondition::At(stale.revision), op: Op::Put(body) };
    world.registry.commit(crate::registry::Permit::Free, vec![write]).await.expect("sealed anew on its way");

    let mut told = 0;
    let done = world.registry.reseal(|_| told += 1).await.expect("rewritten");
    assert_eq!((done.seen, done.rewritten, done.damaged.len()), (20, 19, 0), "s7 was there already");
    assert!(told > 0);
    assert_eq!(world.registry.reseal(|_| ()).await.expect("again").rewritten, 0, "a second run finds nothing to do");
    assert!(world.registry.sealed_under().await.expect("looked through").rows.contains_key(&1), "history has it still");
    store.forget(store.revision()).await.expect("forgotten");
    let under = world.registry.sealed_under().await.expect("looked through");
    assert_eq!(under.rows.keys().copied().collect::<Vec<_>>(), [2]);

    world.registry.install_keys(vault.with_newest_key_only().expect("a keyring")).await;
    vault.forget_retired();
    assert_eq!(values(&world).await, before, "nothing has changed for readers");
    store.close().await.expect("closed");
    let file = std::fs::read(dir.path().join("otternauts.db")).expect("readable");
    let mut traces = 0;
    for (at, _) in file.windows(11).enumerate().filter(|(_, window)| *window == b"otter:v1:1:") {
        traces += usize::from(!file[at..].starts_with(b"otter:v1:1:not-sealed"));
    }
    assert_eq!(traces, 0, "no byte of the file names the old key");
}

#[tokio::test]
async fn writes_during_a_rotation_are_kept_and_end_under_the_new_key_j6() {
    let (vault, _) = Vault::open(&Identity::generate(), None).expect("a new keyring");
    let vault = Arc::new(vault);
    let world = Arc::new(world_with(Store::memory(), Arc::clone(&vault)).await);
    for number in 0..20 {
        world.create("secrets@default", secret(&format!("s{number}"), "0")).await.expect("created");
    }
    let writers = (0..4).map(|writer| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for round in 1..=25 {
                for number in (writer..20).step_by(4) {
                    let patch = json!({"stringData": {"k": format!("{round}")}});
                    world.merge(&format!("secrets@default s{number}"), patch).await.expect("written");
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for _ in 0..5 {
        world.registry.install_keys(vault.with_new_key().expect("a key")).await;
        world.registry.reseal(|_| ()).await.expect("rewritten");
        let store = world.registry.store();
        store.forget(store.revision()).await.expect("forgotten");
        let under = world.registry.sealed_under().await.expect("looked through").rows;
        assert!(under.keys().eq([&vault.active_key()]), "{under:?}");
        world.registry.install_keys(vault.with_newest_key_only().expect("a keyring")).await;
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.expect("no writer fails");
    }
    for (name, data) in values(&world).await {
        assert_eq!(data["k"], "MjU=", "{name} has its last write");
    }
}

#[tokio::test]
async fn a_ciphertext_that_was_swapped_into_another_object_is_not_served_j3() {
    let world = world().await;
    for (name, value) in [("mine", "a"), ("other", "b")] {
        world.create("secrets@default", secret(name, value)).await.expect("created");
    }
    let store = world.registry.store();
    let list = List { range: Range::resource("secrets"), at: None, after: None, limit: 0 };
    let records = store.list(list).await.expect("listed").records;
    let sealed = |name: &str| {
        let record = records.iter().find(|record| &*record.key.name == name).expect("there");
        serde_json::from_slice::<Value>(&record.body).expect("JSON")["data"]["k"].as_str().expect("sealed").to_owned()
    };
    // What somebody does who can write the database: the other's value under a name he may read.
    let mine = records.iter().find(|record| &*record.key.name == "mine").expect("there");
    let text = String::from_utf8(mine.body.to_vec()).expect("JSON").replace(&sealed("mine"), &sealed("other"));
    let split = text.find(&format!("\"{}\"", mine.revision)).expect("its version") + 1;
    let end = split + mine.revision.to_string().len();
    let body = StoredBody {
        head: Bytes::from(text[..split].to_owned()),
        tail: Bytes::from(text[end..].to_owned()),
        schema: mine.schema,
        leaving: false,
    };
    store
        .commit(vec![Write { key: mine.key.clone(), precondition: Precondition::Exists, op: Op::Put(body) }])
        .await
        .expect("the store does not know");
    let refused = world.get("secrets@default mine").await.expect_err("not opened");
    assert_eq!(refused.code, 500);
    assert!(!refused.message.contains("Yg=="), "{}", refused.message);
    assert_eq!(world.get("secrets@default other").await.expect("harms itself alone")["data"]["k"], "Yg==");
    // Rotation says which object keeps the old key alive.
    let done = world.registry.inner.vault.with_new_key().expect("a key");
    world.registry.install_keys(done).await;
    let done = world.registry.reseal(|_| ()).await.expect("goes on");
    assert_eq!((done.rewritten, done.damaged), (1, vec!["secrets default/mine".to_owned()]));
}
