use super::*;
use otternauts_fleet::ServerSample;
use otternauts_rules::{Truth, evaluate, parse};

const MINUTE: i64 = 60_000;
const NOW: i64 = 100 * MINUTE;

fn end(container: &str, at: i64) -> End {
    End {
        container: container.into(),
        exit_code: Some(1),
        oom: false,
        asked: false,
        unhealthy: false,
        time_nanos: at * 1_000_000,
        attributes: BTreeMap::new(),
    }
}

fn replicas(running: u64, desired: u64) -> Said<'static> {
    Said { cluster: "default", running, desired, ..Said::default() }
}

/// The servers of two clusters.
fn two_clusters(names: &[(&str, &str)]) -> BTreeMap<String, String> {
    names.iter().map(|(name, cluster)| ((*name).to_owned(), (*cluster).to_owned())).collect()
}

fn truth(board: &Board, rule: &str, anew: i64, now: i64) -> Truth {
    let expr = parse(rule).expect("a rule");
    let target = HealTarget::default();
    let histories = board.histories("s", "web", Wanted { expr: &expr, target: &target, anew, now });
    histories.iter().map(|h| evaluate(&expr, h, now)).next().unwrap_or(Truth::Unknown)
}

#[test]
fn restarts_are_counted_by_when_they_were_also_when_we_were_away_ao_18() {
    let mut board = Board::default();
    board.said("s", "web", replicas(1, 1), NOW);
    for n in 0..6 {
        // Told after the fact, out of order, and twice.
        for _ in 0..2 {
            board.ended("s", "web", &end(&format!("c{n}"), NOW - (50 - n * 7) * MINUTE), NOW);
        }
    }
    assert_eq!(truth(&board, "restarts > 5 in 1h", i64::MIN, NOW), Truth::True);
    assert_eq!(truth(&board, "restarts > 6 in 1h", i64::MIN, NOW), Truth::Unknown, "the hour is not known whole");
    assert_eq!(truth(&board, "restarts > 5 in 40m", i64::MIN, NOW), Truth::Unknown);
    assert_eq!(
        truth(&board, "restarts > 5 in 1h", NOW - 45 * MINUTE, NOW),
        Truth::Unknown,
        "since the deployment five"
    );
    assert_eq!(truth(&board, "restarts > 4 in 1h", NOW - 45 * MINUTE, NOW), Truth::True);
    let later = NOW + 61 * MINUTE;
    assert_eq!(truth(&board, "restarts > 0 in 1h", i64::MIN, later), Truth::False, "an hour of quiet is known");
    let asked = End { asked: true, ..end("stopped", NOW) };
    board.ended("s", "web", &asked, NOW);
    assert_eq!(
        truth(&board, "restarts > 6 in 1h", i64::MIN, NOW),
        Truth::Unknown,
        "what was asked to stop is no restart"
    );
}

#[test]
fn a_level_holds_until_it_is_told_otherwise() {
    let mut board = Board::default();
    let rule = "replicas.running < replicas.desired for 2m";
    assert_eq!(truth(&board, rule, i64::MIN, NOW), Truth::Unknown, "nothing was told");
    board.said("s", "web", replicas(1, 3), NOW);
    assert_eq!(truth(&board, rule, i64::MIN, NOW + MINUTE), Truth::Unknown, "not for long enough");
    assert_eq!(truth(&board, rule, i64::MIN, NOW + 2 * MINUTE), Truth::True);
    board.said("s", "web", replicas(3, 3), NOW + 3 * MINUTE);
    board.said("s", "web", replicas(2, 3), NOW + 4 * MINUTE);
    assert_eq!(truth(&board, rule, i64::MIN, NOW + 5 * MINUTE), Truth::False, "it was well in between");
    assert_eq!(truth(&board, rule, i64::MIN, NOW + 6 * MINUTE), Truth::True);
    assert_eq!(truth(&board, rule, NOW + 5 * MINUTE, NOW + 6 * MINUTE), Truth::Unknown, "a deployment ended");
    let expr = parse(rule).expect("a rule");
    let target = HealTarget::default();
    let wanted = Wanted { expr: &expr, target: &target, anew: i64::MIN, now: NOW + 4 * MINUTE };
    assert_eq!(board.next_change("s", "web", wanted), Some(NOW + 5 * MINUTE));
    let wanted = Wanted { now: NOW + 6 * MINUTE, ..wanted };
    assert_eq!(board.next_change("s", "web", wanted), None, "nothing more can come by waiting");
}

#[test]
fn health_is_known_only_while_all_engines_of_the_cluster_are_heard() {
    let mut board = Board::default();
    let servers = [("h1", "default"), ("h2", "default"), ("far", "other")];
    board.servers(two_clusters(&servers), NOW);
    board.said("s", "web", replicas(1, 1), NOW);
    let is = |board: &Board, now| truth(board, "unhealthy", i64::MIN, now);
    assert_eq!(is(&board, NOW), Truth::False);
    board.checked("h1", "s", "web", "c1", true, NOW + 1);
    assert_eq!(is(&board, NOW + 1), Truth::True);
    assert_eq!(truth(&board, "unhealthy for 1m", i64::MIN, NOW + MINUTE + 1), Truth::True);
    board.lost("h2", NOW + 2);
    assert_eq!(is(&board, NOW + 2), Truth::True, "one is enough");
    board.ended("s", "web", &end("c1", NOW + 3), NOW + 3);
    assert_eq!(is(&board, NOW + 3), Truth::Unknown);
    board.heard("h2", NOW + 4);
    assert_eq!(is(&board, NOW + 4), Truth::False);
    board.checked("h1", "s", "web", "c2", true, NOW + 5);
    board.heard("h1", NOW + 6);
    assert_eq!(is(&board, NOW + 6), Truth::False, "it was looked at: c2 is not there");
    board.lost("far", NOW + 7);
    assert_eq!(is(&board, NOW + 7), Truth::False, "a server of another cluster says nothing of this one");
    board.lost("nobodys", NOW + 8);
    assert_eq!(is(&board, NOW + 8), Truth::Unknown, "it may be of this one");
    board.servers(two_clusters(&servers), NOW + 9);
    assert_eq!(is(&board, NOW + 9), Truth::False, "there is no such Server");
}

#[test]
fn what_was_unhealthy_on_a_host_that_is_gone_heals_nothing() {
    let mut board = Board::default();
    board.servers(two_clusters(&[("h1", "default"), ("h2", "default")]), NOW);
    board.said("s", "web", replicas(1, 1), NOW);
    board.checked("h1", "s", "web", "c1", true, NOW + 1);
    board.lost("h1", NOW + 2);
    let later = NOW + 5 * MINUTE;
    assert_eq!(truth(&board, "unhealthy", i64::MIN, later), Truth::Unknown, "its containers run elsewhere by now");
    assert_eq!(truth(&board, "unhealthy for 1m", i64::MIN, later), Truth::Unknown);
    board.servers(two_clusters(&[("h2", "default")]), later);
    assert_eq!(truth(&board, "unhealthy", i64::MIN, later), Truth::False, "the Server is removed");
    // A Server that is removed while it is heard.
    board.checked("h2", "s", "web", "c2", true, later + 1);
    board.servers(two_clusters(&[]), later + 2);
    assert_eq!(truth(&board, "unhealthy", i64::MIN, later + 2), Truth::False);
}

#[test]
fn failed_probes_are_what_the_stack_says() {
    let mut board = Board::default();
    let rule = "probe.failed >= 3";
    board.said("s", "web", replicas(1, 1), NOW);
    assert_eq!(truth(&board, rule, i64::MIN, NOW), Truth::Unknown, "none is declared");
    board.said("s", "web", Said { probe_failed: Some(2), ..replicas(1, 1) }, NOW + 1);
    assert_eq!(truth(&board, rule, i64::MIN, NOW + 1), Truth::False);
    board.said("s", "web", Said { probe_failed: Some(3), ..replicas(1, 1) }, NOW + 2);
    assert_eq!(truth(&board, rule, i64::MIN, NOW + 2), Truth::True);
    board.said("s", "web", Said { probe_failed: Some(3), ..replicas(2, 2) }, NOW + 3);
    let deployed = NOW + 2;
    assert_eq!(truth(&board, rule, deployed, NOW + 3), Truth::Unknown, "it was counted of other containers");
    board.said("s", "web", Said { probe_failed: Some(4), ..replicas(2, 2) }, NOW + 4);
    assert_eq!(truth(&board, rule, deployed, NOW + 4), Truth::True, "it goes on failing");
    board.said("s", "web", Said { probe_failed: Some(0), ..replicas(2, 2) }, NOW + 5);
    assert_eq!(truth(&board, rule, deployed, NOW + 5), Truth::False);
}

#[test]
fn an_end_by_a_clock_that_is_ahead_counts_from_now() {
    let mut board = Board::default();
    board.said("s", "web", replicas(1, 1), NOW);
    board.ended("s", "web", &end("c1", NOW + 30 * MINUTE), NOW);
    assert_eq!(truth(&board, "restarts >= 1 in 1h", i64::MIN, NOW), Truth::True);
    assert_eq!(truth(&board, "restarts >= 1 in 1h", i64::MIN, NOW + 61 * MINUTE), Truth::False);
}

fn round(at: i64, container: &str, cpu: f64) -> Round {
    let one = ContainerSample {
        id: container.into(),
        name: format!("s_web.1.{container}"),
        swarm_stack: Some("s".into()),
        service: Some("web".into()),
        slot: Some("1".into()),
        cpu_percent: Some(cpu),
        ..ContainerSample::default()
    };
    let server = ServerSample { disk_free: Some(5), disk_size: Some(100), ..ServerSample::default() };
    Round { at, server, containers: vec![one], missing: 0, error: None }
}

#[test]
fn each_replica_is_judged_by_its_own_container() {
    let mut board = Board::default();
    let rule = "cpu > 90% for 1m and replicas.running == 1";
    assert_eq!(truth(&board, rule, i64::MIN, NOW), Truth::Unknown);
    board.said("s", "web", replicas(1, 1), NOW - MINUTE);
    (0..=4).for_each(|n| board.measured("h1", &round(NOW + n * 15_000, "a", 99.0), MINUTE));
    let at = NOW + MINUTE;
    assert_eq!(truth(&board, rule, i64::MIN, at), Truth::True);
    assert_eq!(truth(&board, "disk.free < 10%", i64::MIN, at), Truth::True);
    board.measured("h1", &round(at + 15_000, "b", 99.0), MINUTE);
    assert_eq!(truth(&board, rule, i64::MIN, at + 15_000), Truth::Unknown, "a new container begins anew");
    board.measured("h1", &Round { at: at + 20_000, error: Some("gone".into()), ..Round::default() }, MINUTE);
    assert_eq!(truth(&board, rule, i64::MIN, at + 90_000), Truth::Unknown, "too old");
    let expr = parse("disk.free < 10%").expect("a rule");
    let target = HealTarget::default();
    let wanted = Wanted { expr: &expr, target: &target, anew: i64::MIN, now: at };
    assert_eq!(board.server_history("h1", wanted)[0].last().and_then(|s| s.disk_free), Some(5.0));
}
