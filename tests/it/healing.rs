//! Rules against a real server whose other controllers do not run: the test says how Stacks stand. What needs engines is in
//! `stories::healing`.

use crate::OTTER;
use crate::notify::receiver::{Answer, Receiver};
use otternauts_harness::{Otter, OtterOptions, until};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const CAUSE: &str = "replicas.running 0 < replicas.desired 1";

/// A control plane of which only the healing runs.
fn control_plane() -> Otter {
    let options = OtterOptions::whole(OTTER);
    Otter::start(OtterOptions { args: vec!["--controllers=healing".to_owned()], ..options })
}

/// A Stack whose services stand like this, as its other controllers would say.
fn stack(otter: &Otter, services: &Value) {
    let compose = "services: {web: {image: 'nginx:1.27'}, db: {image: 'postgres:17'}}";
    let object = json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "shop"},
        "spec": {"compose": {"inline": compose}}});
    otter.apply(&object.to_string());
    let status = json!({"phase": "running", "swarmStack": "shop-0a1b2c3d", "services": services});
    let patch = json!({"status": status}).to_string();
    otter.kubectl(&["patch", "stack", "shop", "--subresource=status", "--type=merge", "-p", &patch]).ok();
}

fn rule(name: &str, action: &Value) -> Value {
    let mut spec =
        json!({"target": {"stack": "shop"}, "condition": "replicas.running < replicas.desired", "cooldown": "1h"});
    for (key, value) in action.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let metadata = json!({"name": name, "namespace": "otternauts-system"});
    json!({"apiVersion": "otternauts.dev/v1", "kind": "HealRule", "metadata": metadata, "spec": spec})
}

/// The action of a rule that has acted once, when that is over.
#[track_caller]
fn action(otter: &Otter, name: &str) -> Value {
    until(&format!("rule {name} to have acted"), PATIENCE, || {
        let args = ["-n", "otternauts-system", "get", "healrule", name, "-o", "json"];
        let status = otter.kubectl(&args).json()["status"].clone();
        match status["recentActions"].as_array().map(Vec::as_slice) {
            Some([one]) if one["finishedAt"].is_string() => Ok(one.clone()),
            _ => Err(status),
        }
    })
}

/// What the audit log has of actions of rules.
pub fn audited(otter: &Otter) -> Vec<Value> {
    let text = std::fs::read_to_string(otter.data_dir().join("audit.log")).expect("an audit log");
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["annotations"]["otternauts.dev/heal-cause"].is_string()).collect()
}

#[test]
fn rules_that_act_at_one_moment_act_once_each_and_the_audit_log_says_what_caused_it() {
    let otter = control_plane();
    let key = format!("--from-literal=key={}", crate::notify::KEY);
    otter.kubectl(&["-n", "otternauts-system", "create", "secret", "generic", "hook", &key]).ok();
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let hook = |path: &str| {
        let to = json!({"url": receiver.url(path), "secretRef": {"name": "hook"}});
        json!({"action": "webhook", "webhook": to})
    };
    let rules = [
        ("tell", json!({"action": "alert"})),
        ("one", hook("/one")),
        ("two", hook("/two")),
        ("back", json!({"action": "rollback"})),
    ];
    for (name, action) in &rules {
        otter.apply(&rule(name, action).to_string());
    }
    // All of them hold at one moment.
    stack(&otter, &json!([{"name": "web", "desired": 1, "running": 0}]));
    let ids: Vec<Value> = ["tell", "one", "two"].iter().map(|name| action(&otter, name)["id"].clone()).collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    // It has no version before this one.
    let failed = action(&otter, "back");
    assert_eq!((&failed["state"], &failed["cause"]), (&json!("Failed"), &json!(CAUSE)), "{failed}");
    let mut posts: Vec<String> = receiver.seen().iter().map(|got| got.header("webhook-id").to_owned()).collect();
    posts.sort_unstable();
    let mut expected: Vec<String> =
        ids[1..].iter().map(|id| format!("heal_{}", id.as_str().unwrap_or_default())).collect();
    expected.sort_unstable();
    assert_eq!(posts, expected, "each was sent once, under a name of its own");

    let lines = until("the audit lines", PATIENCE, || {
        let lines = audited(&otter);
        if lines.len() >= rules.len() { Ok(lines) } else { Err(lines) }
    });
    let line = |action: &str| {
        let of: Vec<&Value> = lines.iter().filter(|l| l["verb"] == action).collect();
        assert_eq!(of.len(), 1 + usize::from(action == "webhook"), "{lines:?}");
        of[0].clone()
    };
    for told in ["alert", "webhook"] {
        assert_eq!(line(told)["annotations"]["otternauts.dev/heal-cause"], CAUSE);
    }
    let back = line("rollback");
    assert_eq!(back["annotations"]["otternauts.dev/heal-cause"], CAUSE, "{back}");
    assert_eq!(back["annotations"]["otternauts.dev/heal-target"], "Stack/default/shop", "{back}");
    assert_eq!(back["user"]["username"], "system:serviceaccount:otternauts-system:healing", "{back}");
    assert_eq!((&back["objectRef"]["name"], &back["responseStatus"]["code"]), (&json!("back"), &json!(500)));
}

#[test]
fn each_service_is_healed_by_what_is_said_of_itself() {
    let otter = control_plane();
    for (name, service, condition) in [
        ("sick-web", "web", "unhealthy"),
        ("sick-db", "db", "unhealthy"),
        ("probed-web", "web", "probe.failed >= 3"),
        ("probed-db", "db", "probe.failed >= 3"),
        ("few", "web", "probe.failed < 3"),
    ] {
        let target = json!({"stack": "shop", "service": service});
        otter.apply(&rule(name, &json!({"target": target, "condition": condition, "action": "alert"})).to_string());
    }
    let service = |name: &str| json!({"name": name, "desired": 1, "running": 1, "unhealthy": true, "probeFailures": 3});
    stack(&otter, &json!([service("web"), service("db")]));
    for (name, target, cause) in [
        ("sick-web", "Stack/default/shop/web", "unhealthy"),
        ("sick-db", "Stack/default/shop/db", "unhealthy"),
        ("probed-web", "Stack/default/shop/web", "probe.failed 3 >= 3"),
        ("probed-db", "Stack/default/shop/db", "probe.failed 3 >= 3"),
    ] {
        let done = action(&otter, name);
        assert_eq!((&done["target"], &done["cause"]), (&json!(target), &json!(cause)), "{name}: {done}");
    }
    let few = otter.kubectl(&["-n", "otternauts-system", "get", "healrule", "few", "-o", "json"]).json();
    assert_eq!(few["status"]["recentActions"], Value::Null, "{few}");
}

#[test]
fn what_the_health_controller_says_of_a_service_is_its_own_also_when_others_write_the_list() {
    let otter = crate::otter();
    stack(&otter, &json!([{"name": "web", "desired": 1, "running": 0}]));
    let say = |service: Value| {
        let object = json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "shop", "namespace": "default"},
            "status": {"services": [service]}});
        let args = ["apply", "--server-side", "--force-conflicts", "--subresource=status"];
        let manager = ["--field-manager=otternauts-health", "-f", "-"];
        otter.kubectl_in(&[args.as_slice(), manager.as_slice()].concat(), &object.to_string()).ok();
        otter.kubectl(&["get", "stack", "shop", "-o", "json"]).json()["status"]["services"].clone()
    };
    let said = say(json!({"name": "web", "unhealthy": true, "probeFailures": 3}));
    assert_eq!(said, json!([{"name": "web", "desired": 1, "running": 0, "unhealthy": true, "probeFailures": 3}]));
    // Another writer replaces the list, and keeps what is not its own.
    let whole = json!([{"name": "web", "desired": 1, "running": 1, "unhealthy": true, "probeFailures": 3}]);
    let patch = json!({"status": {"services": whole}}).to_string();
    otter.kubectl(&["patch", "stack", "shop", "--subresource=status", "--type=merge", "-p", &patch]).ok();
    let said = say(json!({"name": "web", "unhealthy": false}));
    assert_eq!(
        said,
        json!([{"name": "web", "desired": 1, "running": 1, "unhealthy": false}]),
        "what is left out is gone"
    );
}
