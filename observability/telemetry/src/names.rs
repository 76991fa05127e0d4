//! Every metric that this program can show, in one table. The registry, docs/metrics.md, the stability list and the lint of the
//! dashboards are made from it; a name that is not here cannot be registered.

mod fleet;
mod server;

pub use fleet::FLEET;
pub use server::SERVER;

/// What a family counts, as the exposition formats say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    /// Always 1; the labels are the message. Its name ends in `_info`.
    Info,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// How long a name can be relied on, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stability {
    /// May change or go with any release.
    Alpha,
    /// Keeps its name and labels; labels may be added.
    Beta,
    /// Keeps its name, type and labels; goes only after it was deprecated for a release.
    Stable,
}

impl Stability {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alpha => "ALPHA",
            Self::Beta => "BETA",
            Self::Stable => "STABLE",
        }
    }
}

/// Where a family is scraped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Page {
    /// `/metrics`: the server and its controllers.
    Main,
    /// `/metrics/fleet`: what the objects say, read when scraped.
    Fleet,
    /// `/metrics/slis`: the health checks.
    Slis,
    /// `/metrics/containers`: what runs on the servers, sampled while somebody scrapes.
    Containers,
}

impl Page {
    pub const ALL: [Self; 4] = [Self::Main, Self::Fleet, Self::Slis, Self::Containers];

    pub fn path(self) -> &'static str {
        match self {
            Self::Main => "/metrics",
            Self::Fleet => "/metrics/fleet",
            Self::Slis => "/metrics/slis",
            Self::Containers => "/metrics/containers",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// As the classic format writes it: counters end in `_total`, infos in `_info`.
    pub name: &'static str,
    pub kind: Kind,
    /// Without `le`.
    pub labels: &'static [&'static str],
    pub stability: Stability,
    pub page: Page,
    /// A sentence without its full stop.
    pub help: &'static str,
    /// Has series only where real servers are, or only after an incident that a test without servers cannot cause.
    pub needs_servers: bool,
}

impl Family {
    pub(crate) const fn new(
        kind: Kind,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        let (stability, page) = (Stability::Alpha, Page::Main);
        Self { name, kind, labels, stability, page, help, needs_servers: false }
    }

    pub(crate) const fn stable(self) -> Self {
        Self { stability: Stability::Stable, ..self }
    }

    pub(crate) const fn beta(self) -> Self {
        Self { stability: Stability::Beta, ..self }
    }

    pub(crate) const fn needs_servers(self) -> Self {
        Self { needs_servers: true, ..self }
    }

    pub(crate) const fn on(self, page: Page) -> Self {
        Self { page, ..self }
    }

    /// The name without the ending that the kind adds: what OpenMetrics calls the family.
    pub fn base(&self) -> &'static str {
        let ending = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.name.strip_suffix(ending).unwrap_or(self.name)
    }

    /// The help text as it is served, with the stability in front, as Kubernetes' components do.
    pub fn described(&self) -> String {
        format!("[{}] {}", self.stability.as_str(), self.help)
    }
}

/// The whole table.
pub fn all() -> impl Iterator<Item = &'static Family> {
    SERVER.iter().chain(FLEET)
}

/// A family by the name that the classic format gives it.
pub fn find(name: &str) -> Option<&'static Family> {
    all().find(|family| family.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Ids, people, paths and texts have no end: they are never labels (ecosystem, section 1).
    const ENDLESS: [&str; 9] = ["id", "uid", "user", "path", "image", "error", "message", "container", "pod"];

    #[test]
    fn every_name_is_said_once_and_follows_the_rules_of_prometheus() {
        let mut seen = BTreeSet::new();
        for family in all() {
            let name = family.name;
            assert!(seen.insert(name), "{name} is in the table twice");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
            assert_eq!(
                family.kind == Kind::Counter,
                name.ends_with("_total"),
                "{name}: _total is for counters, and for all"
            );
            assert_eq!(family.kind == Kind::Info, name.ends_with("_info"), "{name}: _info is for infos, and for all");
            for wrong in ["_seconds_", "_milliseconds", "_count", "_sum", "_bucket", "_created"] {
                let fits =
                    wrong == "_seconds_" && (name.ends_with("_seconds_total") || name.ends_with("_seconds_info"));
                assert!(fits || !name.contains(wrong), "{name} holds {wrong}");
            }
            assert!(
                !family.help.is_empty() && !family.help.ends_with('.'),
                "{name}: a help text without its full stop"
            );
            let labels: BTreeSet<_> = family.labels.iter().collect();
            assert_eq!(labels.len(), family.labels.len(), "{name} has a label twice");
            for label in family.labels {
                assert!(!ENDLESS.contains(label), "{name}: the label {label} has no end");
                assert!(
                    !["le", "quantile", "job", "instance"].contains(label),
                    "{name}: {label} belongs to Prometheus"
                );
            }
        }
    }

    #[test]
    fn what_kubernetes_calls_stable_is_stable_here() {
        let stable = [
            "apiserver_request_total",
            "apiserver_request_duration_seconds",
            "apiserver_response_sizes",
            "apiserver_current_inflight_requests",
            "apiserver_longrunning_requests",
            "apiserver_storage_objects",
            "kubernetes_healthcheck",
            "kubernetes_healthchecks_total",
        ];
        for name in stable {
            assert_eq!(find(name).map(|f| f.stability), Some(Stability::Stable), "{name}");
        }
    }
}
