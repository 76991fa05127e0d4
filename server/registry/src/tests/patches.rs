//! Sections 1.10 and 1.11: patches and server-side apply, through the whole pipeline.

use super::*;

#[tokio::test]
async fn merge_json_and_strategic_patches_change_what_they_say_rows_p2_p3_p5_p7_p8() {
    let world = world().await;
    world.widgets().await;
    let made = world.create("widgets@default", widget("w")).await.expect("created");
    let same = world.merge("widgets@default w", json!({})).await.expect("nothing");
    assert_eq!(same, made);
    let merged = world
        .merge("widgets@default w", json!({"spec": {"color": "red"}, "metadata": {"labels": {"a": "b"}}}))
        .await
        .expect("merged");
    assert_eq!((&merged["spec"]["color"], &merged["metadata"]["generation"]), (&json!("red"), &json!(2)));
    let ops = json!([{"op": "test", "path": "/spec/color", "value": "red"}, {"op": "replace", "path": "/spec/color", "value": "blue"}]);
    let patched = world.patch("widgets@default w", PatchType::Json, ops.clone()).await.expect("patched");
    assert_eq!(patched["spec"]["color"], "blue");
    let status = world.patch("widgets@default w", PatchType::Json, ops).await.expect_err("the test fails");
    assert_eq!(
        (status.code, status.message.as_str()),
        (422, "the server rejected our request due to an error in our request")
    );
    let stale = json!({"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "spec": {"color": "red"}});
    assert_eq!(world.merge("widgets@default w", stale).await.expect_err("conditional").code, 409);
    let status = world.merge("widgets@default w", json!({"metadata": {"uid": "x"}})).await.expect_err("another uid");
    assert!(status.message.contains("metadata.uid: Invalid value: \"x\": field is immutable"), "{status}");
    assert_eq!(world.merge("widgets@default nope", json!({})).await.expect_err("missing").code, 404);
    let account = json!({"metadata": {"name": "a"}, "secrets": [{"name": "one"}]});
    world.create("serviceaccounts@default", account).await.expect("created");
    let patch = json!({"secrets": [{"name": "two"}]});
    let patched = world.patch("serviceaccounts@default a", PatchType::Strategic, patch).await.expect("patched");
    assert_eq!(patched["secrets"], json!([{"name": "two"}, {"name": "one"}]));
}

#[tokio::test]
async fn patches_of_one_object_never_lose_a_race_row_p7() {
    let world = world().await;
    world.create("configmaps@default", config_map("c")).await.expect("created");
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..20 {
        let registry = world.registry.clone();
        tasks.spawn(async move {
            let caller = admin();
            let target = target(&registry, "configmaps@default c");
            let mut data = serde_json::Map::new();
            data.insert(format!("k{i}"), "v".into());
            let bytes = Bytes::from(json!({ "data": data }).to_string());
            registry.patch(&caller, &target, PatchType::Merge, bytes, &WriteOptions::default()).await.map(|_| ())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic").expect("no conflict");
    }
    let object = world.get("configmaps@default c").await.expect("there");
    assert_eq!(object["data"].as_object().map(serde_json::Map::len), Some(21));
}

#[tokio::test]
async fn an_apply_creates_owns_conflicts_and_takes_rows_a1_to_a7_a13() {
    let world = world().await;
    world.widgets().await;
    let config = |replicas: i64| json!({"apiVersion": "test.dev/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"replicas": replicas, "tags": ["x"]}});
    let status =
        world.apply("widgets@default w", "", false, config(1)).await.map(|s| s.created).expect_err("no manager");
    assert_eq!(
        status.message,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
    let made = world.apply("widgets@default w", "m1", false, config(1)).await.expect("created");
    assert!(made.created);
    let object = value(&made);
    assert_eq!(
        object["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:spec": {"f:replicas": {}, "f:tags": {"v:\"x\"": {}}}})
    );
    assert_eq!(object["spec"]["img"], "nginx");
    world.now.fetch_add(100, Ordering::SeqCst);
    let again = world.apply("widgets@default w", "m1", false, config(1)).await.expect("no change");
    assert_eq!((again.created, value(&again)), (false, object.clone()));
    let status =
        world.apply("widgets@default w", "m2", false, config(2)).await.map(|s| s.created).expect_err("a conflict");
    assert_eq!(
        (status.code, status.message.as_str()),
        (409, "Apply failed with 1 conflict: conflict with \"m1\": .spec.replicas")
    );
    let taken = value(&world.apply("widgets@default w", "m2", true, config(2)).await.expect("forced"));
    assert_eq!(taken["spec"]["replicas"], 2);
    let mut other = config(1);
    other["apiVersion"] = "test.dev/v2".into();
    let status =
        world.apply("widgets@default w", "m1", false, other).await.map(|s| s.created).expect_err("another version");
    assert_eq!(status.message, "invalid object type: test.dev/v2, Kind=Widget");
    let mut unknown = config(2);
    unknown["spec"]["foo"] = 1.into();
    let status =
        world.apply("widgets@default w", "m2", false, unknown).await.map(|s| s.created).expect_err("an unknown field");
    assert_eq!(
        status.message,
        "failed to create typed patch object (/w; test.dev/v1, Kind=Widget): .spec.foo: field not declared in schema"
    );
    let bare =
        json!({"apiVersion": "test.dev/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"replicas": 2}});
    let dropped = value(&world.apply("widgets@default w", "m2", false, bare.clone()).await.expect("applied"));
    assert_eq!(dropped["spec"]["tags"], json!(["x"]), "m1 still owns it");
    let dropped = value(&world.apply("widgets@default w", "m1", true, bare).await.expect("applied"));
    assert!(dropped["spec"].get("tags").is_none_or(|t| t == &json!([])), "{dropped}");
    assert_eq!(
        world
            .apply("widgets@default v status", "m1", false, config(1))
            .await
            .map(|s| s.created)
            .expect_err("no create")
            .code,
        404
    );
    let phase =
        json!({"apiVersion": "test.dev/v1", "kind": "Widget", "metadata": {"name": "w"}, "status": {"phase": "up"}});
    let applied = value(&world.apply("widgets@default w status", "m3", false, phase).await.expect("status applied"));
    assert_eq!((&applied["status"]["phase"], &applied["spec"]["replicas"]), (&json!("up"), &json!(2)));
}

#[tokio::test]
async fn an_apply_of_yaml_reads_like_one_of_json_rows_a1_f5() {
    let world = world().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: b\n  a: c\n";
    let options = WriteOptions { field_manager: "m".into(), ..WriteOptions::default() };
    let target = world.target("configmaps@default c");
    let caller = admin();
    let bytes = Bytes::from_static(yaml.as_bytes());
    let served =
        world.registry.patch(&caller, &target, PatchType::Apply, bytes.clone(), &options).await.expect("applied");
    assert_eq!(value(&served)["data"]["a"], "c");
    assert_eq!(*caller.warnings.lock(), ["line 7: key \"a\" already set in map"]);
    let strict = WriteOptions { field_validation: crate::FieldValidation::Strict, ..options };
    let status = world.registry.patch(&caller, &target, PatchType::Apply, bytes, &strict).await.expect_err("strict");
    assert!(
        status.message.starts_with(
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 7"
        )
    );
}

#[tokio::test]
async fn a_patch_that_makes_a_built_in_object_unreadable_is_a_bad_patch_row_f5() {
    let world = world().await;
    world.create("configmaps@default", config_map("c")).await.expect("created");
    for (kind, patch, why) in [
        (
            PatchType::Merge,
            json!({"data": {"a": 5}}),
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            PatchType::Merge,
            json!({"data": [1]}),
            "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string",
        ),
        (PatchType::Strategic, json!({"data": {"a": 5}}), "of type string"),
        (PatchType::Json, json!([{"op": "add", "path": "/data/a", "value": 5}]), "of type string"),
        (
            PatchType::Merge,
            json!({"immutable": "x"}),
            "json: cannot unmarshal string into Go struct field ConfigMap.immutable of type bool",
        ),
        (
            PatchType::Merge,
            json!({"metadata": {"labels": {"a": 1}}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            PatchType::Merge,
            json!({"metadata": 5}),
            "json: cannot unmarshal number into Go struct field ConfigMap.metadata of type v1.ObjectMeta",
        ),
        (PatchType::Merge, json!({"kind": "X"}), "no kind \"X\" is registered for version \"v1\""),
    ] {
        let status = world.patch("configmaps@default c", kind, patch.clone()).await.expect_err("no ConfigMap");
        assert_eq!((status.code, status.reason), (422, "Invalid"), "{patch}: {status}");
        let start = " \"\" is invalid: patch: Invalid value: \"{\\\"apiVersion\\\":\\\"v1\\\",";
        assert!(status.message.starts_with(start) && status.message.contains(why), "{patch}: {status}");
    }
    let status = world.update("configmaps@default c", json!({"metadata": {"name": "c"}, "data": {"a": 5}})).await;
    assert_eq!(status.expect_err("a body is no patch").code, 400);
    world.widgets().await;
    world.create("widgets@default", widget("w")).await.expect("created");
    let status =
        world.merge("widgets@default w", json!({"metadata": {"labels": {"a": 1}}})).await.expect_err("a number");
    assert!(
        status.code == 422 && status.message.ends_with("Go struct field ObjectMeta.labels of type string"),
        "{status}"
    );
}

#[tokio::test]
async fn nulls_in_maps_of_strings_are_empty_strings_as_go_reads_them_row_n17() {
    let world = world().await;
    let object = json!({"metadata": {"name": "n", "labels": {"a": null}}, "data": {"b": null}, "labels": {"a": null}});
    let made = world.create("configmaps@default", object).await.expect("created");
    assert_eq!((&made["metadata"]["labels"], &made["data"]), (&json!({"a": ""}), &json!({"b": ""})));
    let ops = json!([{"op": "add", "path": "/metadata/labels/q", "value": null}, {"op": "add", "path": "/data/q", "value": null}]);
    let patched = world.patch("configmaps@default n", PatchType::Json, ops).await.expect("patched");
    assert_eq!(patched["metadata"]["labels"], json!({"a": "", "q": ""}));
    assert_eq!(patched["data"], json!({"b": "", "q": ""}));
    let secret = json!({"metadata": {"name": "n"}, "data": {"a": null}, "stringData": {"b": null}});
    let made = world.create("secrets@default", secret).await.expect("created");
    assert_eq!(made["data"], json!({"a": "", "b": ""}));
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "labels": {"a": null}}, "data": {"z": null}});
    let applied = value(&world.apply("configmaps@default m", "x", false, applied).await.expect("applied"));
    assert_eq!((&applied["metadata"]["labels"], &applied["data"]), (&json!({"a": ""}), &json!({"z": ""})));
    let role =
        json!({"metadata": {"name": "r"}, "rules": [{"verbs": ["get", null], "resources": [null], "apiGroups": [""]}]});
    let made = world.create("clusterroles", role).await.expect("created");
    assert_eq!(made["rules"][0]["verbs"], json!(["get", ""]));
}
