//! A new data key while several replicas write (R28, P14): nobody seals with the old one, everybody opens what the new one sealed, and in
//! the end nothing in etcd names the old one. The replica that rotates is killed in the middle, another sleeps through all of it.

use super::{PATIENCE, cluster, options, signal};
use crate::OTTER;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use otternauts_harness::{Etcd, Otter, until};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const SECRETS: usize = 300;

/// Every value under our prefix, as etcd has it.
fn raw(etcd: &Etcd) -> Vec<u8> {
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    let body = json!({"key": encode("/otternauts/"), "range_end": encode("/otternauts0")}).to_string();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-d", &body]).arg(format!("{}/v3/kv/range", etcd.endpoint(0)));
    let answer: Value = otternauts_harness::kubectl::run(&mut curl, "").json();
    let kvs = answer["kvs"].as_array().expect("keys and values");
    kvs.iter()
        .flat_map(|kv| BASE64_STANDARD.decode(kv["value"].as_str().unwrap_or_default()).expect("base64"))
        .collect()
}

fn names(bytes: &[u8], key: u32) -> usize {
    let needle = format!("otter:v1:{key}:");
    bytes.windows(needle.len()).filter(|window| *window == needle.as_bytes()).count()
}

/// Changes Secrets through one replica until told to stop; each answer is read again by the caller's check.
async fn write(secrets: Api<Secret>, of: usize, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Vec<(String, String)> {
    let mut newest = std::collections::BTreeMap::new();
    for round in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        // Each writer has Secrets of its own.
        let name = format!("s{}", (round % 20) * 2 + of);
        let value = format!("{of}-{round}");
        let patch = Patch::Merge(json!({"stringData": {"key": value}}));
        if secrets.patch(&name, &PatchParams::default(), &patch).await.is_ok() {
            newest.insert(name, value);
            done.fetch_add(1, Ordering::SeqCst);
        } else {
            // Its outcome may be unknown: another value comes.
            newest.remove(&name);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    newest.into_iter().collect()
}

fn active(otter: &Otter) -> (u64, Vec<u64>) {
    let listing = otter.otter(&["keys", "list", "-o", "json"]).json();
    let keys = listing["keys"].as_array().expect("keys").iter().filter_map(|key| key["number"].as_u64()).collect();
    (listing["active"].as_u64().expect("a number"), keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_key_is_rotated_while_replicas_write_and_one_is_killed_and_one_sleeps_p14() {
    let Some(etcd) = cluster("a rotation with several replicas") else { return };
    let one = Otter::start(options(&etcd, false));
    let key = std::fs::read_to_string(one.data_dir().join("secret.key")).expect("the first start has made a key");
    let another = || {
        let mut options = options(&etcd, false);
        options.env.push(("OTTERNAUTS_SECRET_KEY".to_owned(), key.trim().to_owned()));
        Otter::start(options)
    };
    let (mut one, two, sleeper) = (one, another(), another());
    let yaml: String = (0..SECRETS)
        .map(|i| {
            format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s{i}}}\nstringData: {{key: value-{i}}}\n")
        })
        .collect();
    two.kubectl_in(&["create", "-f", "-"], &yaml).ok();
    // It has them in memory, and knows no other key.
    assert_eq!(sleeper.curl_admin("/api/v1/namespaces/default/secrets/s299", &[]).json()["metadata"]["name"], "s299");
    signal(&sleeper, "-STOP");

    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let secrets = |client| Api::<Secret>::namespaced(client, "default");
    let writers = [
        tokio::spawn(write(secrets(one.client().await), 0, stop.clone(), done.clone())),
        tokio::spawn(write(secrets(two.client().await), 1, stop.clone(), done.clone())),
    ];
    let (one, two, sleeper) = tokio::task::spawn_blocking(move || {
        let goal = done.load(Ordering::SeqCst) + 20;
        until("both to write", PATIENCE, || (done.load(Ordering::SeqCst) >= goal).then_some(()).ok_or("not yet"));
        // Killed when the new key is kept and the first objects are rewritten.
        let mut rotate = Command::new(OTTER);
        rotate
            .args(["keys", "rotate"])
            .env("KUBECONFIG", one.kubeconfig())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut rotate = rotate.spawn().expect("it starts");
        let lines = BufReader::new(rotate.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let half = lines.into_iter().find(|line| line.contains(" rewritten"));
        one.kill();
        rotate.wait().expect("it ends");
        assert!(half.is_some(), "it said how far it was");
        // The other goes on, opens what the new key sealed, and seals with it too.
        let goal = done.load(Ordering::SeqCst) + 50;
        until("the other to write", PATIENCE, || (done.load(Ordering::SeqCst) >= goal).then_some(()).ok_or("not yet"));
        assert_eq!(
            two.curl_admin("/api/v1/namespaces/default/secrets", &[]).json()["items"].as_array().map(Vec::len),
            Some(SECRETS)
        );
        assert_eq!(active(&two), (2, vec![1, 2]), "the other replica has taken over the new key");
        // A start ends it.
        one.boot();
        until("the rotation to end by itself", PATIENCE, || match active(&two) {
            (2, keys) if keys == [2] => Ok(()),
            other => Err(other),
        });
        let goal = done.load(Ordering::SeqCst) + 50;
        until("both to write on", PATIENCE, || (done.load(Ordering::SeqCst) >= goal).then_some(()).ok_or("not yet"));
        (one, two, sleeper)
    })
    .await
    .expect("the faults are done");
    stop.store(true, Ordering::SeqCst);
    let mut newest = Vec::new();
    for writer in writers {
        newest.extend(writer.await.expect("no writer panics"));
    }
    let everything = raw(&etcd);
    assert_eq!(names(&everything, 1), 0, "nothing in etcd names the old key");
    assert!(names(&everything, 2) >= SECRETS);

    // Who slept knows nothing of it: what it writes is sealed with the new key all the same, and what it reads opens.
    signal(&sleeper, "-CONT");
    sleeper.kubectl(&["create", "secret", "generic", "late", "--from-literal=key=late"]).ok();
    assert_eq!(names(&raw(&etcd), 1), 0);
    assert_eq!(active(&sleeper), (2, vec![2]));
    for otter in [&one, &two, &sleeper] {
        let list = otter.curl_admin("/api/v1/namespaces/default/secrets", &[]).json();
        let items = list["items"].as_array().expect("a list");
        assert_eq!(items.len(), SECRETS + 1);
        for (name, value) in &newest {
            let found = items.iter().find(|item| item["metadata"]["name"] == name.as_str()).expect("it is there");
            assert_eq!(found["data"]["key"], BASE64_STANDARD.encode(value), "{name}");
        }
    }
    // Another one, from another replica, to the end.
    let ran = sleeper.otter(&["keys", "rotate"]);
    assert!(ran.ok().contains("done: data key 3 is the only one; 2 gone"), "{}", ran.stdout);
    assert_eq!((active(&one), active(&two)), ((3, vec![3]), (3, vec![3])));
    let refused = one.otter(&["keys", "rotate", "--root"]);
    assert!(refused.refused().contains("each replica has its own copy"), "{}", refused.stderr);
}
