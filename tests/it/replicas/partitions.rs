//! A network that loses packets in silence, under load (N2, N3): members of etcd cut off, and the leading replica cut off from etcd.
//!
//! Each member and each replica is a host of its own. How long nobody was answered is printed, for docs/high-availability.md, and is less
//! than what is promised.

use super::{BOTH, PATIENCE, check_failover, holder, leader, leads, options, told, two_of};
use crate::replicas::load::Load;
use k8s_openapi::jiff::Timestamp;
use otternauts_harness::skip::skip;
use otternauts_harness::{Etcd, Network, Otter, OtterOptions, until};
use std::time::Instant;

/// The hosts after the members.
const REPLICAS: [usize; 2] = [3, 4];
const MEMBERS: [usize; 3] = [0, 1, 2];

struct World {
    replicas: [Otter; 2],
    etcd: Etcd,
    /// The last to go: the others live in it.
    net: Network,
}

/// Three members and two replicas, unless this machine cannot have that, which is said.
fn world(test: &str, controllers: bool) -> Option<World> {
    if !Etcd::is_installed() {
        skip(test, "etcd is not installed");
        return None;
    }
    let net = match Network::make(MEMBERS.len() + REPLICAS.len()) {
        Ok(net) => net,
        Err(why) => {
            skip(test, &format!("no network namespaces: {why}"));
            return None;
        }
    };
    let etcd = Etcd::start_on(&net.hosts()[..MEMBERS.len()]);
    let on = |host: usize| OtterOptions { host: Some(net.hosts()[host].clone()), ..options(&etcd, controllers) };
    let replicas = two_of(on(REPLICAS[0]), on(REPLICAS[1]));
    Some(World { replicas, etcd, net })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_members_of_etcd_are_cut_off_n2() {
    let Some(World { replicas, etcd, net }) = world("members of etcd that are cut off", false) else { return };
    let load = Load::start(&replicas).await;
    let ledger = load.ledger();
    let (etcd, net) = tokio::task::spawn_blocking(move || {
        ledger.more("writes before anything happens", &BOTH);
        for (what, leading) in [("a member that follows", false), ("the member that leads", true)] {
            let leader = etcd.leader();
            let member = if leading { leader } else { (leader + 1) % MEMBERS.len() };
            let others: Vec<usize> = MEMBERS.into_iter().chain(REPLICAS).filter(|host| *host != member).collect();
            let cut = Instant::now();
            net.cut(member, &others);
            if leading {
                etcd.leader_but(member);
            }
            ledger.more("writes while a member is cut off", &BOTH);
            ledger.check_silence(&format!("{what} is cut off"), cut, &BOTH);
            net.heal(member);
            ledger.more("writes after it is back", &BOTH);
            etcd.await_ready();
        }
        (etcd, net)
    })
    .await
    .expect("the faults are done");
    load.check(&replicas).await;
    drop((replicas, etcd, net));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replica_leads_when_the_leader_is_cut_off_from_etcd_and_the_old_one_does_nothing_n3() {
    let Some(World { replicas, etcd, net }) = world("a leading replica that is cut off", true) else { return };
    let first = leader(&replicas);
    let second = 1 - first;
    let load = Load::start(&replicas).await;
    let ledger = load.ledger();
    let (replicas, etcd, net) = tokio::task::spawn_blocking(move || {
        ledger.more("writes before anything happens", &BOTH);
        let held = holder(&replicas[second]).expect("somebody holds the Lease");
        let (fault, cut) = (Timestamp::now(), Instant::now());
        net.cut(REPLICAS[first], &MEMBERS);
        check_failover("the leading replica is cut off from etcd", &replicas[second], fault);
        // It stopped before anybody else could begin, and says so itself: its clients reach it, only etcd does not.
        assert!(!leads(&replicas[first]), "two replicas lead");
        assert!(replicas[first].log().contains("this replica leads no more"));
        assert_ne!(holder(&replicas[second]), Some(held));
        let map = "/api/v1/namespaces/default/configmaps";
        let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cut-off"}}"#;
        let refused = replicas[first].curl_admin(map, &["-H", "Content-Type: application/json", "-d", body]).json();
        assert!([503, 504].contains(&refused["code"].as_u64().unwrap_or_default()), "{refused}");
        let refused = replicas[first].curl_admin(&format!("{map}/c0-0"), &[]).json();
        assert_eq!(refused["code"], 503, "what may be old is not told: {refused}");
        assert_eq!(replicas[first].curl("/livez", &[]).stdout, "ok", "it is no reason to start it anew");
        ledger.more("writes through the replica that leads", &[second]);
        ledger.check_silence("the leading replica is cut off from etcd", cut, &[second]);
        net.heal(REPLICAS[first]);
        let back = Instant::now();
        until("the old leader to answer", PATIENCE, || {
            let answer = replicas[first].curl_admin("/readyz", &[]).stdout;
            if answer == "ok" { Ok(()) } else { Err(answer) }
        });
        told(&format!("the replica that was cut off is ready again after {:.1} s", back.elapsed().as_secs_f64()));
        assert!(leads(&replicas[second]) && !leads(&replicas[first]), "who came back leaves the leader alone");
        ledger.more("writes through both", &BOTH);
        (replicas, etcd, net)
    })
    .await
    .expect("the faults are done");
    load.check(&replicas).await;
    drop((replicas, etcd, net));
}
