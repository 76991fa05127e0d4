use super::*;

const NOW: i64 = 1_800_000_000;

fn look(preflight: Preflight) -> Look {
    Look { preflight: Some(preflight), ..Look::default() }
}

fn complaint(complaint: Complaint) -> Look {
    Look { preflight: Some(Preflight::Fine), complaint: Some(complaint), ..Look::default() }
}

#[test]
fn wrong_dns_is_told_word_for_word_and_nothing_is_asked_for_ot_f13() {
    let elsewhere = vec!["192.0.2.7".parse().expect("an address")];
    let verdict = judge("a.com", &Verdict::default(), &look(Preflight::Dns(elsewhere)), NOW);
    let sentence = "Cannot obtain certificate for a.com: DNS does not resolve to a cluster node";
    assert_eq!((verdict.reason, verdict.message.as_deref()), (Some("DNSMismatch"), Some(sentence)));
    assert_eq!(verdict.detail, "it resolves to 192.0.2.7");
    assert!(!verdict.gate());
    assert_eq!(verdict.again, NOW + 60);
    let mended = judge("a.com", &verdict, &look(Preflight::Fine), NOW + 60);
    assert_eq!((mended.certificate, mended.message.as_deref()), (CertificateState::Pending, None));
    assert!(mended.gate());
}

#[test]
fn a_closed_port_80_is_told_before_and_after_asking_ot_f14() {
    let before = judge("a.com", &Verdict::default(), &look(Preflight::Port80("refused".into())), NOW);
    assert_eq!((before.reason, before.message.as_deref()), (Some("HTTPChallengeFailed"), Some(CHALLENGE_FAILED)));
    assert!(!before.gate());
    let after = judge("a.com", &Verdict::default(), &complaint(Complaint::Challenge { detail: "403".into() }), NOW);
    assert_eq!((after.reason, after.message.as_deref()), (Some("HTTPChallengeFailed"), Some(CHALLENGE_FAILED)));
    assert!(after.gate(), "the proxy tries again by itself, with pauses that grow");
}

#[test]
fn after_a_rate_limit_nothing_is_asked_for_until_the_stated_time_ot_f15() {
    let until = NOW + 7200;
    let limited =
        judge("a.com", &Verdict::default(), &complaint(Complaint::RateLimited { until, detail: "x".into() }), NOW);
    let sentence = format!("Let's Encrypt rate limit reached. Try again in {}.", time(until));
    assert_eq!((limited.reason, limited.message.as_deref()), (Some("RateLimited"), Some(sentence.as_str())));
    assert!(!limited.gate());
    let held = judge("a.com", &limited, &look(Preflight::Fine), NOW + 10);
    assert_eq!((held.message.as_deref(), held.gate(), held.again), (Some(sentence.as_str()), false, until));
    // What a status of before says is enough after a restart of ours.
    let status = DomainStatus { retry_at: Some(time(until)), ..DomainStatus::default() };
    let again = judge("a.com", &Verdict::recall(&status), &Look::default(), NOW + 20);
    assert_eq!((again.message.as_deref(), again.gate()), (Some(sentence.as_str()), false));
    let over = judge("a.com", &held, &look(Preflight::Fine), until + 1);
    assert!(over.gate() && over.message.is_none());
    assert_eq!(over.asked_since, Some(until), "older complaints do not count");
}

#[test]
fn after_a_start_of_ours_nothing_is_closed_before_it_was_looked_at() {
    let recall = |certificate, retry_at| {
        Verdict::recall(&DomainStatus { certificate, retry_at, ..DomainStatus::default() }).settled_gate()
    };
    assert_eq!(recall(CertificateState::Issued, None), Some(true));
    assert_eq!(recall(CertificateState::Pending, None), None);
    assert_eq!(recall(CertificateState::Failed, Some(time(NOW))), Some(false));
    let looked = judge("a.com", &Verdict::default(), &look(Preflight::Dns(Vec::new())), NOW);
    assert_eq!(looked.settled_gate(), Some(false));
}

#[test]
fn an_issued_certificate_is_looked_at_again_before_its_renewal() {
    let served = Look { served_until: Some(NOW + 90 * 86_400), ..Look::default() };
    let verdict = judge("a.com", &Verdict::default(), &served, NOW);
    assert_eq!((verdict.certificate, verdict.not_after), (CertificateState::Issued, Some(NOW + 90 * 86_400)));
    assert_eq!(verdict.again, NOW + 60 * 86_400);
    assert!(verdict.gate());
    let last = Look { served_until: Some(NOW + 30), ..Look::default() };
    assert_eq!(judge("a.com", &verdict, &last, NOW).again, NOW + 60, "never more often than once a minute");
}

#[test]
fn a_certificate_on_its_way_is_looked_for_soon_then_less_often() {
    let first = judge("a.com", &Verdict::default(), &look(Preflight::Fine), NOW);
    assert_eq!(first.again, NOW + 2);
    assert_eq!(judge("a.com", &first, &look(Preflight::Fine), NOW + 100).again, NOW + 110);
}
