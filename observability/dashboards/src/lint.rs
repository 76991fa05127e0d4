//! What an expression may ask for: metrics and labels of the table, of our recording rules, and of a few programs beside us.

use crate::expr::{self, Selector};
use crate::rules::{self, Recording};
use otternauts_telemetry::names::{self, Family, Kind};
use std::collections::BTreeSet;

/// What other programs export that we ask for: Prometheus itself, and Traefik where it is scraped.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("up", &[]),
    ("scrape_duration_seconds", &[]),
    ("scrape_samples_scraped", &[]),
    ("traefik_service_requests_total", &["service", "code", "method", "protocol"]),
    ("traefik_service_request_duration_seconds_bucket", &["service", "code", "method", "protocol", "le"]),
    ("traefik_service_server_up", &["service", "url"]),
    ("traefik_router_requests_total", &["router", "service", "code", "method", "protocol"]),
];

/// The family that a series of the classic format belongs to.
pub fn family(series: &str) -> Option<&'static Family> {
    let of = |ending| series.strip_suffix(ending).and_then(names::find).filter(|f| f.kind == Kind::Histogram);
    names::find(series)
        .filter(|f| f.kind != Kind::Histogram)
        .or_else(|| of("_bucket"))
        .or_else(|| of("_sum"))
        .or_else(|| of("_count"))
}

/// Whether an expression can have data only where real servers are, or another program is scraped.
pub fn needs_servers(expr: &str) -> bool {
    expr::read(expr).selectors.iter().any(|s| {
        let recorded = rules::recordings().into_iter().find(|r| r.name == s.metric);
        recorded.is_some_and(|r| needs_servers(&r.expr))
            || family(&s.metric).is_some_and(|f| f.needs_servers)
            || s.metric.starts_with("traefik_")
    })
}

/// What is wrong with an expression.
pub fn check(expr: &str) -> Vec<String> {
    let recordings = rules::recordings();
    let asked = expr::read(expr);
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    if asked.selectors.is_empty() && !expr.starts_with("vector") {
        wrong.push("it selects nothing".to_owned());
    }
    for selector in &asked.selectors {
        match allowed(selector, &recordings) {
            None => wrong.push(format!("there is no metric {}", selector.metric)),
            Some(labels) => {
                for label in selector.labels.iter().filter(|l| !labels.contains(l.as_str())) {
                    wrong.push(format!("{} has no label {label}", selector.metric));
                }
                known.extend(labels);
            }
        }
    }
    if expr.contains("label_replace(") {
        known.extend(["name", "controller"].map(str::to_owned));
    }
    wrong.extend(
        asked.grouped.iter().filter(|l| !known.contains(*l)).map(|l| format!("nothing here has the label {l}")),
    );
    for (function, metric) in &asked.functions {
        let counter = metric.as_deref().is_some_and(is_counter);
        let Some(metric) = metric else { continue };
        if ["rate", "increase", "irate"].contains(&function.as_str()) && !counter {
            wrong.push(format!("{function} of {metric}, which is no counter"));
        }
        if ["delta", "deriv", "predict_linear"].contains(&function.as_str()) && counter {
            wrong.push(format!("{function} of {metric}, which is a counter"));
        }
    }
    wrong
}

/// Histograms count in their parts.
fn is_counter(series: &str) -> bool {
    match family(series) {
        Some(family) => matches!(family.kind, Kind::Counter | Kind::Histogram),
        None => series.ends_with("_total") || series.ends_with("_bucket"),
    }
}

fn allowed(selector: &Selector, recordings: &[Recording]) -> Option<BTreeSet<String>> {
    let own = |labels: &[&str]| labels.iter().map(|l| (*l).to_owned()).collect::<BTreeSet<_>>();
    if let Some(recording) = recordings.iter().find(|r| r.name == selector.metric) {
        return Some(own(recording.labels));
    }
    let scraped = |mut labels: BTreeSet<String>| {
        labels.extend(["job", "instance"].map(str::to_owned));
        labels
    };
    if let Some((_, labels)) = OUTSIDE.iter().find(|(name, _)| *name == selector.metric) {
        return Some(scraped(own(labels)));
    }
    let family = family(&selector.metric)?;
    let mut labels = own(family.labels);
    if selector.metric.ends_with("_bucket") {
        labels.insert("le".to_owned());
    }
    Some(scraped(labels))
}

#[cfg(test)]
mod tests {

    #[test]
    fn what_the_table_does_not_have_is_found() {
        let check = |expr: &str, expected: &[&str]| assert_eq!(super::check(expr), expected, "{expr}");
        check(r#"sum by (code) (rate(apiserver_request_total{job="otternauts",verb="GET"}[5m]))"#, &[]);
        check("histogram_quantile(0.9, sum by (le) (rate(otternauts_watch_delivery_seconds_bucket[5m])))", &[]);
        check("otternauts_watch_delivery_seconds", &["there is no metric otternauts_watch_delivery_seconds"]);
        check("rate(apiserver_requests_total[5m])", &["there is no metric apiserver_requests_total"]);
        check(r#"workqueue_depth{controller="x"}"#, &["workqueue_depth has no label controller"]);
        check("sum by (pod) (workqueue_depth)", &["nothing here has the label pod"]);
        check("rate(workqueue_depth[5m])", &["rate of workqueue_depth, which is no counter"]);
    }
}
