//! Hosts that hang, vanish or lose their engine: said once, mended by itself (OT-F1, OT-F16, OT-F17; P20).

use super::{condition, docker, get, onboard, server_in, stack_running};
use crate::notify::receiver::{Answer, Receiver};
use crate::notify::{messages, notifier_of, webhook};
use otternauts_harness::{Lab, Otter, until};
use serde_json::{Value, json};
use std::time::Duration;

/// Three unanswered probes of a silent connection, five seconds each, and a new connection that is not answered for ten.
const PROBES: u64 = 60;

fn cluster_where(otter: &Otter, what: &str, holds: impl Fn(&Value) -> bool) {
    until(&format!("the cluster to be {what}"), Duration::from_secs(180), || {
        let status = get(otter, "cluster", "default")["status"].clone();
        if holds(&status) { Ok(()) } else { Err(status) }
    });
}

fn ready_reason(status: &Value) -> &str {
    condition(status, "Ready")["reason"].as_str().unwrap_or_default()
}

#[test]
fn hosts_that_hang_or_vanish_are_said_so_once_and_come_back_by_themselves_ot_f16_f17() {
    let name = "hosts_that_hang_or_vanish_are_said_so_once_and_come_back_by_themselves_ot_f16_f17";
    let Some(lab) = Lab::take(name) else { return };
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "3"]).ok();
    lab.ok(&["images", "web"]);
    let otter = crate::whole();
    let key = format!("--from-literal=key={}", crate::notify::KEY);
    otter.kubectl(&["-n", "otternauts-system", "create", "secret", "generic", "signing", &key]).ok();
    let hosts = ["harbour", "reef", "cove"];
    for (i, host) in (1..).zip(hosts) {
        onboard(&otter, &lab, host, i, "manager");
        server_in(&otter, host, "ready", 240);
    }
    cluster_where(&otter, "whole", |s| s["managers"] == 3 && condition(s, "Ready")["status"] == "True");
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let selector = json!({"kinds": ["Server", "Cluster"], "severities": ["Warning"]});
    notifier_of(&otter, "otternauts-system", "ops", &webhook(&receiver.url("/")), &selector, "3s");
    let mut heard = Vec::new();

    // The first manager hangs: connections stay open, nothing answers. Another one deploys (OT-F16).
    lab.ok(&["freeze", "1"]);
    server_in(&otter, "harbour", "unreachable", PROBES);
    let compose = json!({"services": {"web": {"image": "registry.lab/lab/web:v1",
        "deploy": {"replicas": 2, "endpoint_mode": "dnsrr", "restart_policy": {"delay": "1s"}}}}});
    let stack = json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "duo"},
        "spec": {"compose": {"inline": compose.to_string()}}});
    otter.apply(&stack.to_string());
    stack_running(&otter, "duo", 180);
    heard.push("problem harbour ConnectionFailed");
    messages(&receiver, &heard);
    lab.ok(&["thaw", "1"]);
    server_in(&otter, "harbour", "ready", 180);
    heard.push("recovered harbour ConnectionFailed");
    messages(&receiver, &heard);
    cluster_where(&otter, "able to decide", |s| condition(s, "Ready")["status"] == "True");

    // The network of one is cut: what it sends and is sent vanishes.
    lab.ok(&["isolate", "3"]);
    server_in(&otter, "cove", "unreachable", PROBES);
    heard.push("problem cove ConnectionFailed");
    messages(&receiver, &heard);
    lab.ok(&["heal", "3"]);
    server_in(&otter, "cove", "ready", 180);
    heard.push("recovered cove ConnectionFailed");
    messages(&receiver, &heard);

    // All managers are gone (OT-F17): the cluster says so, and so does who wants something of it; then all are back.
    hosts.iter().zip(1..).for_each(|(_, i): (_, u8)| drop(lab.ok(&["isolate", &i.to_string()])));
    cluster_where(&otter, "unreachable", |s| ready_reason(s) == "ManagersUnreachable");
    let bigger = stack.to_string().replace("\\\"replicas\\\":2", "\\\"replicas\\\":3");
    otter.apply(&bigger);
    until("the stack to say why it waits", Duration::from_secs(60), || {
        let status = get(&otter, "stack", "duo")["status"].clone();
        if ready_reason(&status) == "ManagersUnreachable" { Ok(()) } else { Err(status) }
    });
    // What is over before the group of messages goes out is told to nobody.
    let told = |text: &str| receiver.seen().iter().flat_map(crate::notify::notices).filter(|n| n == text).count();
    until("the cluster's loss to be told", Duration::from_secs(60), || {
        match told("problem default ManagersUnreachable") {
            1 => Ok(()),
            times => Err(times),
        }
    });
    lab.ok(&["heal"]);
    cluster_where(&otter, "whole again", |s| condition(s, "Ready")["status"] == "True");
    for host in hosts {
        server_in(&otter, host, "ready", 180);
    }
    let status = stack_running(&otter, "duo", 180);
    assert_eq!(status["services"][0]["desired"], 3, "{status}");
    until("the cluster's return to be told", Duration::from_secs(60), || {
        let seen = (told("problem default ManagersUnreachable"), told("recovered default ManagersUnreachable"));
        if seen == (1, 1) { Ok(()) } else { Err(seen) }
    });
    assert!(!docker(&lab, 1, &["service", "ls", "-q"]).is_empty());
}
