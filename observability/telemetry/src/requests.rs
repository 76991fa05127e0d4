//! The API server's requests, under the names and labels that kubernetes-mixin queries.

use crate::series::{Each, Kept, MOST_SERIES, Registrar, Series};
use hashbrown::{Equivalent, HashMap};
use parking_lot::RwLock;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What a request was about. `verb` as Kubernetes counts it (GET, LIST, WATCH, POST, PUT, PATCH, APPLY, DELETE, DELETECOLLECTION).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct About<'a> {
    pub verb: &'static str,
    pub group: &'a str,
    pub version: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    /// `cluster`, `namespace`, `resource`, or empty for a path that is no resource.
    pub scope: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    verb: &'static str,
    group: Arc<str>,
    version: Arc<str>,
    resource: Arc<str>,
    subresource: Arc<str>,
    scope: &'static str,
    component: &'static str,
}

impl From<About<'_>> for RequestLabels {
    fn from(about: About<'_>) -> Self {
        let About { verb, group, version, resource, subresource, scope } = about;
        Self {
            verb,
            group: group.into(),
            version: version.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            scope,
            component: "apiserver",
        }
    }
}

impl RequestLabels {
    fn about(&self) -> About<'_> {
        About {
            verb: self.verb,
            group: &self.group,
            version: &self.version,
            resource: &self.resource,
            subresource: &self.subresource,
            scope: self.scope,
        }
    }
}

/// As that of what it is about, by which it is looked for.
impl Hash for RequestLabels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.about().hash(state);
    }
}

impl Equivalent<RequestLabels> for About<'_> {
    fn equivalent(&self, labels: &RequestLabels) -> bool {
        *self == labels.about()
    }
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
    const COUNT: usize = Self::LongRunning as usize + 1;

    fn as_str(self) -> &'static str {
        match self {
            Self::Exempt => "exempt",
            Self::ReadOnly => "read-only",
            Self::Mutating => "mutating",
            Self::LongRunning => "long-running",
        }
    }
}

/// Whether it was found out who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    Success,
    Failure,
    Anonymous,
}

impl Authentication {
    const COUNT: usize = Self::Anonymous as usize + 1;

    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Families with a series for each kind of request.
struct Families {
    total: Series<CountLabels, Counter>,
    seconds: Series<DurationLabels, Histogram>,
    sli_seconds: Series<RequestLabels, Histogram>,
    response_bytes: Series<RequestLabels, Histogram>,
    longrunning: Series<RequestLabels, Gauge>,
    terminations: Series<EndedLabels, Counter>,
}

/// What the requests of one kind are counted by.
pub struct RequestSeries {
    families: Arc<Families>,
    labels: RequestLabels,
    /// Of requests that are no dry run.
    seconds: Kept<Histogram>,
    sli_seconds: Kept<Histogram>,
    response_bytes: Kept<Histogram>,
    /// Of requests that are no dry run and ended with 200, as nearly all do.
    ok: Kept<Counter>,
    /// The same of 201.
    created: Kept<Counter>,
}

impl RequestSeries {
    pub fn about(&self) -> About<'_> {
        self.labels.about()
    }

    /// One answered request that was not long-running. `bytes`: of its body, when they are known by now.
    pub fn answered(&self, code: u16, dry_run: bool, seconds: f64, bytes: Option<u64>) {
        self.count(code, dry_run);
        let durations = &self.families.seconds;
        let timed = if dry_run {
            durations.get_or_create(&self.duration_labels(dry_run))
        } else {
            self.seconds.of(durations, || self.duration_labels(dry_run))
        };
        timed.observe(seconds);
        self.sli_seconds.of(&self.families.sli_seconds, || self.labels.clone()).observe(seconds);
        if let Some(bytes) = bytes {
            self.sent(bytes);
        }
    }

    /// The size of an answer that became known only when it was sent.
    pub fn sent(&self, bytes: u64) {
        #[allow(clippy::cast_precision_loss, reason = "a size for a histogram")]
        self.response_bytes.of(&self.families.response_bytes, || self.labels.clone()).observe(bytes as f64);
    }

    /// One ended long-running request: counted, not timed.
    pub fn ended(&self, code: u16) {
        self.count(code, false);
    }

    /// An open watch or log stream; the guard ends it.
    pub fn longrunning(&self) -> InFlight {
        InFlight::start(self.families.longrunning.get_or_create(&self.labels))
    }

    fn count(&self, code: u16, dry_run: bool) {
        let (total, labels) = (&self.families.total, || self.count_labels(code, dry_run));
        let counter = match code {
            200 if !dry_run => self.ok.of(total, labels),
            201 if !dry_run => self.created.of(total, labels),
            _ => total.get_or_create(&labels()),
        };
        counter.inc();
        if matches!(code, 429 | 504) {
            self.families.terminations.get_or_create(&self.ended_labels(code)).inc();
        }
    }

    fn duration_labels(&self, dry_run: bool) -> DurationLabels {
        let RequestLabels { verb, group, version, resource, subresource, scope, component } = self.labels.clone();
        let dry_run = dry_run_label(dry_run);
        DurationLabels { verb, dry_run, group, version, resource, subresource, scope, component }
    }

    fn count_labels(&self, code: u16, dry_run: bool) -> CountLabels {
        let RequestLabels { verb, group, version, resource, subresource, scope, component } = self.labels.clone();
        let dry_run = dry_run_label(dry_run);
        CountLabels { verb, dry_run, group, version, resource, subresource, scope, component, code }
    }

    fn ended_labels(&self, code: u16) -> EndedLabels {
        let RequestLabels { verb, group, version, resource, subresource, scope, component } = self.labels.clone();
        EndedLabels { verb, group, version, resource, subresource, scope, component, code }
    }
}

/// Instruments of the HTTP room.
pub struct RequestMetrics {
    families: Arc<Families>,
    /// The series of each kind of request, found by what it is about; about as many as a family has.
    known: RwLock<HashMap<RequestLabels, Arc<RequestSeries>>>,
    inflight: Each<Kind, Gauge, 2>,
    dispatched: Each<Level, Counter, { Priority::COUNT }>,
    waits: Series<Waited, Histogram>,
    waited: [Kept<Histogram>; Priority::COUNT],
    rejected: Series<Rejected, Counter>,
    queued: Series<Level, Gauge>,
    authentications: Each<Outcome, Counter, { Authentication::COUNT }>,
    authorizations: Each<Outcome, Counter, 2>,
    /// Events for the audit log.
    pub audited: Counter,
    /// Of them, those that the disk did not take.
    pub audit_lost: Counter,
}

impl RequestMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        let families = Families {
            total: registrar.counters("apiserver_request_total"),
            seconds: registrar.histograms("apiserver_request_duration_seconds", SECONDS),
            sli_seconds: registrar.histograms("apiserver_request_sli_duration_seconds", SECONDS),
            response_bytes: registrar.histograms("apiserver_response_sizes", BYTES),
            longrunning: registrar.gauges("apiserver_longrunning_requests"),
            terminations: registrar.counters("apiserver_request_terminations_total"),
        };
        Self {
            families: Arc::new(families),
            known: RwLock::default(),
            inflight: Each::new(registrar.gauges("apiserver_current_inflight_requests")),
            dispatched: Each::new(registrar.counters("apiserver_flowcontrol_dispatched_requests_total")),
            waits: registrar.histograms("apiserver_flowcontrol_request_wait_duration_seconds", WAITS),
            waited: Default::default(),
            rejected: registrar.counters("apiserver_flowcontrol_rejected_requests_total"),
            queued: registrar.gauges("apiserver_flowcontrol_current_inqueue_requests"),
            authentications: Each::new(registrar.counters("authentication_attempts_total")),
            authorizations: Each::new(registrar.counters("authorization_attempts_total")),
            audited: registrar.counter("apiserver_audit_event_total"),
            audit_lost: registrar.counter("otternauts_audit_lost_total"),
        }
    }

    /// What requests about this are counted by; to be asked for once a request.
    pub fn about(&self, about: About<'_>) -> Arc<RequestSeries> {
        let full = {
            let known = self.known.read();
            if let Some(known) = known.get(&about) {
                return Arc::clone(known);
            }
            known.len() >= MOST_SERIES
        };
        let labels = RequestLabels::from(about);
        let new = Arc::new(RequestSeries {
            families: Arc::clone(&self.families),
            labels: labels.clone(),
            seconds: Kept::default(),
            sli_seconds: Kept::default(),
            response_bytes: Kept::default(),
            ok: Kept::default(),
            created: Kept::default(),
        });
        if !full {
            self.known.write().insert(labels, Arc::clone(&new));
        }
        new
    }

    /// Requests under work right now; the guard ends it.
    pub fn inflight(&self, mutating: bool) -> InFlight {
        let request_kind = if mutating { "mutating" } else { "readOnly" };
        InFlight::start(self.inflight.of(usize::from(mutating), || Kind { request_kind }))
    }

    /// A request waits for a place; the guard ends the waiting.
    pub fn queued(&self, priority: Priority) -> InFlight {
        InFlight::start(self.queued.get_or_create(&Level { priority_level: priority.as_str() }))
    }

    /// A request got its place after `seconds`.
    pub fn dispatched(&self, priority: Priority, seconds: f64) {
        let (index, priority_level) = (priority as usize, priority.as_str());
        self.dispatched.of(index, || Level { priority_level }).inc();
        self.waited[index].of(&self.waits, || Waited { priority_level, execute: true }).observe(seconds);
    }

    /// A request got none: `time-out` or `concurrency-limit`.
    pub fn rejected(&self, priority: Priority, reason: &'static str, seconds: f64) {
        let priority_level = priority.as_str();
        self.rejected.get_or_create(&Rejected { priority_level, reason }).inc();
        self.waits.get_or_create(&Waited { priority_level, execute: false }).observe(seconds);
    }

    pub fn authenticated(&self, how: Authentication) {
        self.authentications.of(how as usize, || Outcome { result: how.as_str() }).inc();
    }

    pub fn authorized(&self, allowed: bool) {
        let result = if allowed { "allowed" } else { "denied" };
        self.authorizations.of(usize::from(allowed), || Outcome { result }).inc();
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
