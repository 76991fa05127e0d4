//! The conditions of this controller in a Stack's status, and what it says of each service, by server-side apply: the rest of the
//! status is another writer's.

use crate::decide::{AS_EXPECTED, Finding, Found, Health, Verdict, condition};
use crate::error::{Error, Result};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use otternauts_types::stack::{ServiceStatus, StackStatus};
use otternauts_types::{Condition, ConditionStatus, Stack, set_condition};
use serde_json::{Value, json};

const MANAGER: &str = "otternauts-health";

/// What holds is not taken back while not everybody was asked: we have just begun, and know of nothing yet.
pub fn settling(old: &StackStatus, mut verdict: Verdict) -> Verdict {
    for finding in verdict.findings.iter_mut().filter(|f| f.found.is_none()) {
        let known = old.conditions.iter().find(|c| c.r#type == finding.condition);
        let holds = known.filter(|c| c.status == ConditionStatus::True);
        finding.found = holds.map(|c| Found { reason: c.reason.clone().into(), message: c.message.clone() });
    }
    for health in &mut verdict.services {
        let Some(known) = old.services.iter().find(|s| s.name == health.name) else { continue };
        health.unhealthy |= known.unhealthy == Some(true);
        health.probe_failures = health.probe_failures.or(known.probe_failures);
    }
    verdict
}

/// The conditions as they should be, and whether they differ from those of before. `now` is RFC 3339.
pub fn next(old: &StackStatus, findings: &[Finding], generation: Option<i64>, now: &str) -> (Vec<Condition>, bool) {
    let mut all = old.conditions.clone();
    let mut changed = false;
    for finding in findings {
        let known = all.iter().find(|c| c.r#type == finding.condition);
        // That the spec moved on is no news about health.
        let generation = known.map_or(generation, |c| c.observed_generation);
        changed |= set_condition(&mut all, condition(finding, generation), now);
    }
    let ours = |c: &Condition| findings.iter().any(|f| f.condition == c.r#type);
    (all.into_iter().filter(ours).collect(), changed)
}

/// Whether the services say something else in the status.
pub fn differs(old: &StackStatus, services: &[Health]) -> bool {
    services.iter().any(|new| {
        let said = |s: &ServiceStatus| (s.unhealthy, s.probe_failures) == (Some(new.unhealthy), new.probe_failures);
        old.services.iter().find(|s| s.name == new.name).is_some_and(|s| !said(s))
    })
}

/// Writes all of it, as server-side apply wants: what is left out is taken back. Answers whether it was written; the Stack may
/// have changed since it was read, and then a service in the list may be one that it has no more.
pub async fn write(api: &Api<Stack>, stack: &Stack, conditions: &[Condition], services: &[Health]) -> Result<bool> {
    let services: Vec<Value> = services.iter().map(service).collect();
    let patch = json!({
        "apiVersion": "otternauts.dev/v1", "kind": "Stack",
        // The uid: nothing is said of a Stack of the same name that came later.
        "metadata": {
            "name": stack.name_any(), "uid": stack.metadata.uid, "resourceVersion": stack.metadata.resource_version,
        },
        "status": {"conditions": conditions, "services": services},
    });
    let params = PatchParams::apply(MANAGER).force();
    match api.patch_status(&stack.name_any(), &params, &Patch::Apply(patch)).await {
        Err(kube::Error::Api(refused)) if refused.code == 409 => Ok(false),
        written => written.map(|_| true).map_err(Error::api("write a status")),
    }
}

fn service(health: &Health) -> Value {
    let mut service = json!({"name": health.name, "unhealthy": health.unhealthy});
    if let Some(failures) = health.probe_failures {
        service["probeFailures"] = json!(failures);
    }
    service
}

/// What deserves an Event: a loop that began (the deploy controller tells of single failures), and that all is well again.
pub fn news(old: &StackStatus, new: &[Condition]) -> Option<(bool, String, String)> {
    let was = |kind: &str| old.conditions.iter().any(|c| c.r#type == kind && c.status == ConditionStatus::True);
    let is = |kind: &str| new.iter().find(|c| c.r#type == kind && c.status == ConditionStatus::True);
    if let Some(c) = is("CrashLooping").filter(|c| !was(&c.r#type)) {
        return Some((true, c.reason.clone(), c.message.clone()));
    }
    let all_well = new.iter().all(|c| c.reason == AS_EXPECTED);
    (all_well && was("Degraded")).then(|| (false, "Recovered".into(), "all services are well again".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(degraded: Option<&'static str>) -> Vec<Finding> {
        let found = degraded.map(|message| Found { reason: "TaskFailed".into(), message: message.to_owned() });
        vec![Finding { condition: "CrashLooping", found: None }, Finding { condition: "Degraded", found }]
    }

    fn after(conditions: Vec<Condition>) -> StackStatus {
        StackStatus { conditions, ..StackStatus::default() }
    }

    #[test]
    fn nothing_is_written_when_nothing_changed_and_conditions_of_others_are_never_ours() {
        let ready = Condition {
            r#type: "Ready".into(),
            status: ConditionStatus::True,
            reason: "Deployed".into(),
            message: String::new(),
            last_transition_time: Some("t0".into()),
            observed_generation: Some(1),
        };
        let (first, changed) = next(&after(vec![ready.clone()]), &findings(None), Some(1), "t1");
        assert!(changed, "that all is well is to be said");
        let kinds: Vec<&str> = first.iter().map(|c| c.r#type.as_str()).collect();
        assert_eq!(kinds, ["CrashLooping", "Degraded"]);
        let status = after(first.iter().cloned().chain([ready]).collect());
        let again = next(&status, &findings(None), Some(2), "t2");
        assert_eq!(again, (first, false), "a new generation alone is no news");
        let (bad, changed) = next(&status, &findings(Some("x")), Some(2), "t3");
        assert!(changed);
        assert_eq!(bad[1].last_transition_time.as_deref(), Some("t3"));
        assert_eq!(bad[0].last_transition_time.as_deref(), Some("t1"));
    }

    #[test]
    fn what_is_said_of_services_is_written_when_it_differs_and_only_of_those_there_are() {
        let told = |unhealthy, probe_failures| ServiceStatus {
            name: "web".into(),
            unhealthy,
            probe_failures,
            ..ServiceStatus::default()
        };
        let new = |name: &str| [Health { name: name.into(), unhealthy: true, probe_failures: Some(3) }];
        for (old, name, expected) in [
            (told(None, None), "web", true),
            (told(Some(true), Some(2)), "web", true),
            (told(Some(false), Some(3)), "web", true),
            (told(Some(true), None), "web", true),
            (told(Some(true), Some(3)), "web", false),
            (told(None, None), "gone", false),
        ] {
            let status = StackStatus { services: vec![old.clone()], ..StackStatus::default() };
            assert_eq!(differs(&status, &new(name)), expected, "{name}: {old:?}");
        }
        assert_eq!(service(&new("web")[0]), json!({"name": "web", "unhealthy": true, "probeFailures": 3}));
        let unasked = Health { probe_failures: None, ..new("web")[0].clone() };
        assert_eq!(service(&unasked), json!({"name": "web", "unhealthy": true}), "left out: taken back");
    }

    #[test]
    fn what_holds_when_we_begin_is_not_taken_back_before_everybody_was_asked() {
        let (bad, _) = next(&StackStatus::default(), &findings(Some("x")), None, "t");
        let sick = ServiceStatus { name: "web".into(), unhealthy: Some(true), ..ServiceStatus::default() };
        let sick = ServiceStatus { probe_failures: Some(4), ..sick };
        let old = StackStatus { services: vec![sick], ..after(bad) };
        let health = |unhealthy, probe_failures| vec![Health { name: "web".into(), unhealthy, probe_failures }];
        let none = |condition| Finding { condition, found: None };
        let nothing = || Verdict {
            findings: [none("OOMKilled"), none("CrashLooping"), none("Unhealthy"), none("Degraded")],
            services: health(false, None),
            again: None,
        };
        let verdict = settling(&old, nothing());
        let (kept, changed) = next(&old, &verdict.findings[3..], None, "t2");
        assert_eq!((kept[0].message.as_str(), kept[0].reason.as_str(), changed), ("x", "TaskFailed", false));
        assert_eq!(verdict.services, health(true, Some(4)));
        assert!(!differs(&old, &verdict.services));
        assert!(verdict.findings[..3].iter().all(|f| f.found.is_none()), "what did not hold does not");
        // What is found is said at once.
        let found = Some(Found { reason: "Unhealthy".into(), message: "m".into() });
        let new = Verdict { findings: nothing().findings.map(|f| Finding { found: found.clone(), ..f }), ..nothing() };
        assert_eq!(settling(&old, new.clone()).findings, new.findings);
    }

    #[test]
    fn a_recovery_is_news_once_and_so_is_a_loop() {
        let of = |old: Option<&'static str>, new: Option<&'static str>| {
            let old = after(next(&StackStatus::default(), &findings(old), None, "t").0);
            let (new, _) = next(&old, &findings(new), None, "t");
            news(&old, &new).map(|(_, reason, _)| reason)
        };
        assert_eq!(of(None, None), None);
        assert_eq!(of(None, Some("x")), None, "the deploy controller tells it");
        assert_eq!(of(Some("x"), None).as_deref(), Some("Recovered"));
        let looping = |holds: bool| {
            let found = holds.then(|| Found { reason: "CrashLooping".into(), message: "m".into() });
            let both =
                [Finding { condition: "CrashLooping", found: found.clone() }, Finding { condition: "Degraded", found }];
            next(&StackStatus::default(), &both, None, "t").0
        };
        assert_eq!(news(&after(looping(false)), &looping(true)).map(|n| n.1).as_deref(), Some("CrashLooping"));
        assert_eq!(news(&after(looping(true)), &looping(true)), None);
    }
}
