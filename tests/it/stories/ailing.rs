//! What ails services is said once, within seconds, in the right words, and is over once (AO-18, OT-F12, OT-73, OG-6).

use super::{condition, docker, events, get, onboard, server_in, stack_running};
use crate::notify::receiver::{Answer, Receiver};
use crate::notify::{messages, no_more_messages, notifier_of, webhook};
use otternauts_harness::{Lab, Otter, until};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);
/// What the declared check asks with. No one may read it in what is said of that check (R24).
const TOKEN: &str = "planted-tide-Zx9-51c0ffee";
const ALL: [&str; 4] = ["OOMKilled", "CrashLooping", "Unhealthy", "Degraded"];

/// Waits until exactly these conditions hold.
#[track_caller]
fn ails(otter: &Otter, expected: &[&str]) -> Value {
    until(&format!("exactly {expected:?} to hold"), PATIENCE, || {
        let status = get(otter, "stack", "bay")["status"].clone();
        let holds = |kind: &&&str| condition(&status, kind)["status"] == "True";
        let known = condition(&status, "Degraded").is_object();
        let all: Vec<&str> = ALL.iter().filter(holds).copied().collect();
        if known && all == expected { Ok(status) } else { Err(status) }
    })
}

/// The newest running container of a service, once there is one that is not `old`.
fn container(lab: &Lab, service: &str, old: &str) -> String {
    until(&format!("a container of {service}"), PATIENCE, || {
        let filter = format!("label=com.docker.swarm.service.name={service}");
        let all = docker(lab, 1, &["ps", "-q", "--no-trunc", "--filter", &filter]);
        match all.lines().find(|id| !id.is_empty() && *id != old) {
            Some(id) => Ok(id.to_owned()),
            None => Err(all),
        }
    })
}

/// `well` is what the declared check asks for.
fn stack(otter: &Otter, generation: u32, well: &str) {
    let wait = "while [ ! -f /tmp/hungry ]; do sleep 0.1; done; exec tail /dev/zero";
    let quick = json!({"endpoint_mode": "dnsrr", "restart_policy": {"delay": "1s"}});
    let limited = json!({"endpoint_mode": "dnsrr", "restart_policy": {"delay": "1s"}, "resources": {"limits": {"memory": "32M"}}});
    let check = json!({"test": ["CMD-SHELL", "test ! -f /tmp/sick || { echo the tide is out; false; }"],
        "interval": "2s", "timeout": "30s", "retries": 1});
    let compose = json!({"services": {
        "web": {"image": "registry.lab/lab/web:v1", "environment": {"GENERATION": generation.to_string()}, "deploy": quick},
        "hog": {"image": "registry.lab/library/busybox:1.35", "command": ["sh", "-c", wait], "deploy": limited},
        "buoy": {"image": "registry.lab/library/busybox:1.35", "deploy": quick,
            "command": ["sh", "-c", "mkdir -p /srv; echo ok > /srv/well; exec httpd -f -p 8080 -h /srv"],
            "x-otternauts": {"port": 8080, "health": {"http": format!("{well}?token=${{TIDE}}"), "interval": "1s", "timeout": "30s", "retries": 2}}},
        "pier": {"image": "registry.lab/library/busybox:1.35", "command": ["sleep", "100000"], "healthcheck": check, "deploy": quick},
    }});
    let spec = json!({"compose": {"inline": compose.to_string()}, "env": [{"secretRef": {"name": "tide"}}]});
    let object = json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "bay"}, "spec": spec});
    otter.apply(&object.to_string());
}

/// A stack on one host, and what people have heard of it.
struct Bay {
    lab: Lab,
    otter: Otter,
    receiver: Receiver,
    /// Its name in the swarm.
    name: String,
    heard: Vec<&'static str>,
}

impl Bay {
    fn start(lab: Lab) -> Self {
        lab.run_with(&[("LAB_DOCKER", "1")], &["up", "1"]).ok();
        lab.ok(&["images"]);
        let otter = crate::whole();
        onboard(&otter, &lab, "harbour", 1, "manager");
        server_in(&otter, "harbour", "ready", 240);
        let token = format!("--from-literal=TIDE={TOKEN}");
        otter.kubectl(&["create", "secret", "generic", "tide", &token]).ok();
        stack(&otter, 1, "/well");
        let name = stack_running(&otter, "bay", 180)["swarmStack"].as_str().expect("a name").to_owned();
        ails(&otter, &[]);
        let key = format!("--from-literal=key={}", crate::notify::KEY);
        otter.kubectl(&["-n", "otternauts-system", "create", "secret", "generic", "signing", &key]).ok();
        let receiver = Receiver::start(|_| Answer::Status(200, ""));
        let selector = json!({"kinds": ["Stack"], "severities": ["Warning"]});
        notifier_of(&otter, "otternauts-system", "ops", &webhook(&receiver.url("/")), &selector, "3s");
        Self { lab, otter, receiver, name, heard: Vec::new() }
    }

    #[track_caller]
    fn hears(&mut self, more: &[&'static str]) {
        self.heard.extend(more);
        messages(&self.receiver, &self.heard);
    }

    fn container(&self, service: &str, old: &str) -> String {
        container(&self.lab, &format!("{}_{service}", self.name), old)
    }

    fn in_container(&self, service: &str, command: &[&str]) {
        let id = self.container(service, "");
        docker(&self.lab, 1, &[&["exec", id.as_str()], command].concat());
    }

    /// A container is killed: degraded at once, well again half a minute later.
    fn a_container_is_killed(&mut self) {
        docker(&self.lab, 1, &["kill", &self.container("web", "")]);
        let status = ails(&self.otter, &["Degraded"]);
        assert_eq!(condition(&status, "Degraded")["reason"], "TaskFailed", "{status}");
        ails(&self.otter, &[]);
        self.hears(&["problem bay TaskFailed", "recovered bay TaskFailed"]);
    }

    /// A health check fails (OT-F12); Swarm replaces the container, and that one is well.
    fn a_health_check_fails(&mut self) {
        self.in_container("pier", &["touch", "/tmp/sick"]);
        let status = ails(&self.otter, &["Unhealthy", "Degraded"]);
        assert_eq!(
            condition(&status, "Unhealthy")["message"],
            "Service pier is unhealthy (the tide is out)",
            "{status}"
        );
        ails(&self.otter, &[]);
        self.hears(&["problem bay Unhealthy", "recovered bay Unhealthy"]);
    }

    /// A declared check fails from outside; Swarm knows nothing of it, and the container lives on. Only the check is edited: that is
    /// a new version, for which no container ends, and which is well.
    fn a_declared_check_fails(&mut self) {
        let buoy = self.container("buoy", "");
        self.in_container("buoy", &["rm", "/srv/well"]);
        let status = ails(&self.otter, &["Unhealthy", "Degraded"]);
        let sentence = "Service buoy is unhealthy (GET /well on port 8080: answered 404)";
        assert_eq!(condition(&status, "Unhealthy")["message"], sentence, "{status}");
        until("the service to say so", PATIENCE, || {
            let status = get(&self.otter, "stack", "bay")["status"].clone();
            let of = |name: &str| {
                let all = status["services"].as_array().cloned().unwrap_or_default();
                all.into_iter().find(|s| s["name"] == name).unwrap_or_default()
            };
            let (buoy, web) = (of("buoy"), of("web"));
            let failing = buoy["unhealthy"] == true && buoy["probeFailures"].as_i64().is_some_and(|n| n >= 2);
            let well = web["unhealthy"] == false && web["probeFailures"].is_null();
            if failing && well { Ok(()) } else { Err(status) }
        });
        self.hears(&["problem bay Unhealthy"]);
        let told: Vec<String> = self.receiver.seen().iter().map(|got| got.json().to_string()).collect();
        crate::secrecy::is_kept(&self.otter, TOKEN, &told.iter().map(String::as_str).collect::<Vec<_>>());
        self.in_container("buoy", &["touch", "/srv/still"]);
        stack(&self.otter, 1, "/still");
        let status = ails(&self.otter, &[]);
        assert_eq!(status["currentVersion"], 2, "{status}");
        assert_eq!(self.container("buoy", ""), buoy);
        self.hears(&["recovered bay Unhealthy"]);
    }

    /// Out of memory (OG-6): said until five quiet minutes have passed, or a new version is there.
    fn memory_runs_out(&mut self) {
        self.in_container("hog", &["touch", "/tmp/hungry"]);
        let status = ails(&self.otter, &["OOMKilled", "Degraded"]);
        let sentence = "Service hog ran out of memory: a container of it was killed";
        assert_eq!(condition(&status, "OOMKilled")["message"], sentence, "{status}");
        until("the failed task to be told", PATIENCE, || {
            let hog = get(&self.otter, "stack", "bay")["status"]["services"].clone();
            let hog =
                hog.as_array().and_then(|all| all.iter().find(|s| s["name"] == "hog")).cloned().unwrap_or_default();
            if hog["lastFailure"]["oomKilled"] == true && hog["running"] == 1 { Ok(()) } else { Err(hog) }
        });
        // The exit code is the health (OG-3).
        let hog = self.otter.otter(&["health", "bay/hog"]);
        assert_eq!(hog.code, 1, "{hog:?}");
        assert!(hog.stdout.contains(sentence), "{hog:?}");
        assert_eq!(self.otter.otter(&["health", "bay/web"]).code, 0);
        assert_eq!(self.otter.otter(&["health", "-o", "json"]).code, 1);
        assert_eq!(self.otter.otter(&["health", "fog"]).code, 5);
        self.hears(&["problem bay OutOfMemory"]);
        stack(&self.otter, 2, "/still");
        ails(&self.otter, &[]);
        stack_running(&self.otter, "bay", 120);
        self.hears(&["recovered bay OutOfMemory"]);
    }

    /// Five deaths are a loop, also when we were away for some of them (AO-18).
    fn a_service_dies_five_times(&mut self) {
        let (mut last, mut since) = (String::new(), Value::Null);
        for n in 1..=5 {
            last = self.container("web", &last);
            if n == 3 {
                self.otter.kill();
            }
            docker(&self.lab, 1, &["kill", &last]);
            match n {
                1 => {
                    since = condition(&ails(&self.otter, &["Degraded"]), "Degraded")["lastTransitionTime"].clone();
                    self.hears(&["problem bay TaskFailed"]);
                }
                4 => self.otter.boot(),
                _ => {}
            }
        }
        let status = ails(&self.otter, &["CrashLooping", "Degraded"]);
        assert_eq!(
            condition(&status, "CrashLooping")["message"],
            "Service web restarted 5 times in 1 hour",
            "{status}"
        );
        assert_eq!(condition(&status, "Degraded")["lastTransitionTime"], since, "not taken back in between: {status}");
        self.hears(&["problem bay CrashLooping"]);
        stack(&self.otter, 3, "/still");
        ails(&self.otter, &[]);
        stack_running(&self.otter, "bay", 120);
        self.hears(&["recovered bay CrashLooping"]);
    }
}

#[test]
fn what_ails_a_service_is_said_once_and_is_over_once_ao_18() {
    let Some(lab) = Lab::take("what_ails_a_service_is_said_once_and_is_over_once_ao_18") else { return };
    let mut bay = Bay::start(lab);
    bay.a_container_is_killed();
    bay.a_health_check_fails();
    bay.a_declared_check_fails();
    bay.memory_runs_out();
    bay.a_service_dies_five_times();
    let otter = &bay.otter;
    until("each incident to have one Event", PATIENCE, || {
        // The declared check's failure is a condition only: no task failed.
        let seen =
            ["CrashLooping", "OutOfMemory", "Unhealthy"].map(|reason| events(otter, "Stack", "bay", reason).len());
        if seen == [1, 1, 1] { Ok(()) } else { Err(seen) }
    });
    until("everything to be well", PATIENCE, || {
        let all = otter.otter(&["health"]);
        if all.code == 0 { Ok(()) } else { Err(all) }
    });
    no_more_messages(otter, &bay.receiver, "Stack", &bay.heard);
    let metrics = otter.curl_admin("/metrics", &[]).ok().to_owned();
    let line = "otternauts_service_task_failures_total{namespace=\"default\",stack=\"bay\",service=\"web\"";
    assert!(metrics.lines().any(|l| l.starts_with(line)), "{metrics}");
}

#[test]
fn a_full_disk_is_said_of_the_server_and_passes_when_there_is_room_again() {
    let Some(lab) = Lab::take("a_full_disk_is_said_of_the_server_and_passes_when_there_is_room_again") else { return };
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "1"]).ok();
    lab.ok(&["images", "debian"]);
    let otter = crate::whole();
    onboard(&otter, &lab, "harbour", 1, "manager");
    server_in(&otter, "harbour", "ready", 240);
    let deploy = |image: &str| {
        let compose = json!({"services": {"web": {"image": image, "command": ["sleep", "100000"],
            "deploy": {"endpoint_mode": "dnsrr", "restart_policy": {"delay": "2s"}}}}});
        let spec = json!({"compose": {"inline": compose.to_string()}});
        let stack =
            json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "bay"}, "spec": spec});
        otter.apply(&stack.to_string());
    };
    // Room for the engine's own small files, not for an image.
    lab.ok(&["fill", "1", "60"]);
    deploy("registry.lab/library/debian:12");
    let disk = |expected: &str| {
        until(&format!("DiskSpace to be {expected}"), PATIENCE, || {
            let status = get(&otter, "server", "harbour")["status"].clone();
            let found = condition(&status, "DiskSpace")["status"] == expected && status["phase"] == "ready";
            if found { Ok(status) } else { Err(Box::new((status, get(&otter, "stack", "bay")["status"].clone()))) }
        })
    };
    let status = disk("False");
    assert_eq!(condition(&status, "DiskSpace")["reason"], "InsufficientDiskSpace", "{status}");
    assert_eq!(otter.otter(&["health"]).code, 1);
    lab.ok(&["unfill", "1"]);
    disk("True");
    stack_running(&otter, "bay", 180);
}
