//! The API server's requests, under the names and labels that kubernetes-mixin queries.

use crate::series::{Registrar, Series};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::sync::Arc;

/// What a request was about. `verb` as Kubernetes counts it (GET, LIST, WATCH, POST, PUT, PATCH, APPLY, DELETE, DELETECOLLECTION).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    pub verb: &'static str,
    pub group: Arc<str>,
    pub version: Arc<str>,
    pub resource: Arc<str>,
    pub subresource: Arc<str>,
    /// `cluster`, `namespace`, `resource`, or empty for a path that is no resource.
    pub scope: &'static str,
    pub component: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    verb: &'static str,
    dry_run: &'static str,
    group: Arc<str>,
    version: Arc<str>,
    resource: Arc<str>,
    subresource: Arc<str>,
    scope: &'static str,
    component: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CountLabels {
    verb: &'static str,
    dry_run: &'static str,
    group: Arc<str>,
    version: Arc<str>,
    resource: Arc<str>,
    subresource: Arc<str>,
    scope: &'static str,
    component: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndedLabels {
    verb: &'static str,
    group: Arc<str>,
    version: Arc<str>,
    resource: Arc<str>,
    subresource: Arc<str>,
    scope: &'static str,
    component: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    request_kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Level {
    priority_level: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rejected {
    priority_level: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Waited {
    priority_level: &'static str,
    execute: bool,
}

/// The buckets of the reference, among them 1, 5 and 30, which the mixin's rules name.
const SECONDS: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];
const BYTES: &[f64] = &[1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const WAITS: &[f64] = &[0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0];

/// Who shares places with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Priority {
    /// Health, reviews, leases and our own controllers: always have a place.
    Exempt,
    ReadOnly,
    Mutating,
    LongRunning,
}

impl Priority {
    fn as_str(self) -> &'static str {
        match self {
            Self::Exempt => "exempt",
            Self::ReadOnly => "read-only",
            Self::Mutating => "mutating",
            Self::LongRunning => "long-running",
        }
    }
}

/// Instruments of the HTTP room.
#[derive(Clone)]
pub struct RequestMetrics {
    total: Series<CountLabels, Counter>,
    seconds: Series<DurationLabels, Histogram>,
    sli_seconds: Series<RequestLabels, Histogram>,
    response_bytes: Series<RequestLabels, Histogram>,
    inflight: Series<Kind, Gauge>,
    longrunning: Series<RequestLabels, Gauge>,
    terminations: Series<EndedLabels, Counter>,
    dispatched: Series<Level, Counter>,
    rejected: Series<Rejected, Counter>,
    waits: Series<Waited, Histogram>,
    queued: Series<Level, Gauge>,
    authentications: Series<Outcome, Counter>,
    authorizations: Series<Outcome, Counter>,
    /// Events for the audit log.
    pub audited: Counter,
    /// Of them, those that the disk did not take.
    pub audit_lost: Counter,
}

impl RequestMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            total: registrar.counters("apiserver_request_total"),
            seconds: registrar.histograms("apiserver_request_duration_seconds", SECONDS),
            sli_seconds: registrar.histograms("apiserver_request_sli_duration_seconds", SECONDS),
            response_bytes: registrar.histograms("apiserver_response_sizes", BYTES),
            inflight: registrar.gauges("apiserver_current_inflight_requests"),
            longrunning: registrar.gauges("apiserver_longrunning_requests"),
            terminations: registrar.counters("apiserver_request_terminations_total"),
            dispatched: registrar.counters("apiserver_flowcontrol_dispatched_requests_total"),
            rejected: registrar.counters("apiserver_flowcontrol_rejected_requests_total"),
            waits: registrar.histograms("apiserver_flowcontrol_request_wait_duration_seconds", WAITS),
            queued: registrar.gauges("apiserver_flowcontrol_current_inqueue_requests"),
            authentications: registrar.counters("authentication_attempts_total"),
            authorizations: registrar.counters("authorization_attempts_total"),
            audited: registrar.counter("apiserver_audit_event_total"),
            audit_lost: registrar.counter("otternauts_audit_lost_total"),
        }
    }

    /// One answered request that was not long-running. `bytes`: of its body, when they are known by now.
    pub fn answered(&self, labels: &RequestLabels, code: u16, dry_run: bool, seconds: f64, bytes: Option<u64>) {
        self.count(labels, code, dry_run);
        let l = labels.clone();
        let durations = DurationLabels {
            verb: l.verb,
            dry_run: dry_run_label(dry_run),
            group: l.group,
            version: l.version,
            resource: l.resource,
            subresource: l.subresource,
            scope: l.scope,
            component: l.component,
        };
        self.seconds.get_or_create(&durations).observe(seconds);
        self.sli_seconds.get_or_create(labels).observe(seconds);
        if let Some(bytes) = bytes {
            self.sent(labels, bytes);
        }
    }

    /// The size of an answer that became known only when it was sent.
    pub fn sent(&self, labels: &RequestLabels, bytes: u64) {
        #[allow(clippy::cast_precision_loss, reason = "a size for a histogram")]
        self.response_bytes.get_or_create(labels).observe(bytes as f64);
    }

    /// One ended long-running request: counted, not timed.
    pub fn ended(&self, labels: &RequestLabels, code: u16) {
        self.count(labels, code, false);
    }

    fn count(&self, labels: &RequestLabels, code: u16, dry_run: bool) {
        let l = labels.clone();
        self.total
            .get_or_create(&CountLabels {
                verb: l.verb,
                dry_run: dry_run_label(dry_run),
                group: l.group,
                version: l.version,
                resource: l.resource,
                subresource: l.subresource,
                scope: l.scope,
                component: l.component,
                code,
            })
            .inc();
        if matches!(code, 429 | 504) {
            self.terminated(labels, code);
        }
    }

    fn terminated(&self, labels: &RequestLabels, code: u16) {
        let l = labels.clone();
        self.terminations
            .get_or_create(&EndedLabels {
                verb: l.verb,
                group: l.group,
                version: l.version,
                resource: l.resource,
                subresource: l.subresource,
                scope: l.scope,
                component: l.component,
                code,
            })
            .inc();
    }

    /// Requests under work right now; the guard ends it.
    pub fn inflight(&self, mutating: bool) -> InFlight {
        let request_kind = if mutating { "mutating" } else { "readOnly" };
        InFlight::start(self.inflight.get_or_create(&Kind { request_kind }))
    }

    /// An open watch or log stream; the guard ends it.
    pub fn longrunning(&self, labels: &RequestLabels) -> InFlight {
        InFlight::start(self.longrunning.get_or_create(labels))
    }

    /// A request waits for a place; the guard ends the waiting.
    pub fn queued(&self, priority: Priority) -> InFlight {
        InFlight::start(self.queued.get_or_create(&Level { priority_level: priority.as_str() }))
    }

    /// A request got its place after `seconds`.
    pub fn dispatched(&self, priority: Priority, seconds: f64) {
        let priority_level = priority.as_str();
        self.dispatched.get_or_create(&Level { priority_level }).inc();
        self.waits.get_or_create(&Waited { priority_level, execute: true }).observe(seconds);
    }

    /// A request got none: `time-out` or `concurrency-limit`.
    pub fn rejected(&self, priority: Priority, reason: &'static str, seconds: f64) {
        let priority_level = priority.as_str();
        self.rejected.get_or_create(&Rejected { priority_level, reason }).inc();
        self.waits.get_or_create(&Waited { priority_level, execute: false }).observe(seconds);
    }

    /// `success`, `failure` or `anonymous`.
    pub fn authenticated(&self, result: &'static str) {
        self.authentications.get_or_create(&Outcome { result }).inc();
    }

    /// `allowed` or `denied`.
    pub fn authorized(&self, result: &'static str) {
        self.authorizations.get_or_create(&Outcome { result }).inc();
    }
}

fn dry_run_label(dry_run: bool) -> &'static str {
    if dry_run { "All" } else { "" }
}

/// One more while it lives.
pub struct InFlight(Gauge);

impl InFlight {
    pub(crate) fn start(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
