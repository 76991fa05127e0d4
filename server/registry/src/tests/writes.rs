//! Sections 1.7, 1.8, 1.9, 1.12: create, read, update, status, dry run, field validation.

use super::*;
use crate::FieldValidation;

#[tokio::test]
async fn a_create_answers_the_stored_object_rows_c1_c2() {
    let world = world().await;
    world.widgets().await;
    let mut object = widget("w");
    object["metadata"]["uid"] = "mine".into();
    object["metadata"]["generation"] = 7.into();
    object["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into();
    let made = world.create("widgets@default", object).await.expect("created");
    let meta = &made["metadata"];
    assert_ne!(meta["uid"], "mine");
    assert_eq!(meta["generation"], 1);
    assert_eq!(meta["creationTimestamp"], "2026-09-21T14:13:20Z");
    assert_eq!(meta["namespace"], "default");
    assert!(meta["resourceVersion"].as_str().is_some_and(|v| v.parse::<u64>().is_ok_and(|v| v > 0)));
    assert!(meta.get("deletionTimestamp").is_none());
    assert_eq!(made["spec"], json!({"replicas": 1, "img": "nginx"}));
    let managed = &meta["managedFields"][0];
    assert_eq!((managed["manager"].as_str(), managed["operation"].as_str()), (Some("probe"), Some("Update")));
    assert_eq!(managed["fieldsV1"], json!({"f:spec": {".": {}, "f:img": {}, "f:replicas": {}}}));
    assert_eq!(world.get("widgets@default w").await.expect("there"), made);
}

#[tokio::test]
async fn stored_bytes_are_served_bytes_in_the_order_of_the_kind_row_c1() {
    let world = world().await;
    world.widgets().await;
    world.create("widgets@default", widget("w")).await.expect("created");
    world.create("configmaps@default", config_map("c")).await.expect("created");
    let bytes = world.registry.get(&world.caller, &world.target("widgets@default w"), "").await.expect("there").bytes;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(
        text.starts_with(r#"{"apiVersion":"test.dev/v1","kind":"Widget","metadata":{"creationTimestamp":"#),
        "{text}"
    );
    let bytes =
        world.registry.get(&world.caller, &world.target("configmaps@default c"), "").await.expect("there").bytes;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let start = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c","namespace":"default","uid":""#;
    assert!(text.starts_with(start), "{text}");
    let list = world.list("configmaps@default", &ListOptions::default()).await.expect("a list");
    assert!(list.items[0][list.item_cut..].starts_with(b"\"metadata\":"));
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_said_in_kubernetes_words_rows_c3_to_c6_m1_m4_x11() {
    let world = world().await;
    world.widgets().await;
    let mut check = Vec::new();
    let mut bad = |object: Value, code: u16, text: &'static str| check.push((object, code, text));
    bad(
        json!({"metadata": {"name": "x"}}),
        400,
        "the object provided is unrecognized (must be of type Widget): Object 'Kind' is missing in",
    );
    let mut o = widget("x");
    o["apiVersion"] = "test.dev/v2".into();
    bad(o, 400, "the API version in the data (test.dev/v2) does not match the expected API version (test.dev/v1)");
    let mut o = widget("x");
    o["kind"] = "Foo".into();
    bad(o, 422, "Foo.test.dev \"x\" is invalid: kind: Invalid value: \"Foo\": must be Widget");
    let mut o = widget("x");
    o["metadata"]["namespace"] = "other".into();
    bad(o, 400, "the namespace of the provided object does not match the namespace sent on the request");
    let mut o = widget("x");
    o["metadata"]["resourceVersion"] = "5".into();
    bad(o, 400, "resourceVersion should not be set on objects to be created");
    bad(
        widget("Bad"),
        422,
        "Widget.test.dev \"Bad\" is invalid: metadata.name: Invalid value: \"Bad\": a lowercase RFC 1123 subdomain",
    );
    let mut o = widget("x");
    o["metadata"]["labels"] = json!({"a": "b c"});
    bad(o, 422, "Widget.test.dev \"x\" is invalid: metadata.labels: Invalid value: \"b c\": a valid label");
    let mut o = widget("x");
    o["metadata"]["labels"] = json!({"a": 1});
    bad(
        o,
        400,
        "Widget in version \"v1\" cannot be handled as a Widget: json: cannot unmarshal number into Go struct field ObjectMeta",
    );
    let mut o = widget("x");
    o["spec"]["replicas"] = 99.into();
    bad(
        o,
        422,
        "Widget.test.dev \"x\" is invalid: spec.replicas: Invalid value: 99: spec.replicas in body should be less than or equal to 10",
    );
    let mut o = widget("x");
    o["spec"]["tags"] = json!(["a", "a"]);
    bad(o, 422, "Widget.test.dev \"x\" is invalid: spec.tags[1]: Duplicate value: \"a\"");
    for (object, code, text) in check {
        let status = world.create("widgets@default", object).await.expect_err(text);
        assert_eq!(status.code, code, "{status}");
        assert!(status.message.starts_with(text), "{status}\n{text}");
    }
    let status = world.create("widgets@missing", widget("x")).await.expect_err("no namespace");
    assert_eq!((status.code, status.message.as_str()), (404, "namespaces \"missing\" not found"));
    let status = world.create("configmaps@default", json!({"metadata": {}})).await.expect_err("no name");
    assert_eq!(
        status.message,
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required"
    );
    let status = world
        .create("configmaps@default", json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}}))
        .await;
    assert!(
        status
            .expect_err("another kind")
            .message
            .starts_with("Secret in version \"v1\" cannot be handled as a ConfigMap:")
    );
    let status = world
        .create("configmaps@default", json!({"metadata": {"name": "x"}, "data": {"a": 1}}))
        .await
        .expect_err("a number");
    assert_eq!(status.code, 400, "{status}");
    assert!(
        status
            .message
            .starts_with("ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number"),
        "{status}"
    );
}

#[tokio::test]
async fn a_name_is_there_once_and_can_be_generated_rows_e6_c7() {
    let world = world().await;
    world.create("configmaps@default", config_map("c")).await.expect("created");
    let status = world.create("configmaps@default", config_map("c")).await.expect_err("twice");
    assert_eq!(
        (status.code, status.reason, status.message.as_str()),
        (409, "AlreadyExists", "configmaps \"c\" already exists")
    );
    let made =
        world.create("configmaps@default", json!({"metadata": {"generateName": "gen-"}})).await.expect("created");
    let name = made["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    assert!(name.starts_with("gen-") && name.len() == 9, "{name}");
}

#[tokio::test]
async fn a_put_needs_the_version_it_read_rows_c8_c9_c11_c13_e7() {
    let world = world().await;
    world.widgets().await;
    let made = world.create("widgets@default", widget("w")).await.expect("created");
    let status = world.update("widgets@default w", widget("w")).await.expect_err("no version");
    let text = "widgets.test.dev \"w\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update";
    assert_eq!((status.code, status.message.as_str()), (422, text));
    assert_eq!(status.details.map(|d| d.kind).as_deref(), Some("widgets"));
    let same = world.update("widgets@default w", made.clone()).await.expect("no change");
    assert_eq!(same, made);
    let mut next = made.clone();
    next["spec"]["replicas"] = 2.into();
    let changed = world.update("widgets@default w", next.clone()).await.expect("a change");
    assert_eq!(changed["metadata"]["generation"], 2);
    assert_ne!(changed["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let status = world.update("widgets@default w", next).await.expect_err("stale");
    assert_eq!((status.code, status.reason), (409, "Conflict"));
    assert!(
        status
            .message
            .starts_with("Operation cannot be fulfilled on widgets.test.dev \"w\": the object has been modified")
    );
    let mut other = changed.clone();
    other["metadata"]["uid"] = "x".into();
    let status = world.update("widgets@default w", other).await.expect_err("another uid");
    assert!(status.message.contains("Precondition failed: UID in precondition: x, UID in object meta: "), "{status}");
    let mut named = changed;
    named["metadata"]["name"] = "v".into();
    let status = world.update("widgets@default w", named).await.expect_err("another name");
    assert_eq!(status.message, "the name of the object (v) does not match the name on the URL (w)");
    world.create("configmaps@default", config_map("c")).await.expect("created");
    world
        .update("configmaps@default c", json!({"metadata": {"name": "c"}, "data": {"a": "c"}}))
        .await
        .expect("unconditional");
    let status = world.update("widgets@default gone", widget("gone")).await.expect_err("missing");
    assert_eq!(status.code, 404, "{status}");
    let mut lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}});
    world.update("leases@default l", lease.clone()).await.expect("a PUT may make a Lease");
    let status = world.update("leases@default l", lease.clone()).await.expect_err("a Lease wants its version");
    assert_eq!(status.code, 422, "{status}");
    lease["spec"]["leaseDurationSeconds"] = 0.into();
    lease["metadata"]["name"] = "m".into();
    let status = world.update("leases@default m", lease).await.expect_err("no time at all");
    assert!(status.message.contains("spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"), "{status}");
}

#[tokio::test]
async fn status_and_spec_are_written_on_their_own_paths_rows_s1_to_s8() {
    let world = world().await;
    world.widgets().await;
    let mut object = widget("w");
    object["status"] = json!({"phase": "x"});
    let made = world.create("widgets@default", object).await.expect("created");
    assert!(made.get("status").is_none());
    let mut next = made.clone();
    next["status"] = json!({"phase": "up"});
    next["spec"]["replicas"] = 99.into();
    next["metadata"]["labels"] = json!({"a": "b"});
    let updated = world.update("widgets@default w status", next).await.expect("status only");
    assert_eq!(updated["status"]["phase"], "up");
    assert_eq!(updated["spec"]["replicas"], 1);
    assert!(updated["metadata"].get("labels").is_none());
    assert_eq!(updated["metadata"]["generation"], 1);
    let owners = updated["metadata"]["managedFields"].as_array().expect("owners");
    assert!(
        owners
            .iter()
            .any(|o| o["subresource"] == "status" && o["fieldsV1"] == json!({"f:status": {".": {}, "f:phase": {}}}))
    );
    let kept =
        world.merge("widgets@default w", json!({"status": null, "spec": {"replicas": 3}})).await.expect("spec only");
    assert_eq!(kept["status"]["phase"], "up");
    assert_eq!(kept["metadata"]["generation"], 2);
    let status =
        world.merge("widgets@default w status", json!({"status": {"phase": 1}})).await.expect_err("a wrong type");
    assert!(
        status
            .message
            .contains("status.phase: Invalid value: \"integer\": status.phase in body must be of type string")
            || status.message.contains("phase in body must be of type string"),
        "{status}"
    );
}

#[tokio::test]
async fn scale_reads_and_writes_the_replicas_row_s7() {
    let world = world().await;
    world.widgets().await;
    world.create("widgets@default", widget("w")).await.expect("created");
    let scale = world.get("widgets@default w scale").await.expect("a scale");
    assert_eq!(
        (&scale["kind"], &scale["spec"]["replicas"], &scale["status"]["replicas"]),
        (&json!("Scale"), &json!(1), &json!(0))
    );
    let scaled = world.merge("widgets@default w scale", json!({"spec": {"replicas": 4}})).await.expect("scaled");
    assert_eq!(scaled["spec"]["replicas"], 4);
    assert_eq!(world.get("widgets@default w").await.expect("there")["spec"]["replicas"], 4);
    let status = world.merge("widgets@default w scale", json!({"spec": {"replicas": -1}})).await.expect_err("negative");
    assert_eq!(status.code, 422);
    let mut put = scaled;
    put["spec"]["replicas"] = 5.into();
    assert_eq!(world.update("widgets@default w scale", put).await.expect("scaled")["spec"]["replicas"], 5);
}

#[tokio::test]
async fn a_dry_run_does_everything_but_store_rows_f1_a20() {
    let world = world().await;
    let before = world.registry.store().revision();
    let dry = WriteOptions { dry_run: true, ..WriteOptions::default() };
    let made =
        world.create_as(&world.caller, "configmaps@default", config_map("c"), &dry).await.expect("would be made");
    assert!(made["metadata"]["uid"].is_string() && made["metadata"].get("resourceVersion").is_none());
    assert_eq!(world.get("configmaps@default c").await.expect_err("not stored").code, 404);
    assert_eq!(world.registry.store().revision(), before);
    world.create("configmaps@default", config_map("c")).await.expect("created");
    let status =
        world.create_as(&world.caller, "configmaps@default", config_map("c"), &dry).await.expect_err("is there");
    assert_eq!(status.reason, "AlreadyExists");
    let options = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    world.registry.delete(&world.caller, &world.target("configmaps@default c"), &options).await.expect("would go");
    world.get("configmaps@default c").await.expect("still there");
}

#[tokio::test]
async fn unknown_fields_are_refused_warned_of_or_dropped_rows_f3_to_f7() {
    let world = world().await;
    world.widgets().await;
    let mut object = widget("w");
    object["spec"]["zz"] = 1.into();
    object["metadata"]["foo"] = 1.into();
    object["spec"]["free"] = json!({"any": {"thing": 1}});
    let strict = WriteOptions { field_validation: FieldValidation::Strict, ..WriteOptions::default() };
    let status = world.create_as(&world.caller, "widgets@default", object.clone(), &strict).await.expect_err("strict");
    let text = "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"metadata.foo\", unknown field \"spec.zz\"";
    assert_eq!((status.code, status.message.as_str()), (400, text));
    let caller = admin();
    let made = world.create_as(&caller, "widgets@default", object, &WriteOptions::default()).await.expect("warned");
    assert_eq!(made["spec"], json!({"replicas": 1, "img": "nginx", "free": {"any": {"thing": 1}}}));
    assert_eq!(*caller.warnings.lock(), ["unknown field \"metadata.foo\"", "unknown field \"spec.zz\""]);
    let bytes = Bytes::from(json!({"spec": {"zz": 1}}).to_string());
    let target = world.target("widgets@default w");
    let status = world.registry.patch(&caller, &target, PatchType::Merge, bytes, &strict).await.expect_err("strict");
    assert_eq!(status.code, 422);
    assert!(status.message.starts_with(" \"\" is invalid: patch: Invalid value: \"{"), "{status}");
    assert!(status.message.ends_with("strict decoding error: unknown field \"spec.zz\""), "{status}");
}

#[tokio::test]
async fn secrets_are_merged_sealed_and_served_in_clear_row_b13() {
    let world = world().await;
    let object = json!({"metadata": {"name": "s"}, "stringData": {"k": "otter-plain-value"}, "data": {"k": "b2xk", "b": "YQ=="}});
    let made = world.create("secrets@default", object).await.expect("created");
    assert_eq!(made["data"], json!({"b": "YQ==", "k": "b3R0ZXItcGxhaW4tdmFsdWU="}));
    assert_eq!(made["type"], "Opaque");
    assert!(made.get("stringData").is_none());
    assert_eq!(world.get("secrets@default s").await.expect("there"), made);
    let key = otternauts_store::Key::new("secrets", "default", "s");
    let stored = world.registry.store().get(&key).await.expect("readable").expect("there");
    let text = String::from_utf8_lossy(&stored.body).into_owned();
    assert!(!text.contains("b3R0ZXItcGxhaW4tdmFsdWU") && !text.contains("otter-plain-value"), "{text}");
    let same = world.update("secrets@default s", made.clone()).await.expect("no change");
    assert_eq!(same["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let status = world.merge("secrets@default s", json!({"type": "other"})).await.expect_err("the type stays");
    assert!(status.message.contains("type: Invalid value: \"other\": field is immutable"), "{status}");
    world.merge("secrets@default s", json!({"immutable": true})).await.expect("locked");
    let status = world.merge("secrets@default s", json!({"data": {"k": "eA=="}})).await.expect_err("locked");
    assert!(status.message.contains("data: Forbidden: field is immutable when `immutable` is set"), "{status}");
    let mut session = world.watch("secrets@default", WatchOptions::default()).await;
    let Some(WatchEvent::Added(bytes)) = soon(session.next()).await else { panic!("the secret comes first") };
    assert!(String::from_utf8_lossy(&bytes).contains("b3R0ZXItcGxhaW4tdmFsdWU="));
}

#[tokio::test]
async fn both_event_apis_show_the_same_objects_rows_b8_b9() {
    let world = world().await;
    let event = json!({
        "metadata": {"name": "e"}, "regarding": {"kind": "Widget", "name": "w", "namespace": "default"}, "note": "hello", "type": "Normal",
        "reason": "Made", "action": "Make", "eventTime": "2026-09-21T14:13:20.000000Z", "reportingController": "c", "reportingInstance": "i",
    });
    world.create("events.events.k8s.io@default", event.clone()).await.expect("created");
    let core = world.get("events@default e").await.expect("the same object");
    assert_eq!(
        (&core["message"], &core["apiVersion"], &core["involvedObject"]["name"]),
        (&json!("hello"), &json!("v1"), &json!("w"))
    );
    assert_eq!(core["reportingComponent"], "c");
    let new = world.get("events.events.k8s.io@default e").await.expect("there");
    assert_eq!((&new["note"], &new["apiVersion"]), (&json!("hello"), &json!("events.k8s.io/v1")));
    let mut bad = event;
    bad["metadata"]["name"] = "f".into();
    bad["regarding"]["namespace"] = "other".into();
    let status = world.create("events.events.k8s.io@default", bad).await.expect_err("another namespace");
    assert!(status.message.contains("does not match event.namespace"), "{status}");
}

#[tokio::test]
async fn built_in_kinds_are_read_as_typed_rows_b8_b11_b13_n17() {
    let world = world().await;
    let lease = |time: &str| json!({"metadata": {"name": "l"}, "spec": {"renewTime": time}});
    let status = world.create("leases@default", lease("2026-01-01T00:00:00Z")).await.expect_err("six decimals");
    let text = "Lease in version \"v1\" cannot be handled as a Lease: parsing time \"2026-01-01T00:00:00Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \".000000\"";
    assert_eq!((status.code, status.message.as_str()), (400, text));
    let made = world.create("leases@default", lease("2026-01-01T00:00:00.123456+02:00")).await.expect("created");
    assert_eq!(made["spec"]["renewTime"], "2025-12-31T22:00:00.123456Z");
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}, "firstTimestamp": "2026-01-01T02:00:00.5+02:00"});
    assert_eq!(world.create("events@default", event).await.expect("created")["firstTimestamp"], "2026-01-01T00:00:00Z");
    let map = json!({"metadata": {"name": "c", "labels": {}}, "data": {}, "binaryData": null, "immutable": null});
    let made = world.create("configmaps@default", map).await.expect("created");
    assert!(["data", "binaryData", "immutable"].iter().all(|key| made.get(key).is_none()), "{made}");
    let secret = json!({"metadata": {"name": "s"}, "data": {"a": "%%"}});
    let status = world.create("secrets@default", secret).await.expect_err("no base64");
    let text = "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 0";
    assert_eq!((status.code, status.message.as_str()), (400, text));
}

#[tokio::test]
async fn creates_and_the_end_of_their_namespace_never_cross_rows_b4_b5() {
    let world = world().await;
    let _tasks = world.housekeeping();
    for round in 0..5 {
        let name = format!("n{round}");
        world.create("namespaces", json!({"metadata": {"name": name}})).await.expect("created");
        let mut tasks = tokio::task::JoinSet::new();
        for i in 0..8 {
            let (registry, place) = (world.registry.clone(), format!("configmaps@{name}"));
            tasks.spawn(async move {
                for j in 0.. {
                    let object = Object::from_value(config_map(&format!("c{i}-{j}"))).expect("an object");
                    let body = Body { object, duplicates: Vec::new() };
                    let target = target(&registry, &place);
                    if registry.create(&admin(), &target, body, &WriteOptions::default()).await.is_err() {
                        return j;
                    }
                    tokio::task::yield_now().await;
                }
                0
            });
        }
        tokio::task::yield_now().await;
        world.delete(&format!("namespaces {name}")).await.expect("marked");
        while let Some(made) = tasks.join_next().await {
            made.expect("no panic");
        }
        world.until_gone(&format!("namespaces {name}")).await;
        let left = world.list(&format!("configmaps@{name}"), &ListOptions::default()).await.expect("a list");
        assert!(left.items.is_empty(), "round {round}: {:?}", names(&left));
    }
}
