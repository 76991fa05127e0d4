//! Garbage collection and the expiry of events (rows G11 to G17, B8).

use super::*;

fn owned(name: &str, owner: &Value, blocks: bool) -> Value {
    let reference = json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": blocks,
    });
    json!({"metadata": {"name": name, "ownerReferences": [reference]}})
}

#[tokio::test]
async fn dependents_go_after_their_owners_rows_g11_g12_g15_g16() {
    let world = world().await;
    let _tasks = world.housekeeping();
    let owner = world.create("configmaps@default", config_map("owner")).await.expect("created");
    let other = world.create("configmaps@default", config_map("other")).await.expect("created");
    world.create("secrets@default", owned("only", &owner, false)).await.expect("created");
    let mut both = owned("both", &owner, false);
    let second = owned("x", &other, false)["metadata"]["ownerReferences"][0].clone();
    both["metadata"]["ownerReferences"].as_array_mut().expect("a list").push(second);
    world.create("secrets@default", both).await.expect("created");
    let mut unknown = owned("unknown", &owner, false);
    unknown["metadata"]["ownerReferences"][0]["kind"] = "Nothing".into();
    world.create("secrets@default", unknown).await.expect("created");
    world.create("secrets@kube-public", owned("elsewhere", &owner, false)).await.expect("created");
    world.until_gone("secrets@kube-public elsewhere").await;
    world.delete("configmaps@default owner").await.expect("deleted");
    world.until_gone("secrets@default only").await;
    let kept = world
        .until("secrets@default both", |s| s["metadata"]["ownerReferences"].as_array().is_some_and(|l| l.len() == 1))
        .await;
    assert_eq!(kept["metadata"]["ownerReferences"][0]["name"], "other");
    world.get("secrets@default unknown").await.expect("never collected");
    let late = world.create("secrets@default", owned("late", &owner, false)).await.expect("created");
    assert!(late["metadata"]["uid"].is_string());
    world.until_gone("secrets@default late").await;
}

#[tokio::test]
async fn foreground_waits_and_orphan_lets_go_rows_g13_g14() {
    let world = world().await;
    let _tasks = world.housekeeping();
    let owner = world.create("configmaps@default", config_map("front")).await.expect("created");
    let mut held = owned("held", &owner, true);
    held["metadata"]["finalizers"] = json!(["a.b/c"]);
    world.create("secrets@default", held).await.expect("created");
    world.create("secrets@default", owned("free", &owner, true)).await.expect("created");
    world.delete_with("configmaps@default front", "Foreground").await.expect("marked");
    world.until_gone("secrets@default free").await;
    world.until("secrets@default held", |s| s["metadata"]["deletionTimestamp"].is_string()).await;
    world.get("configmaps@default front").await.expect("waits");
    world.merge("secrets@default held", json!({"metadata": {"finalizers": null}})).await.expect("let go");
    world.until_gone("configmaps@default front").await;
    let owner = world.create("configmaps@default", config_map("loose")).await.expect("created");
    world.create("secrets@default", owned("kept", &owner, true)).await.expect("created");
    world.delete_with("configmaps@default loose", "Orphan").await.expect("marked");
    world.until_gone("configmaps@default loose").await;
    let kept = world.get("secrets@default kept").await.expect("kept");
    assert!(kept["metadata"].get("ownerReferences").is_none());
}

#[tokio::test]
async fn events_live_an_hour_row_b8() {
    let world = world().await;
    let _tasks = world.housekeeping();
    let event = |name: &str| json!({"metadata": {"name": name}, "involvedObject": {"namespace": "default", "name": "x"}, "message": "m"});
    world.create("events@default", event("old")).await.expect("created");
    world.now.fetch_add(3500, Ordering::SeqCst);
    let before = world.registry.store().revision();
    world.create("events@default", event("young")).await.expect("created");
    world.now.fetch_add(101, Ordering::SeqCst);
    // Something happens, so the timer is set anew by the clock that was moved.
    world.create("events@default", event("last")).await.expect("created");
    world.until_gone("events@default old").await;
    world.get("events@default young").await.expect("not yet");
    assert_eq!(world.registry.store().revision(), before + 3, "two creates and one removal");
}
