use super::lease::{Observed, Wanted, named, next};
use super::*;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::jiff::Timestamp;

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
