use super::*;
use serde_json::json;

fn stack_of(status: &Value) -> Stack {
    let whole = json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "shop"},
        "spec": {"compose": {}}, "status": status});
    serde_json::from_value(whole).expect("a Stack")
}

fn ready(status: &str, reason: &str, message: &str) -> Value {
    json!([{"type": "Ready", "status": status, "reason": reason, "message": message}])
}

#[test]
fn a_stacks_status_counts_only_when_it_is_about_what_was_applied() {
    let check = |phase: &str, observed: i64, conditions: Value, expected: Verdict| {
        let status = json!({"phase": phase, "observedGeneration": observed, "currentVersion": 2, "conditions": conditions,
            "services": [{"name": "web", "desired": 2, "running": 1}]});
        assert_eq!(stack(&stack_of(&status), 2), expected);
    };
    let what = |phase: &str| format!("stack shop: version 2 {phase} (web 1/2)");
    check("running", 1, ready("True", "", ""), Verdict::Waiting("stack shop: waiting for the control plane".into()));
    check("running", 2, ready("True", "", ""), Verdict::Done(what("running")));
    check("running", 2, ready("False", "X", "why"), Verdict::Waiting(what("running") + ": why"));
    check("deploying", 2, ready("False", "X", "why"), Verdict::Waiting(what("deploying")));
    let status = json!({"phase": "deploying", "observedGeneration": 2, "lastError": "Failed to pull image x: denied"});
    let told = Verdict::Waiting("stack shop: deploying: Failed to pull image x: denied".into());
    assert_eq!(stack(&stack_of(&status), 2), told, "what is in the way is told at once");
    check("failed", 2, ready("False", "X", "why"), Verdict::Failed(what("failed") + ": why"));
    check("stopped", 2, ready("False", "X", "why"), Verdict::Failed(what("stopped") + ": spec.suspend is true"));
    let wrong = Verdict::Failed("stack shop: Configuration error: x".into());
    check("pending", 2, ready("False", "ConfigurationError", "Configuration error: x"), wrong);
}

#[test]
fn a_server_says_what_it_waits_for() {
    let check = |spec: Value, status: Value, expected: Verdict| {
        let whole = json!({"apiVersion": "otternauts.dev/v1", "kind": "Server",
            "metadata": {"name": "reef", "generation": 3}, "spec": spec, "status": status});
        let object: Server = serde_json::from_value(whole).expect("a Server");
        assert_eq!(server(&object), expected);
    };
    let waiting = |text: &str| Verdict::Waiting(format!("server reef: {text}"));
    let confirmed = json!({"hostKey": {"fingerprint": "SHA256:a"}});
    check(json!({}), json!(null), waiting("pending"));
    check(
        json!({}),
        json!({"phase": "pending", "hostKey": {"algorithm": "ssh-ed25519", "fingerprint": "SHA256:a"}}),
        waiting("pending: confirm its host key SHA256:a: otter server confirm reef"),
    );
    check(confirmed.clone(), json!({"phase": "failed", "lastError": "No."}), waiting("failed: No."));
    let steps = json!([{"type": "SwarmConflict", "status": "False"}, {"type": "DockerReady", "status": "Unknown", "message": "installing"}]);
    check(
        confirmed.clone(),
        json!({"phase": "provisioning", "conditions": steps}),
        waiting("provisioning: DockerReady: installing"),
    );
    let done =
        |observed: i64| json!({"phase": "ready", "observedGeneration": observed, "conditions": ready("True", "", "")});
    check(confirmed.clone(), done(3), Verdict::Done("server reef is ready".into()));
    check(confirmed, done(2), waiting("ready"));
}

#[test]
fn a_removal_says_what_it_waits_for_until_the_server_is_gone() {
    let object = |conditions: Value, error: Value| -> Server {
        let whole = json!({"apiVersion": "otternauts.dev/v1", "kind": "Server",
            "metadata": {"name": "reef", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"address": "a", "user": "u"}, "status": {"conditions": conditions, "lastError": error}});
        serde_json::from_value(whole).expect("a Server")
    };
    let check = |object: Option<&Server>, expected: Verdict| assert_eq!(leaving("reef", object), expected);
    let waiting = |text: &str| Verdict::Waiting(format!("server reef is being removed{text}"));
    check(None, Verdict::Done("server reef is gone".into()));
    check(Some(&object(json!([]), Value::Null)), waiting(""));
    check(Some(&object(ready("False", "Removing", "tasks move"), json!("old"))), waiting(": tasks move"));
    check(Some(&object(ready("True", "Ready", "fine"), json!("no route"))), waiting(": no route"));
}
