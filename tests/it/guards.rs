//! What keeps people from hurting themselves, and one stack from reaching for what is not its own: a whole control plane, no servers.

use otternauts_harness::{Otter, until};
use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn get(otter: &Otter, what: &[&str]) -> Value {
    let ran = otter.kubectl(&[&["get", "-o", "json"], what].concat());
    if ran.code == 0 { ran.json() } else { Value::Null }
}

fn shop() -> &'static str {
    "apiVersion: otternauts.dev/v1\nkind: Stack\nmetadata: {name: shop}\nspec:\n  compose:\n    inline: |\n      services: {web: {image: nginx}}\n"
}

#[test]
fn a_cluster_goes_only_when_nothing_refers_to_it() {
    let otter = crate::whole();
    otter.apply(shop());
    otter.apply("apiVersion: otternauts.dev/v1\nkind: Server\nmetadata: {name: harbour}\nspec: {address: 127.0.0.1, port: 1, user: u}\n");
    until("the finalizer", PATIENCE, || {
        let cluster = get(&otter, &["cluster", "default"]);
        let list = cluster["metadata"]["finalizers"].clone();
        if list == serde_json::json!(["otternauts.dev/cleanup"]) { Ok(()) } else { Err(list) }
    });
    otter.kubectl(&["delete", "cluster", "default", "--wait=false"]).ok();
    let text = "The Cluster goes when nothing refers to it any more. Still there:";
    let says = |wanted: String| {
        until("the condition", PATIENCE, || {
            let status = get(&otter, &["cluster", "default"])["status"].clone();
            let ready = status["conditions"].as_array().and_then(|c| c.iter().find(|c| c["type"] == "Ready").cloned());
            match ready {
                Some(ready) if ready["reason"] == "InUse" && ready["message"] == wanted.as_str() => Ok(()),
                _ => Err(status),
            }
        });
    };
    says(format!("{text} Servers harbour; Stacks default/shop."));
    otter.kubectl(&["delete", "stack", "shop"]).ok();
    says(format!("{text} Servers harbour."));
    otter.kubectl(&["delete", "server", "harbour"]).ok();
    until("the Cluster to go", PATIENCE, || {
        let left = get(&otter, &["cluster", "default"]);
        if left.is_null() { Ok(()) } else { Err(left) }
    });
}

#[test]
fn a_secret_that_stands_where_a_snapshots_values_go_is_not_touched_r24() {
    let otter = crate::whole();
    otter.kubectl(&["create", "secret", "generic", "shop-1-env", "--from-literal=MINE=yes"]).ok();
    let before = get(&otter, &["secret", "shop-1-env"]);
    otter.apply(shop());
    until("the Stack to say what is in the way", PATIENCE, || {
        let status = get(&otter, &["stack", "shop"])["status"].clone();
        if status.to_string().contains("Secret \\\"shop-1-env\\\" is in the way and not of this stack") {
            Ok(())
        } else {
            Err(status)
        }
    });
    assert_eq!(get(&otter, &["secret", "shop-1-env"]), before);
    assert_eq!(get(&otter, &["deployments"])["items"], serde_json::json!([]));
    otter.kubectl(&["delete", "secret", "shop-1-env"]).ok();
    until("the Deployment", PATIENCE, || {
        let made = get(&otter, &["deployment", "shop-1"]);
        if made.is_null() { Err(made) } else { Ok(()) }
    });
    assert_eq!(get(&otter, &["secret", "shop-1-env"])["type"], "otternauts.dev/snapshot");
}

#[test]
fn a_snapshot_cannot_name_any_secret_and_have_its_content_deployed_r24() {
    let otter = crate::whole();
    otter.kubectl(&["create", "secret", "generic", "bank", "--from-literal=PIN=4711"]).ok();
    otter.apply(&shop().replace("spec:\n", "spec:\n  deployPolicy: Manual\n"));
    otter.apply(
        "apiVersion: otternauts.dev/v1\nkind: Deployment\nmetadata: {name: thief}\nspec:\n  stackRef: {name: shop}\n  version: 7\n  \
         snapshot: {compose: 'services: {web: {image: \"x:${PIN}\"}}', envSecretRef: {name: bank}, specSha256: a}\n",
    );
    until("the Deployment to be refused", PATIENCE, || {
        let status = get(&otter, &["deployment", "thief"])["status"].clone();
        let told = status["lastError"].as_str().unwrap_or_default();
        if told.contains("Secret \"bank\" does not hold the values of a snapshot") { Ok(()) } else { Err(status) }
    });
    assert!(!otter.log().contains("4711"));
}

#[test]
fn a_version_a_person_wrote_must_be_newer_than_all_others() {
    let otter = crate::whole();
    otter.apply(shop());
    until("the first Deployment", PATIENCE, || {
        let made = get(&otter, &["deployment", "shop-1"]);
        if made["spec"]["snapshot"].is_object() { Ok(()) } else { Err(made) }
    });
    let wish = |name: &str, version: i64| {
        otter.apply(&format!(
            "apiVersion: otternauts.dev/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec: {{stackRef: {{name: shop}}, version: {version}}}\n"
        ));
    };
    wish("again", 1);
    until("the old version to be refused", PATIENCE, || {
        let status = get(&otter, &["deployment", "again"])["status"].clone();
        let told = status["lastError"].as_str().unwrap_or_default();
        if status["phase"] == "failed" && told.contains("version 1 is not newer than 1") { Ok(()) } else { Err(status) }
    });
    wish("leap", 40);
    until("the new version to be filled", PATIENCE, || {
        let spec = get(&otter, &["deployment", "leap"])["spec"].clone();
        if spec["snapshot"].is_object() && spec["version"] == 40 { Ok(()) } else { Err(spec) }
    });
    let status = otter.kubectl(&["patch", "deployment", "leap", "--type=merge", "-p", "{\"spec\":{\"version\":41}}"]);
    assert!(status.refused().contains("spec.version: Invalid value: 41: field is immutable"), "{}", status.stderr);
}
