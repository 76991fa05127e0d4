//! What operators do on other days: registry passwords rotate, people deploy by hand, servers leave or die (OT-25, OT-F10).

use super::{condition, docker, get, last_error, onboard, server_in, stack_running};
use otternauts_harness::{Lab, Otter, until};
use serde_json::json;
use std::time::Duration;

/// Two hosts with Docker, one swarm.
fn fleet(lab: &Lab) -> Otter {
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "2"]).ok();
    lab.ok(&["images"]);
    let otter = crate::whole();
    onboard(&otter, lab, "harbour", 1, "manager");
    server_in(&otter, "harbour", "ready", 240);
    onboard(&otter, lab, "reef", 2, "worker");
    server_in(&otter, "reef", "ready", 240);
    otter
}

fn stack(name: &str, image: &str, more: &serde_json::Value) -> String {
    let compose = json!({"services": {"web": {"image": image, "deploy": {"replicas": 2, "endpoint_mode": "dnsrr"}}}});
    let mut spec = json!({"compose": {"inline": compose.to_string()}});
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": name}, "spec": spec}).to_string()
}

fn password(otter: &Otter, value: &str) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "registry"},
        "stringData": {"password": value}});
    otter.apply(&secret.to_string());
}

#[test]
fn a_rotated_registry_password_is_used_at_once_and_restarts_no_task() {
    let Some(lab) = Lab::take("a_rotated_registry_password_is_used_at_once_and_restarts_no_task") else { return };
    let otter = fleet(&lab);
    password(&otter, "wrong");
    let credential = json!({"apiVersion": "otternauts.dev/v1", "kind": "RegistryCredential",
        "metadata": {"name": "private"},
        "spec": {"registry": "private.lab", "username": "lab", "passwordSecretRef": {"name": "registry"}}});
    otter.apply(&credential.to_string());
    otter.apply(&stack("own", "private.lab/lab/web:v1", &json!({"registryCredentialRefs": [{"name": "private"}]})));
    let sentence = "Failed to pull image private.lab/lab/web:v1: unauthorized: authentication required";
    last_error(&otter, "stack", "own", sentence, 120);

    password(&otter, "lab");
    let status = stack_running(&otter, "own", 120);
    assert!(status["lastError"].is_null(), "{status}");
    let service = format!("{}_web", status["swarmStack"].as_str().expect("a name"));
    let running = || {
        let mut tasks = docker(&lab, 1, &["service", "ps", &service, "-q", "-f", "desired-state=running"]);
        tasks.push('\n');
        tasks
    };
    let tasks = running();

    // The same password, written once more: a new version is sent, and the tasks stay.
    let before = status["currentVersion"].as_i64().expect("a version");
    otter.kubectl(&["annotate", "secret", "registry", "rotated=yes"]).ok();
    until("the next version to run", Duration::from_secs(60), || {
        let status = get(&otter, "stack", "own")["status"].clone();
        let next = status["currentVersion"].as_i64() > Some(before) && status["phase"] == "running";
        if next { Ok(()) } else { Err(status) }
    });
    assert_eq!(running(), tasks, "a login is no reason to restart a task");
}

#[test]
fn people_deploy_manual_stacks_and_servers_leave_or_are_given_up() {
    let Some(lab) = Lab::take("people_deploy_manual_stacks_and_servers_leave_or_are_given_up") else { return };
    let otter = fleet(&lab);
    otter.apply(&stack("hand", "registry.lab/lab/web:v1", &json!({"deployPolicy": "Manual"})));
    until("the Stack to wait for a person", Duration::from_secs(30), || {
        let status = get(&otter, "stack", "hand")["status"].clone();
        if condition(&status, "Ready")["reason"] == "WaitingForDeployment" { Ok(()) } else { Err(status) }
    });
    assert_eq!(docker(&lab, 1, &["service", "ls", "-q"]), "", "nothing runs before a person says so");
    otter.apply(
        &json!({"apiVersion": "otternauts.dev/v1", "kind": "Deployment", "metadata": {"name": "go"},
            "spec": {"stackRef": {"name": "hand"}, "trigger": "manual"}})
        .to_string(),
    );
    assert_eq!(stack_running(&otter, "hand", 120)["currentRevision"], "go");

    // The only manager does not go while others are in its swarm, and says so.
    until("what keeps the manager to be said", Duration::from_secs(60), || {
        let waits = otter.otter(&["server", "remove", "harbour", "--yes", "--wait", "--timeout", "5s"]);
        assert_eq!(waits.code, 7, "{}", waits.stderr);
        let said = waits.stderr.contains("This is the only manager that can be reached, and 1 more nodes");
        if said { Ok(()) } else { Err(waits.stderr) }
    });

    // A machine that is gone for good cannot be asked; only the swarm is told.
    lab.ok(&["kill", "2"]);
    let waits = otter.otter(&["server", "remove", "reef", "--yes", "--wait", "--timeout", "5s"]);
    assert_eq!(waits.code, 7, "{}", waits.stderr);
    otter.otter(&["server", "remove", "reef", "--yes", "--force", "--wait", "--timeout", "300s"]).ok();
    until("the swarm to be one node, or none", Duration::from_secs(60), || {
        let state = docker(&lab, 1, &["info", "-f", "{{.Swarm.Nodes}}"]);
        if state == "1" || state == "0" { Ok(()) } else { Err(state) }
    });

    // The manager has been waiting for that: the swarm ends with it.
    until("the manager to be gone", Duration::from_secs(120), || {
        let left = otter.kubectl(&["get", "servers", "-o", "name"]).ok().to_owned();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    assert_eq!(docker(&lab, 1, &["info", "-f", "{{.Swarm.LocalNodeState}}"]), "inactive");
}
