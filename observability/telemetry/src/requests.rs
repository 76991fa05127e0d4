//! The API server's requests, under the names and labels that kubernetes-mixin queries.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What a request was about. `verb` as Kubernetes counts it (GET, LIST, WATCH, POST, PUT, PATCH, APPLY, DELETE, DELETECOLLECTION).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    pub verb: &'static str,
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    /// `cluster`, `namespace`, `resource`, or empty for a path that is no resource.
    pub scope: &'static str,
    pub component: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CountLabels {
    verb: &'static str,
    dry_run: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
    component: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    request_kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watched {
    group: String,
    version: String,
    resource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

/// The buckets of the reference, among them 1, 5 and 30, which the mixin's rules name.
const SECONDS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];
const BYTES: [f64; 7] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// A histogram that each label set gets its own of.
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Instruments of the HTTP room.
#[derive(Clone)]
pub struct RequestMetrics {
    total: Family<CountLabels, Counter>,
    seconds: Histograms<RequestLabels>,
    sli_seconds: Histograms<RequestLabels>,
    response_bytes: Histograms<RequestLabels>,
    inflight: Family<Kind, Gauge>,
    longrunning: Family<RequestLabels, Gauge>,
    watch_events: Family<Watched, Counter>,
    authentications: Family<Outcome, Counter>,
    authorizations: Family<Outcome, Counter>,
}

impl RequestMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let bytes: fn() -> Histogram = || Histogram::new(BYTES);
        let new = Self {
            total: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            sli_seconds: Family::new_with_constructor(seconds),
            response_bytes: Family::new_with_constructor(bytes),
            inflight: Family::default(),
            longrunning: Family::default(),
            watch_events: Family::default(),
            authentications: Family::default(),
            authorizations: Family::default(),
        };
        registry.register("apiserver_request", "Requests by verb, resource and code", new.total.clone());
        registry.register("apiserver_request_duration_seconds", "Time to answer a request", new.seconds.clone());
        registry.register(
            "apiserver_request_sli_duration_seconds",
            "Time to answer a request, without waits that are not the server's",
            new.sli_seconds.clone(),
        );
        registry.register("apiserver_response_sizes", "Bytes of answer bodies", new.response_bytes.clone());
        registry.register("apiserver_current_inflight_requests", "Requests being worked on", new.inflight.clone());
        registry.register("apiserver_longrunning_requests", "Open watches and log streams", new.longrunning.clone());
        registry.register("apiserver_watch_events", "Events sent to watchers", new.watch_events.clone());
        registry.register("authentication_attempts", "Authenticated and refused requests", new.authentications.clone());
        registry.register("authorization_attempts", "Allowed and denied requests", new.authorizations.clone());
        new
    }

    /// One answered request that was not long-running.
    pub fn answered(&self, labels: &RequestLabels, code: u16, dry_run: bool, seconds: f64, bytes: Option<u64>) {
        self.count(labels, code, dry_run);
        self.seconds.get_or_create(labels).observe(seconds);
        self.sli_seconds.get_or_create(labels).observe(seconds);
        if let Some(bytes) = bytes {
            #[allow(clippy::cast_precision_loss, reason = "a size for a histogram")]
            self.response_bytes.get_or_create(labels).observe(bytes as f64);
        }
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
                dry_run: if dry_run { "All" } else { "" },
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
        InFlight::start(self.inflight.get_or_create_owned(&Kind { request_kind }))
    }

    /// An open watch or log stream; the guard ends it.
    pub fn longrunning(&self, labels: &RequestLabels) -> InFlight {
        InFlight::start(self.longrunning.get_or_create_owned(labels))
    }

    /// The counter of events sent to watchers of one resource; fetch once per watch.
    pub fn watch_events(&self, group: &str, version: &str, resource: &str) -> Counter {
        self.watch_events.get_or_create_owned(&Watched {
            group: group.to_owned(),
            version: version.to_owned(),
            resource: resource.to_owned(),
        })
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

/// One more while it lives.
pub struct InFlight(Gauge);

impl InFlight {
    fn start(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
