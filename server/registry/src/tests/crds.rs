//! Section 1.13: a CRD's life.

use super::*;

fn condition<'a>(crd: &'a Value, kind: &str) -> Option<&'a str> {
    crd["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)?["reason"].as_str()
}

#[tokio::test]
async fn a_crd_is_served_when_its_create_is_answered_rows_x2_x3_x4() {
    let world = world().await;
    let mut changes = world.registry.definitions_changed();
    changes.mark_unchanged();
    let before = world.registry.definitions().revision();
    let made = world.create("customresourcedefinitions", widget_crd()).await.expect("created");
    assert_eq!(made["status"]["conditions"], Value::Null);
    assert_eq!(made["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(made["spec"]["names"]["listKind"], "WidgetList");
    assert!(world.registry.definitions().revision() > before && changes.has_changed().expect("the registry lives"));
    let stored = world.get("customresourcedefinitions widgets.test.dev").await.expect("there");
    assert_eq!(condition(&stored, "NamesAccepted"), Some("NoConflicts"));
    assert_eq!(condition(&stored, "Established"), Some("InitialNamesAccepted"));
    world.create("widgets@default", widget("w")).await.expect("served at once");
    let mut other = widget_crd();
    other["metadata"]["name"] = "gadgets.test.dev".into();
    other["spec"]["names"] = json!({"plural": "gadgets", "kind": "Widget"});
    world.create("customresourcedefinitions", other).await.expect("created");
    let stored = world.get("customresourcedefinitions gadgets.test.dev").await.expect("there");
    assert_eq!(condition(&stored, "NamesAccepted"), Some("ListKindConflict"));
    assert_eq!(condition(&stored, "Established"), Some("NotAccepted"));
    assert!(world.registry.definitions().resource("test.dev", "gadgets").is_none());
    let mut bad = widget_crd();
    bad["metadata"]["name"] = "foo.test.dev".into();
    let status = world.create("customresourcedefinitions", bad).await.expect_err("a wrong name");
    let text = "CustomResourceDefinition.apiextensions.k8s.io \"foo.test.dev\" is invalid: metadata.name: Invalid value: \"foo.test.dev\": must be spec.names.plural+\".\"+spec.group";
    assert_eq!(status.message, text);
}

#[tokio::test]
async fn a_changed_schema_counts_from_the_next_request_and_ends_watches_rows_x5_x8_x9_x12() {
    let world = world().await;
    world.widgets().await;
    let mut object = widget("w");
    object["spec"]["color"] = "red".into();
    world.create("widgets@default", object).await.expect("created");
    let mut session = world.watch("widgets@default", WatchOptions::default()).await;
    assert!(matches!(soon(session.next()).await, Some(WatchEvent::Added(_))));
    let mut crd = world.get("customresourcedefinitions widgets.test.dev").await.expect("there");
    let properties = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    properties["size"] = json!({"type": "integer", "default": 3});
    properties["color"]["enum"] = json!(["green"]);
    properties.as_object_mut().expect("a map").remove("img");
    world.update("customresourcedefinitions widgets.test.dev", crd).await.expect("updated");
    assert!(soon(session.next()).await.is_none(), "the watch is closed");
    let read = world.get("widgets@default w").await.expect("there");
    assert_eq!(read["spec"], json!({"replicas": 1, "color": "red", "size": 3}));
    world
        .merge("widgets@default w", json!({"spec": {"replicas": 2}}))
        .await
        .expect("the old colour is not judged again");
    let status = world.merge("widgets@default w", json!({"spec": {"color": "blue"}})).await.expect_err("a new one is");
    assert!(
        status.message.contains("spec.color: Unsupported value: \"blue\": supported values: \"green\""),
        "{status}"
    );
    let mut crd = world.get("customresourcedefinitions widgets.test.dev").await.expect("there");
    crd["spec"]["scope"] = "Cluster".into();
    let status = world.update("customresourcedefinitions widgets.test.dev", crd).await.expect_err("the scope stays");
    assert!(status.message.contains("spec.scope: Invalid value: \"Cluster\": field is immutable"), "{status}");
}

#[tokio::test]
async fn versions_are_converted_and_remembered_row_x15() {
    let world = world().await;
    let mut crd = widget_crd();
    let mut old = crd["spec"]["versions"][0].clone();
    old["name"] = "v1beta1".into();
    old["storage"] = false.into();
    old["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        .as_object_mut()
        .expect("a map")
        .remove("color");
    crd["spec"]["versions"].as_array_mut().expect("a list").push(old);
    world.create("customresourcedefinitions", crd).await.expect("created");
    let mut object = widget("w");
    object["spec"]["color"] = "red".into();
    world.create("widgets@default", object).await.expect("created");
    let read = world.get("widgets#v1beta1@default w").await.expect("there");
    assert_eq!((&read["apiVersion"], read["spec"].get("color")), (&json!("test.dev/v1beta1"), None));
    let mut beta = widget("b");
    beta["apiVersion"] = "test.dev/v1beta1".into();
    let made = world.create("widgets#v1beta1@default", beta).await.expect("created");
    assert_eq!(made["apiVersion"], "test.dev/v1beta1");
    assert_eq!(world.get("widgets@default b").await.expect("there")["apiVersion"], "test.dev/v1");
    let mut crd = world.get("customresourcedefinitions widgets.test.dev").await.expect("there");
    crd["spec"]["versions"][0]["storage"] = false.into();
    crd["spec"]["versions"][1]["storage"] = true.into();
    let switched = world.update("customresourcedefinitions widgets.test.dev", crd).await.expect("switched");
    assert_eq!(switched["status"]["storedVersions"], json!(["v1", "v1beta1"]));
    let mut dropped = world.get("customresourcedefinitions widgets.test.dev").await.expect("there");
    dropped["spec"]["versions"].as_array_mut().expect("a list").remove(0);
    let status = world.update("customresourcedefinitions widgets.test.dev", dropped).await.expect_err("still stored");
    assert!(
        status.message.contains("status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; "),
        "{status}"
    );
}

#[tokio::test]
async fn a_crd_takes_its_objects_along_rows_x6_w23() {
    let world = world().await;
    world.widgets().await;
    let mut held = widget("h");
    held["metadata"]["finalizers"] = json!(["a.b/c"]);
    world.create("widgets@default", held).await.expect("created");
    world.create("widgets@default", widget("w")).await.expect("created");
    let widgets = world.target("widgets@default");
    let mut session = world.watch("widgets@default", WatchOptions::default()).await;
    let Deleted::Waiting(marked) = world.delete("customresourcedefinitions widgets.test.dev").await.expect("marked")
    else {
        panic!("it waits for its objects")
    };
    assert_eq!(value(&marked)["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    let status = world.create("widgets@default", widget("late")).await.expect_err("too late");
    let text =
        "widgets.test.dev \"late\" is forbidden: create not allowed while custom resource definition is terminating";
    assert_eq!((status.code, status.message.as_str()), (403, text));
    let definitions = world.registry.definitions();
    assert!(definitions.is_terminating(definitions.resource("test.dev", "widgets").expect("still served")));
    let _tasks = world.housekeeping();
    world
        .until("customresourcedefinitions widgets.test.dev", |crd| {
            condition(crd, "Terminating") == Some("InstanceDeletionInProgress")
        })
        .await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        match soon(session.next()).await {
            Some(WatchEvent::Added(_)) => seen.push("added"),
            Some(WatchEvent::Modified(_)) => seen.push("modified"),
            Some(WatchEvent::Deleted(_)) => seen.push("deleted"),
            other => panic!("{other:?}"),
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["added", "added", "deleted", "modified"]);
    world.merge("widgets@default h", json!({"metadata": {"finalizers": null}})).await.expect("let go");
    world.until_gone("customresourcedefinitions widgets.test.dev").await;
    assert!(matches!(soon(session.next()).await, Some(WatchEvent::Deleted(_))));
    assert!(soon(session.next()).await.is_none());
    assert!(world.registry.definitions().resource("test.dev", "widgets").is_none());
    assert!(world.registry.definitions().find("test.dev", "v1", &widgets.definition.names.plural).is_none());
}

#[tokio::test]
async fn a_request_for_a_kind_that_just_went_makes_nothing() {
    let world = world().await;
    world.widgets().await;
    let target = world.target("widgets@default");
    let _tasks = world.housekeeping();
    world.delete("customresourcedefinitions widgets.test.dev").await.expect("marked");
    world.until_gone("customresourcedefinitions widgets.test.dev").await;
    let body = Body { object: Object::from_value(widget("w")).expect("an object"), duplicates: Vec::new() };
    let status = world.registry.create(&world.caller, &target, body, &WriteOptions::default()).await.expect_err("gone");
    assert_eq!(status.code, 404);
}
