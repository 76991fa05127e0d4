//! RBAC objects (rows I12, I14, I15).

use super::*;
use otternauts_auth::Attributes;

fn may(world: &World, caller: &Caller, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
    let asked = Attributes {
        verb: verb.into(),
        group: group.into(),
        version: "v1".into(),
        resource: resource.into(),
        namespace: namespace.into(),
        ..Attributes::default()
    };
    world.registry.roles().authorize(&caller.user, &asked).is_allowed()
}

fn binding(name: &str, role: &str, user: &str) -> Value {
    json!({
        "metadata": {"name": name}, "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [{"kind": "User", "name": user}],
    })
}

#[tokio::test]
async fn roles_count_from_the_moment_their_write_is_answered_rows_i12_i14() {
    let world = world().await;
    let bob = person("bob");
    assert!(!may(&world, &bob, "get", "otternauts.dev", "stacks", "default"));
    world.create("rolebindings@default", binding("b", "view", "bob")).await.expect("bound");
    assert!(may(&world, &bob, "get", "otternauts.dev", "stacks", "default"));
    assert!(may(&world, &bob, "list", "", "configmaps", "default"));
    assert!(!may(&world, &bob, "get", "", "secrets", "default"));
    assert!(!may(&world, &bob, "create", "otternauts.dev", "stacks", "default"));
    assert!(!may(&world, &bob, "get", "otternauts.dev", "stacks", "kube-system"));
    assert!(!may(&world, &bob, "get", "otternauts.dev", "servers", ""));
    let more = json!({
        "metadata": {"name": "more", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        "rules": [{"apiGroups": ["test.dev"], "resources": ["widgets"], "verbs": ["get"]}],
    });
    world.create("clusterroles", more).await.expect("created");
    assert!(may(&world, &bob, "get", "test.dev", "widgets", "default"));
    let view = world.get("clusterroles view").await.expect("there");
    assert!(view["rules"].as_array().is_some_and(|rules| rules.iter().any(|r| r["apiGroups"] == json!(["test.dev"]))));
    let edit = world.get("clusterroles edit").await.expect("there");
    assert!(
        edit["rules"].as_array().is_some_and(|rules| rules.iter().any(|r| r["apiGroups"] == json!(["test.dev"]))),
        "through view"
    );
    world.delete("rolebindings@default b").await.expect("deleted");
    assert!(!may(&world, &bob, "get", "otternauts.dev", "stacks", "default"));
}

#[tokio::test]
async fn nobody_grants_more_than_they_hold_row_i12() {
    let world = world().await;
    let rule = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create", "update"]}]);
    world.create("roles@default", json!({"metadata": {"name": "maker"}, "rules": rule})).await.expect("created");
    let mut bound = binding("maker", "maker", "bob");
    bound["roleRef"]["kind"] = "Role".into();
    world.create("rolebindings@default", bound).await.expect("bound");
    let bob = person("bob");
    let options = WriteOptions::default();
    let role =
        json!({"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    let status = world.create_as(&bob, "roles@default", role, &options).await.expect_err("too much");
    let text = "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"bob\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}";
    assert_eq!((status.code, status.message.as_str()), (403, text));
    let status = world
        .create_as(&bob, "rolebindings@default", binding("x", "cluster-admin", "bob"), &options)
        .await
        .expect_err("too much");
    assert_eq!(status.code, 403, "{status}");
    let status = world
        .create_as(&bob, "rolebindings@default", binding("x", "nope", "bob"), &options)
        .await
        .expect_err("no such role");
    assert_eq!(
        (status.code, status.message.as_str()),
        (404, "clusterroles.rbac.authorization.k8s.io \"nope\" not found")
    );
    let status = world
        .merge("rolebindings@default maker", json!({"roleRef": {"name": "other"}}))
        .await
        .expect_err("the role stays");
    assert!(status.message.contains("cannot change roleRef"), "{status}");
    world
        .create("roles@default", json!({"metadata": {"name": "with:colons"}}))
        .await
        .expect("RBAC names are free, row M2");
}

#[tokio::test]
async fn an_update_that_creates_needs_the_right_to_create_row_i15() {
    let world = world().await;
    let bob = person("bob");
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    let options = WriteOptions { field_manager: "m".into(), ..WriteOptions::default() };
    let target = world.target("configmaps@default c");
    let bytes = Bytes::from(config.to_string());
    let status = world.registry.patch(&bob, &target, PatchType::Apply, bytes, &options).await.expect_err("no right");
    let text = "configmaps \"c\" is forbidden: User \"bob\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert_eq!((status.code, status.message.as_str()), (403, text));
}

#[tokio::test]
async fn the_healing_account_may_do_what_its_actions_need_and_reads_secrets_by_name_only() {
    let world = world().await;
    let account = Caller::new(otternauts_auth::User::service_account("otternauts-system", "healing", ""), "test");
    for (verb, group, resource, expected) in [
        ("watch", "otternauts.dev", "healrules", true),
        ("patch", "otternauts.dev", "healrules", false),
        ("watch", "otternauts.dev", "stacks", true),
        ("patch", "otternauts.dev", "stacks", false),
        ("create", "otternauts.dev", "deployments", true),
        ("delete", "otternauts.dev", "deployments", false),
        ("patch", "otternauts.dev", "servers", true),
        ("delete", "otternauts.dev", "servers", false),
        ("create", "events.k8s.io", "events", true),
        ("get", "", "secrets", true),
        ("list", "", "secrets", false),
    ] {
        assert_eq!(may(&world, &account, verb, group, resource, "shop"), expected, "{verb} {resource}");
    }
}

#[tokio::test]
async fn the_notify_account_reads_secrets_by_name_only_and_writes_nothing_of_others() {
    let world = world().await;
    let account = Caller::new(otternauts_auth::User::service_account("otternauts-system", "notify", ""), "test");
    for (verb, group, resource, expected) in [
        ("get", "", "secrets", true),
        ("list", "", "secrets", false),
        ("watch", "", "secrets", false),
        ("create", "", "secrets", false),
        ("watch", "events.k8s.io", "events", true),
        ("create", "events.k8s.io", "events", true),
        ("watch", "otternauts.dev", "stacks", true),
        ("patch", "otternauts.dev", "stacks", false),
        ("watch", "otternauts.dev", "notifiers", true),
        ("patch", "otternauts.dev", "notifiers", false),
    ] {
        assert_eq!(may(&world, &account, verb, group, resource, "shop"), expected, "{verb} {resource}");
    }
    world.create("rolebindings@default", binding("b", "edit", "bob")).await.expect("bound");
    assert!(may(&world, &person("bob"), "create", "otternauts.dev", "notifiers", "default"));
    assert!(!may(&world, &person("bob"), "create", "otternauts.dev", "notifiers", "otternauts-system"));
}
