//! The conditions of this controller in a Stack's status, by server-side apply: the rest of the status is another writer's.

use crate::decide::{AS_EXPECTED, Finding, condition};
use crate::error::{Error, Result};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use otternauts_types::stack::StackStatus;
use otternauts_types::{Condition, ConditionStatus, Stack, set_condition};
use serde_json::json;

const MANAGER: &str = "otternauts-health";

/// The conditions as they should be; `None` when they are so already. `now` is RFC 3339.
pub fn next(old: &StackStatus, findings: &[Finding], generation: Option<i64>, now: &str) -> Option<Vec<Condition>> {
    let mut all = old.conditions.clone();
    let mut changed = false;
    for finding in findings {
        let known = all.iter().find(|c| c.r#type == finding.condition);
        // That the spec moved on is no news about health.
        let generation = known.map_or(generation, |c| c.observed_generation);
        changed |= set_condition(&mut all, condition(finding, generation), now);
    }
    let ours = |c: &Condition| findings.iter().any(|f| f.condition == c.r#type);
    changed.then(|| all.into_iter().filter(ours).collect())
}

/// Writes them.
pub async fn write(api: &Api<Stack>, stack: &Stack, conditions: &[Condition]) -> Result<()> {
    let patch = json!({
        "apiVersion": "otternauts.dev/v1", "kind": "Stack",
        // The uid: nothing is said of a Stack of the same name that came later.
        "metadata": {"name": stack.name_any(), "uid": stack.metadata.uid},
        "status": {"conditions": conditions},
    });
    let params = PatchParams::apply(MANAGER).force();
    api.patch_status(&stack.name_any(), &params, &Patch::Apply(patch)).await.map_err(Error::api("write a status"))?;
    Ok(())
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
    use crate::decide::Found;

    fn findings(degraded: Option<&'static str>) -> Vec<Finding> {
        let found = degraded.map(|message| Found { reason: "TaskFailed", message: message.to_owned() });
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
        let first = next(&after(vec![ready.clone()]), &findings(None), Some(1), "t1").expect("to say that all is well");
        let kinds: Vec<&str> = first.iter().map(|c| c.r#type.as_str()).collect();
        assert_eq!(kinds, ["CrashLooping", "Degraded"]);
        let status = after(first.into_iter().chain([ready]).collect());
        assert_eq!(next(&status, &findings(None), Some(2), "t2"), None, "a new generation alone is no news");
        let bad = next(&status, &findings(Some("x")), Some(2), "t3").expect("a change");
        assert_eq!(bad[1].last_transition_time.as_deref(), Some("t3"));
        assert_eq!(bad[0].last_transition_time.as_deref(), Some("t1"));
    }

    #[test]
    fn a_recovery_is_news_once_and_so_is_a_loop() {
        let of = |old: Option<&'static str>, new: Option<&'static str>| {
            let old = after(next(&StackStatus::default(), &findings(old), None, "t").unwrap_or_default());
            let new = next(&old, &findings(new), None, "t").unwrap_or_else(|| old.conditions.clone());
            news(&old, &new).map(|(_, reason, _)| reason)
        };
        assert_eq!(of(None, None), None);
        assert_eq!(of(None, Some("x")), None, "the deploy controller tells it");
        assert_eq!(of(Some("x"), None).as_deref(), Some("Recovered"));
        let looping = |holds: bool| {
            let found = holds.then(|| Found { reason: "CrashLooping", message: "m".into() });
            let both =
                [Finding { condition: "CrashLooping", found: found.clone() }, Finding { condition: "Degraded", found }];
            next(&StackStatus::default(), &both, None, "t").unwrap_or_default()
        };
        assert_eq!(news(&after(looping(false)), &looping(true)).map(|n| n.1).as_deref(), Some("CrashLooping"));
        assert_eq!(news(&after(looping(true)), &looping(true)), None);
    }
}
