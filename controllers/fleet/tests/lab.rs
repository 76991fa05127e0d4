//! The fleet against real servers of the lab (tests/lab). Skips loudly where the lab cannot run.
#![allow(clippy::print_stderr)]

use futures::StreamExt as _;
use otternauts_fleet::docker::{Changed, Docker, LocalNodeState, LogOptions, NodeAvailability, ServiceMode, TaskState};
use otternauts_fleet::{
    Command, Endpoint, Error, Fingerprint, Fleet, Host, News, Notice, Script, ScriptData, SshTarget,
    StackDeployOptions, StackName, Timeouts,
};
use otternauts_meta::Secret;
use otternauts_telemetry::Metrics;
use std::path::PathBuf;
use std::time::Duration;

/// A lab of this test's own, taken down when the test ends however it ends.
struct Lab {
    script: PathBuf,
    network: &'static str,
}

impl Lab {
    /// None, with a loud line, where the machine cannot run it.
    fn up(id: &'static str, network: &'static str, hosts: u8, docker: bool) -> Option<Self> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/lab/lab");
        let lab = Self { script, network };
        let doctor = std::process::Command::new(&lab.script).arg("doctor").output().expect("the lab's script runs");
        if !doctor.status.success() {
            let why = String::from_utf8_lossy(&doctor.stderr).trim().replace('\n', "; ");
            assert!(std::env::var_os("OTTERNAUTS_REQUIRE_LAB").is_none(), "the lab is required: {why}");
            eprintln!("SKIPPED, NOT TESTED: fleet against lab hosts: {why}");
            std::mem::forget(lab);
            return None;
        }
        // An earlier run may have been killed.
        lab.run(&["down"]);
        let done =
            lab.command(id).env("LAB_DOCKER", if docker { "1" } else { "0" }).args(["up", &hosts.to_string()]).status();
        assert!(done.expect("the lab's script runs").success(), "the lab does not come up");
        Some(lab)
    }

    fn command(&self, id: &str) -> std::process::Command {
        let mut c = std::process::Command::new(&self.script);
        c.env("LAB_ID", id).env("LAB_NET", self.network);
        c
    }

    fn run(&self, args: &[&str]) -> String {
        let done = self.command(ID).args(args).output().expect("the lab's script runs");
        assert!(done.status.success(), "lab {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    fn address(&self, host: u8) -> String {
        format!("{}.{}", self.network, 10 + host)
    }

    fn key(&self, name: &str) -> Secret<String> {
        let dir = self.run(&["env"]);
        let dir = dir.lines().find_map(|l| l.strip_prefix("LAB_DIR=")).expect("LAB_DIR").trim_matches('"').to_owned();
        Secret::new(std::fs::read_to_string(format!("{dir}/ssh/{name}")).expect("the lab's key"))
    }

    fn target(&self, host: u8, kind: &str) -> SshTarget {
        SshTarget {
            address: self.address(host),
            port: 22,
            user: "deploy".to_owned(),
            private_key: self.key("id_ed25519"),
            host_key: Fingerprint::parse(&self.run(&["fingerprint", &host.to_string(), kind])).expect("a fingerprint"),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.command(ID).arg("down").output();
    }
}

const ID: &str = "flt";

fn fleet() -> Fleet {
    let short = Duration::from_secs(10);
    let timeouts =
        Timeouts { connect: short, handshake: short, keepalive: Duration::from_secs(3), ..Timeouts::default() };
    Fleet::with_timeouts(Metrics::new("test"), timeouts)
}

fn endpoint(target: &SshTarget) -> Endpoint {
    Endpoint::Ssh(target.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_the_lab_are_reached_used_and_lost() {
    let Some(lab) = Lab::up(ID, "10.88.41", 2, true) else { return };
    let all = async {
        host_keys_decide(&lab).await;
        keys_decide(&lab).await;
        commands_and_scripts_run(&lab).await;
        the_engine_answers_with_and_without_the_group(&lab).await;
        a_swarm_runs_a_stack(&lab).await;
        ot_71_samples_say_what_docker_stats_says(&lab).await;
        a_lost_connection_is_told_and_comes_back(&lab).await;
    };
    tokio::time::timeout(Duration::from_secs(1200), all).await.expect("all of it within twenty minutes");
}

async fn host_keys_decide(lab: &Lab) {
    let fleet = fleet();
    let seen = fleet.observe_host_key(&lab.address(1), 22).await.expect("the key is shown");
    assert_eq!((seen.algorithm.as_str(), &*seen.fingerprint), ("ssh-ed25519", lab.run(&["fingerprint", "1"]).as_str()));
    // A person may confirm any of the server's keys (OT-10, R21).
    for kind in ["ed25519", "ecdsa", "rsa"] {
        fleet.host("h1", &endpoint(&lab.target(1, kind))).connect().await.unwrap_or_else(|e| panic!("{kind}: {e}"));
    }
    let mut wrong = lab.target(1, "ed25519");
    wrong.host_key = lab.target(2, "ed25519").host_key;
    let refused = fleet.host("h1", &endpoint(&wrong)).connect().await;
    let Err(Error::HostKeyMismatch { observed, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(observed.fingerprint, seen.fingerprint);
    // Nothing was authenticated by any of the refused attempts.
    let log = lab.run(&["exec", "1", "journalctl", "-u", "ssh", "--no-pager"]);
    assert_eq!(log.matches("Accepted publickey").count(), log.matches("Accepted publickey for deploy").count());
    lab.run(&["exec", "1", "systemctl", "stop", "ssh"]);
    let refused = fleet.observe_host_key(&lab.address(1), 22).await;
    assert!(matches!(refused, Err(Error::Unreachable { .. })), "{refused:?}");
    lab.run(&["exec", "1", "systemctl", "start", "ssh"]);
    lab.run(&["freeze", "2"]);
    let silent = fleet.observe_host_key(&lab.address(2), 22).await;
    assert!(matches!(silent, Err(Error::Unreachable { .. })), "{silent:?}");
    lab.run(&["thaw", "2"]);
}

async fn keys_decide(lab: &Lab) {
    let fleet = fleet();
    let mut wrong = lab.target(1, "ed25519");
    wrong.private_key = lab.key("wrong_ed25519");
    let refused = fleet.host("h1", &endpoint(&wrong)).connect().await;
    let Err(Error::AuthenticationFailed { user, methods }) = refused else { panic!("{refused:?}") };
    assert_eq!((user.as_str(), methods.as_str()), ("deploy", "publickey"));
    wrong.private_key = Secret::new("not a key".to_owned());
    let refused = fleet.host("h1", &endpoint(&wrong)).connect().await;
    assert!(matches!(refused, Err(Error::KeyUnusable { .. })), "{refused:?}");
}

async fn commands_and_scripts_run(lab: &Lab) {
    let host = fleet().host("h1", &endpoint(&lab.target(1, "ed25519")));
    assert!(host.run(Command::SudoCheck).await.expect("an answer").succeeded());
    let os = host.run(Command::OsRelease).await.expect("an answer");
    assert!(os.stdout.contains("ID=debian"), "{}", os.stdout);
    lab.run(&["sudo", "1", "passwd"]);
    let refused = host.run(Command::SudoCheck).await.expect("an answer");
    assert!(!refused.succeeded() && refused.stderr.contains("password is required"), "{refused:?}");
    lab.run(&["sudo", "1", "nopasswd"]);
    let addresses = [
        format!("{}:22", lab.address(2)).parse().expect("an address"),
        format!("{}:9", lab.address(2)).parse().expect("an address"),
    ];
    let probed = host.run_script(Script::ProbeTcp, &ScriptData::addresses(&addresses)).await.expect("an answer");
    assert!(probed.stdout.contains(":22 open") || probed.stdout.contains(" 22 open"), "{probed:?}");
    assert!(probed.stdout.contains(" 9 refused"), "{probed:?}");
    // Datagrams: one host echoes, the other asks.
    let other = fleet().host("h2", &endpoint(&lab.target(2, "ed25519")));
    let ports = ScriptData::ports(&[7946]);
    let ask = [format!("{}:7946", lab.address(2)).parse().expect("an address")];
    let asked = ScriptData::addresses(&ask);
    let (echo, probe) =
        tokio::join!(other.run_script(Script::UdpEcho, &ports), host.run_script(Script::ProbeUdp, &asked));
    assert!(echo.expect("an answer").stdout.contains("listening"));
    assert!(probe.expect("an answer").stdout.contains(" 7946 open"));
}

async fn the_engine_answers_with_and_without_the_group(lab: &Lab) {
    let fleet = fleet();
    let host = fleet.host("h1", &endpoint(&lab.target(1, "ed25519")));
    let docker = host.docker().await.expect("through sudo");
    assert!(docker.engine().version.starts_with("26."), "{:?}", docker.engine());
    assert_eq!(docker.info().await.expect("info").swarm.state, LocalNodeState::Inactive);
    feeds_behind_sudo_leave_room(lab, &host, &docker).await;
    let done = host.run_script(Script::JoinDockerGroup, &ScriptData::default()).await.expect("an answer");
    assert!(done.succeeded(), "{done:?}");
    host.disconnect().await;
    let groups = host.run(Command::Groups).await.expect("an answer");
    assert!(groups.stdout.contains("docker"), "{groups:?}");
    host.docker().await.expect("through the socket");
    let mut notices = Box::pin(fleet.notices());
    fleet.follow(&host);
    fleet.follow(&host);
    assert!(matches!(next(&mut notices).await, News::Followed));
    lab.run(&["exec", "1", "systemctl", "stop", "docker.service", "docker.socket"]);
    // Told once, however often it is tried again until it is back.
    assert!(matches!(next(&mut notices).await, News::Lost(_)));
    let gone = host.docker().await;
    assert!(matches!(gone, Err(Error::DockerUnavailable { .. })), "{:?}", gone.err());
    lab.run(&["exec", "1", "systemctl", "start", "docker.service"]);
    assert!(matches!(next(&mut notices).await, News::Followed));
    fleet.unfollow("h1");
    host.disconnect().await;
}

/// The next thing that is told of `h1`.
async fn next(notices: &mut (impl futures::Stream<Item = Notice> + Unpin)) -> News {
    let notice = tokio::time::timeout(Duration::from_secs(180), notices.next()).await.expect("it is told");
    let notice = notice.expect("the fleet lives");
    assert_eq!(notice.server, "h1");
    notice.news
}

/// Behind sudo each feed is a session, and sshd gives ten to a connection: more feeds than that must not keep commands out.
async fn feeds_behind_sudo_leave_room(lab: &Lab, host: &Host, docker: &Docker) {
    let feeds = (0..12).map(|_| {
        let mut feed = docker.events(&["container"], &[], None);
        tokio::spawn(async move { while feed.next().await.is_some() {} })
    });
    let feeds: Vec<_> = feeds.collect();
    // Some of them are let in; the program of each runs on the server.
    let open = || lab.run(&["exec", "1", "sh", "-c", "pgrep -fxc 'docker system dial-stdio'; true"]);
    while open().parse::<u32>().expect("a number") < 2 {
        tokio::task::yield_now().await;
    }
    let commands = futures::future::join_all((0..10).map(|_| host.run(Command::Groups)));
    let questions = futures::future::join_all((0..10).map(|_| docker.info()));
    let (commands, questions) = tokio::join!(commands, questions);
    for done in commands {
        assert!(done.expect("a command has room").succeeded());
    }
    for answer in questions {
        answer.expect("a question has room");
    }
    feeds.iter().for_each(tokio::task::JoinHandle::abort);
    host.disconnect().await;
}

async fn a_swarm_runs_a_stack(lab: &Lab) {
    lab.run(&["images", "busybox"]);
    let fleet = fleet();
    let (one, two) = (lab.target(1, "ed25519"), lab.target(2, "ed25519"));
    let (h1, h2) = (fleet.host("h1", &endpoint(&one)), fleet.host("h2", &endpoint(&two)));
    let (d1, d2) = (h1.docker().await.expect("h1"), h2.docker().await.expect("h2"));
    d1.swarm_init(&one.address).await.expect("init");
    let swarm = d1.swarm().await.expect("the swarm");
    d2.swarm_join(&two.address, &[format!("{}:2377", one.address)], &swarm.worker_token).await.expect("join");
    let mut events = d1.events(&["service", "node", "container"], &[], None);
    let nodes = d1.nodes().await.expect("nodes");
    assert_eq!(nodes.len(), 2);
    let mut worker = nodes.into_iter().find(|n| n.hostname == "h2").expect("h2 is a node");
    worker.labels.insert("otternauts.dev/test".to_owned(), "yes".to_owned());
    worker.availability = NodeAvailability::Drain;
    d1.node_update(&worker).await.expect("an update");
    let stale = d1.node_update(&worker).await;
    assert!(matches!(stale, Err(Error::Docker { .. })), "an old version must be refused");

    let name = StackName::new("probe-00000000").expect("a name");
    let compose = b"version: '3.8'\nservices:\n  a:\n    image: registry.lab/library/busybox:1.35\n    command: ['sh', '-c', 'echo hello; sleep 1000']\n    deploy: {endpoint_mode: dnsrr}\n";
    let plain = StackDeployOptions { prune: true, ..Default::default() };
    h1.stack_deploy(&name, compose, &plain).await.expect("a deploy");
    // Tasks make no events of their own, but their containers do on the engine they run on.
    loop {
        let tasks = d1.tasks(Some(&name)).await.expect("tasks");
        if tasks.iter().any(|t| t.state == TaskState::Running) {
            break;
        }
        let _ = tokio::time::timeout(Duration::from_secs(1), events.next()).await;
    }
    let service = d1.services(Some(&name)).await.expect("services").remove(0);
    let task = d1.tasks(Some(&name)).await.expect("tasks").remove(0);
    assert_eq!((service.name.as_str(), service.running_tasks), ("probe-00000000_a", 1));
    assert_eq!(service.template_digest, task.spec_digest, "a task of the present version is recognised");
    let container = d1.container(task.container_id.as_deref().expect("a container")).await.expect("an answer");
    assert!(container.expect("it is there").running);
    let mut logs = d1.service_logs(&service.id, &LogOptions::default()).expect("logs");
    assert_eq!(logs.next().await.expect("a line").expect("a readable line").text.trim(), "hello");
    // The same again with credentials: nothing changes, and nothing is left on the server.
    let config = Secret::new(r#"{"auths":{"private.lab":{"auth":"bGFiOmxhYg=="}}}"#.to_owned());
    let with_login = StackDeployOptions { registry_config: Some(config), ..plain };
    h1.stack_deploy(&name, compose, &with_login).await.expect("a deploy with credentials");
    assert_eq!(d1.services(Some(&name)).await.expect("services")[0].template_digest, service.template_digest);
    assert_eq!(lab.run(&["exec", "1", "sh", "-c", "ls /dev/shm; ls -A /home/deploy/.docker 2>/dev/null; true"]), "");
    a_paused_update_is_resumed(&h1, &d1, &name, std::str::from_utf8(compose).expect("text")).await;
    let refused = h1.stack_deploy(&name, b"services: 1", &StackDeployOptions::default()).await;
    assert!(matches!(refused, Err(Error::CommandFailed { .. })), "{refused:?}");
    h1.stack_remove(&name).await.expect("removed");
    assert_eq!(d1.services(Some(&name)).await.expect("services"), []);
}

/// OT-71, AO-5: a busy container, measured by us and by `docker stats`.
async fn ot_71_samples_say_what_docker_stats_says(lab: &Lab) {
    let fleet = fleet();
    let host = fleet.host("h1", &endpoint(&lab.target(1, "ed25519")));
    let name = StackName::new("busy-00000000").expect("a name");
    let compose = b"version: '3.8'\nservices:\n  spin:\n    image: registry.lab/library/busybox:1.35\n    command: ['sh', '-c', 'x=$$(head -c 20000000 /dev/zero | tr \"\\\\0\" a); echo full; while :; do :; done']\n    deploy: {endpoint_mode: dnsrr, placement: {constraints: ['node.role == manager']}, resources: {limits: {cpus: '0.2', memory: 128M}}}\n";
    host.stack_deploy(&name, compose, &StackDeployOptions::default()).await.expect("a deploy");
    fleet.follow(&host);
    let mut samples = fleet.samples("h1");
    let mut tried = Vec::new();
    let (round, ours) = loop {
        assert!(tried.len() < 40, "never within 5 % of docker stats: {tried:?}");
        let round = samples.next().await;
        let found = round.containers.iter().find(|c| c.swarm_stack.as_deref() == Some("busy-00000000")).cloned();
        let Some(ours) = found.filter(|c| c.cpu_percent.is_some_and(|n| n > 1.0)) else { continue };
        let theirs = lab.run(&[
            "exec",
            "1",
            "docker",
            "stats",
            "--no-stream",
            "--format",
            "{{.CPUPerc}} {{.MemUsage}}",
            &ours.id,
        ]);
        let (cpu, memory) = docker_stats(&theirs);
        if near(ours.cpu_percent.unwrap_or_default(), cpu) && near(float(ours.memory_bytes), memory) {
            break (round, ours);
        }
        tried.push((ours.cpu_percent, cpu, ours.memory_bytes, memory));
    };
    assert_eq!((ours.service.as_deref(), ours.slot.as_deref()), (Some("spin"), Some("1")));
    assert_eq!(ours.memory_limit, Some(128 << 20));
    assert!(ours.memory_bytes > Some(20_000_000) && ours.processes >= Some(1), "{ours:?}");
    assert!(ours.started_at.is_some() && ours.cpu_seconds > Some(0.1), "{ours:?}");
    assert_eq!((round.missing, round.error.as_deref()), (0, None));
    let server = &round.server;
    assert!(server.cpu_percent >= ours.cpu_percent && server.memory_bytes >= ours.memory_bytes, "{server:?}");
    let df = lab.run(&["exec", "1", "df", "-B1", "--output=size", "/var/lib/docker"]);
    let size: u64 = df.lines().last().and_then(|l| l.trim().parse().ok()).expect("a size");
    assert_eq!(server.disk_size, Some(size));
    assert!(server.disk_free < server.disk_size && server.disk_free > Some(0), "{server:?}");
    drop(samples);
    services_are_restarted_and_scaled_once(&host.docker().await.expect("the engine"), &name).await;
    host.stack_remove(&name).await.expect("removed");
}

/// A change that is asked for at a version is made once, and leaves the rest of the service as it is.
async fn services_are_restarted_and_scaled_once(docker: &Docker, name: &StackName) {
    let read = || async { docker.services(Some(name)).await.expect("services").remove(0) };
    let before = read().await;
    let restart = || docker.service_restart(&before.id, before.version);
    assert_eq!(restart().await.expect("restarted"), Changed::Now);
    assert_eq!(restart().await.expect("looked at"), Changed::Before, "the same order again does nothing");
    let after = read().await;
    assert_ne!(after.template_digest, before.template_digest, "its tasks are replaced");
    assert_eq!((&after.image, &after.labels, &after.constraints), (&before.image, &before.labels, &before.constraints));
    // The manager goes on counting while it updates the service.
    while docker.service_scale(&before.id, read().await.version, 2).await.expect("scaled") == Changed::Before {}
    assert_eq!(read().await.mode, ServiceMode::Replicated(2));
    docker.images_prune().await.expect("pruned");
}

/// An update that the swarm has paused goes on when it is told to.
async fn a_paused_update_is_resumed(host: &Host, docker: &Docker, name: &StackName, compose: &str) {
    let read = || async { docker.services(Some(name)).await.expect("services").remove(0) };
    let absent =
        compose.replace("busybox:1.35", "busybox:absent").replace("{endpoint_mode", "{replicas: 2, endpoint_mode");
    host.stack_deploy(name, absent.as_bytes(), &StackDeployOptions::default()).await.expect("a deploy");
    let mut paused = read().await;
    while paused.update_state.as_deref() != Some("paused") {
        tokio::time::sleep(Duration::from_millis(200)).await;
        paused = read().await;
    }
    assert_eq!(docker.service_resume(&paused.id, paused.version).await.expect("resumed"), Changed::Now);
    let after = read().await;
    assert_eq!(after.template_digest, paused.template_digest, "nothing of its spec is changed");
    assert_ne!(after.update_state.as_deref(), Some("paused"));
}

/// Percent of a core and bytes, of `20.12% 19.5MiB / 128MiB`.
fn docker_stats(line: &str) -> (f64, f64) {
    let mut words = line.split_whitespace();
    let cpu = words.next().and_then(|w| w.trim_end_matches('%').parse().ok()).expect("a percentage");
    let memory = words.next().expect("a size");
    let units = [("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0)];
    let bytes = units.iter().find_map(|(unit, size)| Some(memory.strip_suffix(unit)?.parse::<f64>().ok()? * size));
    (cpu, bytes.unwrap_or_else(|| panic!("no size: {line}")))
}

fn near(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 0.05 * theirs
}

#[allow(clippy::cast_precision_loss, reason = "megabytes")]
fn float(n: Option<u64>) -> f64 {
    n.map_or(0.0, |n| n as f64)
}

async fn a_lost_connection_is_told_and_comes_back(lab: &Lab) {
    let fleet = fleet();
    let mut losses = Box::pin(fleet.losses());
    let host = fleet.host("h2", &endpoint(&lab.target(2, "ed25519")));
    assert!(host.connect().await.expect("connects").took.is_some());
    assert!(host.connect().await.expect("stands").took.is_none());
    lab.run(&["kill", "2"]);
    let lost = tokio::time::timeout(Duration::from_secs(180), losses.next()).await.expect("within three keepalives");
    assert_eq!(lost.as_deref(), Some("h2"));
    let gone = host.run(Command::SudoCheck).await;
    assert!(gone.as_ref().is_err_and(Error::is_unreachable), "{gone:?}");
    lab.run(&["boot", "2"]);
    assert!(host.run(Command::SudoCheck).await.expect("back again").succeeded());
}
