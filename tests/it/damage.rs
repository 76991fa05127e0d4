//! One damaged object (P16, A11, R31): it harms only itself, everybody is told by name, and a person can get rid of it.

use crate::otter;
use otternauts_faults::transplant::{Spot, transplant};
use otternauts_harness::Otter;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const KEY: &str = "/configmaps/default/broken";

fn ask(otter: &Otter, method: &str, path: &str, body: Option<&Value>, user: Option<&str>) -> (u16, Value) {
    let text = body.map(Value::to_string);
    let user = user.map(|user| format!("Impersonate-User: {user}"));
    let mut args = vec!["-X", method, "-H", "Content-Type: application/json", "-w", "\n%{http_code}"];
    args.extend(text.as_deref().into_iter().flat_map(|text| ["--data-binary", text]));
    args.extend(user.as_deref().into_iter().flat_map(|user| ["-H", user]));
    let ran = otter.curl_admin(path, &args);
    let (answer, code) = ran.ok().rsplit_once('\n').expect("a code in the last line");
    (code.parse().expect("a number"), serde_json::from_str(answer).unwrap_or_else(|_| json!(answer)))
}

fn get(otter: &Otter, path: &str) -> (u16, Value) {
    ask(otter, "GET", path, None, None)
}

/// Changes one byte of each stored text that begins so, in the database of a process that is not running.
pub fn damage(otter: &Otter, marker: &str) {
    let path = otter.data_dir().join("otternauts.db");
    let mut bytes = std::fs::read(&path).expect("the database");
    let places: Vec<usize> =
        bytes.windows(marker.len()).enumerate().filter(|(_, w)| *w == marker.as_bytes()).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{marker} is not in the database");
    for at in places {
        bytes[at + 3] ^= 1;
    }
    std::fs::write(&path, bytes).expect("written back");
}

/// A store that came back from etcd has a Secret that a server of its own removes at each start.
#[test]
fn a_damaged_secret_of_former_replicas_is_no_reason_not_to_start_p16() {
    let mut otter = otter();
    otter
        .kubectl(&[
            "create",
            "secret",
            "generic",
            "otternauts-pki",
            "-n",
            "otternauts-system",
            "--type=otternauts.dev/pki",
        ])
        .ok();
    otter.kubectl(&["annotate", "secret", "otternauts-pki", "-n", "otternauts-system", "note=DAMAGE-THIS"]).ok();
    assert_eq!(otter.stop(), 0);
    damage(&otter, "DAMAGE-THIS");
    otter.boot();
    let gone = otter.kubectl(&["get", "secret", "otternauts-pki", "-n", "otternauts-system"]);
    assert!(gone.refused().contains("NotFound"), "{}", gone.stderr);
}

fn message(status: &Value) -> &str {
    status["message"].as_str().unwrap_or_default()
}

#[test]
fn a_damaged_object_harms_only_itself_and_can_be_deleted_unread_a11() {
    let mut otter = otter();
    for name in ["broken", "fine", "other"] {
        let text = if name == "broken" { "DAMAGE-THIS" } else { "text" };
        otter.kubectl(&["create", "configmap", name, &format!("--from-literal=a={text}")]).ok();
    }
    otter.kubectl(&["create", "configmap", "elsewhere", "--namespace=kube-public"]).ok();
    otter.kubectl(&["create", "clusterrole", "sweeper", "--verb=delete,get", "--resource=configmaps"]).ok();
    otter.kubectl(&["create", "clusterrolebinding", "sweeper", "--clusterrole=sweeper", "--user=sam"]).ok();
    otter.apply("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: lost, annotations: {note: DAMAGE-ROLE}}\nrules: []\n");
    let start = get(&otter, &MAPS.replace("default", "kube-public")).1["metadata"]["resourceVersion"].clone();
    assert_eq!(otter.stop(), 0);
    damage(&otter, "DAMAGE-THIS");
    damage(&otter, "DAMAGE-ROLE");
    // The start reads roles; it goes on without one.
    otter.boot();
    assert!(otter.log().contains("a stored object cannot be read: starting without it"));

    let one = format!("{MAPS}/broken");
    let (code, status) = get(&otter, &one);
    assert_eq!((code, status["reason"].as_str()), (500, Some("InternalError")));
    assert!(
        message(&status).starts_with(&format!("Internal error occurred: StorageError: corrupt object, Key: {KEY}")),
        "{status}"
    );
    for list in [MAPS, "/api/v1/configmaps", "/api/v1/namespaces/default/configmaps?limit=2"] {
        let (code, status) = get(&otter, list);
        assert_eq!((code, status["reason"].as_str()), (500, Some("StoreReadError")), "{list}: {status}");
        assert_eq!(status["message"], "failed to read one or more configmaps from the storage");
        assert_eq!(status["details"]["causes"][0]["field"], KEY, "{status}");
        assert_eq!(status["details"]["causes"].as_array().map(Vec::len), Some(1), "{status}");
    }
    assert!(otter.kubectl(&["get", "configmaps"]).refused().contains("failed to read one or more configmaps"));
    // All others can be had.
    assert_eq!(get(&otter, &format!("{MAPS}/fine")).0, 200);
    assert_eq!(get(&otter, &MAPS.replace("default", "kube-public")).0, 200);
    assert_eq!(get(&otter, &format!("{MAPS}?fieldSelector=metadata.name%3Dfine")).0, 200);
    otter.kubectl(&["create", "configmap", "new"]).ok();
    let metrics = otter.curl_admin("/metrics", &[]);
    assert!(metrics.ok().lines().any(|line| line == "otternauts_storage_integrity_check_ok 0"), "it is told");
    // A backup has all others, and says what is missing, also when it is read.
    let dir = tempfile::tempdir().expect("a directory");
    let (key, file) = (dir.path().join("operator.key"), dir.path().join("a.backup"));
    let (key, file) = (key.to_str().expect("UTF-8"), file.to_str().expect("UTF-8"));
    let recipient = otter.otter(&["keys", "new", "--output", key]).ok().trim().to_owned();
    let told = otter.otter(&["backup", "create", "--recipient", &recipient, "--output", file]).ok().to_owned();
    let missing = "2 not in it, their stored bytes are damaged: clusterroles.rbac.authorization.k8s.io /lost, configmaps default/broken";
    assert!(told.contains(missing), "{told}");
    let read = otter.otter(&["backup", "verify", file, "--identity", key]).ok().to_owned();
    assert!(read.contains(missing), "{read}");

    // Deleting it: not in the ordinary way, not by everybody, and nothing else that way.
    let unread =
        json!({"kind": "DeleteOptions", "apiVersion": "v1", "ignoreStoreReadErrorWithClusterBreakingPotential": true});
    assert_eq!(ask(&otter, "DELETE", &one, None, None).0, 500);
    let (code, status) = ask(&otter, "DELETE", &one, Some(&unread), Some("sam"));
    assert!(
        code == 403 && message(&status).contains("not permitted to do \"unsafe-delete-ignore-read-errors\""),
        "{status}"
    );
    let (code, status) = ask(&otter, "DELETE", &format!("{MAPS}/fine"), Some(&unread), None);
    let why = "is exclusively used to delete corrupt object(s), try again by removing this option";
    assert!(code == 422 && message(&status).contains(why), "{status}");
    let mut both = unread.clone();
    both["propagationPolicy"] = json!("Foreground");
    let (code, status) = ask(&otter, "DELETE", &one, Some(&both), None);
    assert!(code == 422 && message(&status).contains("cannot be set together with .propagationPolicy"), "{status}");
    let (code, status) = ask(&otter, "DELETE", &one, Some(&unread), None);
    assert_eq!((code, status["status"].as_str()), (200, Some("Success")), "{status}");

    // Gone for all: the object, the lists, and for a watch that began before.
    assert_eq!(get(&otter, &one).0, 404);
    let (code, list) = get(&otter, MAPS);
    assert_eq!((code, list["items"].as_array().map(Vec::len)), (200, Some(3)), "{list}");
    let watch = |more: &str| {
        let version = start.as_str().expect("a version");
        let path = format!("{MAPS}?watch=1&resourceVersion={version}&timeoutSeconds=1{more}");
        let lines = otter.curl_admin(&path, &[]).ok().to_owned();
        lines.lines().map(|line| serde_json::from_str(line).expect("an event a line")).collect::<Vec<Value>>()
    };
    let seen: Vec<(String, String)> = watch("")
        .iter()
        .map(|event| (event["type"].to_string(), event["object"]["metadata"]["name"].to_string()))
        .collect();
    let expected = [("\"ADDED\"", "\"new\""), ("\"DELETED\"", "\"broken\"")];
    assert_eq!(seen, expected.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
    // Who chooses by labels cannot be told whether it was chosen, and lists again.
    let last = watch("&labelSelector=a").pop().expect("an event");
    assert_eq!((last["type"].as_str(), last["object"]["code"].as_u64()), (Some("ERROR"), Some(410)), "{last}");
    otter.kill();
    otter.boot();
    assert_eq!(get(&otter, MAPS).0, 200);
}

/// A sealed value in another place of the same database, every checksum and the chain right: only what it was sealed for can tell.
#[test]
fn a_sealed_value_that_was_moved_elsewhere_does_not_open_and_harms_only_its_object_a11() {
    const SECRETS: &str = "/api/v1/namespaces/default/secrets";
    let mut otter = otter();
    for (name, values) in [
        ("donor", ["user=captain", "word=PLANTED-donor-Zx9"]),
        ("moved", ["user=sailor", "word=PLANTED-moved-Zx9"]),
        ("turned", ["user=PLANTED-turned-Zx9", "word=PLANTED-inside-Zx9"]),
    ] {
        let literals = values.map(|value| format!("--from-literal={value}"));
        otter.kubectl(&["create", "secret", "generic", name, &literals[0], &literals[1]]).ok();
    }
    let start = get(&otter, SECRETS).1["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
    assert_eq!(otter.stop(), 0);
    let spot = |name, field| Spot { resource: "secrets", namespace: "default", name, field };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // From one object to another, and inside one object from field to field.
    for (from, to) in [(spot("donor", "word"), spot("moved", "word")), (spot("turned", "word"), spot("turned", "user"))]
    {
        let database = otter.data_dir().join("otternauts.db");
        let sealed = runtime.block_on(transplant(&database, from, to)).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(sealed.starts_with("otter:v1:"), "{sealed}");
    }
    otter.boot();

    let mut shown = Vec::new();
    for name in ["moved", "turned"] {
        let (code, status) = get(&otter, &format!("{SECRETS}/{name}"));
        assert_eq!((code, status["reason"].as_str()), (500, Some("InternalError")), "{status}");
        let why = format!("Internal error occurred: StorageError: corrupt object, Key: /secrets/default/{name}");
        assert!(message(&status).starts_with(&why), "{status}");
        shown.push(status.to_string());
    }
    for list in [SECRETS, "/api/v1/secrets", "/api/v1/namespaces/default/secrets?limit=500"] {
        let (code, status) = get(&otter, list);
        assert_eq!((code, status["reason"].as_str()), (500, Some("StoreReadError")), "{list}: {status}");
        let causes = status["details"]["causes"].as_array().expect("causes");
        let named: Vec<&str> = causes.iter().filter_map(|cause| cause["field"].as_str()).collect();
        assert_eq!(named, ["/secrets/default/moved", "/secrets/default/turned"], "{status}");
        shown.push(status.to_string());
    }
    // Others are as they were, and so is a watch of what comes.
    let (code, donor) = get(&otter, &format!("{SECRETS}/donor"));
    assert_eq!((code, donor["data"]["user"].as_str()), (200, Some("Y2FwdGFpbg==")));
    otter.kubectl(&["create", "secret", "generic", "later", "--from-literal=a=b"]).ok();
    let watch = |after: &str| {
        let path = format!("{SECRETS}?watch=1&resourceVersion={after}&timeoutSeconds=1");
        otter
            .curl_admin(&path, &[])
            .ok()
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect::<Vec<Value>>()
    };
    let last = watch(&start).pop().expect("an event");
    assert_eq!((last["type"].as_str(), last["object"]["kind"].as_str()), (Some("ERROR"), Some("Status")), "{last}");
    shown.push(last.to_string());
    let later = get(&otter, &format!("{SECRETS}/later")).1["metadata"]["resourceVersion"].as_str().map(str::to_owned);
    let before = later.expect("a version").parse::<u64>().expect("a number") - 1;
    let events = watch(&before.to_string());
    assert_eq!((events.len(), events[0]["object"]["metadata"]["name"].as_str()), (1, Some("later")), "{events:?}");

    // Nothing was opened for anybody, nor told in the log.
    shown.push(otter.log());
    for text in &shown {
        assert!(!text.contains("PLANTED") && !text.contains("UExBTlRFR"), "{text}");
    }
    assert!(otter.log().contains("a field could not be opened"));
    let unread =
        json!({"kind": "DeleteOptions", "apiVersion": "v1", "ignoreStoreReadErrorWithClusterBreakingPotential": true});
    for name in ["moved", "turned"] {
        assert_eq!(ask(&otter, "DELETE", &format!("{SECRETS}/{name}"), Some(&unread), None).0, 200);
    }
    assert_eq!(get(&otter, SECRETS).1["items"].as_array().map(Vec::len), Some(2));
}
