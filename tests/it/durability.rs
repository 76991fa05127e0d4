//! What is answered is kept (P1), and a watch resumes exactly (P5, W4).

use crate::otter;
use otternauts_harness::until;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"n": name}})).expect("a ConfigMap")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_object_survives_kill_9_and_a_watch_resumes_exactly() {
    let mut otter = otter();
    let client = otter.client().await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let first = maps.create(&PostParams::default(), &config_map("first")).await.expect("created");
    let seen: u64 = first.metadata.resource_version.expect("a version").parse().expect("a number");

    // 32 clients of 32 objects each; the kill comes when 1,000 are acknowledged, in the midst of the rest.
    let ledger: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let mut tasks = Vec::new();
    for c in 0..32 {
        let (ledger, client) = (ledger.clone(), otter.client().await);
        tasks.push(tokio::spawn(async move {
            let maps: Api<ConfigMap> = Api::namespaced(client, "default");
            for i in 0..40 {
                let name = format!("c{c}-{i}");
                match maps.create(&PostParams::default(), &config_map(&name)).await {
                    Ok(made) => {
                        let version = made.metadata.resource_version.expect("a version").parse().expect("a number");
                        ledger.lock().expect("not poisoned").insert(name, version);
                    }
                    Err(_) => return,
                }
            }
        }));
    }
    let full = ledger.clone();
    tokio::task::spawn_blocking(move || {
        until("1,000 acknowledged creates", Duration::from_secs(60), || {
            let n = full.lock().expect("not poisoned").len();
            if n >= 1_000 { Ok(()) } else { Err(n) }
        });
    })
    .await
    .expect("the wait ends");
    otter.kill();
    for task in tasks {
        task.await.expect("no client panics");
    }
    otter.boot();
    let acknowledged = ledger.lock().expect("not poisoned").clone();

    let list = otter.curl_admin("/api/v1/namespaces/default/configmaps", &[]).json();
    let stored: BTreeMap<String, u64> = items(&list).into_iter().collect();
    for (name, version) in &acknowledged {
        assert_eq!(stored.get(name), Some(version), "{name} was acknowledged at {version}");
    }
    // What was stored but not acknowledged is allowed (P4), but only what was asked for.
    assert!(stored.len() <= 32 * 40 + 2, "{} objects", stored.len());

    // The watch from before: exactly every later change, in order, once.
    let path = format!("/api/v1/namespaces/default/configmaps?watch=1&resourceVersion={seen}&timeoutSeconds=15");
    let events = otter.curl_admin(&path, &[]);
    let mut versions = Vec::new();
    let mut names = BTreeSet::new();
    for line in events.ok().lines() {
        let event: Value = serde_json::from_str(line).expect("an event a line");
        assert_eq!(event["type"], "ADDED", "{line}");
        versions.push(version_of(&event["object"]));
        assert!(
            names.insert(event["object"]["metadata"]["name"].as_str().expect("a name").to_owned()),
            "twice: {line}"
        );
    }
    assert!(versions.is_sorted() && versions.first() > Some(&seen), "in order and after {seen}");
    let wanted: BTreeSet<String> = stored.iter().filter(|(_, v)| **v > seen).map(|(n, _)| n.clone()).collect();
    assert_eq!(names, wanted);
}

#[test]
fn revisions_never_go_back_and_an_unchanged_restart_writes_nothing() {
    let mut otter = otter();
    otter.kubectl(&["create", "configmap", "a"]).ok();
    otter.kubectl(&["delete", "configmap", "a"]).ok();
    let before = revision(&otter);
    otter.kill();
    otter.boot();
    assert_eq!(revision(&otter), before, "a restart writes nothing");
    assert_eq!(otter.stop(), 0, "SIGTERM ends it cleanly");
    otter.boot();
    otter.kubectl(&["create", "configmap", "a"]).ok();
    assert!(revision(&otter) > before);
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let otter = otter();
    let mut second = otter.serve_command();
    second.args(["--listen", "127.0.0.1:0"]);
    let ran = otternauts_harness::kubectl::run(&mut second, "");
    assert!(ran.refused().contains("another otter"), "{}", ran.stderr);
}

#[test]
fn a_held_watch_sees_bookmarks_and_ends_in_time() {
    let otter = otter();
    let token = std::fs::read_to_string(otter.data_dir().join("admin.token")).expect("a token");
    let mut child = Command::new("curl")
        .args(["-sSN", "--max-time", "90", "-K", "-", "--cacert"])
        .arg(otter.data_dir().join("pki/ca.crt"))
        .arg(format!("{}/api/v1/configmaps?watch=1&allowWatchBookmarks=true&timeoutSeconds=4", otter.url))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl starts");
    use std::io::Write as _;
    let config = format!("header = \"Authorization: Bearer {}\"\n", token.trim());
    child.stdin.take().expect("piped").write_all(config.as_bytes()).expect("curl reads it");
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok).collect();
    assert!(child.wait().expect("it ends").success(), "the stream ends cleanly (W18)");
    let last: Value = serde_json::from_str(lines.last().expect("a bookmark before the end (W13)")).expect("JSON");
    assert_eq!(last["type"], "BOOKMARK");
    assert_eq!(last["object"]["kind"], "ConfigMap");
}

fn items(list: &Value) -> Vec<(String, u64)> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|o| (o["metadata"]["name"].as_str().expect("a name").to_owned(), version_of(o))).collect()
}

fn version_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().expect("a version").parse().expect("a number")
}

fn revision(otter: &otternauts_harness::Otter) -> u64 {
    version_of(&otter.curl_admin("/api/v1/namespaces?limit=1", &[]).json())
}
