//! What only real servers have: samples of their containers, SSH and Docker, deployments. Every panel that needs them has data.

use super::as_the_table_says;
use super::page::Samples;
use super::prometheus::{empty, panels, prometheus};
use crate::stories::{docker, onboard, server_in, stack_running};
use otternauts_dashboards::lint;
use otternauts_harness::{Lab, until};
use otternauts_telemetry::names::Page;
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);

/// Needs more than servers: a proxy that is scraped, rules, certificates, a changed key, a full house, a long log, or a moment.
const ELSEWHERE: [&str; 9] = [
    "otternauts_backup",
    "traefik_",
    "otternauts_certificate_",
    "otternauts_heal_",
    "host_key_mismatch",
    "flowcontrol_rejected",
    "storage_checkpoint",
    "deployment_in_progress",
    "vector(0)",
];

#[test]
fn real_servers_fill_the_pages_and_panels_that_need_them() {
    let test = "real_servers_fill_the_pages_and_panels_that_need_them";
    let Some(lab) = Lab::take(test) else { return };
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "1"]).ok();
    lab.ok(&["images"]);
    let otter = crate::whole();
    onboard(&otter, &lab, "harbour", 1, "manager");
    server_in(&otter, "harbour", "ready", 240);
    let compose = json!({"services": {"web": {"image": "registry.lab/lab/web:v1",
        "deploy": {"replicas": 2, "endpoint_mode": "dnsrr", "restart_policy": {"delay": "2s"}}}}});
    let stack = json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "duo"},
        "spec": {"compose": {"inline": compose.to_string()}}});
    otter.apply(&stack.to_string());
    let status = stack_running(&otter, "duo", 120);

    // The first scrape begins the sampling; a container's CPU needs two rounds.
    let labels = [("server", "harbour"), ("stack", "duo"), ("service", "web"), ("slot", "2")];
    let page = until("samples of both containers", PATIENCE, || {
        let page = otter.curl_admin("/metrics/containers", &[]).ok().to_owned();
        let samples = Samples::parse(&page);
        let cpu = samples.value("container_cpu_usage_seconds_total", &labels);
        let cores = samples.value("otternauts_server_containers_cpu_cores", &[("server", "harbour")]);
        if cpu.is_some() && cores.is_some() { Ok(page) } else { Err(page) }
    });
    let served = as_the_table_says(&page, Page::Containers);
    let table = otternauts_telemetry::names::all().filter(|f| f.page == Page::Containers);
    let absent: Vec<_> = table.map(|f| f.name).filter(|name| !served.contains(*name)).collect();
    assert!(absent.is_empty(), "{absent:?} are in the table and not on the page:\n{page}");
    let samples = Samples::parse(&page);
    let memory = samples.value("container_memory_working_set_bytes", &labels).expect("it is sampled");
    assert!(memory > 0.0 && memory < 1e9, "{memory}");
    as_the_table_says(otter.curl_admin("/metrics/fleet", &[]).ok(), Page::Fleet);
    as_the_table_says(otter.curl_admin("/metrics", &[]).ok(), Page::Main);

    let dir = tempfile::tempdir().expect("a temporary directory");
    let Some(prometheus) = prometheus(test, &otter, &dir, None) else { return };
    let name = format!("name={}_web.1.", status["swarmStack"].as_str().expect("a name"));
    let container = docker(&lab, 1, &["ps", "-q", "--filter", &name]);
    docker(&lab, 1, &["kill", &container]);
    let needed = |expr: &str| lint::needs_servers(expr) && !ELSEWHERE.iter().any(|other| expr.contains(other));
    let mut wanted: Vec<_> = panels().into_iter().filter(|(_, expr)| needed(expr)).collect();
    assert!(wanted.len() > 20, "{}", wanted.len());
    until("data behind every panel that needs servers", PATIENCE, || {
        wanted = empty(&prometheus, &wanted);
        if wanted.is_empty() { Ok(()) } else { Err(wanted.clone()) }
    });
}
