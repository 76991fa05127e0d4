//! What happens on servers shows in the objects as it happens: no polling, and back to well by itself (OT-30, OT-31, OT-35).

use super::{condition, docker, events, get, onboard, server_in, stack_running};
use otternauts_harness::{Lab, Otter, until};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn stack_where(otter: &Otter, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(&format!("the stack to be {what}"), PATIENCE, || {
        let status = get(otter, "stack", "duo")["status"].clone();
        if holds(&status) { Ok(status) } else { Err(status) }
    })
}

fn is_ready(status: &Value) -> bool {
    condition(status, "Ready")["status"] == "True"
}

#[test]
fn what_happens_on_a_server_shows_in_its_objects_and_passes() {
    let Some(lab) = Lab::take("what_happens_on_a_server_shows_in_its_objects_and_passes") else { return };
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "1"]).ok();
    lab.ok(&["images"]);
    let otter = crate::whole();
    onboard(&otter, &lab, "harbour", 1, "manager");
    server_in(&otter, "harbour", "ready", 240);
    let compose = json!({"services": {"web": {"image": "registry.lab/lab/web:v1",
        "deploy": {"replicas": 2, "endpoint_mode": "dnsrr", "restart_policy": {"delay": "20s"}}}}});
    let stack = json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "duo"},
        "spec": {"compose": {"inline": compose.to_string()}}});
    otter.apply(&stack.to_string());
    let status = stack_running(&otter, "duo", 120);
    let service = format!("{}_web", status["swarmStack"].as_str().expect("a name"));

    // A container dies: seen at once, with its exit code; its successor, which the swarm starts only when we have had the time to
    // look, makes the stack whole again.
    let container = docker(&lab, 1, &["ps", "-q", "--filter", &format!("name={service}.1.")]);
    docker(&lab, 1, &["kill", &container]);
    let hurt = stack_where(&otter, "short of a task", |s| !is_ready(s) && s["services"][0]["running"] == 1);
    assert_eq!(hurt["services"][0]["lastFailure"]["exitCode"], 137, "{hurt}");
    assert_eq!(condition(&hurt, "Available")["status"], "False", "{hurt}");
    stack_where(&otter, "whole again", |s| is_ready(s) && s["services"][0]["running"] == 2);

    // Somebody changes the service by hand: it is told as drift; undone by hand, it is no more.
    docker(&lab, 1, &["service", "scale", "-d", &format!("{service}=1")]);
    stack_where(&otter, "at one", |s| s["services"][0]["desired"] == 1);
    docker(&lab, 1, &["service", "scale", "-d", &format!("{service}=2")]);
    stack_where(&otter, "at two", |s| is_ready(s) && s["services"][0]["running"] == 2);
    docker(&lab, 1, &["service", "rm", &service]);
    let drifted = stack_where(&otter, "drifted", |s| !is_ready(s) && s["drift"].is_string());
    assert!(drifted["drift"].as_str().is_some_and(|d| d.contains("web")), "{drifted}");

    // The engine stops: noticed without a connection lost, started again, and said.
    lab.exec(1, &["systemctl", "stop", "docker.socket", "docker.service"]).ok();
    until("the engine's end to be noticed and mended", Duration::from_secs(120), || {
        let log = otter.log();
        let started = log.lines().any(|l| l.contains("step done") && l.contains("start-docker"));
        if started { Ok(()) } else { Err(log.lines().last().unwrap_or_default().to_owned()) }
    });
    server_in(&otter, "harbour", "ready", 120);
    // That it was started again is told once; that it had stopped is not, since it was mended at once.
    until("the start to be told", PATIENCE, || {
        let told = ["DockerStarted", "DockerUnavailable"].map(|reason| events(&otter, "Server", "harbour", reason));
        if told.each_ref().map(Vec::len) == [1, 0] { Ok(()) } else { Err(told) }
    });
}
