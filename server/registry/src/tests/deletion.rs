//! Section 1.16: what a DELETE does by itself; garbage collection is in `housekeeping`.

use super::*;

fn gone(deleted: Deleted) -> String {
    match deleted {
        Deleted::Gone { name, .. } => name,
        Deleted::Waiting(served) => panic!("waits: {}", value(&served)),
    }
}

fn waiting(deleted: Deleted) -> Value {
    match deleted {
        Deleted::Waiting(served) => value(&served),
        Deleted::Gone { name, .. } => panic!("{name} is gone"),
    }
}

fn held(name: &str) -> Value {
    let mut object = widget(name);
    object["metadata"]["finalizers"] = json!(["a.b/c"]);
    object
}

#[tokio::test]
async fn a_delete_removes_or_marks_rows_g1_to_g3_g10_m7() {
    let world = world().await;
    world.widgets().await;
    world.create("widgets@default", widget("w")).await.expect("created");
    assert_eq!(gone(world.delete("widgets@default w").await.expect("deleted")), "w");
    let status = world.delete("widgets@default w").await.expect_err("gone");
    assert_eq!((status.code, status.message.as_str()), (404, "widgets.test.dev \"w\" not found"));
    world.create("widgets@default", held("h")).await.expect("created");
    let marked = waiting(world.delete("widgets@default h").await.expect("marked"));
    let meta = &marked["metadata"];
    assert_eq!((&meta["deletionGracePeriodSeconds"], &meta["generation"]), (&json!(0), &json!(2)));
    assert_eq!(meta["deletionTimestamp"], "2026-09-21T14:13:20Z");
    assert_eq!(waiting(world.delete("widgets@default h").await.expect("the same")), marked);
    let status = world.create("widgets@default", widget("h")).await.expect_err("still there");
    assert!(status.message.starts_with("object is being deleted: widgets.test.dev \"h\" already exists"), "{status}");
    let more = json!({"metadata": {"finalizers": ["a.b/c", "x.y/z"]}});
    let status = world.merge("widgets@default h", more).await.expect_err("no new finalizers");
    assert!(status.message.contains(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x.y/z\"}"
    ));
    let status =
        world.merge("widgets@default h", json!({"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z"}})).await;
    assert!(status.expect_err("the time stays").message.contains("field is immutable"));
    world.merge("widgets@default h", json!({"spec": {"replicas": 5}})).await.expect("changes are allowed");
    let before = world.get("widgets@default h").await.expect("there");
    let last = world.merge("widgets@default h", json!({"metadata": {"finalizers": null}})).await.expect("gone");
    assert_eq!(last["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    assert!(last["metadata"].get("finalizers").is_none());
    assert_eq!(world.get("widgets@default h").await.expect_err("gone").code, 404);
}

#[tokio::test]
async fn preconditions_and_policies_are_kept_rows_g5_g6() {
    let world = world().await;
    world.widgets().await;
    let made = world.create("widgets@default", widget("w")).await.expect("created");
    let uid = made["metadata"]["uid"].as_str().unwrap_or_default();
    let target = world.target("widgets@default w");
    let options = DeleteOptions { uid: Some("x".into()), ..DeleteOptions::default() };
    let status = world.registry.delete(&world.caller, &target, &options).await.expect_err("another uid");
    let text = format!(
        "Operation cannot be fulfilled on Widget.test.dev \"w\": the UID in the precondition (x) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
    );
    assert_eq!((status.code, status.message), (409, text));
    let options = DeleteOptions { resource_version: Some("1".into()), ..DeleteOptions::default() };
    let status = world.registry.delete(&world.caller, &target, &options).await.expect_err("another version");
    assert!(status.message.contains("the ResourceVersion in the precondition (1) does not match"), "{status}");
    let marked = waiting(world.delete_with("widgets@default w", "Foreground").await.expect("marked"));
    assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let marked = waiting(world.delete_with("widgets@default w", "Orphan").await.expect("marked"));
    assert_eq!(marked["metadata"]["finalizers"], json!(["orphan"]));
    waiting(world.delete("widgets@default w").await.expect("no policy leaves it"));
    assert_eq!(gone(world.delete_with("widgets@default w", "Background").await.expect("gone")), "w");
}

#[tokio::test]
async fn a_collection_goes_by_selector_and_limit_row_g9() {
    let world = world().await;
    world.widgets().await;
    for name in ["a", "b", "c"] {
        let mut object = if name == "b" { held(name) } else { widget(name) };
        object["metadata"]["labels"] = json!({"x": if name == "c" { "no" } else { "yes" }});
        world.create("widgets@default", object).await.expect("created");
    }
    let list = ListOptions { labels: LabelSelector::parse("x=yes").expect("valid"), ..ListOptions::default() };
    let target = world.target("widgets@default");
    let deleted = world
        .registry
        .delete_collection(&world.caller, &target, &list, &DeleteOptions::default())
        .await
        .expect("deleted");
    assert_eq!(names(&deleted), ["a", "b"]);
    assert!(items(&deleted)[1]["metadata"].get("deletionTimestamp").is_none(), "as they were before");
    let left = world.list("widgets@default", &ListOptions::default()).await.expect("a list");
    assert_eq!(names(&left), ["b", "c"]);
    let target = world.target("namespaces");
    let status = world
        .registry
        .delete_collection(&world.caller, &target, &list, &DeleteOptions::default())
        .await
        .expect_err("never");
    assert_eq!(status.code, 405);
}
