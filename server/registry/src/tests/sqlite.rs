//! The same on the engine that keeps things (rows C14, C15; a restart writes nothing).

use super::*;
use otternauts_store::SqliteOptions;

#[tokio::test]
async fn a_restart_finds_everything_and_writes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("otternauts.db");
    let identity = Identity::generate();
    let (vault, kept) = Vault::open(&identity, None).expect("a new keyring");
    let store = Store::sqlite(SqliteOptions::new(&path)).expect("a new store");
    let world = world_with(store, Arc::new(vault)).await;
    world.widgets().await;
    let made = world.create("widgets@default", widget("w")).await.expect("created");
    let secret = world
        .create("secrets@default", json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}}))
        .await
        .expect("created");
    let page = world.list("namespaces", &ListOptions { limit: 2, ..ListOptions::default() }).await.expect("a page");
    let before = world.registry.store().revision();
    world.registry.store().close().await.expect("closed");
    drop(world);
    let (vault, _) = Vault::open(&identity, kept.as_deref()).expect("the same keyring");
    let store = Store::sqlite(SqliteOptions::new(&path)).expect("the same store");
    let world = world_with(store, Arc::new(vault)).await;
    assert_eq!(world.registry.store().revision(), before, "an unchanged restart writes nothing");
    assert_eq!(world.get("widgets@default w").await.expect("kept"), made);
    assert_eq!(world.get("secrets@default s").await.expect("kept"), secret);
    let next = ListOptions { continue_token: page.continue_token, ..ListOptions::default() };
    world.list("namespaces", &next).await.expect("tokens outlive a restart");
    world.create("configmaps@default", config_map("c")).await.expect("created");
    assert!(world.registry.store().revision() > before);
}
