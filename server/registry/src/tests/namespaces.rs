//! Section 1.17.

use super::*;

#[tokio::test]
async fn the_namespaces_of_the_start_are_there_rows_b1_b2_b7() {
    let world = world().await;
    for name in ["default", "kube-system", "kube-public", "kube-node-lease", "otternauts-system"] {
        let namespace = world.get(&format!("namespaces {name}")).await.expect(name);
        assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], name);
        assert_eq!(
            (&namespace["spec"], &namespace["status"]),
            (&json!({"finalizers": ["kubernetes"]}), &json!({"phase": "Active"}))
        );
        world.get(&format!("serviceaccounts@{name} default")).await.expect("its account");
    }
    let status = world.delete("namespaces default").await.expect_err("never");
    assert_eq!(status.message, "namespaces \"default\" is forbidden: this namespace may not be deleted");
    let labelled =
        world.merge("namespaces default", json!({"metadata": {"labels": {"kubernetes.io/metadata.name": null}}})).await;
    assert_eq!(labelled.expect("patched")["metadata"]["labels"]["kubernetes.io/metadata.name"], "default");
}

#[tokio::test]
async fn a_namespace_empties_itself_and_goes_rows_b3_to_b5() {
    let world = world().await;
    world.widgets().await;
    world.create("namespaces", json!({"metadata": {"name": "n"}})).await.expect("created");
    world.create("configmaps@n", config_map("c")).await.expect("created");
    let mut held = widget("w");
    held["metadata"]["finalizers"] = json!(["a.b/c"]);
    world.create("widgets@n", held).await.expect("created");
    let Deleted::Waiting(marked) = world.delete("namespaces n").await.expect("marked") else {
        panic!("it has content")
    };
    let marked = value(&marked);
    assert_eq!(marked["status"]["phase"], "Terminating");
    assert!(marked["metadata"].get("deletionGracePeriodSeconds").is_none());
    let Deleted::Waiting(again) = world.delete("namespaces n").await.expect("the same") else {
        panic!("it has content")
    };
    assert_eq!(value(&again), marked);
    let status = world.create("configmaps@n", config_map("x")).await.expect_err("too late");
    let text =
        "configmaps \"x\" is forbidden: unable to create new content in namespace n because it is being terminated";
    assert_eq!((status.code, status.message.as_str()), (403, text));
    assert_eq!(status.details.map(|d| d.causes[0].reason.clone()).as_deref(), Some("NamespaceTerminating"));
    let _tasks = world.housekeeping();
    let shown =
        world.until("namespaces n", |n| n["status"]["conditions"].as_array().is_some_and(|c| c.len() == 4)).await;
    let conditions = shown["status"]["conditions"].as_array().expect("conditions").clone();
    let message = |kind: &str| {
        let found = conditions.iter().find(|c| c["type"] == kind).expect(kind);
        found["message"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(
        message("NamespaceContentRemaining"),
        "Some resources are remaining: widgets.test.dev has 1 resource instances"
    );
    assert!(message("NamespaceFinalizersRemaining").ends_with("a.b/c in 1 resource instances"));
    assert_eq!(world.get("configmaps@n c").await.expect_err("gone").code, 404);
    world.merge("widgets@n w", json!({"metadata": {"finalizers": null}})).await.expect("let go");
    world.until_gone("namespaces n").await;
    assert_eq!(world.create("configmaps@n", config_map("x")).await.expect_err("gone").code, 404);
}

#[tokio::test]
async fn an_empty_finalizer_list_lets_a_namespace_go_row_b6() {
    let world = world().await;
    world.create("namespaces", json!({"metadata": {"name": "n"}})).await.expect("created");
    world.delete("namespaces n").await.expect("marked");
    let kept = world.merge("namespaces n", json!({"spec": {"finalizers": null}})).await.expect("not on this path");
    assert_eq!(kept["spec"]["finalizers"], json!(["kubernetes"]));
    world
        .update("namespaces n finalize", json!({"metadata": {"name": "n"}, "spec": {"finalizers": []}}))
        .await
        .expect("gone");
    assert_eq!(world.get("namespaces n").await.expect_err("gone").code, 404);
}

#[tokio::test]
async fn a_deleted_default_account_comes_back_row_b7() {
    let world = world().await;
    let before = world.get("serviceaccounts@default default").await.expect("there");
    let _tasks = world.housekeeping();
    world.delete("serviceaccounts@default default").await.expect("deleted");
    world.until("serviceaccounts@default default", |a| a["metadata"]["uid"] != before["metadata"]["uid"]).await;
}

#[tokio::test]
async fn the_phase_of_a_namespace_is_not_for_anybody_to_choose_row_b4() {
    let world = world().await;
    world.create("namespaces", json!({"metadata": {"name": "n"}})).await.expect("created");
    for phase in ["Bogus", "Terminating"] {
        let status = world.merge("namespaces n status", json!({"status": {"phase": phase}})).await.expect_err(phase);
        assert_eq!(
            (status.code, status.message),
            (
                422,
                format!(
                    "Namespace \"n\" is invalid: status.Phase: Invalid value: \"{phase}\": \
                     may only be 'Active' if `deletionTimestamp` is empty"
                )
            )
        );
    }
    for status in [json!({"phase": null}), json!(null), json!({"phase": ""}), json!({"phase": "Active"})] {
        let kept = world.merge("namespaces n status", json!({"status": status})).await.expect("Active it is");
        assert_eq!(kept["status"], json!({"phase": "Active"}), "{status}");
    }
    world.delete("namespaces n").await.expect("it goes");
    let status = world.merge("namespaces n status", json!({"status": {"phase": "Active"}})).await.expect_err("it goes");
    assert!(status.message.ends_with("may only be 'Terminating' if `deletionTimestamp` is not empty"), "{status}");
}
