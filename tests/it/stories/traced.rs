//! One deployment is one story: from the command a person typed to what was asked of the servers (ecosystem, section 2).

use super::{onboard, server_in};
use crate::OTTER;
use crate::notify::receiver::{Answer, Receiver};
use crate::traces::{attribute, hex, spans, variables};
use opentelemetry_proto::tonic::trace::v1::Span;
use otternauts_harness::{Lab, Otter, OtterOptions, until};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

const COMPOSE: &str = "services: {web: {image: 'registry.lab/lab/web:v1', environment: {KEY: '${KEY}'}, deploy: {endpoint_mode: dnsrr}}}\n";

#[test]
fn one_deployment_is_one_connected_trace_without_orphans() {
    let Some(lab) = Lab::take("one_deployment_is_one_connected_trace_without_orphans") else { return };
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "1"]).ok();
    lab.ok(&["images", "web"]);
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let otter = Otter::start(OtterOptions { env: variables(&receiver), ..OtterOptions::whole(OTTER) });
    onboard(&otter, &lab, "harbour", 1, "manager");
    server_in(&otter, "harbour", "ready", 240);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("bay.yml");
    std::fs::write(&file, COMPOSE).expect("written");
    let out = Command::new(OTTER)
        .args(["deploy", file.to_str().expect("UTF-8"), "--name", "bay", "--env", "KEY=planted-5d1c", "--wait", "-v"])
        .env("KUBECONFIG", otter.kubeconfig())
        .envs(variables(&receiver))
        .output()
        .expect("it runs");
    // Its own span is sent when it ends, before it exits.
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    let trace = said.lines().find_map(|l| l.strip_prefix("trace: ")).expect("the trace's id").to_owned();

    let of_trace = || spans(&receiver).into_iter().filter(|s| hex(&s.trace_id) == trace).collect::<Vec<Span>>();
    let expected = [
        "otter deploy",
        "queue deploy",
        "reconcile Stack",
        "ssh exec docker stack deploy",
        "docker list services",
        "docker list tasks",
        "commit stacks.otternauts.dev",
        "commit deployments.otternauts.dev",
        "deploy bay",
        "render",
        "deploy",
        "converge",
    ];
    let all = until("everything to be told", Duration::from_secs(60), || {
        let all = of_trace();
        let names: BTreeSet<&str> = all.iter().map(|s| s.name.as_str()).collect();
        let missing: Vec<&&str> = expected.iter().filter(|name| !names.contains(**name)).collect();
        if missing.is_empty() && orphans(&all).is_empty() {
            return Ok(all.clone());
        }
        let seen: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        Err(format!("missing {missing:?}, orphans {:?} of {seen:?}", orphans(&all)))
    });
    let roots: Vec<&str> = all.iter().filter(|s| s.parent_span_id.is_empty()).map(|s| s.name.as_str()).collect();
    assert_eq!(roots, ["otter deploy"]);
    let deployment = all.iter().find(|s| s.name == "deploy bay").expect("seen above");
    assert_eq!(attribute(deployment, "deployment.status"), "succeeded");
    assert_eq!(attribute(deployment, "deployment.name"), "bay-1");
    let sent = all.iter().find(|s| s.name == "ssh exec docker stack deploy").expect("seen above");
    assert_eq!(attribute(sent, "otternauts.server"), "harbour");
    assert_eq!(attribute(sent, "process.exit.code"), "0");
    // Nothing else is torn either, and values of the stack are nowhere.
    until("the end of what is under way", Duration::from_secs(60), || {
        let torn = orphans(&spans(&receiver));
        if torn.is_empty() { Ok(()) } else { Err(torn) }
    });
    for got in receiver.seen() {
        assert!(!String::from_utf8_lossy(&got.body).contains("planted-5d1c"));
    }
}

/// Spans whose parent never came.
fn orphans(all: &[Span]) -> Vec<String> {
    let known: BTreeSet<&[u8]> = all.iter().map(|s| s.span_id.as_slice()).collect();
    let torn = |s: &&Span| !s.parent_span_id.is_empty() && !known.contains(s.parent_span_id.as_slice());
    all.iter().filter(torn).map(|s| s.name.clone()).collect()
}
