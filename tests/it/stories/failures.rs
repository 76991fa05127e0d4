//! Every failure of onboarding with the PRD's own words, and its recovery once the cause is mended (OT-F1 to OT-F7).

use super::{add, condition, confirm, last_error, onboard, server_in};
use otternauts_harness::{Lab, until};
use std::time::Duration;

const F1: &str = "Cannot connect to server. Check that SSH is running on port 22 and the firewall allows connections.";
const F2: &str = "Authentication failed. Verify the username and private key are correct.";
const F3: &str = "Server fingerprint has changed! This could indicate a security issue. If you reinstalled the server, remove it and add again.";
const F4: &str = "Passwordless sudo is required. Configure /etc/sudoers.d/otternauts for the SSH user.";
const F7: &str = "Could not join swarm. Check that ports 2377, 7946, 4789/udp are open between servers.";

/// Logins that sshd of a host has accepted so far.
fn logins(lab: &Lab, host: u8) -> usize {
    let journal = lab.exec(host, &["journalctl", "-u", "ssh", "--no-pager", "-o", "cat"]);
    journal.ok().lines().filter(|l| l.contains("Accepted publickey")).count()
}

#[test]
fn a_server_whose_key_nobody_confirmed_never_gets_a_command() {
    let Some(lab) = Lab::take("a_server_whose_key_nobody_confirmed_never_gets_a_command") else { return };
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "1"]).ok();
    let otter = crate::whole();
    let before = logins(&lab, 1);
    add(&otter, &lab, "harbour", 1, "manager");
    let shown = until("the fingerprint to be shown", Duration::from_secs(30), || {
        let status = super::get(&otter, "server", "harbour")["status"].clone();
        if status["hostKey"]["fingerprint"].is_string() { Ok(status) } else { Err(status) }
    });
    assert_eq!(shown["hostKey"]["fingerprint"], lab.fingerprint(1).as_str());
    assert_eq!(condition(&shown, "HostKeyConfirmed")["status"], "False");
    let wrong = r#"{"spec":{"hostKey":{"fingerprint":"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}}"#;
    otter.kubectl(&["patch", "server", "harbour", "--type=merge", "-p", wrong]).ok();
    let refused = last_error(&otter, "server", "harbour", F3, 30);
    assert_eq!(condition(&refused, "HostKeyConfirmed")["reason"], "HostKeyChanged");
    assert_eq!(logins(&lab, 1), before, "no login, so no command");
    confirm(&otter, &lab, "harbour", 1);
    server_in(&otter, "harbour", "ready", 90);
    until("the login to be in the journal", Duration::from_secs(30), || {
        let now = logins(&lab, 1);
        if now > before { Ok(()) } else { Err(now) }
    });
}

#[test]
fn each_failure_is_told_in_the_prds_words_and_recovers_by_itself() {
    let Some(lab) = Lab::take("each_failure_is_told_in_the_prds_words_and_recovers_by_itself") else { return };
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "2"]).ok();
    let otter = crate::whole();

    // sudo that asks for a password (OT-F4).
    lab.ok(&["sudo", "1", "passwd"]);
    onboard(&otter, &lab, "harbour", 1, "manager");
    let status = last_error(&otter, "server", "harbour", F4, 60);
    assert_eq!(condition(&status, "SudoAvailable")["reason"], "SudoPasswordRequired");
    assert_eq!(status["phase"], "failed");
    lab.ok(&["sudo", "1", "nopasswd"]);
    server_in(&otter, "harbour", "ready", 120);

    // The swarm's port blocked between the hosts (OT-F7).
    lab.ok(&["block", "2", "1", "tcp/2377"]);
    onboard(&otter, &lab, "reef", 2, "worker");
    let status = last_error(&otter, "server", "reef", F7, 90);
    let ports = condition(&status, "PortsOpen");
    assert!(ports["message"].as_str().is_some_and(|m| m.contains("2377/tcp")), "it names the port: {ports}");
    lab.ok(&["heal"]);
    assert_eq!(server_in(&otter, "reef", "ready", 120)["swarmRole"], "worker");

    // A key that the server does not accept any more (OT-F2): seen at the next connection.
    lab.ok(&["auth", "2", "nokey"]);
    lab.exec(2, &["systemctl", "restart", "ssh"]).ok();
    lab.exec(2, &["pkill", "-u", "deploy"]);
    let status = last_error(&otter, "server", "reef", F2, 90);
    assert_eq!(condition(&status, "SSHAuthenticated")["reason"], "AuthenticationFailed");
    lab.ok(&["auth", "2", "key"]);
    server_in(&otter, "reef", "ready", 90);

    // sshd gone: refused (OT-F1).
    lab.exec(2, &["systemctl", "stop", "ssh.socket", "ssh"]);
    lab.exec(2, &["pkill", "-u", "deploy"]);
    let status = last_error(&otter, "server", "reef", F1, 90);
    assert_eq!(condition(&status, "SSHReachable")["reason"], "ConnectionFailed");
    lab.exec(2, &["systemctl", "start", "ssh"]).ok();
    server_in(&otter, "reef", "ready", 90);

    // Another host key: all work stops until the old key is back or a person says so (OT-F3).
    lab.ok(&["rekey", "2"]);
    lab.exec(2, &["pkill", "-u", "deploy"]);
    let before = logins(&lab, 2);
    let status = last_error(&otter, "server", "reef", F3, 90);
    assert_eq!(status["phase"], "failed");
    assert_eq!(condition(&status, "HostKeyConfirmed")["reason"], "HostKeyChanged");
    assert_eq!(super::get(&otter, "server", "harbour")["status"]["phase"], "ready", "the others go on");
    assert_eq!(logins(&lab, 2), before, "no credential is sent to a changed key");
    confirm(&otter, &lab, "reef", 2);
    server_in(&otter, "reef", "ready", 90);
}
