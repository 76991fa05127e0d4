use super::lease::{Observed, Wanted, named, next};
use super::*;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::jiff::Timestamp;
use otternauts_telemetry::Format;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::convert::Infallible;

const LEASE: Duration = Duration::from_secs(15);

fn held_by(holder: &str, transitions: i32) -> Lease {
    named(
        "x",
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        },
    )
}

#[test]
fn a_lease_is_free_when_it_was_not_renewed_for_its_duration_as_seen_here() {
    let start = Instant::now();
    let wall = Timestamp::UNIX_EPOCH;
    let after = |seconds| start + Duration::from_secs(seconds);
    // (holder, seconds since it was first seen so, may I take it?)
    let cases = [("other", 0, false), ("other", 14, false), ("other", 15, true), ("me", 0, true), ("", 0, true)];
    for (holder, seconds, free) in cases {
        let mut observed = Observed::default();
        observed.see(Some(&held_by(holder, 4)), start);
        // Seeing the same again changes nothing, whatever its version.
        observed.see(Some(&held_by(holder, 4)), after(seconds));
        match next(&observed, "me", LEASE, after(seconds), wall) {
            Wanted::Wait => assert!(!free, "{holder:?} after {seconds} s"),
            Wanted::Create(_) => panic!("it is there"),
            Wanted::Replace(lease) => {
                assert!(free, "{holder:?} after {seconds} s");
                let spec = lease.spec.expect("a spec");
                assert_eq!(spec.holder_identity.as_deref(), Some("me"));
                assert_eq!(spec.lease_transitions, Some(if holder == "me" { 4 } else { 5 }));
            }
        }
    }
    let mut renewed = Observed::default();
    renewed.see(Some(&held_by("other", 4)), start);
    let mut again = held_by("other", 4);
    again.spec.as_mut().expect("a spec").renew_time =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(wall));
    renewed.see(Some(&again), after(10));
    assert_eq!(next(&renewed, "me", LEASE, after(20), wall), Wanted::Wait, "renewed ten seconds ago");
    assert_eq!(renewed.left(LEASE, after(20)), Some(Duration::from_secs(5)), "then it is worth another look");
    assert_eq!(renewed.left(LEASE, after(25)), None, "it is free");
    assert!(matches!(next(&Observed::default(), "me", LEASE, start, wall), Wanted::Create(_)));
}

#[test]
fn only_an_own_lease_is_given_back() {
    let mut observed = Observed::default();
    assert_eq!(observed.released("me"), None);
    observed.see(Some(&held_by("other", 1)), Instant::now());
    assert!(observed.released("me").is_none() && observed.is_anothers("me"));
    observed.see(Some(&held_by("me", 1)), Instant::now());
    let given = observed.released("me").expect("it is ours");
    assert_eq!(given.spec.expect("a spec").holder_identity.as_deref(), Some(""));
    assert!(!observed.is_anothers("me"));
}

#[test]
fn a_term_ends_by_itself_when_nobody_renews_it() {
    let term = Term::new(7);
    assert!(!term.lasts());
    term.lasts_until(Instant::now() + Duration::from_secs(3600));
    assert!(term.lasts() && term.clone().lasts());
    term.lasts_until(Instant::now());
    assert!(!term.lasts());
    term.lasts_until(Instant::now() + Duration::from_secs(3600));
    term.clone().end();
    assert!(!term.lasts());
}

/// An API that has one Lease, and takes a write only of the version it has.
fn api() -> kube::Client {
    let stored: Arc<Mutex<Option<Value>>> = Arc::default();
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let stored = Arc::clone(&stored);
        async move {
            let (parts, body) = request.into_parts();
            let sent = body.collect_bytes().await.expect("a whole body");
            let mut stored = stored.lock();
            let version = |lease: &Value| lease["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok());
            let now: u64 = stored.as_ref().and_then(version).unwrap_or(0);
            let failed = |(code, reason): (u16, &str)| json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason});
            let answer = match (parts.method, serde_json::from_slice::<Value>(&sent)) {
                (http::Method::GET, _) => stored.clone().ok_or((404, "NotFound")),
                (_, Ok(mut lease)) if version(&lease).unwrap_or(0) == now => {
                    lease["metadata"]["resourceVersion"] = (now + 1).to_string().into();
                    Ok(stored.insert(lease).clone())
                }
                _ => Err((409, "Conflict")),
            };
            let (code, answer) = answer.map_or_else(|why| (why.0, failed(why)), |lease| (200, lease));
            let body = kube::client::Body::from(answer.to_string().into_bytes());
            Ok::<_, Infallible>(http::Response::builder().status(code).body(body).expect("a response"))
        }
    });
    kube::Client::new(service, "default")
}

#[tokio::test]
async fn a_leader_whose_work_has_panicked_gives_the_lease_back_and_another_leads() {
    // Nobody may take it because it ran out.
    let times =
        Times { lease: Duration::from_secs(3600), renew: Duration::from_secs(1800), retry: Duration::from_millis(20) };
    let (client, stop) = (api(), CancellationToken::new());
    let metrics = [Metrics::new("1"), Metrics::new("1")];
    let elector = |number: usize| {
        let (identity, metrics) = (format!("replica {number}"), Arc::clone(&metrics[number]));
        Elector { times, ..Elector::new(client.clone(), "duty", identity, metrics) }
    };
    let (terms, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let first = tokio::spawn(elector(0).run(stop.clone(), {
        let terms = terms.clone();
        move |term, _| {
            let _told = terms.send((0, term));
            async { panic!("on purpose") }
        }
    }));
    let mut next = async || tokio::time::timeout(Duration::from_secs(60), begun.recv()).await.ok().flatten();
    let (who, term) = next().await.expect("somebody leads");
    assert_eq!(who, 0);
    let second = tokio::spawn(elector(1).run(stop.clone(), move |later, ended| {
        let _told = terms.send((1, later));
        async move { ended.cancelled().await }
    }));
    let (who, later) = next().await.expect("another leads");
    assert!(who == 1 && later.number > term.number && later.lasts() && !term.lasts());
    let leads = "leader_election_master_status{name=\"duty\"} 1";
    let says = |number: usize| metrics[number].encode(Format::Classic).contains(leads);
    assert!(!says(0), "who gave it back says so");
    assert!(says(1));
    stop.cancel();
    for replica in [first, second] {
        replica.await.expect("it ends in order");
    }
}
