//! `/healthz`, `/livez`, `/readyz` (rows H2, H3).

use crate::answer::Answer;
use crate::query::Query;
use std::sync::Arc;

/// One thing that can be well or not.
#[derive(Clone)]
pub struct HealthCheck {
    pub name: String,
    /// False: asked by `/readyz` only, so that failing it takes load away but restarts nothing.
    pub live: bool,
    /// Answers at once.
    pub check: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Answers a health path; `None` when it is none. `stopping` fails readiness first (row T11).
pub(crate) fn answer(checks: &[HealthCheck], stopping: bool, path: &str, query: &Query) -> Option<Answer> {
    let mut parts = path.trim_matches('/').splitn(2, '/');
    let kind = parts.next().filter(|kind| matches!(*kind, "healthz" | "livez" | "readyz"))?;
    let mut results = vec![("ping", true)];
    let asked = checks.iter().filter(|c| c.live || kind == "readyz");
    results.extend(asked.map(|c| (c.name.as_str(), (c.check)())));
    if kind == "readyz" {
        results.push(("shutdown", !stopping));
    }
    if let Some(name) = parts.next().filter(|name| !name.is_empty()) {
        let (_, well) = results.iter().find(|(n, _)| *n == name)?;
        return Some(if *well {
            Answer::text(200, "ok")
        } else {
            Answer::text(500, "internal server error: reason withheld\n")
        });
    }
    let excluded: Vec<&str> = query.all("exclude").collect();
    let failed = results.iter().any(|(name, well)| !well && !excluded.contains(name));
    if !failed && query.get("verbose").is_none() {
        return Some(Answer::text(200, "ok"));
    }
    let mut text = String::new();
    for (name, well) in &results {
        if excluded.contains(name) {
            text.push_str(&format!("[+]{name} excluded: ok\n"));
        } else if *well {
            text.push_str(&format!("[+]{name} ok\n"));
        } else {
            text.push_str(&format!("[-]{name} failed: reason withheld\n"));
        }
    }
    text.push_str(&format!("{kind} check {}\n", if failed { "failed" } else { "passed" }));
    Some(Answer::text(if failed { 500 } else { 200 }, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Body;

    #[track_caller]
    fn check(target: &str, stopping: bool, code: u16, text: &str) {
        let that_is = |name: &str, live: bool, well: bool| {
            let check = Arc::new(move || well);
            HealthCheck { name: name.into(), live, check }
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let answer = answer(
            &[that_is("store", false, false), that_is("lock", true, true)],
            stopping,
            path,
            &Query::parse(query),
        )
        .expect("a health path");
        assert_eq!(answer.code, code);
        assert!(matches!(&answer.body, Body::Full(Some(b)) if b == text), "{target}: {:?}", answer.body);
    }

    #[test]
    fn checks_are_listed_as_kubernetes_lists_them() {
        check("/livez", false, 200, "ok");
        check("/livez?verbose", false, 200, "[+]ping ok\n[+]lock ok\nlivez check passed\n");
        let failing = "[+]ping ok\n[-]store failed: reason withheld\n[+]lock ok\n[+]shutdown ok\nreadyz check failed\n";
        check("/readyz", false, 500, failing);
        check("/readyz?exclude=store", false, 200, "ok");
        check(
            "/readyz?exclude=store&verbose",
            false,
            200,
            "[+]ping ok\n[+]store excluded: ok\n[+]lock ok\n[+]shutdown ok\nreadyz check passed\n",
        );
        check("/readyz/lock", false, 200, "ok");
    }

    #[test]
    fn shutting_down_fails_readiness_only() {
        check("/readyz/shutdown", true, 500, "internal server error: reason withheld\n");
        check("/healthz", true, 200, "ok");
    }

    #[test]
    fn other_paths_and_unknown_checks_are_none_of_it() {
        assert!(answer(&[], false, "/health", &Query::default()).is_none());
        assert!(answer(&[], false, "/readyz/nope", &Query::default()).is_none());
    }
}
