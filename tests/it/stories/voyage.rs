//! The main job: two fresh servers become a swarm, a three-service stack runs on it, changes, stays, and goes (OT-98).

use super::{docker, get, indexes, keep_tasks, onboard, server_in, stack_running, tasks};
use otternauts_harness::{Lab, until};
use std::time::Duration;

const COMPOSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/voyage.yml");

#[test]
fn two_fresh_servers_become_a_swarm_and_a_three_service_stack_runs_on_it() {
    let Some(lab) = Lab::take("two_fresh_servers_become_a_swarm_and_a_three_service_stack_runs_on_it") else { return };
    lab.ok(&["up", "2"]);
    lab.ok(&["images"]);
    assert_ne!(lab.exec(1, &["which", "docker"]).code, 0, "the hosts are fresh");
    let otter = crate::whole();
    onboard(&otter, &lab, "harbour", 1, "manager");
    let first = server_in(&otter, "harbour", "ready", 240);
    assert_eq!(first["swarmRole"], "manager");
    assert!(first["os"].as_str().is_some_and(|os| os.contains("Debian")), "{first}");
    assert!(first["dockerVersion"].is_string() && first["swarmNodeID"].is_string(), "{first}");
    assert!(
        first["resources"]["memoryBytes"].as_i64() > Some(0) && first["resources"]["cpus"].as_i64() > Some(0),
        "{first}"
    );
    onboard(&otter, &lab, "reef", 2, "worker");
    assert_eq!(server_in(&otter, "reef", "ready", 240)["swarmRole"], "worker");
    assert_eq!(docker(&lab, 1, &["node", "ls", "-q"]).lines().count(), 2, "one swarm of two");
    keep_tasks(&lab);
    let cluster = get(&otter, "cluster", "default");
    assert_eq!(
        cluster["status"]["swarmID"].as_str(),
        Some(docker(&lab, 1, &["info", "-f", "{{.Swarm.Cluster.ID}}"]).as_str())
    );

    // Its domain is the affair of another story.
    let none = r#"{"spec":{"ingress":{"provider":"none"}}}"#;
    otter.kubectl(&["patch", "cluster", "default", "--type=merge", "-p", none]).ok();
    otter
        .kubectl(&["create", "secret", "generic", "voyage-secrets", "--from-literal=DB_PASSWORD=s3cr3t-of-the-sea"])
        .ok();
    deploy(&otter, "v1").ok();
    let status = stack_running(&otter, "voyage", 240);
    let services = status["services"].as_array().expect("services");
    assert_eq!(services.len(), 3, "{status}");
    assert!(services.iter().all(|s| s["running"] == s["desired"]), "{status}");
    assert_eq!(status["currentVersion"], 1);
    for host in [1, 2] {
        let url = format!("http://{}:8080/", lab.ip(host));
        until(&format!("{url} to answer"), Duration::from_secs(60), || {
            let page = lab.exec(host, &["curl", "-fsS", "--max-time", "3", &url]);
            if page.code == 0 { Ok(()) } else { Err(page.stderr) }
        });
    }

    // The same again: no new Deployment, nothing happens on the servers (OT-56).
    let before = indexes(&lab, 1);
    deploy(&otter, "v1").ok();
    assert_eq!(indexes(&lab, 1), before, "an unchanged stack changes nothing");
    assert_eq!(otter.kubectl(&["get", "deployments", "-o", "name"]).ok().lines().count(), 1);

    // One changed service: the others' tasks stay.
    deploy(&otter, "v2").ok();
    let status = stack_running(&otter, "voyage", 240);
    assert_eq!(status["currentVersion"], 2);
    let swarm_stack = status["swarmStack"].as_str().expect("a name").to_owned();
    let tasks = |service: &str| tasks(&lab, &swarm_stack, service);
    assert_eq!((tasks("db"), tasks("cache"), tasks("web")), (1, 1, 4), "one new task for each slot of web alone");
    until("the log to have its first line", Duration::from_secs(60), || {
        let logs = otter.otter(&["logs", "voyage", "web"]);
        if logs.ok().contains("listening on 8080") { Ok(()) } else { Err(logs.stdout) }
    });
    assert!(!otter.log().contains("s3cr3t-of-the-sea"), "no secret in the log");

    // Deleting the Stack removes it from the swarm, then the object.
    otter.kubectl(&["delete", "stack", "voyage", "--timeout=300s"]).ok();
    assert_eq!(docker(&lab, 1, &["service", "ls", "-q"]), "");
    until("the stack's network to be gone", Duration::from_secs(60), || {
        let left = docker(&lab, 1, &["network", "ls", "--format", "{{.Name}}"]);
        if left.contains(&swarm_stack) { Err(left) } else { Ok(()) }
    });
    until("the Deployments to be collected", Duration::from_secs(20), || {
        let left = otter.kubectl(&["get", "deployments", "-o", "name"]).ok().to_owned();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

fn deploy(otter: &otternauts_harness::Otter, version: &str) -> otternauts_harness::Ran {
    let image = format!("WEB_IMAGE=registry.lab/lab/web:{version}");
    otter.otter(&[
        "deploy",
        COMPOSE,
        "--name",
        "voyage",
        "--env",
        &image,
        "--env-from",
        "secret/voyage-secrets",
        "--wait",
    ])
}
