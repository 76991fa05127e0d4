//! Rules heal what they are about, once, within their bounds, also over a crash (OT-71, AO-5, AO-18, AO-19; issue 4 item 3).

use super::{condition, docker, events, get, onboard, server_in, stack_running};
use crate::notify::receiver::{Answer, Receiver};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use otternauts_harness::{Lab, Otter, until};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

fn stack(otter: &Otter, web: &str) -> String {
    let quick = json!({"endpoint_mode": "dnsrr", "restart_policy": {"delay": "1s"}});
    let bound = json!({"endpoint_mode": "dnsrr", "resources": {"limits": {"cpus": "0.3"}}});
    let busybox = "registry.lab/library/busybox:1.35";
    let compose = json!({"services": {
        "web": {"image": format!("registry.lab/lab/web:{web}"), "deploy": quick},
        "mill": {"image": busybox, "command": ["sh", "-c", "while :; do :; done"], "deploy": bound},
        "pier": {"image": busybox, "command": ["sleep", "100000"], "deploy": quick},
    }});
    let spec = json!({"compose": {"inline": compose.to_string()}});
    let object = json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "bay"}, "spec": spec});
    otter.apply(&object.to_string());
    stack_running(otter, "bay", 180)["swarmStack"].as_str().expect("a name").to_owned()
}

/// A rule about one service of the stack, for an hour's cooldown.
fn rule(otter: &Otter, name: &str, service: &str, condition: &str, more: &Value) {
    let mut spec = json!({"target": {"stack": "bay", "service": service}, "condition": condition, "action": "restart",
        "cooldown": "1h", "budgetPerHour": 3});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let object =
        json!({"apiVersion": "otternauts.dev/v1", "kind": "HealRule", "metadata": {"name": name}, "spec": spec});
    otter.apply(&object.to_string());
}

/// The status of a rule, once it is as expected.
#[track_caller]
fn told(otter: &Otter, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    until(&format!("rule {name}: {what}"), PATIENCE, || {
        let status = get(otter, "healrule", name)["status"].clone();
        if is(&status) { Ok(status) } else { Err(status) }
    })
}

fn last(status: &Value) -> &Value {
    status["recentActions"].as_array().and_then(|all| all.last()).unwrap_or(&Value::Null)
}

/// How often the tasks of a service were replaced by force.
fn forced(lab: &Lab, service: &str) -> String {
    docker(lab, 1, &["service", "inspect", service, "--format", "{{.Spec.TaskTemplate.ForceUpdate}}"])
}

/// The container of a service that runs, once there is one that is not `old`.
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

fn metric(otter: &Otter, line: &str) -> Option<String> {
    let all = otter.curl_admin("/metrics", &[]).ok().to_owned();
    all.lines().find_map(|l| l.strip_prefix(line)).map(|value| value.trim().to_owned())
}

/// Whether a server was asked what only samples ask for.
fn measures(otter: &Otter) -> bool {
    let all = otter.curl_admin("/metrics", &[]).ok().to_owned();
    all.lines().any(|l| l.starts_with("otternauts_ssh_command_seconds_count") && l.contains("/var/lib/docker"))
}

#[test]
fn a_rule_heals_once_within_its_bounds_also_over_a_crash_ao_19() {
    let Some(lab) = Lab::take("a_rule_heals_once_within_its_bounds_also_over_a_crash_ao_19") else { return };
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "1"]).ok();
    lab.ok(&["images"]);
    let mut otter = crate::whole();
    onboard(&otter, &lab, "harbour", 1, "manager");
    server_in(&otter, "harbour", "ready", 240);
    let name = stack(&otter, "v1");
    what_crashes_is_restarted_once_and_then_left_alone(&otter, &lab, &name);
    a_dry_run_measures_says_and_does_nothing(&otter, &lab, &name);
    a_service_grows_to_its_bound(&otter, &lab, &name);
    a_version_that_is_not_well_is_rolled_back(&otter, &lab, &name);
    a_server_is_cleaned_and_never_the_last_one_drained(&otter);
    a_webhook_is_told_once_it_answers(&otter);
    a_crash_between_intent_and_act_loses_nothing_and_repeats_nothing(&mut otter, &lab, &name);
}

fn what_crashes_is_restarted_once_and_then_left_alone(otter: &Otter, lab: &Lab, name: &str) {
    let web = format!("{name}_web");
    rule(otter, "crash", "web", "restarts >= 2 in 1h", &json!({}));
    told(otter, "crash", "watched", |s| condition(s, "Ready")["status"] == "True");
    let mut id = String::new();
    let mut die = || {
        // One that is being replaced may end before it is killed: then its successor is the one.
        until("a container to be killed", PATIENCE, || {
            let next = container(lab, &web, &id);
            let killed = lab.exec(1, &["docker", "kill", &next]);
            id = next;
            if killed.code == 0 { Ok(()) } else { Err(killed.stderr) }
        });
    };
    die();
    die();
    let status = told(otter, "crash", "acted once", |s| last(s)["state"] == "Done");
    let action = last(&status).clone();
    assert_eq!((&action["target"], &action["action"]), (&json!("Stack/default/bay/web"), &json!("restart")));
    assert_eq!(action["cause"], "restarts 2 >= 2 in 1h", "{status}");
    assert_eq!((&status["actionsTaken"], forced(lab, &web).as_str()), (&json!(1), "1"));
    let note = vec!["rule default/crash: restart: restarted: restarts 2 >= 2 in 1h".to_owned()];
    until("one Event on the rule and one on the Stack", PATIENCE, || {
        let seen = [events(otter, "HealRule", "crash", "Healed"), events(otter, "Stack", "bay", "Healed")];
        if seen == [note.clone(), note.clone()] { Ok(()) } else { Err(seen) }
    });
    let line = "otternauts_heal_actions_total{rule=\"default/crash\",action=\"restart\",result=\"done\"}";
    until("the action to be counted", PATIENCE, || match metric(otter, line) {
        Some(value) if value == "1" => Ok(()),
        other => Err(other),
    });
    let audited = until("the audit line", PATIENCE, || {
        let audited = crate::healing::audited(otter);
        if audited.is_empty() { Err(audited) } else { Ok(audited) }
    });
    assert_eq!(audited.iter().filter(|line| line["verb"] == "restart").count(), 1, "{audited:?}");
    assert_eq!(audited[0]["annotations"]["otternauts.dev/heal-cause"], "restarts 2 >= 2 in 1h", "{audited:?}");
    // It goes on crashing: the cooldown holds.
    stack_running(otter, "bay", 120);
    die();
    die();
    die();
    let status = told(otter, "crash", "held back", |s| condition(s, "Suppressed")["reason"] == "Cooldown");
    assert_eq!((&status["firing"], &status["actionsTaken"]), (&json!(true), &json!(1)), "{status}");
    assert_eq!(forced(lab, &web), "1");
    until("the rule to be said to fire", PATIENCE, || {
        match metric(otter, "otternauts_heal_rule_firing{rule=\"default/crash\"}") {
            Some(value) if value == "1" => Ok(()),
            other => Err(other),
        }
    });
    assert!(!measures(otter), "nothing has to be measured to count restarts");
    // A rule that is gone leaves nothing behind.
    otter.kubectl(&["delete", "healrule", "crash"]).ok();
    until("its series to be gone", PATIENCE, || match metric(otter, line) {
        None => Ok(()),
        Some(value) => Err(value),
    });
}

fn a_dry_run_measures_says_and_does_nothing(otter: &Otter, lab: &Lab, name: &str) {
    let mill = format!("{name}_mill");
    let before = docker(lab, 1, &["service", "inspect", &mill, "--format", "{{.Version.Index}}"]);
    rule(otter, "hot", "mill", "cpu > 5% for 20s", &json!({"dryRun": true}));
    let status = told(otter, "hot", "said what it would do", |s| last(s)["state"] == "DryRun");
    let cause = last(&status)["cause"].as_str().expect("a cause").to_owned();
    assert!(cause.starts_with("cpu ") && cause.ends_with(" % > 5 % for 20s"), "{cause}");
    assert_eq!(status["actionsTaken"], 0);
    assert!(measures(otter));
    until("the Event", PATIENCE, || {
        let seen = events(otter, "Stack", "bay", "HealDryRun");
        if seen == [format!("rule default/hot would restart Stack/default/bay/mill: {cause}")] {
            Ok(())
        } else {
            Err(seen)
        }
    });
    assert_eq!(docker(lab, 1, &["service", "inspect", &mill, "--format", "{{.Version.Index}}"]), before);
    otter.kubectl(&["delete", "healrule", "hot"]).ok();
}

fn a_service_grows_to_its_bound(otter: &Otter, lab: &Lab, name: &str) {
    let pier = format!("{name}_pier");
    let more = json!({"action": "scale", "scale": {"by": 5, "max": 2}, "cooldown": "5s"});
    rule(otter, "grow", "pier", "replicas.desired >= 1", &more);
    // Once, and no further: it says so, less and less often.
    let status = told(otter, "grow", "at its bound", |s| last(s)["state"] == "Failed");
    assert_eq!(status["recentActions"][0]["state"], "Done", "{status}");
    assert_eq!(status["recentActions"][0]["message"], "scaled from 1 to 2 replicas", "{status}");
    assert_eq!(last(&status)["message"], "it has 2 replicas, and 2 is the most", "{status}");
    let replicas = docker(lab, 1, &["service", "inspect", &pier, "--format", "{{.Spec.Mode.Replicated.Replicas}}"]);
    assert_eq!(replicas, "2");
    otter.kubectl(&["delete", "healrule", "grow"]).ok();
}

fn a_version_that_is_not_well_is_rolled_back(otter: &Otter, lab: &Lab, name: &str) {
    stack(otter, "v2");
    let web = format!("{name}_web");
    let image =
        || docker(lab, 1, &["service", "inspect", &web, "--format", "{{.Spec.TaskTemplate.ContainerSpec.Image}}"]);
    assert!(image().contains("web:v2"), "{}", image());
    rule(otter, "back", "web", "replicas.desired >= 1", &json!({"action": "rollback"}));
    let status = told(otter, "back", "rolled back", |s| last(s)["state"] == "Done");
    assert_eq!(last(&status)["target"], "Stack/default/bay", "{status}");
    until("version 1 to run again", PATIENCE, || if image().contains("web:v1") { Ok(()) } else { Err(image()) });
    stack_running(otter, "bay", 120);
    let all = otter.kubectl(&["get", "deployments.otternauts.dev", "-o", "json"]).json();
    let healed = |d: &&Value| d["spec"]["trigger"] == "heal";
    let healed: Vec<&Value> = all["items"].as_array().expect("a list").iter().filter(healed).collect();
    assert_eq!((healed.len(), &healed[0]["spec"]["rollbackTo"]), (1, &json!(1)), "{healed:?}");
    otter.kubectl(&["delete", "healrule", "back"]).ok();
}

fn a_server_is_cleaned_and_never_the_last_one_drained(otter: &Otter) {
    for (name, action, condition) in [("tidy", "prune-images", "disk.free > 1%"), ("empty", "drain", "disk.free > 1%")]
    {
        let spec = json!({"target": {"server": "harb*"}, "condition": condition, "action": action, "cooldown": "1h"});
        let metadata = json!({"name": name, "namespace": "otternauts-system"});
        let object = json!({"apiVersion": "otternauts.dev/v1", "kind": "HealRule", "metadata": metadata, "spec": spec});
        otter.apply(&object.to_string());
    }
    let over = |name: &str| {
        until(&format!("rule {name} to have acted"), PATIENCE, || {
            let all = ["get", "healrule", name, "-n", "otternauts-system", "-o", "json"];
            let status = otter.kubectl(&all).json()["status"].clone();
            if last(&status)["finishedAt"].is_string() { Ok(status) } else { Err(status) }
        })
    };
    let cleaned = over("tidy");
    let (state, said) = (&last(&cleaned)["state"], last(&cleaned)["message"].as_str().unwrap_or_default());
    assert!(state == "Done" && said.starts_with("unused images removed: "), "{cleaned}");
    assert!(last(&cleaned)["cause"].as_str().is_some_and(|c| c.starts_with("disk.free ")), "{cleaned}");
    let kept = over("empty");
    let (state, said) = (&last(&kept)["state"], last(&kept)["message"].as_str().unwrap_or_default());
    // Of two rules for one Server the older one acts first; made in one second, the one whose name comes first.
    assert!(state == "Failed" && said == "it is the last active Server of its cluster", "{kept}");
    assert_eq!(get(otter, "server", "harbour")["spec"]["availability"].as_str().unwrap_or("active"), "active");
    otter.kubectl(&["-n", "otternauts-system", "delete", "healrule", "tidy", "empty"]).ok();
}

fn a_webhook_is_told_once_it_answers(otter: &Otter) {
    let key = format!("--from-literal=key={}", crate::notify::KEY);
    otter.kubectl(&["-n", "otternauts-system", "create", "secret", "generic", "hook", &key]).ok();
    // Its first answer is an error: the same is sent again.
    let receiver = Receiver::start(|n| Answer::Status(if n == 0 { 503 } else { 200 }, ""));
    let hook = json!({"url": receiver.url("/heal"), "secretRef": {"name": "hook"}});
    let spec = json!({"target": {"stack": "bay", "service": "web"}, "condition": "replicas.desired >= 1",
        "action": "webhook", "webhook": hook, "cooldown": "1h"});
    let metadata = json!({"name": "hook", "namespace": "otternauts-system"});
    let object = json!({"apiVersion": "otternauts.dev/v1", "kind": "HealRule", "metadata": metadata, "spec": spec});
    otter.apply(&object.to_string());
    let seen = until("both attempts", PATIENCE, || {
        let seen = receiver.seen();
        if seen.len() == 2 { Ok(seen) } else { Err(seen.len()) }
    });
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    let event = seen[1].json();
    assert_eq!(
        (&event["id"], &event["type"]),
        (&json!(seen[1].header("webhook-id")), &json!("dev.otternauts.heal.v1"))
    );
    assert_eq!(event["data"]["target"], "Stack/default/bay/web", "{event}");
    assert_eq!(event["data"]["cause"], "replicas.desired 1 >= 1", "{event}");
    let signed = [event["id"].as_str().unwrap_or_default(), ".", seen[1].header("webhook-timestamp"), "."].concat();
    let signature = seen[1].header("webhook-signature").strip_prefix("v1,").expect("version 1");
    let signature = BASE64_STANDARD.decode(signature).expect("base64");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, crate::notify::KEY.as_bytes());
    ring::hmac::verify(&key, &[signed.as_bytes(), &seen[1].body].concat(), &signature).expect("it is signed");
    otter.kubectl(&["-n", "otternauts-system", "delete", "healrule", "hook"]).ok();
}

/// The host hangs, so that what is intended cannot be done; then we are killed.
fn a_crash_between_intent_and_act_loses_nothing_and_repeats_nothing(otter: &mut Otter, lab: &Lab, name: &str) {
    let web = format!("{name}_web");
    stack_running(otter, "bay", 120);
    let before: u32 = forced(lab, &web).parse().expect("a number");
    lab.ok(&["freeze", "1"]);
    rule(otter, "always", "web", "replicas.desired >= 1", &json!({}));
    told(otter, "always", "intended", |s| last(s)["state"] == "Intended");
    otter.kill();
    lab.ok(&["thaw", "1"]);
    assert_eq!(forced(lab, &web), before.to_string(), "nothing was done yet");
    otter.boot();
    // Held back by its cooldown is the last that is written of it: what the test writes below is not written over.
    let held = |s: &Value| condition(s, "Suppressed")["reason"] == "Cooldown";
    let status = told(otter, "always", "done after all", |s| last(s)["state"] == "Done" && held(s));
    assert_eq!((&status["actionsTaken"], forced(lab, &web)), (&json!(1), (before + 1).to_string()), "{status}");

    // Killed after the act and before it was written: the same again, as the API would have had it.
    let mut action = last(&status).clone();
    for key in ["finishedAt", "message"] {
        action.as_object_mut().expect("an object").remove(key);
    }
    action["state"] = json!("Started");
    let patch = json!({"status": {"recentActions": [action], "actionsTaken": 0}}).to_string();
    otter.kubectl(&["patch", "healrule", "always", "--subresource=status", "--type=merge", "-p", &patch]).ok();
    otter.kill();
    otter.boot();
    let status = told(otter, "always", "looked at", |s| last(s)["state"] == "Done");
    assert_eq!(last(&status)["message"], "it was changed before we were interrupted: not repeated", "{status}");
    assert_eq!((&status["actionsTaken"], forced(lab, &web)), (&json!(1), (before + 1).to_string()), "{status}");
}
