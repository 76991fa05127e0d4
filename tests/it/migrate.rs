//! `otter store migrate`, both ways, with the real program and a real cluster: nothing is lost, nobody is told an old thing, and no two
//! stores can be served (issue 5, item 3; R44, P2, P11, P30).

use crate::{OTTER, otter};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use otternauts_harness::kubectl::{Ran, run};
use otternauts_harness::skip::skip;
use otternauts_harness::{Etcd, EtcdTls, Otter, OtterOptions, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// More than one line of progress.
const MAPS: usize = 2300;
/// Everything a control plane of these tests has, in all namespaces.
const RESOURCES: [&str; 7] = [
    "/api/v1/configmaps",
    "/api/v1/secrets",
    "/api/v1/namespaces",
    "/apis/example.org/v1/boats",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/otternauts.dev/v1/clusters",
];

fn cluster(test: &str, dir: &Path) -> Option<(Etcd, EtcdTls)> {
    if !Etcd::is_installed() {
        skip(test, "etcd is not installed");
        return None;
    }
    let tls = EtcdTls::make(dir);
    Some((Etcd::start_with(3, &[], Some(tls.clone())), tls))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The flags of etcd's certificates.
fn pem(tls: &EtcdTls) -> [String; 3] {
    let flag = |name: &str, path: &Path| format!("--etcd-{name}={}", path.display());
    [flag("cafile", &tls.ca), flag("certfile", &tls.certificate), flag("keyfile", &tls.key)]
}

fn migrate(tls: &EtcdTls, from: &str, to: &str, more: &[&str]) -> Command {
    let mut command = Command::new(OTTER);
    command.args(["store", "migrate", "--from", from, "--to", to]).args(pem(tls)).args(more);
    command.env_remove("KUBECONFIG").env_remove("OTTERNAUTS_SECRET_KEY");
    command
}

fn migrated(tls: &EtcdTls, from: &str, to: &str, more: &[&str]) -> Ran {
    run(&mut migrate(tls, from, to, more), "")
}

/// A replica on the cluster.
fn replica(etcd: &Etcd, tls: &EtcdTls, data_dir: &Path, more: &[String]) -> OtterOptions {
    let mut options = OtterOptions::api(OTTER);
    options.data_dir = Some(data_dir.to_owned());
    options.args = vec!["--store=etcd".to_owned(), format!("--etcd-endpoints={}", etcd.endpoints().join(","))];
    options.args.extend(pem(tls));
    options.args.extend(more.iter().cloned());
    options
}

/// What a start that must be refused says.
fn refusal(options: &OtterOptions) -> String {
    let mut command = Command::new(OTTER);
    command.args(["serve", "--listen=127.0.0.1:0", "--controllers=none", "--data-dir"]);
    command.arg(options.data_dir.as_ref().expect("a directory")).args(&options.args);
    command.env_remove("KUBECONFIG").env_remove("OTTERNAUTS_SECRET_KEY");
    run(&mut command, "").refused().to_owned()
}

/// Every object as a client reads it, whole, by its path: versions, uids and times too.
fn everything(otter: &Otter) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for resource in RESOURCES {
        let list = otter.curl_admin(resource, &[]).json();
        for item in list["items"].as_array().unwrap_or_else(|| panic!("{resource}: {list}")) {
            let meta = &item["metadata"];
            let namespace = meta["namespace"].as_str().unwrap_or_default();
            let place = format!("{resource} {namespace}/{}", meta["name"].as_str().expect("a name"));
            found.insert(place, item.clone());
        }
    }
    found
}

/// The same, and beside it only the Secret that replicas share.
fn assert_same(after: &BTreeMap<String, Value>, before: &BTreeMap<String, Value>) {
    for (place, object) in before {
        assert_eq!(after.get(place), Some(object), "{place}");
    }
    let new: Vec<&String> = after.keys().filter(|place| !before.contains_key(*place)).collect();
    assert!(new.iter().all(|place| place.ends_with("otternauts-system/otternauts-pki")), "{new:?}");
}

async fn fill(otter: &Otter) {
    otter.apply(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: boats.example.org}\nspec:\n  \
         group: example.org\n  names: {plural: boats, singular: boat, kind: Boat, listKind: BoatList}\n  scope: Namespaced\n  \
         versions:\n  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, \
         x-kubernetes-preserve-unknown-fields: true}}}\n",
    );
    until("the kind to be served", PATIENCE, || {
        let made = otter.kubectl_in(
            &["apply", "--validate=false", "-f", "-"],
            "apiVersion: example.org/v1\nkind: Boat\nmetadata: {name: otto, namespace: default}\nspec: {crew: 3}\n",
        );
        if made.code == 0 { Ok(()) } else { Err(made.stderr) }
    });
    otter.kubectl(&["create", "namespace", "team"]).ok();
    for (name, value) in [("one", "first"), ("two", "second")] {
        otter
            .kubectl(&["create", "secret", "generic", name, "-n", "team", &format!("--from-literal=key={value}")])
            .ok();
    }
    let maps: Api<ConfigMap> = Api::namespaced(otter.client().await, "default");
    let filler = "x".repeat(500);
    futures::stream::iter(0..MAPS)
        .map(|number| {
            let (maps, filler) = (maps.clone(), filler.clone());
            async move {
                let map = json!({"metadata": {"name": format!("m{number}")}, "data": {"filler": filler}});
                let map: ConfigMap = serde_json::from_value(map).expect("a ConfigMap");
                maps.create(&PostParams::default(), &map).await.map(drop)
            }
        })
        .buffer_unordered(16)
        .try_collect::<Vec<()>>()
        .await
        .expect("all are made");
}

/// An informer as a controller has it, held over every restart.
#[derive(Default)]
struct Seen {
    lists: usize,
    names: BTreeSet<String>,
}

fn inform(client: kube::Client) -> Arc<Mutex<Seen>> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let told = Arc::clone(&seen);
    tokio::spawn(async move {
        let maps: Api<ConfigMap> = Api::namespaced(client, "default");
        let mut events = std::pin::pin!(watcher(maps, watcher::Config::default()));
        while let Some(event) = events.next().await {
            let mut seen = told.lock().expect("sound");
            match event {
                Ok(Event::Init) => seen.names.clear(),
                Ok(Event::InitDone) => seen.lists += 1,
                Ok(Event::InitApply(map) | Event::Apply(map)) => {
                    seen.names.insert(map.metadata.name.expect("a name"));
                }
                Ok(Event::Delete(map)) => {
                    seen.names.remove(&map.metadata.name.expect("a name"));
                }
                // The server is away: it tries again.
                Err(_) => {
                    drop(seen);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    });
    seen
}

/// Starts a migration and kills it when it has copied something.
fn kill_half_way(mut command: Command) {
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let half = lines.map_while(Result::ok).find(|line| line.starts_with("copied 1000 of"));
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert!(half.is_some(), "it said how far it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_moves_to_etcd_and_back_and_nobody_misses_anything() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some((etcd, tls)) = cluster("migration between the engines", dir.path()) else { return };
    let mut old = otter();
    fill(&old).await;
    let informer = inform(old.client().await);
    until("the informer to have a list", PATIENCE, || {
        let seen = informer.lock().expect("sound");
        if seen.lists == 1 && seen.names.len() == MAPS { Ok(()) } else { Err((seen.lists, seen.names.len())) }
    });
    let page = old.curl_admin("/api/v1/namespaces/default/configmaps?limit=5", &[]).json();
    let (version, token) = (page["metadata"]["resourceVersion"].clone(), page["metadata"]["continue"].clone());
    let (version, token) = (version.as_str().expect("a version"), token.as_str().expect("a token").to_owned());
    let from = format!("sqlite:{}", old.data_dir().display());
    let to = format!("etcd:{}", etcd.endpoints().join(","));

    // A server is on it.
    let refused = migrated(&tls, &from, &to, &[]);
    assert!(refused.refused().contains("another otter already runs"), "{}", refused.stderr);
    let before = everything(&old);
    assert_eq!(old.stop(), 0);

    // Looking changes nothing.
    let looked = migrated(&tls, &from, &to, &["--dry-run", "--output", "json"]).json();
    assert_eq!((&looked["dryRun"], &looked["resources"]["configmaps"]), (&json!(true), &json!(MAPS)), "{looked}");

    // Killed half way: the target is nobody's, the source is as it was.
    kill_half_way(migrate(&tls, &from, &to, &[]));
    let elsewhere = replica(&etcd, &tls, &dir.path().join("elsewhere"), &[]);
    let text_of = refusal(&elsewhere);
    assert!(text_of.contains("a migration from sqlite:") && text_of.contains("was not finished"), "{text_of}");
    old.boot();
    assert_same(&everything(&old), &before);
    old.kubectl(&["create", "configmap", "after-the-kill", "--from-literal=a=b"]).ok();
    let before = everything(&old);
    assert_eq!(old.stop(), 0);

    // The target of somebody else.
    let other = Otter::start(replica(&etcd, &tls, &dir.path().join("other"), &["--etcd-prefix=/other".to_owned()]));
    let refused = migrated(&tls, &from, &format!("{to}/other"), &[]);
    assert_eq!(refused.code, 6, "{}", refused.stderr);
    assert!(refused.stderr.contains("is not empty: a control plane has its store there"), "{}", refused.stderr);
    drop(other);

    // Again, to the end.
    let ran = migrated(&tls, &from, &to, &["--output", "json"]);
    assert!(ran.stderr.contains("copied 1000 of"), "progress is on standard error: {}", ran.stderr);
    let report = ran.json();
    assert_eq!(report["objects"], looked["objects"].as_u64().expect("a number") + 1, "{report}");
    assert_eq!(
        (&report["keys"], &report["pki"], &report["damaged"]),
        (&json!([1]), &json!(true), &json!([])),
        "{report}"
    );
    let bumped = report["targetRevision"].as_u64().expect("a number");
    assert_eq!(bumped, report["sourceRevision"].as_u64().expect("a number") + 1_000_000_000);

    // The source, served by mistake.
    let mut mistake = OtterOptions::api(OTTER);
    mistake.data_dir = Some(old.data_dir());
    let text_of = refusal(&mistake);
    assert!(text_of.contains("was moved to etcd:") && text_of.contains("is not served any more"), "{text_of}");

    // The same directory and address, now a replica.
    let listen = format!("--listen={}", old.url.strip_prefix("https://").expect("a URL"));
    let mut one = Otter::start(replica(&etcd, &tls, &old.data_dir(), &[listen]));
    assert_same(&everything(&one), &before);
    let watch = format!("/api/v1/namespaces/default/configmaps?watch=true&resourceVersion={version}");
    let gone = one.curl_admin(&watch, &[]).json();
    assert!(gone.to_string().contains("410"), "who holds a version from before is told so: {gone}");
    let gone = one.curl_admin(&format!("/api/v1/namespaces/default/configmaps?limit=5&continue={token}"), &[]).json();
    assert_eq!(gone["code"], 410, "{gone}");
    let key = old.data_dir().join("secret.key");
    let flag = format!("--secret-key-file={}", key.display());
    let mut two = Otter::start(replica(&etcd, &tls, &dir.path().join("two"), &[flag]));
    let file = |otter: &Otter, name: &str| std::fs::read(otter.data_dir().join(name)).expect("it is there");
    for name in ["pki/ca.crt", "pki/ca.key", "pki/sa.key", "admin.token"] {
        assert_eq!(file(&one, name), file(&two, name), "{name}: clients go on with what they have");
    }
    let secret = ["get", "secret", "one", "-n", "team", "-o", "jsonpath={.data.key}"];
    assert_eq!(two.kubectl(&secret).ok(), "Zmlyc3Q=", "sealed values open");
    two.kubectl(&["create", "configmap", "on-etcd", "--from-literal=a=b"]).ok();
    two.kubectl(&["delete", "configmap", "m7"]).ok();
    until("the informer to have listed anew", PATIENCE, || {
        let seen = informer.lock().expect("sound");
        let whole = seen.names.len() == MAPS + 1 && seen.names.contains("on-etcd") && !seen.names.contains("m7");
        if seen.lists >= 2 && whole { Ok(()) } else { Err((seen.lists, seen.names.len())) }
    });

    // Back. Somebody serves: seen by the Lease.
    let home = dir.path().join("home");
    let (back, with_key) = (format!("sqlite:{}", home.display()), ["--secret-key-file", text(&key)]);
    let refused = migrated(&tls, &to, &back, &with_key);
    assert_eq!(refused.code, 6, "{}", refused.stderr);
    assert!(refused.stderr.contains("a replica serves from it, led by "), "{}", refused.stderr);
    assert!(!home.join("otternauts.db").exists());
    let before = everything(&one);
    assert_eq!((one.stop(), two.stop()), (0, 0));
    let refused = migrated(&tls, &to, &back, &[]);
    assert!(refused.refused().contains("age1"), "without the root key it is refused: {}", refused.stderr);
    kill_half_way(migrate(&tls, &to, &back, &with_key));
    let mut half = OtterOptions::api(OTTER);
    half.data_dir = Some(home.clone());
    half.args = vec![format!("--secret-key-file={}", key.display())];
    let text_of = refusal(&half);
    assert!(text_of.contains("a migration from etcd:") && text_of.contains("was not finished"), "{text_of}");
    let ran = migrated(&tls, &to, &back, &with_key);
    assert!(ran.ok().contains("is marked as moved"), "it says what to do next");
    assert!(refusal(&elsewhere).contains("was moved to sqlite:"), "no replica starts on what is old");

    let mut alone = Otter::start(half);
    // The authority's key is in its file again, and nowhere else.
    let mut expected = before;
    expected.retain(|place, _| !place.ends_with("otternauts-system/otternauts-pki"));
    assert_eq!(everything(&alone), expected);
    assert_eq!(alone.kubectl(&secret).ok(), "Zmlyc3Q=");
    let newest = alone.curl_admin("/api/v1/namespaces?limit=1", &[]).json();
    let newest: u64 = newest["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).expect("a version");
    assert!(newest > bumped + 1_000_000_000, "{newest}");
    assert_eq!(file(&alone, "pki/ca.crt"), file(&one, "pki/ca.crt"));
    assert_eq!(alone.stop(), 0);
}
