use super::draft::Retry;
use super::*;
use crate::facts::{Os, Probe, Recipe};
use crate::observed::{ClusterView, Failure, Managers};
use otternauts_fleet::ObservedHostKey;
use otternauts_fleet::docker::{LocalNodeState, Node, NodeAvailability, NodeRole, SwarmState};
use otternauts_types::server::{AdoptSwarm, Availability, HostKeyConfirmation, SwarmRole};
use otternauts_types::{Condition, ConditionStatus};
use std::time::Duration;

const KEY: &str = "SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OTHER: &str = "SHA256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const SWARM: &str = "swarm1";

fn key(fingerprint: &str) -> ObservedHostKey {
    ObservedHostKey { algorithm: "ssh-ed25519".into(), fingerprint: fingerprint.into() }
}

fn spec() -> ServerSpec {
    ServerSpec {
        address: "10.0.0.1".into(),
        port: 2222,
        user: "deploy".into(),
        host_key: Some(HostKeyConfirmation { fingerprint: KEY.into() }),
        ..ServerSpec::default()
    }
}

/// A server with everything installed, in no swarm.
fn prepared() -> Observed {
    Observed {
        cluster: Some(ClusterView::default()),
        link: Link::Up { key: Some(key(KEY)), took: Some(Duration::from_millis(7)) },
        sudo: Some(Ok(())),
        os: Some(Os { id: "debian".into(), version: "13".into(), name: "Debian 13".into() }),
        disk_free: Some(20_000_000_000),
        engine: Some(Engine::Up { version: "26.1.5+dfsg1".into() }),
        in_docker_group: true,
        machine: Some((2, 4_000_000_000)),
        swarm: Some(SwarmState::default()),
        ..Observed::default()
    }
}

fn node(role: NodeRole) -> Node {
    Node {
        id: "node1".into(),
        version: 1,
        hostname: "h1".into(),
        role,
        availability: NodeAvailability::Active,
        labels: BTreeMap::from([("otternauts.dev/server".into(), "h1".into())]),
        state: "ready".into(),
        address: "10.0.0.1".into(),
        engine_version: "26.1.5".into(),
        leader: true,
        reachable: Some(true),
    }
}

/// The same as a member of the cluster's swarm.
fn member(role: NodeRole) -> Observed {
    let manager = role == NodeRole::Manager;
    let swarm = SwarmState {
        state: LocalNodeState::Active,
        node_id: "node1".into(),
        control_available: manager,
        cluster_id: manager.then(|| SWARM.into()),
        ..SwarmState::default()
    };
    let cluster =
        ClusterView { swarm_id: Some(SWARM.into()), init_server: Some("h1".into()), ..ClusterView::default() };
    let node = Some(Some(node(role)));
    Observed { cluster: Some(cluster), swarm: Some(swarm), node, manager_count: Some(2), ..prepared() }
}

fn run(spec: &ServerSpec, before: &ServerStatus, seen: &Observed) -> Decision {
    decide(Desired { name: "h1", spec, labels: &BTreeMap::new() }, before, seen)
}

/// Phase, reason of Ready, and the step.
fn outline(d: &Decision) -> (ServerPhase, &str, Option<&'static str>) {
    let ready = d.findings.iter().find(|f| f.kind == "Ready").expect("every decision says whether it is ready");
    (d.status.phase, &ready.reason, d.step.as_ref().map(Step::name))
}

fn finding<'a>(d: &'a Decision, kind: &str) -> (ConditionStatus, &'a str) {
    let f = d.findings.iter().find(|f| f.kind == kind).unwrap_or_else(|| panic!("no finding {kind}"));
    (f.status, &f.reason)
}

use ServerPhase::{Failed, Pending, Provisioning, Ready, Unreachable};

#[test]
fn each_obstacle_has_its_phase_reason_and_sentence() {
    let f1 = "Cannot connect to server. Check that SSH is running on port 2222 and the firewall allows connections.";
    let gb = |n: i64| Some(n * 100_000_000);
    let cases: Vec<(&str, Observed, ServerPhase, &str, Option<&str>)> = vec![
        ("no Cluster", Observed { cluster: None, ..prepared() }, Pending, "ClusterNotFound", None),
        (
            "OT-F1",
            Observed { link: Link::Unreachable("refused".into()), ..prepared() },
            Unreachable,
            "ConnectionFailed",
            Some(f1),
        ),
        ("OT-9", Observed { link: Link::Shown(key(KEY)), ..prepared() }, Pending, "AwaitingConfirmation", None),
        (
            "no Secret",
            Observed { link: Link::NoPrivateKey("x".into()), ..prepared() },
            Pending,
            "PrivateKeyMissing",
            None,
        ),
        (
            "OT-F2",
            Observed { link: Link::Refused("no".into()), ..prepared() },
            Failed,
            "AuthenticationFailed",
            Some("Authentication failed. Verify the username and private key are correct."),
        ),
        (
            "OT-F4",
            Observed { sudo: Some(Err("a password is required".into())), engine: None, ..prepared() },
            Failed,
            "SudoPasswordRequired",
            Some("Passwordless sudo is required. Configure /etc/sudoers.d/otternauts for the SSH user."),
        ),
        (
            "OT-14",
            Observed { disk_free: gb(49), engine: Some(Engine::Missing), swarm: None, ..prepared() },
            Failed,
            "InsufficientDiskSpace",
            Some("5 GB of free disk space are required, 4.9 GB are free."),
        ),
        (
            "OT-16",
            Observed { engine: Some(Engine::Up { version: "20.10.24".into() }), ..prepared() },
            Failed,
            "DockerTooOld",
            Some("Docker 20.10.24 is installed, 24.0 is the oldest supported version. Upgrade it."),
        ),
    ];
    for (name, seen, phase, reason, error) in cases {
        let d = run(&spec(), &ServerStatus::default(), &seen);
        assert_eq!(outline(&d), (phase, reason, None), "{name}");
        assert_eq!(d.status.last_error.as_deref(), error, "{name}");
    }
}

#[test]
fn each_want_of_a_server_has_its_step() {
    let missing = Observed { engine: Some(Engine::Missing), swarm: None, ..prepared() };
    let ubuntu = Os { id: "ubuntu".into(), version: "24.04".into(), name: "Ubuntu".into() };
    let claimed = |by: &str, lives| {
        Some(ClusterView { init_server: Some(by.into()), init_server_lives: lives, ..ClusterView::default() })
    };
    let cases: Vec<(&str, Observed, Option<Step>)> = vec![
        ("Debian 13", missing.clone(), Some(Step::InstallDocker(Recipe::Distribution))),
        ("Ubuntu", Observed { os: Some(ubuntu), ..missing.clone() }, Some(Step::InstallDocker(Recipe::Repository))),
        (
            "5.1 GB",
            Observed { disk_free: Some(5_100_000_000), ..missing },
            Some(Step::InstallDocker(Recipe::Distribution)),
        ),
        (
            "stopped",
            Observed { engine: Some(Engine::Down("x".into())), swarm: None, ..prepared() },
            Some(Step::StartDocker),
        ),
        ("no group", Observed { in_docker_group: false, ..prepared() }, Some(Step::JoinDockerGroup)),
        ("first server", prepared(), Some(Step::ClaimInit)),
        ("claimed by us", Observed { cluster: claimed("h1", true), ..prepared() }, Some(Step::InitSwarm)),
        ("claimed by another", Observed { cluster: claimed("h2", true), ..prepared() }, None),
        (
            "claimed by one that is gone",
            Observed { cluster: claimed("h2", false), ..prepared() },
            Some(Step::ClaimInit),
        ),
    ];
    for (name, seen, step) in cases {
        assert_eq!(run(&spec(), &ServerStatus::default(), &seen).step, step, "{name}");
    }
}

#[test]
fn any_other_key_than_the_confirmed_one_stops_everything() {
    let condition = |status, reason: &str| ServerStatus {
        conditions: vec![Condition {
            r#type: "HostKeyConfirmed".into(),
            status,
            reason: reason.into(),
            message: String::new(),
            last_transition_time: None,
            observed_generation: None,
        }],
        ..ServerStatus::default()
    };
    let shown_before = ServerStatus { host_key: Some(key(KEY)), ..ServerStatus::default() };
    let seen = Observed { link: Link::OtherKey(key(OTHER)), ..prepared() };
    let cases = [
        ("was confirmed (E8)", condition(ConditionStatus::True, "Confirmed"), Failed, "HostKeyChanged"),
        ("changed before", condition(ConditionStatus::False, "HostKeyChanged"), Failed, "HostKeyChanged"),
        ("changed between display and confirmation (E7)", shown_before, Failed, "HostKeyChanged"),
        ("never the right one", ServerStatus::default(), Failed, "HostKeyChanged"),
    ];
    for (name, before, phase, reason) in cases {
        let d = run(&spec(), &before, &seen);
        assert_eq!(outline(&d), (phase, reason, None), "{name}");
        assert_eq!(d.status.host_key, Some(key(OTHER)), "{name}: people must see what is shown now");
        assert_eq!(d.status.last_error.is_some(), phase == Failed, "{name}");
    }
}

#[test]
fn docker_is_installed_only_where_that_is_wanted_and_known() {
    let base = Observed { engine: Some(Engine::Missing), swarm: None, ..prepared() };
    let never = ClusterView { install: DockerInstall::Never, ..ClusterView::default() };
    let d = run(&spec(), &ServerStatus::default(), &Observed { cluster: Some(never), ..base.clone() });
    assert_eq!(outline(&d), (Failed, "DockerMissing", None));
    let alpine = Os { id: "alpine".into(), version: "3.20".into(), name: "Alpine".into() };
    let d = run(&spec(), &ServerStatus::default(), &Observed { os: Some(alpine), ..base.clone() });
    assert_eq!(outline(&d), (Failed, "DockerInstallFailed", None));
    assert_eq!(finding(&d, "OSSupported"), (ConditionStatus::True, "Untested"));
    let failure = Some(Failure { step: "install-docker", detail: "E: no network".into() });
    let d = run(&spec(), &ServerStatus::default(), &Observed { failure, ..base });
    assert_eq!(outline(&d), (Failed, "DockerInstallFailed", None));
    assert_eq!(d.status.last_error.as_deref(), Some("Docker installation failed. Check server logs for details."));
    assert!(d.findings.iter().any(|f| f.kind == "DockerReady" && f.message.contains("E: no network")));
}

#[test]
fn the_oldest_docker_is_the_clusters_choice() {
    let old = Observed { engine: Some(Engine::Up { version: "20.10.24".into() }), ..prepared() };
    let lenient = ClusterView { min_docker: Some("20.10".into()), ..ClusterView::default() };
    let d = run(&spec(), &ServerStatus::default(), &Observed { cluster: Some(lenient), ..old });
    assert_eq!(d.step, Some(Step::ClaimInit));
}

#[test]
fn joining_needs_a_manager_and_open_ports() {
    let cluster = Some(ClusterView { swarm_id: Some(SWARM.into()), ..ClusterView::default() });
    let base = Observed { cluster, managers: Managers::Reachable, ..prepared() };
    let probe = |port, udp, open| Probe { address: "10.0.0.9".into(), port, udp, open };
    let decide = |seen: &Observed| run(&spec(), &ServerStatus::default(), seen);

    let silent = Observed { managers: Managers::Unreachable, ..base.clone() };
    assert_eq!(outline(&decide(&silent)), (Failed, "ManagersUnreachable", None));
    assert_eq!(decide(&base).step, Some(Step::ProbePorts));
    let open = Observed { ports: Some(vec![probe(2377, false, true), probe(4789, true, true)]), ..base.clone() };
    assert_eq!(decide(&open).step, Some(Step::JoinSwarm { role: SwarmRole::Manager }));
    // OT-15: the list names exactly what is closed.
    let closed = Observed { ports: Some(vec![probe(2377, false, true), probe(4789, true, false)]), ..base.clone() };
    let d = decide(&closed);
    assert_eq!(outline(&d), (Failed, "SwarmJoinFailed", None));
    assert_eq!(
        d.status.last_error.as_deref(),
        Some("Could not join swarm. Check that ports 2377, 7946, 4789/udp are open between servers.")
    );
    let ports = d.findings.iter().find(|f| f.kind == "PortsOpen").expect("a finding about ports");
    assert_eq!(ports.message, "Not reachable: 4789/udp at 10.0.0.9.");
    let untested = Some(Failure { step: "probe-ports", detail: "no bash".into() });
    assert_eq!(
        decide(&Observed { failure: untested, ..base }).step,
        Some(Step::JoinSwarm { role: SwarmRole::Manager })
    );
    let refused = Some(Failure { step: "join-swarm", detail: "timeout".into() });
    assert_eq!(outline(&decide(&Observed { failure: refused, ..open })), (Failed, "SwarmJoinFailed", None));
}

#[test]
fn a_failed_init_is_told_and_an_unrecorded_one_is_recorded() {
    let claimed =
        Some(ClusterView { init_server: Some("h1".into()), init_server_lives: true, ..ClusterView::default() });
    let failure = Some(Failure { step: "init-swarm", detail: "no address".into() });
    let d = run(&spec(), &ServerStatus::default(), &Observed { cluster: claimed.clone(), failure, ..prepared() });
    assert_eq!(outline(&d), (Failed, "SwarmInitFailed", None));
    assert_eq!(
        d.status.last_error.as_deref(),
        Some("Swarm initialization failed. The server may already be part of a swarm.")
    );
    // Killed between the init and its record (OT-23).
    let d = run(&spec(), &ServerStatus::default(), &Observed { cluster: claimed, ..member(NodeRole::Manager) });
    assert_eq!(d.step, Some(Step::RecordSwarm { id: SWARM.into() }));
}

#[test]
fn nobody_leaves_a_swarm_without_being_told_to() {
    let foreign = |ours: Option<&str>| {
        let cluster = ClusterView { swarm_id: ours.map(Into::into), ..ClusterView::default() };
        let mut seen = member(NodeRole::Manager);
        seen.node = ours.map(|_| None);
        if let Some(s) = &mut seen.swarm {
            s.cluster_id = Some("foreign".into());
        }
        Observed { cluster: Some(cluster), ..seen }
    };
    use AdoptSwarm::{Adopt, Join, Leave};
    let cases = [
        (None, None, None),
        (None, Some(Join), None),
        (None, Some(Adopt), Some(Step::RecordSwarm { id: "foreign".into() })),
        (None, Some(Leave), Some(Step::LeaveSwarm)),
        (Some(SWARM), None, None),
        (Some(SWARM), Some(Join), None),
        (Some(SWARM), Some(Adopt), None),
        (Some(SWARM), Some(Leave), Some(Step::LeaveSwarm)),
    ];
    for (ours, adopt, step) in cases {
        let d = run(&ServerSpec { adopt_swarm: adopt, ..spec() }, &ServerStatus::default(), &foreign(ours));
        assert_eq!(d.step, step, "cluster {ours:?}, adoptSwarm {adopt:?}");
        if d.step.is_none() {
            assert_eq!(outline(&d), (Pending, "SwarmConflict", None));
            assert_eq!(finding(&d, "SwarmConflict").0, ConditionStatus::True);
        }
    }
}

#[test]
fn a_node_becomes_what_the_spec_says() {
    let ready = run(&spec(), &ServerStatus::default(), &member(NodeRole::Manager));
    assert_eq!(outline(&ready), (Ready, "Ready", None));
    assert_eq!(ready.retry, Retry::OnChange);
    assert_eq!(ready.status.swarm_role, Some(SwarmRole::Manager));

    let worker = ServerSpec { role: SwarmRole::Worker, ..spec() };
    let d = run(&worker, &ServerStatus::default(), &member(NodeRole::Manager));
    assert!(matches!(&d.step, Some(Step::UpdateNode(w)) if w.role == SwarmRole::Worker));
    let alone = Observed { manager_count: Some(1), ..member(NodeRole::Manager) };
    assert_eq!(outline(&run(&worker, &ServerStatus::default(), &alone)), (Failed, "LastManager", None));

    let drained = ServerSpec { availability: Availability::Drain, ..spec() };
    let d = run(&drained, &ServerStatus::default(), &member(NodeRole::Manager));
    assert!(matches!(&d.step, Some(Step::UpdateNode(w)) if w.availability == Availability::Drain));

    let mut down = member(NodeRole::Manager);
    if let Some(Some(n)) = &mut down.node {
        n.state = "down".into();
    }
    assert_eq!(outline(&run(&spec(), &ServerStatus::default(), &down)), (Pending, "NodeNotReady", None));
    let back = Observed { returning: true, ..down };
    assert_eq!(outline(&run(&spec(), &ServerStatus::default(), &back)), (Pending, "Rejoining", None));
    let mut unheard = member(NodeRole::Manager);
    if let Some(Some(n)) = &mut unheard.node {
        n.state = "unknown".into();
    }
    assert_eq!(outline(&run(&spec(), &ServerStatus::default(), &unheard)), (Pending, "Rejoining", None));
    let mut cut_off = Observed { returning: true, ..member(NodeRole::Manager) };
    if let Some(Some(n)) = &mut cut_off.node {
        n.reachable = Some(false);
    }
    assert_eq!(outline(&run(&spec(), &ServerStatus::default(), &cut_off)), (Pending, "Rejoining", None));
    let leaderless = Observed { node: None, managers: Managers::Electing, ..member(NodeRole::Manager) };
    assert_eq!(outline(&run(&spec(), &ServerStatus::default(), &leaderless)), (Pending, "ElectingLeader", None));
    let unknown = Observed { node: None, ..member(NodeRole::Worker) };
    assert_eq!(outline(&run(&worker, &ServerStatus::default(), &unknown)), (Failed, "ManagersUnreachable", None));
}

#[test]
fn labels_of_the_server_become_labels_of_the_node_and_others_stay() {
    let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let mut seen = member(NodeRole::Manager);
    if let Some(Some(n)) = &mut seen.node {
        n.labels = labels(&[("gpu", "yes"), ("zone", "old"), ("old", "x"), ("otternauts.dev/labels", "old,zone")]);
    }
    let wanted = labels(&[("zone", "z1")]);
    let spec = spec();
    let d = decide(Desired { name: "h1", spec: &spec, labels: &wanted }, &ServerStatus::default(), &seen);
    let Some(Step::UpdateNode(wish)) = d.step else { panic!("{:?}", d.step) };
    let expected =
        labels(&[("gpu", "yes"), ("zone", "z1"), ("otternauts.dev/labels", "zone"), ("otternauts.dev/server", "h1")]);
    assert_eq!(wish.labels, expected);
}

#[test]
fn a_local_server_needs_no_key() {
    let local = ServerSpec { connection: otternauts_types::server::Connection::Local, ..ServerSpec::default() };
    let d = run(&local, &ServerStatus::default(), &Observed { link: Link::Local, ..prepared() });
    assert_eq!(outline(&d), (Provisioning, "Working", Some("claim-init")));
}

#[test]
fn a_full_disk_does_not_stop_a_server_at_work() {
    let d = run(&spec(), &ServerStatus::default(), &Observed { disk_free: Some(1), ..member(NodeRole::Manager) });
    assert_eq!(outline(&d), (Ready, "Ready", None));
    assert_eq!(finding(&d, "DiskSpace"), (ConditionStatus::False, "InsufficientDiskSpace"));
}
