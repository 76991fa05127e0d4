//! Alerts, each with a case in which it fires and one in which it is quiet.

mod api;
mod fleet;
mod own;

use crate::rules::quoted;
use std::fmt::Write as _;

/// Where the pages for people are.
const RUNBOOKS: &str = "https://otternauts.dev/docs/runbooks";

/// Input for a unit test of promtool: series with their values, one a minute.
pub type Series = &'static [(&'static str, &'static str)];

/// One alert.
#[derive(Clone, Copy, Debug)]
pub struct Alert {
    pub name: &'static str,
    /// `critical`: somebody must act now; `warning`: today; `info`: when there is time.
    pub severity: &'static str,
    /// How long it must hold.
    pub wait: &'static str,
    pub expr: &'static str,
    pub summary: &'static str,
    pub description: &'static str,
    /// Labels of the rule beside `severity`.
    pub labels: &'static [(&'static str, &'static str)],
    pub fires: Fires,
    /// In these it does not fire, at the same time.
    pub quiet: Series,
}

/// In what it fires, when, and with which labels of the expression.
#[derive(Clone, Copy, Debug)]
pub struct Fires {
    pub series: Series,
    pub at: &'static str,
    pub labels: &'static [(&'static str, &'static str)],
}

impl Alert {
    const fn new(name: &'static str, severity: &'static str, wait: &'static str, expr: &'static str) -> Self {
        let fires = Fires { series: &[], at: "", labels: &[] };
        Self { name, severity, wait, expr, summary: "", description: "", labels: &[], fires, quiet: &[] }
    }

    const fn says(self, summary: &'static str, description: &'static str) -> Self {
        Self { summary, description, ..self }
    }

    const fn labelled(self, labels: &'static [(&'static str, &'static str)]) -> Self {
        Self { labels, ..self }
    }

    const fn fires(self, at: &'static str, series: Series, labels: &'static [(&'static str, &'static str)]) -> Self {
        Self { fires: Fires { series, at, labels }, ..self }
    }

    const fn quiet(self, quiet: Series) -> Self {
        Self { quiet, ..self }
    }

    /// The page that says what to do.
    pub fn runbook(&self) -> String {
        format!("docs/runbooks/{}.md", self.name)
    }

    fn annotations(&self) -> [(&'static str, String); 3] {
        let runbook = format!("{RUNBOOKS}/{}", self.name);
        [("summary", self.summary.to_owned()), ("description", self.description.to_owned()), ("runbook_url", runbook)]
    }
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Alert> {
    api::ALERTS.iter().chain(fleet::ALERTS).chain(own::ALERTS)
}

/// The file of alerting rules.
pub fn file() -> String {
    let mut out = "# Made by `make generate` from observability/dashboards/src/alerts.rs.\ngroups:\n".to_owned();
    for (group, alerts) in [("api-server", api::ALERTS), ("fleet", fleet::ALERTS), ("control-plane", own::ALERTS)] {
        let _ = write!(out, "  - name: otternauts-{group}.alerts\n    rules:\n");
        for alert in alerts {
            let _ = write!(out, "      - alert: {}\n        expr: {}\n", alert.name, quoted(alert.expr));
            if alert.wait != "0m" {
                let _ = writeln!(out, "        for: {}", alert.wait);
            }
            let _ = write!(out, "        labels:\n          severity: {}\n", alert.severity);
            for (label, value) in alert.labels {
                let _ = writeln!(out, "          {label}: {}", quoted(value));
            }
            out.push_str("        annotations:\n");
            for (name, text) in alert.annotations() {
                let _ = writeln!(out, "          {name}: {}", quoted(&text));
            }
        }
    }
    out
}

/// The unit tests for `promtool test rules`: each alert once firing, once quiet.
pub fn tests() -> String {
    let mut out = "# Made by `make generate` from observability/dashboards/src/alerts.rs.\n\
        rule_files: [alerts.yml]\nevaluation_interval: 1m\ntests:\n"
        .to_owned();
    for alert in all() {
        case(&mut out, alert, "fires", alert.fires.series, true);
        case(&mut out, alert, "is quiet", alert.quiet, false);
    }
    out
}

fn case(out: &mut String, alert: &Alert, what: &str, series: Series, fires: bool) {
    let _ = write!(out, "  - name: {} {what}\n    interval: 1m\n    input_series:\n", alert.name);
    for (name, values) in series {
        let _ = write!(out, "      - series: {}\n        values: {}\n", quoted(name), quoted(values));
    }
    let _ =
        write!(out, "    alert_rule_test:\n      - eval_time: {}\n        alertname: {}\n", alert.fires.at, alert.name);
    if !fires {
        return;
    }
    let _ = write!(out, "        exp_alerts:\n          - exp_labels:\n              severity: {}\n", alert.severity);
    for (label, value) in alert.labels.iter().chain(alert.fires.labels) {
        let _ = writeln!(out, "              {label}: {}", quoted(value));
    }
    out.push_str("            exp_annotations:\n");
    for (name, mut text) in alert.annotations() {
        for (label, value) in alert.labels.iter().chain(alert.fires.labels) {
            text = text.replace(&format!("{{{{ $labels.{label} }}}}"), value);
        }
        let _ = writeln!(out, "              {name}: {}", quoted(&text));
    }
}
