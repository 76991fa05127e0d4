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
    for plural in ["clusters", "servers", "stacks", "deployments", "healrules", "registrycredentials", "notifiers"] {
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

#[tokio::test]
async fn what_was_deployed_cannot_be_edited_section_9() {
    let world = world().await;
    let made = |name: &str, spec: Value| json!({"apiVersion": "otternauts.dev/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec});
    world.create("deployments@default", made("d", json!({"stackRef": {"name": "shop"}}))).await.expect("created");
    let refused = |status: Status, fields: &[&str]| {
        assert_eq!((status.code, status.reason), (422, "Invalid"), "{status}");
        assert!(status.message.starts_with("Deployment.otternauts.dev \"d\" is invalid: "), "{status}");
        let details = status.details.as_ref().expect("details");
        let named: Vec<&str> = details.causes.iter().map(|c| c.field.as_str()).collect();
        assert_eq!(named, fields, "{status}");
        assert!(details.causes.iter().all(|c| c.message.ends_with(": field is immutable")), "{status}");
    };
    let another = json!({"spec": {"stackRef": {"name": "other"}}});
    refused(
        world.merge("deployments@default d", another.clone()).await.expect_err("another stack"),
        &["spec.stackRef"],
    );
    // The controller, once.
    let snapshot = json!({"compose": "services: {}", "specSha256": "a"});
    let filled = json!({"spec": {"version": 3, "trigger": "rollback", "snapshot": snapshot}});
    world.merge("deployments@default d", filled.clone()).await.expect("filled");
    world.merge("deployments@default d", filled).await.expect("the same again changes nothing");
    for (patch, field) in [
        (another, "spec.stackRef"),
        (json!({"spec": {"version": 4}}), "spec.version"),
        (json!({"spec": {"version": null}}), "spec.version"),
        (json!({"spec": {"trigger": "manual"}}), "spec.trigger"),
        (json!({"spec": {"rollbackTo": 1}}), "spec.rollbackTo"),
        (json!({"spec": {"snapshot": {"compose": "services: {evil: {}}"}}}), "spec.snapshot"),
        (json!({"spec": {"snapshot": null}}), "spec.snapshot"),
    ] {
        let status = world.merge("deployments@default d", patch).await.expect_err(field);
        assert!(!status.message.contains("evil"), "{status}");
        refused(status, &[field]);
    }
    world
        .merge("deployments@default d", json!({"metadata": {"labels": {"a": "b"}}}))
        .await
        .expect("metadata may change");
    world
        .merge("deployments@default d status", json!({"status": {"phase": "running"}}))
        .await
        .expect("status may change");
    world
        .create("deployments@default", made("e", json!({"stackRef": {"name": "shop"}, "rollbackTo": 2})))
        .await
        .expect("created");
    let status = world.merge("deployments@default e", json!({"spec": {"rollbackTo": 1}})).await.expect_err("given");
    assert!(status.message.contains("spec.rollbackTo: Invalid value: 1: field is immutable"), "{status}");
}

#[tokio::test]
async fn an_action_needs_its_parameters_and_a_target_that_it_can_be_done_to() {
    let world = world().await;
    let rule = |action: &str, more: Value| {
        let mut spec = json!({"target": {"stack": "shop"}, "condition": "unhealthy", "action": action});
        overlay(&mut spec, more);
        json!({"apiVersion": "otternauts.dev/v1", "kind": "HealRule", "metadata": {"name": "r"}, "spec": spec})
    };
    let hook = json!({"url": "ftp://x.example", "secretRef": {"name": "s"}});
    let server = json!({"stack": null, "server": "h*"});
    for (place, object, expected) in [
        ("default", rule("scale", json!({})), "spec.scale: Required value: for action scale"),
        ("default", rule("scale", json!({"scale": {"max": 0}})), "spec.scale.max: Invalid value: 0"),
        ("default", rule("restart", json!({"scale": {"max": 3}})), "spec.scale: Forbidden: only for action scale"),
        ("default", rule("webhook", json!({})), "spec.webhook: Required value: for action webhook"),
        ("default", rule("webhook", json!({"webhook": hook})), "must begin with https:// or http://"),
        ("otternauts-system", rule("drain", json!({})), "spec.target.server: Required value: for action drain"),
        ("otternauts-system", rule("restart", json!({"target": server})), "action restart is done to services"),
        (
            "default",
            rule("prune-images", json!({"target": server})),
            "only rules in namespace otternauts-system may name them",
        ),
        (
            "otternauts-system",
            rule("drain", json!({"target": {"server": "h1"}})),
            "spec.target.stack: Forbidden: may not be given together with server",
        ),
    ] {
        let status = world.create(&format!("healrules@{place}"), object).await.expect_err(expected);
        assert!(status.code == 422 && status.message.contains(expected), "{status}");
    }
    let good = rule("drain", json!({"target": server, "condition": "disk.free < 10%"}));
    world.create("healrules@otternauts-system", good).await.expect("created");
    world.create("healrules@default", rule("scale", json!({"scale": {"max": 3}}))).await.expect("created");
}

/// What a person would write in: a merge patch.
fn overlay(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                match value {
                    Value::Null => drop(into.remove(&key)),
                    value => overlay(into.entry(key).or_insert(Value::Null), value),
                }
            }
        }
        (into, more) => *into = more,
    }
}

#[tokio::test]
async fn absurd_versions_are_refused_section_9() {
    let world = world().await;
    for (field, value) in [
        ("version", json!(0)),
        ("version", json!(-1)),
        ("version", json!(i64::MAX)),
        ("rollbackTo", json!(1_000_000_001)),
    ] {
        let object = json!({
            "apiVersion": "otternauts.dev/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"stackRef": {"name": "shop"}, field: value},
        });
        let status = world.create("deployments@default", object).await.expect_err(field);
        assert!(status.code == 422 && status.message.contains(&format!("spec.{field}: Invalid value: ")), "{status}");
    }
}

#[tokio::test]
async fn a_stack_cannot_reach_for_what_another_stack_made_unless_the_cluster_or_namespace_lets_it_section_10() {
    let world = world().await;
    let reach = "services: {a: {image: b}}\nvolumes: {d: {external: true, name: shop-0badcafe_db}}\n";
    let status = world.create("stacks@default", stack("thief", reach)).await.expect_err("not its own");
    assert!(
        status.code == 422
            && status.message.contains("line 2, column ")
            && status.message.contains("another stack made"),
        "{status}"
    );
    let plugin = "services: {a: {image: b, logging: {driver: gelf}}}\nvolumes: {d: {driver: nas}}\n";
    let status = world.create("stacks@default", stack("plugin", plugin)).await.expect_err("not listed");
    assert!(status.message.contains("logging driver") && status.message.contains("volume driver"), "{status}");
    let policy = json!({"spec": {"policy": {"volumeDrivers": ["nas"], "loggingDrivers": ["gelf"]}}});
    world.merge("clusters default", policy).await.expect("listed");
    world.create("stacks@default", stack("plugin", plugin)).await.expect("what the cluster lists");
}

#[tokio::test]
async fn a_notifier_has_exactly_one_channel() {
    let world = world().await;
    let by_secret = json!({"secretRef": {"name": "chat"}});
    for (name, channel, accepted) in [
        ("one", json!({"slack": by_secret}), true),
        ("two", json!({"slack": by_secret, "discord": by_secret}), false),
        ("none", json!({}), false),
        ("unsigned", json!({"webhook": {"url": "https://example.com/"}}), false),
        ("nobody", json!({"email": {"host": "mail.example", "from": "a@example.com", "to": []}}), false),
    ] {
        let notifier = json!({
            "apiVersion": "otternauts.dev/v1", "kind": "Notifier", "metadata": {"name": name}, "spec": {"channel": channel},
        });
        let created = world.create("notifiers@default", notifier).await;
        assert_eq!(created.is_ok(), accepted, "{name}: {created:?}");
        if let Err(status) = created {
            assert_eq!(status.code, 422, "{name}: {status}");
        }
    }
}

#[tokio::test]
async fn a_heal_rule_that_cannot_be_read_is_refused_with_its_place_ot_36() {
    let world = world().await;
    let rule = |name: &str, condition: &str, cooldown: &str| {
        let spec =
            json!({"target": {"stack": "shop"}, "condition": condition, "action": "restart", "cooldown": cooldown});
        json!({"apiVersion": "otternauts.dev/v1", "kind": "HealRule", "metadata": {"name": name}, "spec": spec})
    };
    world.create("healrules@default", rule("good", "memory > 80% for 5m", "10m")).await.expect("created");
    let status = world.create("healrules@default", rule("bad", "cpu > 90", "soon")).await.expect_err("refused");
    assert_eq!(
        (status.code, status.message.as_str()),
        (
            422,
            "HealRule.otternauts.dev \"bad\" is invalid: [spec.condition: Invalid value: \"cpu > 90\": column 7: unexpected \"90\"; \
             expected a percentage such as 90%: cpu is measured in that, spec.cooldown: Invalid value: \"soon\": must be a time \
             such as 30s, 5m or 1h30m]"
        )
    );
}

#[tokio::test]
async fn a_heal_rule_that_could_never_fire_is_refused() {
    let world = world().await;
    let server = |condition: &str, url: &str| {
        json!({"target": {"server": "*"}, "condition": condition, "action": "webhook",
            "webhook": {"url": url, "secretRef": {"name": "hook"}}})
    };
    let service = |condition: &str| json!({"target": {"stack": "shop"}, "condition": condition, "action": "restart"});
    let hook = "https://hooks.example.org/x?to=a@b";
    for (name, spec, refusal) in [
        ("a-day", service("unhealthy for 24h"), None),
        ("too-far", service("unhealthy for 1000h"), Some("looks back further than 24h")),
        ("nested", service("(restarts > 5 in 20h) for 5h"), Some("looks back further than 24h")),
        ("probes", service("probe.failed >= 20"), None),
        ("probes-off", service("probe.failed > 20"), Some("failed probes are counted up to 20")),
        ("disk", server("disk.free < 10% and cpu < 50%", hook), None),
        ("restarts", server("restarts > 5 in 1h", hook), Some("restarts is of services")),
        ("sick", server("disk.free < 10% or unhealthy", hook), Some("unhealthy is of services")),
        (
            "user",
            server("disk.free < 10%", "https://me:s3cret@h.example/"),
            Some("must not carry a user or a password"),
        ),
        ("scheme", server("disk.free < 10%", "ftp://h.example/"), Some("must begin with https:// or http://")),
    ] {
        let rule =
            json!({"apiVersion": "otternauts.dev/v1", "kind": "HealRule", "metadata": {"name": name}, "spec": spec});
        let created = world.create("healrules@otternauts-system", rule).await;
        match (created, refusal) {
            (Ok(_), None) => {}
            (Err(status), Some(expected)) => {
                assert!(status.code == 422 && status.message.contains(expected), "{name}: {status}");
                assert!(!status.message.contains("s3cret"), "{status}");
            }
            (created, _) => panic!("{name}: {created:?}"),
        }
    }
}
