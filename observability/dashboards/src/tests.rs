//! The committed files beside what would be made.

use super::*;
use std::path::PathBuf;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_committed_file_is_what_would_be_made() {
    let stale: Vec<String> = files(&root())
        .expect("the table is valid")
        .into_iter()
        .filter(|(path, text)| std::fs::read_to_string(root().join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    assert!(stale.is_empty(), "run `make generate` and commit what it changes: {stale:?}");
}

#[test]
fn making_twice_gives_the_same_bytes() {
    assert_eq!(files(&root()).expect("valid"), files(&root()).expect("valid"));
}

#[test]
fn no_stable_name_type_or_label_is_gone() {
    let committed = std::fs::read_to_string(root().join(STABLE)).expect("it is committed");
    let broken = stable::broken(&committed, &stable::lines());
    assert!(broken.is_empty(), "STABLE metrics keep their name, type and labels:\n{}", broken.join("\n"));
}

#[test]
fn a_stable_name_that_goes_is_found() {
    let mut now = stable::lines();
    let committed = stable::grown("", &now);
    assert!(stable::broken(&committed, &now).is_empty());
    assert!(now.remove("apiserver_request_total label code"));
    assert_eq!(stable::broken(&committed, &now), ["apiserver_request_total label code"]);
    assert_eq!(stable::grown(&committed, &now), committed, "making the list again does not hide it");
}

#[test]
fn rules_and_alerts_ask_only_for_what_there_is() {
    let recorded = rules::recordings().into_iter().map(|r| (r.name.clone(), r.expr));
    let alerts = alerts::all().map(|a| (a.name.to_owned(), a.expr.to_owned()));
    for (name, expr) in recorded.chain(alerts) {
        assert_eq!(lint::check(&expr), Vec::<String>::new(), "{name}: {expr}");
    }
}

/// Ecosystem, section 1: every alert has summary, description, and a page that is there and says what to do.
#[test]
fn every_alert_says_what_is_wrong_and_has_a_runbook() {
    for alert in alerts::all() {
        assert!(alert.name.starts_with("Otternauts"), "{}", alert.name);
        assert!(["critical", "warning", "info"].contains(&alert.severity), "{}", alert.name);
        assert!(!alert.summary.is_empty() && !alert.description.is_empty(), "{}", alert.name);
        assert!(!alert.fires.series.is_empty() && !alert.quiet.is_empty(), "{} has no cases", alert.name);
        let page = alert.runbook();
        let text = std::fs::read_to_string(root().join(&page)).unwrap_or_else(|e| panic!("{page}: {e}"));
        for part in ["## Meaning", "## Impact", "## Find out", "## Mend"] {
            assert!(text.contains(part), "{page} has no part {part:?}");
        }
    }
    let pages = std::fs::read_dir(root().join("docs/runbooks")).expect("the folder is there");
    for page in pages.map(|p| p.expect("readable").file_name().into_string().expect("UTF-8")) {
        let alert = page.strip_suffix(".md").unwrap_or_default();
        assert!(page == "README.md" || alerts::all().any(|a| a.name == alert), "{page} belongs to no alert");
    }
}

/// The rules of Grafana's own linter that fit us: titles, descriptions, units, variables, rates; and every metric and label is there.
#[test]
fn every_panel_asks_for_what_there_is_and_says_what_it_shows() {
    assert_eq!(boards::all().count(), 9);
    for board in boards::all() {
        for panel in board.panels {
            let at = format!("{} / {}", board.title, panel.title);
            assert!(!panel.title.is_empty() && !panel.unit.is_empty() && !panel.targets.is_empty(), "{at}");
            assert!(panel.description.ends_with('.'), "{at} does not say what it shows");
            for (text, legend) in panel.targets {
                let expr =
                    boards::expr(text).replace("$job", "x").replace("$instance", "x").replace("$__rate_interval", "5m");
                assert_eq!(lint::check(&expr), Vec::<String>::new(), "{at}: {text}");
                assert!(!legend.is_empty(), "{at}: a legend");
                for selector in expr::read(&expr).selectors {
                    let ours = lint::family(&selector.metric).is_some();
                    let chosen = ["job", "instance"].iter().all(|l| selector.labels.contains(*l));
                    assert!(!ours || chosen, "{at}: {} is asked for without job and instance", selector.metric);
                }
                for selector in expr::read(text).selectors {
                    let fixed =
                        selector.range.as_deref().is_some_and(|r| !["$__rate_interval", "1h", "1d"].contains(&r));
                    assert!(!fixed, "{at}: ranges are $__rate_interval, or an hour or a day that the panel names");
                    let counter = lint::family(&selector.metric)
                        .is_some_and(|f| f.kind == otternauts_telemetry::names::Kind::Counter);
                    let shown_so_far = panel.title == "Series dropped";
                    assert!(
                        !counter || selector.range.is_some() || shown_so_far,
                        "{at}: {} is a counter",
                        selector.metric
                    );
                }
            }
        }
    }
}

#[test]
fn every_stable_and_beta_family_is_on_a_dashboard_or_in_an_alert() {
    let mut asked = String::new();
    boards::all().flat_map(|b| b.panels).flat_map(|p| p.targets).for_each(|(text, _)| asked += text);
    rules::recordings().iter().for_each(|r| asked += &r.expr);
    alerts::all().for_each(|a| asked += a.expr);
    let unseen: Vec<_> = otternauts_telemetry::names::all()
        .filter(|f| f.stability != otternauts_telemetry::names::Stability::Alpha && !asked.contains(f.name))
        .map(|f| f.name)
        .filter(|name| !UNSEEN.contains(name))
        .collect();
    assert!(unseen.is_empty(), "nobody looks at {unseen:?}");
}

/// Kubernetes' own dashboards look at these, or their sum is in another one.
const UNSEEN: [&str; 7] = [
    "apiserver_request_duration_seconds",
    "apiserver_longrunning_requests",
    "apiserver_flowcontrol_dispatched_requests_total",
    "apiserver_flowcontrol_rejected_requests_total",
    "apiserver_flowcontrol_current_inqueue_requests",
    "kubernetes_healthchecks_total",
    "container_processes",
];
