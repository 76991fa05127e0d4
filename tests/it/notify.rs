//! Notifications against real receivers: HTTP servers of this test, and a real mail server (OT-72, K15).

mod https;
mod mail;
mod python;
pub mod receiver;

use crate::OTTER;
use crate::stories::crashes::{kill_at, moments};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use otternauts_harness::{Otter, OtterOptions, until};
use receiver::{Answer, Got, Receiver};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
pub const KEY: &str = "a signing key";

/// A control plane of which only the notifications run: the test says how objects stand.
fn control_plane() -> Otter {
    let options = OtterOptions::whole(OTTER);
    let otter = Otter::start(OtterOptions { args: vec!["--controllers=notify".to_owned()], ..options });
    for namespace in ["otternauts-system", "default"] {
        let key = format!("--from-literal=key={KEY}");
        otter.kubectl(&["-n", namespace, "create", "secret", "generic", "signing", &key]).ok();
    }
    otter
}

/// One that hears of Stacks, at once.
fn notifier(otter: &Otter, namespace: &str, name: &str, channel: &Value) {
    notifier_of(otter, namespace, name, channel, &json!({"kinds": ["Stack"]}), "0s");
}

pub fn notifier_of(otter: &Otter, namespace: &str, name: &str, channel: &Value, selector: &Value, wait: &str) {
    let object = json!({
        "apiVersion": "otternauts.dev/v1", "kind": "Notifier",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "channel": channel, "selector": selector,
            "groupWait": wait, "groupInterval": "0s", "repeatInterval": "0s",
        },
    });
    otter.apply(&object.to_string());
}

pub fn webhook(url: &str) -> Value {
    json!({"webhook": {"url": url, "secretRef": {"name": "signing"}}})
}

fn stack(otter: &Otter, name: &str) {
    let compose = "services: {web: {image: 'nginx:1.27'}}";
    let object = json!({
        "apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": name},
        "spec": {"compose": {"inline": compose}},
    });
    otter.apply(&object.to_string());
}

/// Says how a stack stands, as its controllers would.
fn stands(otter: &Otter, name: &str, ready: bool, reason: &str) {
    let status = if ready { "True" } else { "False" };
    let condition =
        json!({"type": "Ready", "status": status, "reason": reason, "message": format!("because: {reason}")});
    let patch = json!({"status": {"conditions": [condition]}}).to_string();
    otter.kubectl(&["patch", "stack", name, "--subresource=status", "--type=merge", "-p", &patch]).ok();
}

fn status(otter: &Otter, namespace: &str, name: &str) -> Value {
    otter.kubectl(&["-n", namespace, "get", "notifier", name, "-o", "json"]).json()["status"].clone()
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let all = status["conditions"].as_array().expect("conditions");
    all.iter().find(|c| c["type"] == kind).unwrap_or_else(|| panic!("{kind} in {status}"))
}

/// `state object reason` of everything in one message.
pub fn notices(got: &Got) -> Vec<String> {
    let body = got.json();
    let list = body["data"]["notices"].as_array().expect("notices").clone();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    list.iter()
        .map(|n| format!("{} {} {}", text(&n["state"]), text(&n["object"]["name"]), text(&n["reason"])))
        .collect()
}

/// Waits for so many messages, and checks that there are no more.
#[track_caller]
pub fn messages(receiver: &Receiver, expected: &[&str]) {
    let seen = || receiver.seen().iter().flat_map(notices).collect::<Vec<_>>();
    until("the messages", PATIENCE, || if seen().len() >= expected.len() { Ok(()) } else { Err(seen()) });
    assert_eq!(seen(), expected);
}

/// [`messages`], and nothing after them: something that happens now, about an object of a kind that the Notifier sees, is told
/// next. What the marker adds is in the answer, for a Notifier that is asked again.
#[track_caller]
pub fn no_more_messages(otter: &Otter, receiver: &Receiver, kind: &str, expected: &[&str]) -> String {
    messages(receiver, expected);
    let name = format!("marker-{}", receiver.seen().len());
    let now = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%6NZ"]).output().expect("date runs");
    let object = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"generateName": "marker-", "namespace": "default"},
        "eventTime": String::from_utf8_lossy(&now.stdout).trim(), "type": "Warning", "reason": "Marker", "action": "Mark",
        "reportingController": "test", "reportingInstance": "test", "note": "nothing came before this",
        "regarding": {"apiVersion": "otternauts.dev/v1", "kind": kind, "namespace": "default", "name": name},
    });
    otter.kubectl_in(&["create", "-f", "-"], &object.to_string()).ok();
    let marker = format!("event {name} Marker");
    messages(receiver, &[expected, &[marker.as_str()]].concat());
    marker
}

/// Waits for so many of something, and answers them.
#[track_caller]
fn so_many(what: &str, count: usize, look: impl Fn() -> Vec<Value>) -> Vec<Value> {
    until(what, PATIENCE, || {
        let seen = look();
        if seen.len() >= count { Ok(seen) } else { Err(seen) }
    })
}

#[track_caller]
fn metric(otter: &Otter, line: &str) {
    let seen = || otter.curl_admin("/metrics", &[]).ok().to_owned();
    until("the metric", PATIENCE, || {
        let all = seen();
        let ours: Vec<&str> = all.lines().filter(|l| l.starts_with("otternauts_notifications")).collect();
        if ours.contains(&line) { Ok(()) } else { Err(ours.join("\n")) }
    });
}

#[test]
fn one_signed_message_for_a_problem_and_one_for_its_recovery_ot_72() {
    let otter = control_plane();
    let receiver = Receiver::start(|_| Answer::Status(204, ""));
    notifier(&otter, "otternauts-system", "ops", &webhook(&receiver.url("/hook")));
    stack(&otter, "web");
    stack(&otter, "marker");
    stands(&otter, "web", true, "Deployed");
    stands(&otter, "web", false, "Unhealthy");
    messages(&receiver, &["problem web Unhealthy"]);
    let first = &receiver.seen()[0];
    assert_eq!(
        (first.line.as_str(), first.header("content-type")),
        ("POST /hook HTTP/1.1", "application/cloudevents+json")
    );
    assert_eq!(first.header("webhook-id"), first.json()["id"].as_str().expect("an id"));
    assert_eq!(first.header("webhook-id"), first.header("idempotency-key"));
    let signed = [first.header("webhook-id"), ".", first.header("webhook-timestamp"), "."].concat().into_bytes();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, KEY.as_bytes());
    let signature = first.header("webhook-signature").strip_prefix("v1,").expect("version 1");
    let signature = BASE64_STANDARD.decode(signature).expect("base64");
    ring::hmac::verify(&key, &[signed, first.body.clone()].concat(), &signature)
        .expect("the signature is that of the key");

    // Another condition of the same failure, and the Event that goes with it: the same change, no message.
    let uid = otter.kubectl(&["get", "stack", "web", "-o", "jsonpath={.metadata.uid}"]).ok().to_owned();
    event(&otter, &uid, "Unhealthy");
    let conditions = json!([
        {"type": "Ready", "status": "False", "reason": "Unhealthy", "message": "another text"},
        {"type": "Available", "status": "False", "reason": "Unhealthy", "message": ""},
    ]);
    let patch = json!({"status": {"conditions": conditions}}).to_string();
    otter.kubectl(&["patch", "stack", "web", "--subresource=status", "--type=merge", "-p", &patch]).ok();
    stands(&otter, "web", true, "Deployed");
    messages(&receiver, &["problem web Unhealthy", "recovered web Unhealthy"]);
    stands(&otter, "marker", false, "ImagePullFailed");
    let all = ["problem web Unhealthy", "recovered web Unhealthy", "problem marker ImagePullFailed"];
    no_more_messages(&otter, &receiver, "Stack", &all);
    metric(&otter, r#"otternauts_notifications_total{channel="webhook",result="delivered"} 4"#);
    let status = until("the count", PATIENCE, || {
        let status = status(&otter, "otternauts-system", "ops");
        if status["delivered"] == 4 { Ok(status) } else { Err(status) }
    });
    assert_eq!(condition(&status, "Delivered")["reason"], "Delivered", "{status}");
    otter.kubectl(&["-n", "otternauts-system", "wait", "--for=condition=Ready", "notifier/ops", "--timeout=180s"]).ok();
    assert!(!otter.log().contains(KEY), "the key is in the log");
}

fn event(otter: &Otter, uid: &str, reason: &str) {
    let now = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%6NZ"]).output().expect("date runs");
    let object = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "web.1", "namespace": "default"},
        "eventTime": String::from_utf8_lossy(&now.stdout).trim(), "type": "Warning", "reason": reason, "action": "Deploy",
        "reportingController": "test", "reportingInstance": "test", "note": "the probe fails",
        "regarding": {"apiVersion": "otternauts.dev/v1", "kind": "Stack", "namespace": "default", "name": "web", "uid": uid},
    });
    otter.kubectl_in(&["create", "-f", "-"], &object.to_string()).ok();
}

#[test]
fn a_message_is_retried_under_its_id_and_given_up_in_sight_ot_72() {
    let otter = control_plane();
    let moody =
        Receiver::start(|n| if n < 2 { Answer::Status(503, "retry-after: 1\r\n") } else { Answer::Status(200, "") });
    let closed = Receiver::start(|_| Answer::Status(410, ""));
    notifier(&otter, "otternauts-system", "moody", &webhook(&moody.url("/")));
    notifier(&otter, "otternauts-system", "closed", &webhook(&closed.url("/")));
    stack(&otter, "web");
    stands(&otter, "web", false, "Unhealthy");
    let ids = until("three attempts", PATIENCE, || {
        let ids: Vec<String> = moody.seen().iter().map(|g| g.header("idempotency-key").to_owned()).collect();
        if ids.len() >= 3 { Ok(ids) } else { Err(ids) }
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    metric(&otter, r#"otternauts_notifications_total{channel="webhook",result="retried"} 2"#);
    metric(&otter, r#"otternauts_notifications_total{channel="webhook",result="dead"} 1"#);
    let dead = until("the dead letter", PATIENCE, || {
        let status = status(&otter, "otternauts-system", "closed");
        if status["failed"] == 1 { Ok(status) } else { Err(status) }
    });
    assert_eq!(dead["deadLetters"][0]["summary"], "Problem: Stack default/web: Unhealthy", "{dead}");
    assert_eq!(dead["deadLetters"][0]["error"], "127.0.0.1 answered 410", "{dead}");
    let condition = condition(&dead, "Delivered");
    assert_eq!(
        (&condition["type"], &condition["status"], &condition["reason"]),
        (&json!("Delivered"), &json!("False"), &json!("DeadLetter"))
    );
    until("the Event", PATIENCE, || {
        let events = otter.kubectl(&["-n", "otternauts-system", "get", "events", "-o", "jsonpath={.items[*].reason}"]);
        let events = events.ok().to_owned();
        if events.contains("DeliveryFailed") { Ok(()) } else { Err(events) }
    });
    assert_eq!(closed.seen().len(), 1, "a final answer is not asked for again");
}

#[test]
fn kill_9_between_sending_and_the_answer_repeats_one_id_and_nothing_else() {
    let mut otter = control_plane();
    let receiver = Receiver::start(|n| if n == 0 { Answer::Silence } else { Answer::Status(200, "") });
    notifier(&otter, "otternauts-system", "ops", &webhook(&receiver.url("/")));
    stack(&otter, "web");
    stack(&otter, "marker");
    stands(&otter, "web", false, "Unhealthy");
    messages(&receiver, &["problem web Unhealthy"]);
    otter.kill();
    otter.boot();
    messages(&receiver, &["problem web Unhealthy", "problem web Unhealthy"]);
    let seen = receiver.seen();
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"), "the same message");
    assert_eq!(seen[0].body, seen[1].body);
    until("the delivery", PATIENCE, || {
        let status = status(&otter, "otternauts-system", "ops");
        if status["delivered"] == 1 { Ok(()) } else { Err(status) }
    });
    // A restart with nothing under way tells nothing again; what happened meanwhile is told.
    otter.kill();
    otter.boot();
    stands(&otter, "marker", false, "ImagePullFailed");
    let all = ["problem web Unhealthy", "problem web Unhealthy", "problem marker ImagePullFailed"];
    no_more_messages(&otter, &receiver, "Stack", &all);
}

/// A receiver that remembers ids, as ours are asked to, hears of every change once, whenever the process was killed.
#[test]
fn kill_9_at_random_moments_tells_each_change_once_to_who_remembers_ids() {
    let mut otter = control_plane();
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    notifier(&otter, "otternauts-system", "ops", &webhook(&receiver.url("/")));
    stack(&otter, "web");
    let mut expected: Vec<String> = Vec::new();
    for (round, moment) in moments(8, 150).into_iter().enumerate() {
        let ready = round % 2 == 1;
        stands(&otter, "web", ready, if ready { "Deployed" } else { "Unhealthy" });
        expected.push(format!("{} web Unhealthy", if ready { "recovered" } else { "problem" }));
        kill_at(&mut otter, &[moment]);
        let told = || {
            let mut ids = std::collections::BTreeSet::new();
            let new = receiver.seen().into_iter().filter(|g| ids.insert(g.header("webhook-id").to_owned()));
            new.flat_map(|g| notices(&g)).collect::<Vec<_>>()
        };
        until("the change to be told", PATIENCE, || if told().len() >= expected.len() { Ok(()) } else { Err(told()) });
        assert_eq!(told(), expected, "round {round}");
    }
}

#[test]
fn a_receiver_that_never_answers_delays_nobody_else() {
    let mut otter = control_plane();
    let mute = Receiver::start(|_| Answer::Silence);
    let quick = Receiver::start(|_| Answer::Status(200, ""));
    notifier(&otter, "otternauts-system", "mute", &webhook(&mute.url("/")));
    notifier(&otter, "otternauts-system", "quick", &webhook(&quick.url("/")));
    stack(&otter, "web");
    stands(&otter, "web", false, "Unhealthy");
    messages(&quick, &["problem web Unhealthy"]);
    until("the mute one to be asked", PATIENCE, || if mute.seen().is_empty() { Err("nothing yet") } else { Ok(()) });
    stands(&otter, "web", true, "Deployed");
    no_more_messages(&otter, &quick, "Stack", &["problem web Unhealthy", "recovered web Unhealthy"]);
    assert_eq!(status(&otter, "otternauts-system", "mute")["delivered"], 0);
    // Nor the end of the process.
    assert_eq!(otter.stop(), 0);
    assert!(!otter.log().contains("did not end in time"), "{}", otter.log());
}

#[test]
fn nothing_is_sent_where_only_the_control_plane_may_go_row_k15() {
    let otter = control_plane();
    let inner = Receiver::start(|_| Answer::Status(200, ""));
    notifier(&otter, "default", "tenant", &webhook(&inner.url("/")));
    let answer = otter.otter(&["-n", "default", "notify", "test", "tenant"]);
    assert!(answer.refused().contains("only a Notifier in otternauts-system may send"), "{answer:?}");
    notifier(&otter, "otternauts-system", "metadata", &webhook("http://169.254.169.254/latest/meta-data"));
    let answer = otter.otter(&["-n", "otternauts-system", "notify", "test", "metadata"]);
    assert!(answer.refused().contains("it is link-local"), "{answer:?}");
    let location: &'static str = format!("location: {}\r\n", inner.url("/secret")).leak();
    let guide = Receiver::start(move |_| Answer::Status(307, location));
    notifier(&otter, "otternauts-system", "guide", &webhook(&guide.url("/")));
    let answer = otter.otter(&["-n", "otternauts-system", "notify", "test", "guide"]);
    assert!(answer.refused().contains("answered 307: redirects are not followed"), "{answer:?}");
    assert_eq!((guide.seen().len(), inner.seen().len()), (1, 0));
}

#[test]
fn every_chat_gets_its_test_message_and_otter_prints_the_answer() {
    let otter = control_plane();
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let url = format!("--from-literal=url={}", receiver.url("/chat"));
    otter.kubectl(&["-n", "otternauts-system", "create", "secret", "generic", "chat", &url]).ok();
    let by_secret = json!({"secretRef": {"name": "chat", "key": "url"}});
    let root = receiver.url("/");
    for (name, channel, expected) in [
        ("slack", json!({"slack": by_secret}), "attachments"),
        ("discord", json!({"discord": by_secret}), "embeds"),
        ("ntfy", json!({"ntfy": {"server": root, "topic": "ops", "secretRef": {"name": "signing"}}}), "topic"),
    ] {
        notifier(&otter, "otternauts-system", name, &channel);
        let answer = otter.otter(&["-n", "otternauts-system", "notify", "test", name]);
        assert_eq!(answer.ok(), format!("delivered by {name}: 200 OK\n"));
        let seen = receiver.seen();
        let last = seen.last().expect("a message");
        assert!(last.json()[expected].is_string() || last.json()[expected].is_array(), "{name}: {}", last.json());
        if name == "ntfy" {
            assert_eq!(last.header("authorization"), format!("Bearer {KEY}"));
        }
    }
    metric(&otter, r#"otternauts_notifications_total{channel="slack",result="test_delivered"} 1"#);
    let missing = otter.otter(&["notify", "test", "nobody"]);
    assert_eq!(missing.code, 5, "{missing:?}");
}

#[test]
fn a_spec_that_cannot_be_used_says_so_and_a_pause_is_a_pause() {
    let otter = control_plane();
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    // All Notifiers look at the same board: what this one has told, the other one knows.
    let witness = Receiver::start(|_| Answer::Status(200, ""));
    notifier(&otter, "otternauts-system", "witness", &webhook(&witness.url("/")));
    notifier(&otter, "otternauts-system", "ops", &webhook("gopher://example.com/"));
    let shows = |kind: &str, reason: &str| {
        until(reason, PATIENCE, || {
            let status = status(&otter, "otternauts-system", "ops");
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            if conditions.iter().any(|c| c["type"] == kind && c["reason"] == reason) { Ok(status) } else { Err(status) }
        })
    };
    let broken = shows("Ready", "ConfigurationError");
    assert_eq!(broken["lastError"], "the URL must begin with https:// or http://");
    notifier(&otter, "otternauts-system", "ops", &webhook(&receiver.url("/")));
    shows("Ready", "Watching");
    let suspend = |yes: bool| {
        let patch = json!({"spec": {"suspend": yes}}).to_string();
        otter.kubectl(&["-n", "otternauts-system", "patch", "notifier", "ops", "--type=merge", "-p", &patch]).ok();
    };
    suspend(true);
    shows("Ready", "Suspended");
    stack(&otter, "brief");
    stands(&otter, "brief", false, "Unhealthy");
    messages(&witness, &["problem brief Unhealthy"]);
    stack(&otter, "lasting");
    stands(&otter, "lasting", false, "Unhealthy");
    messages(&witness, &["problem brief Unhealthy", "problem lasting Unhealthy"]);
    stands(&otter, "brief", true, "Deployed");
    messages(&witness, &["problem brief Unhealthy", "problem lasting Unhealthy", "recovered brief Unhealthy"]);
    assert!(receiver.seen().is_empty(), "nothing is sent in a pause");
    suspend(false);
    no_more_messages(&otter, &receiver, "Stack", &["problem lasting Unhealthy"]);
}
