use super::*;
use crate::facts::{Os, Probe, Recipe};
use crate::observed::{ClusterView, Failure, Managers};
use otternauts_fleet::ObservedHostKey;
use otternauts_fleet::docker::{LocalNodeState, Node, NodeAvailability, NodeRole, SwarmState};
use otternauts_types::ConditionStatus::{False, True};
use otternauts_types::server::{AdoptSwarm, Availability, Connection, HostKeyConfirmation, SwarmRole};
use std::time::Duration;

const NODE: &str = "node-1";
const SWARM: &str = "swarm-1";

fn spec() -> ServerSpec {
    let fingerprint = "SHA256:confirmed".to_owned();
    ServerSpec { port: 22, host_key: Some(HostKeyConfirmation { fingerprint }), ..ServerSpec::default() }
}

fn key(fingerprint: &str) -> ObservedHostKey {
    ObservedHostKey { algorithm: "ssh-ed25519".into(), fingerprint: fingerprint.into() }
}

fn debian(version: &str) -> Os {
    Os { id: "debian".into(), version: version.into(), name: format!("Debian {version}") }
}

fn inactive() -> SwarmState {
    SwarmState::default()
}

fn manager_of(id: &str) -> SwarmState {
    SwarmState {
        state: LocalNodeState::Active,
        node_id: NODE.into(),
        control_available: true,
        cluster_id: Some(id.into()),
        ..SwarmState::default()
    }
}

fn worker() -> SwarmState {
    SwarmState { state: LocalNodeState::Active, node_id: NODE.into(), ..SwarmState::default() }
}

fn node(role: NodeRole) -> Node {
    Node {
        id: NODE.into(),
        version: 1,
        hostname: "h1".into(),
        role,
        availability: NodeAvailability::Active,
        labels: [("otternauts.dev/server".to_owned(), "h1".to_owned())].into(),
        state: "ready".into(),
        address: "10.0.0.1".into(),
        engine_version: "26.1.5".into(),
        leader: true,
        reachable: Some(true),
    }
}

/// A fresh server with a Docker that works, in a Cluster without a swarm.
fn fresh() -> Observed {
    Observed {
        cluster: Some(ClusterView::default()),
        link: Link::Up { key: Some(key("SHA256:confirmed")), took: Some(Duration::from_millis(40)) },
        sudo: Some(Ok(())),
        os: Some(debian("13")),
        disk_free: Some(10_000_000_000),
        engine: Some(Engine::Up { version: "26.1.5+dfsg1".into() }),
        in_docker_group: true,
        machine: Some((2, 4_000_000_000)),
        swarm: Some(inactive()),
        ..Observed::default()
    }
}

/// The same where another server made the swarm and can be asked.
fn joining() -> Observed {
    let mut seen = with_cluster(fresh(), |c| c.swarm_id = Some(SWARM.into()));
    seen.managers = Managers::Reachable;
    seen
}

/// A manager of the Cluster's swarm.
fn member() -> Observed {
    Observed {
        swarm: Some(manager_of(SWARM)),
        node: Some(Some(node(NodeRole::Manager))),
        manager_count: Some(1),
        ..with_cluster(fresh(), |c| c.swarm_id = Some(SWARM.into()))
    }
}

fn with_cluster(mut seen: Observed, edit: impl FnOnce(&mut ClusterView)) -> Observed {
    edit(seen.cluster.get_or_insert_default());
    seen
}

fn failure(seen: Observed, step: &'static str, detail: &str) -> Observed {
    Observed { failure: Some(Failure { step, detail: detail.to_owned() }), ..seen }
}

fn decided(spec: &ServerSpec, seen: &Observed) -> Decision {
    let before = ServerStatus::default();
    decide(Desired { name: "h1", spec, labels: &BTreeMap::new() }, &before, seen)
}

/// What one case expects.
struct Expected {
    phase: ServerPhase,
    /// Of condition Ready.
    reason: &'static str,
    error: Option<&'static str>,
    step: Option<&'static str>,
}

fn waits(reason: &'static str) -> Expected {
    Expected { phase: ServerPhase::Pending, reason, error: None, step: None }
}

fn fails(reason: &'static str, error: &'static str) -> Expected {
    Expected { phase: ServerPhase::Failed, reason, error: Some(error), step: None }
}

fn acts(step: &'static str) -> Expected {
    Expected { phase: ServerPhase::Provisioning, reason: reason::WORKING, error: None, step: Some(step) }
}

fn ready() -> Expected {
    Expected { phase: ServerPhase::Ready, reason: reason::READY, error: None, step: None }
}

#[track_caller]
fn check(row: &str, spec: &ServerSpec, seen: &Observed, expected: &Expected) -> Decision {
    let got = decided(spec, seen);
    let ready = got.findings.iter().find(|f| f.kind == "Ready").expect("every look ends with Ready");
    assert_eq!(got.status.phase, expected.phase, "{row}: {got:?}");
    assert_eq!(ready.reason, expected.reason, "{row}: {got:?}");
    assert_eq!(got.status.last_error.as_deref(), expected.error, "{row}: {got:?}");
    assert_eq!(got.step.as_ref().map(Step::name), expected.step, "{row}: {got:?}");
    assert_eq!(ready.status == True, expected.phase == ServerPhase::Ready, "{row}");
    got
}

#[track_caller]
fn finding<'a>(decision: &'a Decision, kind: &str) -> &'a Finding {
    decision.findings.iter().find(|f| f.kind == kind).unwrap_or_else(|| panic!("no {kind}: {decision:?}"))
}

const F1: &str = "Cannot connect to server. Check that SSH is running on port 22 and the firewall allows connections.";

#[test]
fn the_way_in_is_checked_before_anything_else() {
    let link = |link: Link| Observed { link, ..fresh() };
    let gone =
        Expected { phase: ServerPhase::Unreachable, reason: reason::CONNECTION_FAILED, error: Some(F1), step: None };
    check("OT-F1", &spec(), &link(Link::Unreachable("refused".into())), &gone);
    let shown = check("OT-9", &spec(), &link(Link::Shown(key("SHA256:x"))), &waits("AwaitingConfirmation"));
    let told = finding(&shown, "HostKeyConfirmed");
    assert!(told.status == False && told.message.contains("SHA256:x"), "{told:?}");
    assert_eq!(shown.status.host_key, Some(key("SHA256:x")));
    assert!(shown.findings.iter().all(|f| f.kind != "SSHAuthenticated"), "OT-9: nothing was authenticated");
    let other = link(Link::OtherKey(key("SHA256:new")));
    let changed = check("OT-F3", &spec(), &other, &fails("HostKeyChanged", text::HOST_KEY_CHANGED));
    assert_eq!(finding(&changed, "HostKeyConfirmed").reason, "HostKeyChanged");
    assert_eq!(changed.status.host_key, Some(key("SHA256:new")), "a person confirms what is shown");
    let refused = link(Link::Refused("no".into()));
    let refused = check("OT-F2", &spec(), &refused, &fails("AuthenticationFailed", text::AUTHENTICATION));
    assert_eq!(finding(&refused, "SSHAuthenticated").reason, "AuthenticationFailed");
    check("no key", &spec(), &link(Link::NoPrivateKey("missing".into())), &waits(reason::PRIVATE_KEY_MISSING));
    let nowhere = Observed { cluster: None, ..fresh() };
    check("no Cluster", &spec(), &nowhere, &waits(reason::CLUSTER_MISSING));
}

#[test]
fn the_port_that_was_tried_is_named_ot_f1() {
    let other = ServerSpec { port: 2222, ..spec() };
    let seen = Observed { link: Link::Unreachable("refused".into()), ..fresh() };
    let error = decided(&other, &seen).status.last_error.expect("a sentence");
    assert_eq!(
        error,
        "Cannot connect to server. Check that SSH is running on port 2222 and the firewall allows connections."
    );
}

#[test]
fn the_machine_is_checked_before_docker_is_touched() {
    let bare = || Observed { engine: Some(Engine::Missing), swarm: None, ..fresh() };
    let no_sudo = Observed { sudo: Some(Err("a password is required".into())), ..bare() };
    check("OT-F4", &spec(), &no_sudo, &fails("SudoPasswordRequired", text::SUDO));
    let small = Observed { disk_free: Some(4_900_000_000), ..bare() };
    let sentence = "5 GB of free disk space are required, 4.9 GB are free.";
    check("OT-14 4.9 GB", &spec(), &small, &fails(reason::DISK_FULL, sentence));
    let enough = Observed { disk_free: Some(5_100_000_000), ..bare() };
    let enough = check("OT-14 5.1 GB", &spec(), &enough, &acts("install-docker"));
    assert!(finding(&enough, "DiskSpace").message.contains("5.1 GB"));
    let full = Observed { disk_free: Some(1), ..member() };
    check("OT-14: a member goes on working", &spec(), &full, &ready());
    let strange = Os { id: "arch".into(), ..Os::default() };
    let strange = check("OT-17", &spec(), &Observed { os: Some(strange), ..fresh() }, &acts("claim-init"));
    let os = finding(&strange, "OSSupported");
    assert_eq!((os.status, os.reason.as_str()), (True, "Untested"));
}

#[test]
fn docker_is_installed_once_it_is_missing_and_only_then() {
    let bare = || Observed { engine: Some(Engine::Missing), swarm: None, ..fresh() };
    let down = || Observed { engine: Some(Engine::Down("no answer".into())), swarm: None, ..fresh() };
    for (version, recipe) in [("13", Recipe::Distribution), ("12", Recipe::Repository)] {
        let seen = Observed { os: Some(debian(version)), ..bare() };
        let got = check("OT-18", &spec(), &seen, &acts("install-docker"));
        assert_eq!(got.step, Some(Step::InstallDocker(recipe)));
    }
    let failed = failure(bare(), "install-docker", "E: Unable to locate package");
    let failed = check("OT-F5", &spec(), &failed, &fails("DockerInstallFailed", text::DOCKER_INSTALL));
    assert!(finding(&failed, "DockerReady").message.contains("Unable to locate"), "the installer's output is shown");
    let never = with_cluster(bare(), |c| c.install = DockerInstall::Never);
    assert_eq!(decided(&spec(), &never).step, None, "OT-16: not where the Cluster forbids it");
    check("stopped", &spec(), &down(), &acts("start-docker"));
    let broken = failure(down(), "start-docker", "unit not found");
    check("half installed", &spec(), &broken, &acts("install-docker"));
    let old = Observed { engine: Some(Engine::Up { version: "23.0.6".into() }), ..fresh() };
    let old = decided(&spec(), &old);
    assert_eq!(
        (old.step.clone(), finding(&old, "DockerReady").reason.as_str()),
        (None, reason::DOCKER_TOO_OLD),
        "OT-16"
    );
    let stranger = Observed { in_docker_group: false, ..fresh() };
    check("OT-18 group", &spec(), &stranger, &acts("join-docker-group"));
    let refused = failure(stranger, "join-docker-group", "usermod: no");
    check("OT-18: without the group through sudo", &spec(), &refused, &acts("claim-init"));
}

#[test]
fn exactly_one_server_makes_the_swarm_ot_19() {
    let claimed = |by: &str, lives: bool| {
        with_cluster(fresh(), |c| (c.init_server, c.init_server_lives) = (Some(by.to_owned()), lives))
    };
    check("the claim comes first", &spec(), &fresh(), &acts("claim-init"));
    check("ours", &spec(), &claimed("h1", true), &acts("init-swarm"));
    check("another's", &spec(), &claimed("h2", true), &waits(reason::WAITING_FOR_MANAGER));
    check("a dead one's", &spec(), &claimed("h2", false), &acts("claim-init"));
    let worker = ServerSpec { role: SwarmRole::Worker, ..spec() };
    check("OT-26: a worker waits", &worker, &fresh(), &waits(reason::WAITING_FOR_MANAGER));
    let crashed = Observed { swarm: Some(manager_of("new")), ..claimed("h1", true) };
    let got = check("OT-23: killed after init", &spec(), &crashed, &acts("record-swarm"));
    assert_eq!(got.step, Some(Step::RecordSwarm { id: "new".into() }));
    let failed = failure(claimed("h1", true), "init-swarm", "no such address");
    check("OT-F6", &spec(), &failed, &fails("SwarmInitFailed", text::SWARM_INIT));
}

#[test]
fn joining_follows_open_ports_ot_15_ot_20() {
    let probe = |port, udp, open| Probe { address: "10.0.0.1".into(), port, udp, open };
    check("first the ports", &spec(), &joining(), &acts("probe-ports"));
    let open = Observed { ports: Some(vec![probe(2377, false, true), probe(7946, true, true)]), ..joining() };
    let worker = ServerSpec { role: SwarmRole::Worker, ..spec() };
    let got = check("OT-20", &worker, &open, &acts("join-swarm"));
    assert_eq!(got.step, Some(Step::JoinSwarm { role: SwarmRole::Worker }));
    for (port, udp, named) in
        [(2377, false, "2377/tcp"), (7946, false, "7946/tcp"), (7946, true, "7946/udp"), (4789, true, "4789/udp")]
    {
        let blocked = Observed { ports: Some(vec![probe(1, false, true), probe(port, udp, false)]), ..joining() };
        let got = check(named, &spec(), &blocked, &fails("SwarmJoinFailed", text::SWARM_JOIN));
        let told = &finding(&got, "PortsOpen").message;
        assert!(told.contains(named) && !told.contains("1/tcp at"), "OT-15: exactly that port: {told}");
    }
    let failed = failure(open, "join-swarm", "timeout");
    check("OT-F7", &spec(), &failed, &fails("SwarmJoinFailed", text::SWARM_JOIN));
    let alone = Observed { managers: Managers::Unreachable, ..joining() };
    check("OT-F17", &spec(), &alone, &fails("ManagersUnreachable", "No manager of the cluster can be reached."));
}

#[test]
fn a_foreign_swarm_is_left_only_on_a_persons_word_ot_24() {
    let with = |adopt| ServerSpec { adopt_swarm: adopt, ..spec() };
    let foreign = || Observed { swarm: Some(manager_of("other")), ..fresh() };
    let elsewhere = || Observed { swarm: Some(manager_of("other")), node: Some(None), ..joining() };
    for seen in [foreign(), elsewhere()] {
        for adopt in [None, Some(AdoptSwarm::Join)] {
            let got = check("OT-24", &with(adopt), &seen, &waits(reason::SWARM_CONFLICT));
            assert_eq!(finding(&got, "SwarmConflict").status, True);
        }
        check("leave", &with(Some(AdoptSwarm::Leave)), &seen, &acts("leave-swarm"));
    }
    check("adopt", &with(Some(AdoptSwarm::Adopt)), &foreign(), &acts("record-swarm"));
    let both = check("two swarms", &with(Some(AdoptSwarm::Adopt)), &elsewhere(), &waits(reason::SWARM_CONFLICT));
    assert_eq!(both.step, None);
    let unsure = Observed { swarm: Some(worker()), managers: Managers::Unreachable, ..joining() };
    let got = decided(&with(Some(AdoptSwarm::Leave)), &unsure);
    assert_eq!(got.step, None, "whose swarm it is nobody can say now: nothing is left");
}

#[test]
fn a_member_is_made_what_its_spec_says() {
    check("ready", &spec(), &member(), &ready());
    let drained = ServerSpec { availability: Availability::Drain, ..spec() };
    check("availability", &drained, &member(), &acts("update-node"));
    let worker_spec = ServerSpec { role: SwarmRole::Worker, ..spec() };
    assert_eq!(decided(&worker_spec, &member()).step, None, "OT-26: the last manager stays");
    let two = Observed { manager_count: Some(2), ..member() };
    check("demoted beside another", &worker_spec, &two, &acts("update-node"));
    let as_worker = Observed { swarm: Some(worker()), node: Some(Some(node(NodeRole::Worker))), ..joining() };
    let got = check("worker", &worker_spec, &as_worker, &ready());
    assert_eq!((got.status.swarm_role, got.status.swarm_node_id.as_deref()), (Some(SwarmRole::Worker), Some(NODE)));
    check("promoted", &spec(), &as_worker, &acts("update-node"));
    let local = ServerSpec { connection: Connection::Local, host_key: None, ..spec() };
    let here = Observed { link: Link::Local, in_docker_group: false, ..member() };
    let got = check("local", &local, &here, &ready());
    for kind in ["SSHReachable", "HostKeyConfirmed", "SSHAuthenticated"] {
        assert_eq!((finding(&got, kind).status, finding(&got, kind).reason.as_str()), (True, "Local"), "{kind}");
    }
}

#[test]
fn a_ready_server_has_one_condition_for_each_line_of_the_checklist() {
    let got = decided(&spec(), &member());
    let mut kinds: Vec<&str> = got.findings.iter().map(|f| f.kind).collect();
    kinds.sort_unstable();
    let mut expected = [
        "SSHReachable",
        "HostKeyConfirmed",
        "SSHAuthenticated",
        "SudoAvailable",
        "OSSupported",
        "DiskSpace",
        "PortsOpen",
        "DockerReady",
        "SwarmReady",
        "SwarmConflict",
        "Ready",
    ];
    expected.sort_unstable();
    assert_eq!(kinds, expected);
}

#[test]
fn what_is_wrong_stays_told_while_it_is_tried_again() {
    let blocked = Probe { address: "10.0.0.1".into(), port: 2377, udp: false, open: false };
    let seen = Observed { ports: Some(vec![blocked]), ..joining() };
    let failed = crate::status::build(&ServerStatus::default(), &decided(&spec(), &seen), 1, "t1");
    let (spec, labels) = (spec(), BTreeMap::new());
    let again = decide(Desired { name: "h1", spec: &spec, labels: &labels }, &failed, &joining());
    assert_eq!(again.step, Some(Step::ProbePorts));
    assert_eq!(crate::status::build(&failed, &again, 1, "t2"), failed, "no write, no Event");
}
