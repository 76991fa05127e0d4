//! Stories on real hosts: sshd, systemd, Docker, Swarm. One file a story; what they share is here.

mod ailing;
pub mod crashes;
mod everyday;
mod failures;
mod healing;
mod health;
mod hosts;
mod ingress;
mod notified;
mod traced;
mod voyage;

use otternauts_harness::{Lab, Otter, until};
use serde_json::Value;
use std::time::Duration;

/// Adds a host of the lab as a Server and confirms its key as read on its console.
pub fn onboard(otter: &Otter, lab: &Lab, name: &str, host: u8, role: &str) {
    add(otter, lab, name, host, role);
    confirm(otter, lab, name, host);
}

/// Adds a host of the lab as a Server, without confirming its key.
fn add(otter: &Otter, lab: &Lab, name: &str, host: u8, role: &str) {
    let key = lab.key();
    let ip = lab.ip(host);
    let key = key.to_str().expect("UTF-8");
    otter.otter(&["server", "add", name, "--address", &ip, "--user", "deploy", "--key", key, "--role", role]).ok();
}

fn confirm(otter: &Otter, lab: &Lab, name: &str, host: u8) {
    let fingerprint = lab.fingerprint(host);
    let patch = serde_json::json!({"spec": {"hostKey": {"fingerprint": fingerprint}}}).to_string();
    otter.kubectl(&["patch", "server", name, "--type=merge", "-p", &patch]).ok();
}

fn get(otter: &Otter, kind: &str, name: &str) -> Value {
    otter.kubectl(&["get", kind, name, "-o", "json"]).json()
}

/// Notes of Events with this reason about an object, each as often as it was counted: what is told again is the same object, with
/// a count.
fn events(otter: &Otter, kind: &str, name: &str, reason: &str) -> Vec<String> {
    let all = otter.kubectl(&["get", "events.v1.events.k8s.io", "-A", "-o", "json"]).json();
    let about = |e: &&Value| e["regarding"]["kind"] == kind && e["regarding"]["name"] == name && e["reason"] == reason;
    let times = |e: &Value| e["series"]["count"].as_u64().unwrap_or(1);
    let notes = all["items"].as_array().expect("events").iter().filter(about);
    let times = notes.map(|e| (e["note"].as_str().unwrap_or_default().to_owned(), times(e)));
    times.flat_map(|(note, n)| (0..n).map(move |_| note.clone())).collect()
}

/// The status of a Server once it is in a phase.
pub fn server_in(otter: &Otter, name: &str, phase: &str, patience: u64) -> Value {
    until(&format!("server {name} to be {phase}"), Duration::from_secs(patience), || {
        let status = get(otter, "server", name)["status"].clone();
        if status["phase"] == phase { Ok(status) } else { Err(status) }
    })
}

/// The status of an object once its `lastError` is a sentence.
fn last_error(otter: &Otter, kind: &str, name: &str, sentence: &str, patience: u64) -> Value {
    until(&format!("{kind} {name} to say {sentence:?}"), Duration::from_secs(patience), || {
        let status = get(otter, kind, name)["status"].clone();
        if status["lastError"] == sentence { Ok(status) } else { Err(status) }
    })
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let all = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().find(|c| c["type"] == kind).unwrap_or(&Value::Null)
}

/// The stack's status once everything of its newest generation runs.
pub fn stack_running(otter: &Otter, name: &str, patience: u64) -> Value {
    until(&format!("stack {name} to run"), Duration::from_secs(patience), || {
        let stack = get(otter, "stack", name);
        let current = stack["status"]["observedGeneration"] == stack["metadata"]["generation"];
        if current && stack["status"]["phase"] == "running" {
            Ok(stack["status"].clone())
        } else {
            Err(stack["status"].clone())
        }
    })
}

/// Docker on a host, as root from outside.
pub fn docker(lab: &Lab, host: u8, args: &[&str]) -> String {
    let mut command = vec!["docker"];
    command.extend_from_slice(args);
    lab.exec(host, &command).ok().trim().to_owned()
}

/// Has the swarm keep every task it makes. By itself it keeps five a slot: where a slot is tried again for a while, as on a busy
/// machine, the task that ran there before is forgotten, and [`tasks`] would count too few.
fn keep_tasks(lab: &Lab) {
    docker(lab, 1, &["swarm", "update", "--task-history-limit", "1000"]);
}

/// How many tasks a service ever had, but for those that could not start. Swarm itself tries those again, as on a node that has
/// only just joined: a task that failed was nobody's second deploy, one that was replaced while it ran would be.
fn tasks(lab: &Lab, stack: &str, service: &str) -> usize {
    use std::io::Write as _;
    let name = format!("{stack}_{service}");
    let all = docker(lab, 1, &["service", "ps", &name, "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}"]);
    let retried = |line: &&str| line.starts_with("Rejected") || line.starts_with("Failed");
    all.lines().filter(retried).for_each(|line| {
        let _best_effort = writeln!(std::io::stderr(), "{name}: tried again by Swarm: {line}");
    });
    all.lines().filter(|line| !retried(line)).count()
}

/// `Version.Index` of every service, by name.
fn indexes(lab: &Lab, host: u8) -> Vec<String> {
    let names = docker(lab, host, &["service", "ls", "--format", "{{.Name}}"]);
    let mut all: Vec<String> = names
        .lines()
        .map(|n| docker(lab, host, &["service", "inspect", n, "--format", "{{.Spec.Name}} {{.Version.Index}}"]))
        .collect();
    all.sort();
    all
}
