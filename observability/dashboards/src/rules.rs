//! Recording rules. Names and windows of the API server's are those of kubernetes-mixin, so its dashboards and alerts find them.

use std::fmt::Write as _;

/// One recorded series.
#[derive(Clone, Debug)]
pub struct Recording {
    pub group: &'static str,
    pub name: String,
    pub expr: String,
    /// Labels that the rule adds.
    pub sets: Vec<(&'static str, String)>,
    /// All labels that its series have.
    pub labels: &'static [&'static str],
}

const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];
const GROUPS: [&str; 4] = [
    "kube-apiserver-burnrate.rules",
    "kube-apiserver-histogram.rules",
    "kube-apiserver-availability.rules",
    "otternauts.rules",
];
const READ: &str = "LIST|GET";
const WRITE: &str = "POST|PUT|PATCH|APPLY|DELETE|DELETECOLLECTION";
const SLI: &str = "apiserver_request_sli_duration_seconds";

/// Selects requests of a job, but not those that stay open.
fn requests(verbs: &str, more: &str) -> String {
    format!(r#"job="otternauts",verb=~"{verbs}",subresource!~"log|exec|attach|portforward|proxy"{more}"#)
}

/// Requests that were too slow or failed, as a share of all.
fn burn(verb: &str, window: &str) -> String {
    let rate = |series: &str, selector: &str| format!("sum(rate({series}{{{selector}}}[{window}]))");
    let verbs = if verb == "read" { READ } else { WRITE };
    let all = rate(&format!("{SLI}_count"), &requests(verbs, ""));
    let fast: Vec<String> = if verb == "read" {
        [("resource|", "1"), ("namespace", "5"), ("cluster", "30")]
            .into_iter()
            .map(|(scope, le)| {
                let more = format!(r#",scope=~"{scope}",le=~"{le}(\\.0)?""#);
                format!("({} or vector(0))", rate(&format!("{SLI}_bucket"), &requests(verbs, &more)))
            })
            .collect()
    } else {
        vec![rate(&format!("{SLI}_bucket"), &requests(verbs, r#",le=~"1(\\.0)?""#))]
    };
    let failed = rate("apiserver_request_total", &format!(r#"job="otternauts",verb=~"{verbs}",code=~"5..""#));
    let total = rate("apiserver_request_total", &format!(r#"job="otternauts",verb=~"{verbs}""#));
    format!("(({all} - ({})) + ({failed} or vector(0))) / {total}", fast.join(" + "))
}

fn request_rules(out: &mut Vec<Recording>) {
    for window in WINDOWS {
        for verb in ["read", "write"] {
            out.push(Recording {
                group: "kube-apiserver-burnrate.rules",
                name: format!("apiserver_request:burnrate{window}"),
                expr: burn(verb, window),
                sets: vec![("verb", verb.to_owned())],
                labels: &["verb"],
            });
        }
    }
    for (verb, verbs) in [("read", READ), ("write", WRITE)] {
        let sets = vec![("verb", verb.to_owned()), ("quantile", "0.99".to_owned())];
        let selector = requests(verbs, "");
        out.push(Recording {
            group: "kube-apiserver-histogram.rules",
            name: format!("cluster_quantile:{SLI}:histogram_quantile"),
            expr: format!("histogram_quantile(0.99, sum by (le, resource) (rate({SLI}_bucket{{{selector}}}[5m]))) > 0"),
            sets,
            labels: &["verb", "quantile", "resource"],
        });
        out.push(Recording {
            group: "kube-apiserver-availability.rules",
            name: "code_resource:apiserver_request_total:rate5m".to_owned(),
            expr: format!(
                r#"sum by (code, resource) (rate(apiserver_request_total{{job="otternauts",verb=~"{verbs}"}}[5m]))"#
            ),
            sets: vec![("verb", verb.to_owned())],
            labels: &["code", "resource", "verb"],
        });
        out.push(Recording {
            group: "kube-apiserver-availability.rules",
            name: "apiserver_request:availability30d".to_owned(),
            expr: format!(r#"1 - avg_over_time(apiserver_request:burnrate5m{{verb="{verb}"}}[30d])"#),
            sets: vec![("verb", verb.to_owned())],
            labels: &["verb"],
        });
    }
}

fn own_rules(out: &mut Vec<Recording>) {
    let mut own = |name: &str, expr: &str, labels: &'static [&'static str]| {
        let (name, expr) = (name.to_owned(), expr.to_owned());
        out.push(Recording { group: "otternauts.rules", name, expr, sets: Vec::new(), labels });
    };
    for window in ["5m", "30m", "1h", "6h"] {
        let late = format!(
            "1 - sum(rate(otternauts_watch_delivery_seconds_bucket{{le=\"0.1\"}}[{window}])) / \
             sum(rate(otternauts_watch_delivery_seconds_count[{window}]))"
        );
        own(&format!("otternauts:watch_delivery:burnrate{window}"), &late, &[]);
    }
    own(
        "otternauts:deployment_success:ratio_rate1h",
        "sum(rate(otternauts_deployments_total{result=\"succeeded\"}[1h])) / \
         sum(rate(otternauts_deployments_total{result!=\"superseded\"}[1h]))",
        &[],
    );
    own(
        "otternauts:convergence:p95_5m",
        "histogram_quantile(0.95, sum by (le, kind) (rate(otternauts_convergence_seconds_bucket{result=\"success\"}[5m])))",
        &["kind"],
    );
    own(
        "otternauts:server_ready:ratio",
        "avg(otternauts_server_status_condition{condition=\"Ready\",status=\"true\"})",
        &[],
    );
    own("otternauts:managers:count", "count by (cluster) (otternauts_server_info{role=\"manager\"})", &["cluster"]);
    own(
        "otternauts:managers_ready:count",
        "sum by (cluster) (otternauts_server_info{role=\"manager\"} * on (server) group_left () \
         max by (server) (otternauts_server_status_condition{condition=\"Ready\",status=\"true\"}))",
        &["cluster"],
    );
    own(
        "otternauts:storage_commit:p99_5m",
        "histogram_quantile(0.99, sum by (le) (rate(otternauts_storage_statement_seconds_bucket{statement=\"commit\"}[5m])))",
        &[],
    );
}

/// All of them, in order.
pub fn recordings() -> Vec<Recording> {
    let mut out = Vec::new();
    request_rules(&mut out);
    own_rules(&mut out);
    // A group is written once: its rules stand together.
    out.sort_by_key(|rule| GROUPS.iter().position(|group| *group == rule.group));
    out
}

/// The file of recording rules.
pub fn file() -> String {
    let mut out = "# Made by `make generate` from observability/dashboards/src/rules.rs.\ngroups:\n".to_owned();
    let mut group = "";
    for rule in recordings() {
        if rule.group != group {
            group = rule.group;
            let _ = write!(out, "  - name: {group}\n    rules:\n");
        }
        let _ = write!(out, "      - record: {}\n        expr: {}\n", rule.name, quoted(&rule.expr));
        if !rule.sets.is_empty() {
            out.push_str("        labels:\n");
            for (label, value) in &rule.sets {
                let _ = writeln!(out, "          {label}: {}", quoted(value));
            }
        }
    }
    out
}

/// A text in YAML's single quotes, where nothing but the quote itself is special.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
