//! What people hear of failures on real hosts: one message when they begin, one when they end (OT-72).

use super::{docker, last_error, onboard, server_in, stack_running};
use crate::notify::receiver::{Answer, Receiver};
use crate::notify::{messages, no_more_messages, notifier_of, webhook};
use otternauts_harness::Lab;
use serde_json::json;

const F1: &str = "Cannot connect to server. Check that SSH is running on port 22 and the firewall allows connections.";

#[test]
fn a_failure_on_a_real_host_is_one_message_and_its_end_another_ot_72() {
    let Some(lab) = Lab::take("a_failure_on_a_real_host_is_one_message_and_its_end_another_ot_72") else { return };
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "1"]).ok();
    lab.ok(&["images"]);
    let otter = crate::whole();
    let key = format!("--from-literal=key={}", crate::notify::KEY);
    otter.kubectl(&["-n", "otternauts-system", "create", "secret", "generic", "signing", &key]).ok();
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    // Everything that is told as a warning, by conditions and by Events.
    let selector = json!({"kinds": ["Server", "Stack"], "severities": ["Warning"]});
    notifier_of(&otter, "otternauts-system", "ops", &webhook(&receiver.url("/")), &selector, "3s");
    onboard(&otter, &lab, "harbour", 1, "manager");
    server_in(&otter, "harbour", "ready", 240);

    // sshd gone, and back (OT-F1).
    lab.exec(1, &["systemctl", "stop", "ssh.socket", "ssh"]);
    lab.exec(1, &["pkill", "-u", "deploy"]);
    last_error(&otter, "server", "harbour", F1, 90);
    let mut expected = vec!["problem harbour ConnectionFailed"];
    messages(&receiver, &expected);
    lab.exec(1, &["systemctl", "start", "ssh"]).ok();
    server_in(&otter, "harbour", "ready", 90);
    expected.push("recovered harbour ConnectionFailed");
    messages(&receiver, &expected);

    // An image that is not there, and then one that is (OT-F9).
    let stack = |image: &str| {
        let compose = json!({"services": {"web": {"image": image, "deploy": {"endpoint_mode": "dnsrr"}}}});
        let spec = json!({"compose": {"inline": compose.to_string()}});
        let stack =
            json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "shop"}, "spec": spec});
        otter.apply(&stack.to_string());
    };
    stack("registry.lab/lab/web:missing");
    expected.push("problem shop ImagePullFailed");
    messages(&receiver, &expected);
    // The next version fails for the same reason: that is news.
    stack("registry.lab/lab/web:missing-too");
    expected.push("problem shop ImagePullFailed");
    messages(&receiver, &expected);
    stack("registry.lab/lab/web:v1");
    stack_running(&otter, "shop", 120);
    expected.push("recovered shop ImagePullFailed");
    no_more_messages(&otter, &receiver, "Stack", &expected);
    assert!(!docker(&lab, 1, &["service", "ls", "-q"]).is_empty());
}
