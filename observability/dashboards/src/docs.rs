//! docs/metrics.md.

use otternauts_telemetry::names::{self, Page};
use std::fmt::Write as _;

const HEAD: &str = "# Metrics
Made from the table in `observability/telemetry/src/names.rs` by `make generate`: change it there.

Every page needs a credential and the right to `get` its path; the ClusterRole `system:monitoring` has it for all of them, bind it to whom
you scrape with. Prometheus gets OpenMetrics, everybody else the classic text format 0.0.4, by the `Accept` header. A family has at most
10,000 series; what got none is counted in `otternauts_metrics_series_dropped_total`. STABLE names keep their type and labels, BETA names
may gain labels, ALPHA names may change; `observability/stable-metrics.txt` is what a test holds us to.

Where the concept is Kubernetes' own, so are name and labels: rules and dashboards made for kube-apiserver and controller-runtime work.
Two differ: `authentication_attempts_total` has the ending that Prometheus asks of counters, and storage speaks of SQLite.

`observability/prometheus.yml` shows how to scrape, `observability/alerts` has rules and alerts, `observability/dashboards/json` nine dashboards
for Grafana, `docs/runbooks` a page an alert. Alertmanager posts to `/hooks/alertmanager` (`observability/alertmanager.yml`): each alert becomes
an Event on the object it is about.
";

/// The whole page.
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    for page in Page::ALL {
        let families: Vec<_> = names::all().filter(|family| family.page == page).collect();
        let _ = write!(
            out,
            "\n## `{}`\n{}\n\n| metric | type | labels | stability | |\n|---|---|---|---|---|\n",
            page.path(),
            about(page)
        );
        for family in families {
            let labels = family.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
            let (name, kind, stability, help) =
                (family.name, family.kind.as_str(), family.stability.as_str(), family.help);
            let _ = writeln!(out, "| `{name}` | {kind} | {labels} | {stability} | {help} |");
        }
    }
    out
}

fn about(page: Page) -> &'static str {
    match page {
        Page::Main => "The API server and the controllers of this process.",
        Page::Fleet => "What the objects say, read when it is scraped; nothing is done between scrapes.",
        Page::Slis => "The health checks: each scrape looks once.",
        Page::Containers => {
            "What runs on the servers. The first scrape begins the sampling, which ends when nobody has scraped for two minutes: \
             until the first samples are there the page is empty."
        }
    }
}
