//! What controllers did while their watches were late, and whether any of it was done on what was old (B17, R14). Pure.

use anyhow::{Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A change that somebody asked the API for, and the answer.
#[derive(Clone, Debug)]
pub struct Deed {
    pub method: String,
    pub path: String,
    pub body: Value,
    pub code: u16,
    pub answer: Value,
}

/// What was seen of good deeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Statuses that were written.
    pub statuses: u64,
    /// Changes that were refused because they rested on an old object.
    pub refused: u64,
    /// Deployments that were made.
    pub made: u64,
    /// Events that were told.
    pub told: u64,
}

/// `kind name` of an object.
type Who = (String, String);

/// Nothing is made twice, no status of a newer spec is overwritten with one of an older, and no Event is told more often than what it
/// tells of happened.
///
/// # Errors
/// The first deed that is wrong.
pub fn judge(deeds: &[Deed]) -> Result<Report> {
    let mut report = Report::default();
    let mut standing: BTreeMap<Who, Value> = BTreeMap::new();
    let mut became: BTreeMap<(Who, String), u64> = BTreeMap::new();
    let mut told: BTreeMap<(Who, String), u64> = BTreeMap::new();
    let (mut names, mut newest) = (BTreeSet::new(), BTreeMap::new());
    for deed in deeds {
        report.refused += u64::from(deed.code == 409 && deed.method == "PATCH");
        if !(200..300).contains(&deed.code) {
            continue;
        }
        if deed.path.ends_with("/status") {
            report.statuses += 1;
            status(&deed.answer, &mut standing, &mut became)?;
        } else if deed.method == "POST" && deed.path.ends_with("/deployments") {
            report.made += 1;
            made(&deed.answer, &mut names, &mut newest)?;
        } else if deed.path.contains("/events") {
            report.told += 1;
            let who = (text(&deed.answer["regarding"]["kind"]), text(&deed.answer["regarding"]["name"]));
            *told.entry((who, text(&deed.answer["reason"]))).or_default() += 1;
        }
    }
    for (what, times) in told {
        // Other Events tell of steps, which no status counts.
        if let Some(happened) = became.get(&what) {
            ensure!(times <= *happened, "told {times} times, happened {happened} times: {what:?}");
        }
    }
    Ok(report)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn status(
    object: &Value,
    standing: &mut BTreeMap<Who, Value>,
    became: &mut BTreeMap<(Who, String), u64>,
) -> Result<()> {
    let who = (text(&object["kind"]), text(&object["metadata"]["name"]));
    let now = object["status"].clone();
    let before = standing.insert(who.clone(), now.clone()).unwrap_or_default();
    let generation = |status: &Value| status["observedGeneration"].as_i64().unwrap_or_default();
    if generation(&now) < generation(&before) {
        bail!(
            "{who:?}: the status of generation {} was overwritten by one of {}",
            generation(&before),
            generation(&now)
        );
    }
    let ready = |status: &Value| {
        let all = status["conditions"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|condition| condition["type"] == "Ready").map(|condition| text(&condition["reason"]))
    };
    if let Some(reason) = ready(&now)
        && (ready(&before).as_ref() != Some(&reason) || before["lastError"] != now["lastError"])
    {
        *became.entry((who, reason)).or_default() += 1;
    }
    Ok(())
}

/// A Deployment is made once, and not for what the one before it was made for.
fn made(deployment: &Value, names: &mut BTreeSet<String>, newest: &mut BTreeMap<String, String>) -> Result<()> {
    let (name, spec) = (text(&deployment["metadata"]["name"]), &deployment["spec"]);
    ensure!(names.insert(name.clone()), "{name} was made twice");
    let (stack, asked) = (text(&spec["stackRef"]["name"]), text(&spec["snapshot"]["specSha256"]));
    if newest.insert(stack, asked.clone()).as_ref() == Some(&asked) {
        bail!("{name} is for the same as the one before it: {asked}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deed(method: &str, path: &str, code: u16, answer: Value) -> Deed {
        Deed { method: method.into(), path: path.into(), body: Value::Null, code, answer }
    }

    fn status(generation: i64, reason: &str) -> Deed {
        let status = json!({"observedGeneration": generation, "conditions": [{"type": "Ready", "reason": reason}]});
        deed(
            "PATCH",
            "/stacks/web/status",
            200,
            json!({"kind": "Stack", "metadata": {"name": "web"}, "status": status}),
        )
    }

    fn event(reason: &str) -> Deed {
        let answer = json!({"regarding": {"kind": "Stack", "name": "web"}, "reason": reason});
        deed("POST", "/namespaces/default/events", 201, answer)
    }

    fn deployment(version: u64, asked: &str) -> Deed {
        let spec = json!({"stackRef": {"name": "web"}, "snapshot": {"specSha256": asked}});
        let answer = json!({"metadata": {"name": format!("web-{version}")}, "spec": spec});
        deed("POST", "/namespaces/default/deployments", 201, answer)
    }

    #[test]
    fn deeds_that_rest_on_what_is_old_are_found_and_others_are_not_b17() {
        let refused = deed("PATCH", "/stacks/web/status", 409, Value::Null);
        let good = [
            deployment(1, "a"),
            status(1, "Unreachable"),
            event("Unreachable"),
            deployment(2, "b"),
            refused,
            status(2, "Deployed"),
            status(2, "Unreachable"),
            event("Unreachable"),
            deployment(3, "a"),
            event("Warned"),
            event("Warned"),
        ];
        let report = judge(&good).expect("all are right");
        assert_eq!(report, Report { statuses: 3, refused: 1, made: 3, told: 4 });
        for (what, more) in [
            ("an Event told again", event("Unreachable")),
            ("a status of an older spec", status(1, "Unreachable")),
            ("a Deployment made twice", deployment(2, "c")),
            ("a Deployment for the same", deployment(4, "a")),
        ] {
            let all: Vec<Deed> = good.iter().cloned().chain([more]).collect();
            assert!(judge(&all).is_err(), "{what}");
        }
    }
}
