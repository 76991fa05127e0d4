//! Our own kinds through the same path, and what admission asks of a Stack (design section 10).

use super::*;

fn stack(name: &str, compose: &str) -> Value {
    json!({
        "apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": name}, "spec": {"compose": {"inline": compose}},
    })
}

#[tokio::test]
async fn our_kinds_are_served_from_the_start_section_3() {
    let world = world().await;
    for plural in ["clusters", "servers", "stacks", "deployments", "healrules", "registrycredentials"] {
        let definitions = world.registry.definitions();
        let definition = definitions.find("otternauts.dev", "v1", plural).unwrap_or_else(|| panic!("{plural}"));
        assert!(!definition.is_builtin() && definition.storage_version().has_status, "{plural}");
    }
    world.get("clusters default").await.expect("made on the first start");
}

#[tokio::test]
async fn a_bad_compose_file_is_refused_where_it_is_written_section_10() {
    let world = world().await;
    let good = "services:\n  web:\n    image: nginx:1.27\n";
    world.create("stacks@default", stack("good", good)).await.expect("created");
    for (name, compose) in [
        ("syntax", "services:\n  web: [\n"),
        ("empty", "services: {}\n"),
        ("policy", "services:\n  web:\n    image: nginx\n    privileged: true\n"),
    ] {
        let status = world.create("stacks@default", stack(name, compose)).await.expect_err(name);
        assert_eq!(status.code, 422, "{status}");
        let start = format!("Stack.otternauts.dev \"{name}\" is invalid: ");
        assert!(
            status.message.starts_with(&start) && status.message.contains("Configuration error: line "),
            "{status}"
        );
    }
    world
        .merge("namespaces kube-public", json!({"metadata": {"labels": {"otternauts.dev/policy": "privileged"}}}))
        .await
        .expect("labelled");
    let wide = "services:\n  web:\n    image: nginx\n    privileged: true\n";
    let made = world.create("stacks@kube-public", stack("wide", wide)).await;
    assert!(made.is_ok() || made.as_ref().is_err_and(|s| !s.message.contains("namespace")), "{made:?}");
}
