//! What known objects and samples look like on a page.

use super::containers::{Names, swarm_name};
use super::*;
use otternauts_fleet::{ContainerSample, Round};
use otternauts_telemetry::{Format, Metrics};
use serde_json::json;
use std::sync::Arc;

#[track_caller]
fn check(fill: impl FnOnce(&mut Scraped), expected: &[&str]) {
    let mut page = Metrics::new("1").page();
    fill(&mut page);
    let text = page.write(Format::Classic);
    let samples: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(samples, expected);
}

fn condition(kind: &str, status: &str) -> Value {
    json!({"type": kind, "status": status, "reason": "R", "message": "a text that is no label"})
}

#[test]
fn a_server_is_an_info_and_its_conditions() {
    let server = json!({
        "metadata": {"name": "harbour", "uid": "u"},
        "spec": {"address": "10.0.0.1", "role": "worker"},
        "status": {"os": "Debian 13", "lastSeen": "2026-01-01T00:00:00Z", "conditions": [condition("Ready", "False")]},
    });
    check(
        |page| write_server(&server, &|_| false, page),
        &[
            r#"otternauts_server_info{server="harbour",cluster="default",role="worker",os="Debian 13",docker_version=""} 1"#,
            r#"otternauts_server_last_seen_timestamp_seconds{server="harbour"} 1767225600"#,
            r#"otternauts_server_status_condition{server="harbour",condition="Ready",status="false"} 1"#,
            r#"otternauts_server_status_condition{server="harbour",condition="Ready",status="true"} 0"#,
            r#"otternauts_server_status_condition{server="harbour",condition="Ready",status="unknown"} 0"#,
        ],
    );
}

#[test]
fn a_stack_shows_its_replicas_and_its_certificates() {
    let stack = json!({
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"clusterRef": {"name": "east"}},
        "status": {
            "services": [{"name": "api", "desired": 3, "running": 2}],
            "domains": [{"host": "a.example", "notAfter": "2026-01-01T00:00:00Z"}, {"host": "b.example"}],
        },
    });
    check(
        |page| write_stack(&stack, page),
        &[
            r#"otternauts_certificate_expiry_timestamp_seconds{namespace="shop",stack="web",domain="a.example"} 1767225600"#,
            r#"otternauts_service_replicas_desired{namespace="shop",stack="web",service="api"} 3"#,
            r#"otternauts_service_replicas_running{namespace="shop",stack="web",service="api"} 2"#,
            r#"otternauts_stack_info{namespace="shop",stack="web",cluster="east"} 1"#,
        ],
    );
}

#[test]
fn only_a_deployment_under_way_is_shown() {
    let deployment = |phase: &str| {
        let spec = json!({"stackRef": {"name": "web"}, "snapshot": {"compose": ""}});
        let metadata = json!({"name": "web-1", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"});
        json!({"metadata": metadata, "spec": spec, "status": {"phase": phase}})
    };
    let line =
        r#"otternauts_deployment_in_progress_started_timestamp_seconds{namespace="shop",stack="web"} 1767225600"#;
    check(|page| write_deployment(&deployment("running"), page), &[line]);
    check(|page| write_deployment(&deployment("succeeded"), page), &[]);
    check(|page| write_deployment(&deployment("failed"), page), &[]);
}

#[test]
fn a_slot_is_shown_once_and_what_is_no_stack_of_ours_is_not() {
    let stack = json!({"metadata": {"name": "web", "namespace": "shop"}, "status": {"swarmStack": "web-1234"}});
    let names: Names = swarm_name(&stack).into_iter().collect();
    let container = |stack: &str, started_at, memory| ContainerSample {
        swarm_stack: Some(stack.to_owned()),
        service: Some("api".to_owned()),
        slot: Some("1".to_owned()),
        memory_bytes: Some(memory),
        started_at: Some(started_at),
        ..ContainerSample::default()
    };
    let containers = vec![container("web-1234", 1000, 5), container("web-1234", 2000, 7), container("other", 1, 9)];
    let round = Round { containers, ..Round::default() };
    check(
        |page| containers::write(&[("harbour".to_owned(), Arc::new(round))], &names, page),
        &[
            r#"container_memory_working_set_bytes{server="harbour",namespace="shop",stack="web",service="api",slot="1"} 7"#,
            r#"container_start_time_seconds{server="harbour",namespace="shop",stack="web",service="api",slot="1"} 2"#,
            r#"otternauts_server_sample_success{server="harbour"} 1"#,
        ],
    );
}
