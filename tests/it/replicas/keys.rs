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
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const SECRETS: usize = 300;

/// Everything under our prefix as etcd has it, or had it at a revision of its own.
fn range(etcd: &Etcd, revision: Option<&str>) -> Value {
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    let (key, range_end) = (encode("/otternauts/"), encode("/otternauts0"));
    let body = json!({"key": key, "range_end": range_end, "revision": revision.unwrap_or("0")}).to_string();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-d", &body]).arg(format!("{}/v3/kv/range", etcd.endpoint(0)));
    otternauts_harness::kubectl::run(&mut curl, "").json()
}

/// Every value under our prefix.
fn raw(etcd: &Etcd) -> Vec<u8> {
    let answer = range(etcd, None);
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
    assert!(refused.refused().contains("is not replaced while replicas run"), "{}", refused.stderr);
    a_new_root_key(&etcd, one, vec![two, sleeper]);
}

/// All replicas are stopped for it, and one that was overlooked is seen.
fn a_new_root_key(etcd: &Etcd, mut one: Otter, others: Vec<Otter>) {
    let (store, dir) = (format!("--store=etcd:{}", etcd.endpoints().join(",")), one.data_dir());
    let otter = |args: &[&str], key: Option<&str>, data_dir: &Path| {
        let mut command = Command::new(OTTER);
        command.args(args).arg("--data-dir").arg(data_dir).env_remove("KUBECONFIG").env_remove("OTTERNAUTS_SECRET_KEY");
        command.envs(key.map(|key| ("OTTERNAUTS_SECRET_KEY", key)));
        otternauts_harness::kubectl::run(&mut command, "")
    };
    let rotate = || otter(&["keys", "rotate", "--root", &store], None, &dir);
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).expect("it is there").trim().to_owned();
    let (old, public) = (read("secret.key"), read("secret.key.pub"));
    let refused = rotate();
    assert!(refused.refused().contains("another otter already runs"), "{}", refused.stderr);
    assert_eq!(one.stop(), 0);
    let refused = rotate();
    assert_eq!(refused.code, 6, "{}", refused.stderr);
    assert!(refused.stderr.contains("a replica serves from it"), "{}", refused.stderr);
    assert_eq!((read("secret.key"), read("secret.key.pub")), (old.clone(), public.clone()), "nothing was changed");
    let overlooked = others[0].data_dir();
    for mut other in others {
        assert_eq!(other.stop(), 0);
        drop(other);
    }
    let before = range(etcd, None)["header"]["revision"].as_str().expect("a revision").to_owned();
    assert!(raw(etcd).windows(public.len()).any(|window| window == public.as_bytes()));
    assert!(rotate().ok().contains("done: the root key is age1"));
    let (new, next) = (read("secret.key"), read("secret.key.pub"));
    assert!(new != old && next != public);
    let everything = raw(etcd);
    assert!(!everything.windows(public.len()).any(|window| window == public.as_bytes()), "nothing is for the old key");
    assert!(everything.windows(next.len()).any(|window| window == next.as_bytes()));
    let past = range(etcd, Some(&before)).to_string();
    assert!(past.contains("has been compacted"), "etcd has forgotten what the old key opens: {past}");

    // Who has the old key is refused, and told which one it needs.
    std::fs::create_dir_all(&overlooked).expect("made");
    let mut serve = vec!["serve", "--listen=127.0.0.1:0", "--controllers=none"];
    let args = options(etcd, false).args;
    serve.extend(args.iter().map(String::as_str));
    let refused = otter(&serve, Some(&old), &overlooked);
    assert!(refused.refused().contains(&next), "{}", refused.stderr);
    std::fs::remove_dir_all(&overlooked).expect("removed");
    one.boot();
    let mut another = options(etcd, false);
    another.env.push(("OTTERNAUTS_SECRET_KEY".to_owned(), new));
    for otter in [&one, &Otter::start(another)] {
        let secret = otter.kubectl(&["get", "secret", "late", "-o", "jsonpath={.data.key}"]);
        assert_eq!(secret.ok(), BASE64_STANDARD.encode("late"));
    }
}
