use super::*;
use crate::observed::Proxy;
use crate::proxy::desired;
use crate::routes::settle;
use otternauts_compose::Route;
use otternauts_types::cluster::ClusterSpec;
use otternauts_types::stack::StackStatus;

fn traefik() -> Desired {
    desired(&ClusterSpec::default()).expect("fine").expect("a proxy")
}

fn observed(of: &Desired, proxy: Proxy) -> Observed {
    let proxy = Proxy { service: of.service.into(), spec_sha256: Some(of.spec_sha256()), ..proxy };
    Observed { proxy: Some(proxy), ..Observed::default() }
}

#[test]
fn the_phase_follows_the_proxys_tasks_ot_38() {
    let wanted = traefik();
    let on = || Some("n1".to_owned());
    let phase = |observed: &Observed, refused| ingress(&wanted, observed, Some("harbour"), refused).phase;
    let runs = observed(&wanted, Proxy { running_on: on(), ..Proxy::default() });
    assert_eq!(phase(&runs, None), DEPLOYED);
    let updating = observed(&wanted, Proxy { running_on: on(), updating: true, ..Proxy::default() });
    assert_eq!(phase(&updating, None), PENDING);
    assert_eq!(phase(&observed(&wanted, Proxy::default()), None), PENDING);
    assert_eq!(phase(&Observed::default(), None), PENDING);
    let mut old = runs.clone();
    old.proxy.as_mut().expect("a proxy").spec_sha256 = Some("older".into());
    assert_eq!(phase(&old, None), PENDING);
}

#[test]
fn what_keeps_the_proxy_from_running_is_told_word_for_word_ot_f8() {
    let wanted = traefik();
    let dead = observed(&wanted, Proxy { error: Some("No such image: traefik:v3.6.1".into()), ..Proxy::default() });
    let told = ingress(&wanted, &dead, None, None);
    assert_eq!((told.phase.as_str(), told.reason.as_deref()), (FAILED, Some("IngressDeployFailed")));
    assert_eq!(told.last_error.as_deref(), Some("Ingress deployment failed. No such image: traefik:v3.6.1"));
    let refused = ingress(&wanted, &Observed::default(), None, Some("port 80 is in use"));
    assert_eq!(refused.last_error.as_deref(), Some("Ingress deployment failed. port 80 is in use"));
}

fn claim(stack: &str, host: &str) -> Claim {
    let routes = vec![Route { host: host.into(), path: "/".into(), port: 80 }];
    Claim { namespace: "n".into(), stack: stack.into(), service: format!("{stack}_web"), routes, ..Claim::default() }
}

fn told(claims: &[Claim], verdicts: &BTreeMap<String, Verdict>) -> BTreeMap<StackKey, Domains> {
    let table = settle(claims, |key| Some(if key.1 == "old" { 1 } else { 2 }));
    domains(claims, &table, verdicts)
}

#[test]
fn the_younger_of_two_stacks_with_one_domain_says_whose_it_is() {
    let issued = Verdict { certificate: CertificateState::Issued, not_after: Some(0), ..Verdict::default() };
    let verdicts = BTreeMap::from([("a.com".to_owned(), issued)]);
    let all = told(&[claim("young", "a.com"), claim("old", "a.com")], &verdicts);
    let of = |name: &str| all[&("n".to_owned(), name.to_owned())].clone();
    let (old, young) = (of("old"), of("young"));
    assert_eq!(old.list[0].certificate, CertificateState::Issued);
    assert_eq!(old.list[0].not_after.as_deref(), Some("1970-01-01T00:00:00Z"));
    assert_eq!(old.condition.expect("one").status, ConditionStatus::True);
    let condition = young.condition.expect("one");
    assert_eq!((condition.status, condition.reason.as_str()), (ConditionStatus::False, "DomainConflict"));
    assert_eq!(condition.message, "Domain a.com belongs to Stack n/old");
    assert_eq!(young.list[0].message.as_deref(), Some("Domain a.com belongs to Stack n/old"));
}

#[test]
fn nothing_is_written_or_told_when_nothing_changed() {
    let failed = Verdict {
        certificate: CertificateState::Failed,
        reason: Some(reason::DNS),
        message: Some("M".into()),
        detail: "D".into(),
        ..Verdict::default()
    };
    let verdicts = BTreeMap::from([("a.com".to_owned(), failed)]);
    let all = told(&[claim("old", "a.com")], &verdicts);
    let wanted = &all[&("n".to_owned(), "old".to_owned())];
    let mut stack = Stack::new("old", Default::default());
    stack.status = Some(StackStatus::default());
    let first = next(&stack, wanted, "t1").expect("something to write");
    let condition = first.condition.clone().expect("one");
    assert_eq!((condition.reason.as_str(), condition.message.as_str()), ("DNSMismatch", "M (a.com: D)"));
    let heard = news(&[], &first.list, |_| " (D)".into());
    assert_eq!(heard, [(true, "DNSMismatch".to_owned(), "M (D)".to_owned())]);
    let status = StackStatus { domains: first.list.clone(), conditions: vec![condition], ..StackStatus::default() };
    stack.status = Some(status);
    stack.metadata.generation = Some(7);
    assert!(next(&stack, wanted, "t2").is_none(), "a new generation alone is no news");
    assert_eq!(news(&first.list, &first.list, |_| String::new()), []);
    assert_eq!(next(&stack, &Domains::default(), "t3"), Some(Domains::default()), "domains that are gone go");
}

#[test]
fn a_reason_that_is_over_is_taken_back() {
    let (old, new) = (json!({"phase": "pending", "reason": "Deploying"}), json!({"phase": "deployed"}));
    assert_eq!(replacing(&old, new), json!({"phase": "deployed", "reason": null}));
    assert_eq!(replacing(&old, Value::Null), Value::Null);
}

#[test]
fn an_outage_is_told_whether_or_not_it_was_seen_ot_f18() {
    let stands = |phase: &str, server: Option<&str>, version: &str| IngressStatus {
        phase: phase.to_owned(),
        server: server.map(str::to_owned),
        version: Some(version.to_owned()),
        ..IngressStatus::default()
    };
    let told = |old: &IngressStatus, new: &IngressStatus, restarted| -> Vec<&str> {
        changes(old, new, restarted).into_iter().map(|(_, reason, _)| reason).collect()
    };
    let (none, on_a) = (IngressStatus::default(), stands(DEPLOYED, Some("a"), "2"));
    let (going, on_b) = (stands(PENDING, None, "2"), stands(DEPLOYED, Some("b"), "2"));
    assert_eq!(told(&none, &on_a, false), ["IngressDeployed"]);
    assert_eq!(told(&on_a, &going, false), ["IngressDown"]);
    let (nowhere, refusing) = (stands(FAILED, None, "2"), stands(FAILED, Some("a"), "2"));
    assert_eq!(told(&on_a, &nowhere, false), ["IngressDown"], "it ended and cannot start elsewhere");
    assert!(told(&on_a, &refusing, false).is_empty(), "it runs with the configuration that it has");
    assert_eq!(told(&going, &on_b, true), ["IngressDeployed"], "the outage has been told");
    assert_eq!(told(&on_a, &on_b, true), ["IngressDown", "IngressDeployed"], "nobody saw it pending");
    assert_eq!(told(&on_a, &on_a, true), ["IngressDown", "IngressDeployed"], "nor that it was gone from its server");
    let (next, newer) = (stands(PENDING, None, "3"), stands(DEPLOYED, Some("b"), "3"));
    assert!(told(&on_a, &next, false).is_empty(), "a new version is no outage");
    assert_eq!(told(&on_a, &newer, true), ["IngressDeployed"]);
    let nowhere = stands(DEPLOYED, None, "2");
    assert!(told(&on_a, &nowhere, false).is_empty(), "a server that is not known yet");
}
