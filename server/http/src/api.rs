//! The service: every request passes here, in this order: who, for whom, may they, what, its body, room for it, answer (section 1.18).

use crate::accept::{Format, Offer, negotiate};
use crate::admin::{self, Admin};
use crate::answer::{Answer, Body, BodyError, Finish, finish};
use crate::body::{Cut, Incoming};
use crate::call::{Call, now};
use crate::discovery::Discovery;
use crate::handlers::log::LogSource;
use crate::handlers::{self, Held};
use crate::health::HealthCheck;
use crate::hooks::AlertSink;
use crate::identity::{self, Identity};
use crate::intake::Intake;
use crate::pages::MetricsPages;
use crate::query::Query;
use crate::routes::{self, Route};
use crate::target::{self, Served};
use crate::version::VersionInfo;
use crate::{measure, openapi, options, spans};
use bytes::Bytes;
use futures::FutureExt;
use http::request::Parts;
use http::{HeaderMap, Request, Response, header};
use http_body_util::BodyExt;
use otternauts_auth::audit::{AuditLog, Event, Stage};
use otternauts_auth::{Attributes, Authenticator, Authorizer, Peer};
use otternauts_meta::{Status, Timestamp};
use otternauts_registry::{Caller, Registry};
use otternauts_telemetry::Metrics;
use otternauts_telemetry::requests::{Authentication, Priority, RequestSeries};
use otternauts_telemetry::traces::Span;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Semaphore;

/// How much happens at once (row Q2); watches and log streams count apart.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub read_only: usize,
    pub mutating: usize,
    pub long_running: usize,
    /// Request bodies that are still on their way, of everybody and of one user; each has `body` to arrive.
    pub bodies: usize,
    pub bodies_per_user: usize,
    pub body: Duration,
    /// How long a request waits for room before it is told to come again.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            read_only: 400,
            mutating: 200,
            // Ten thousand of clients, and what our own controllers watch.
            long_running: 12_000,
            bodies: 400,
            bodies_per_user: 100,
            body: Duration::from_secs(30),
            patience: Duration::from_secs(1),
        }
    }
}

/// What the service is made of; `server/boot` fills it in.
pub struct ApiParts {
    pub registry: Registry,
    pub authenticator: Arc<Authenticator>,
    pub authorizer: Arc<Authorizer>,
    pub audit: Option<Arc<AuditLog>>,
    pub metrics: Arc<Metrics>,
    pub version: VersionInfo,
    /// `host:port` that clients are told of (row D1).
    pub advertise: String,
    pub health: Vec<HealthCheck>,
    pub logs: Option<Arc<dyn LogSource>>,
    /// Takes what Alertmanager posts; without, nobody does.
    pub alerts: Option<Arc<dyn AlertSink>>,
    /// Answers `/admin/…`; without, nothing is there.
    pub admin: Option<Arc<dyn Admin>>,
    /// Fills `/metrics/fleet` and `/metrics/containers`; without, they are not there.
    pub pages: Option<Arc<dyn MetricsPages>>,
    /// True once the process stops: readiness fails, watches end (row T11).
    pub shutdown: tokio::sync::watch::Receiver<bool>,
    pub limits: Limits,
    pub(crate) discovery: Discovery,
    pub(crate) openapi: openapi::Cache,
}

impl ApiParts {
    /// The parts without which there is no API; the others have defaults and are fields to set.
    pub fn new(
        registry: Registry,
        authenticator: Arc<Authenticator>,
        authorizer: Arc<Authorizer>,
        metrics: Arc<Metrics>,
        shutdown: tokio::sync::watch::Receiver<bool>,
    ) -> Self {
        Self {
            registry,
            authenticator,
            authorizer,
            audit: None,
            metrics,
            version: VersionInfo::default(),
            advertise: String::new(),
            health: Vec::new(),
            logs: None,
            alerts: None,
            admin: None,
            pages: None,
            shutdown,
            limits: Limits::default(),
            discovery: Discovery::default(),
            openapi: openapi::Cache::default(),
        }
    }
}

/// The API as a tower service; cheap to clone. Requests carry a [`Peer`] in their extensions, or are refused with 401.
#[derive(Clone)]
pub struct Api {
    parts: Arc<ApiParts>,
    room: Arc<Room>,
}

struct Room {
    read_only: Arc<Semaphore>,
    mutating: Arc<Semaphore>,
    long_running: Arc<Semaphore>,
    intake: Intake,
}

impl Api {
    pub fn new(parts: ApiParts) -> Self {
        let limits = parts.limits;
        let room = Room {
            read_only: Arc::new(Semaphore::new(limits.read_only)),
            mutating: Arc::new(Semaphore::new(limits.mutating)),
            long_running: Arc::new(Semaphore::new(limits.long_running)),
            intake: Intake::new(&limits),
        };
        Self { parts: Arc::new(parts), room: Arc::new(room) }
    }
}

impl<B> tower::Service<Request<B>> for Api
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let body = body.map_err(|error| Cut(error.into())).boxed_unsync();
        let api = self.clone();
        Box::pin(async move { Ok(Exchange::new(api, &parts).run(&mut parts, body).await) })
    }
}

/// The answer to HEAD: how long the body would be, and none of it (over HTTP/2 a body would break the stream).
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = http_body::Body::size_hint(&body).exact() {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Body::empty())
}

/// The latest a request may end (row T10); long-running ones have their own rules.
const MUTATING_DEADLINE: Duration = Duration::from_secs(34);
const READING_DEADLINE: Duration = Duration::from_secs(60);

/// One request and what is known of it so far.
struct Exchange {
    api: Api,
    route: Arc<Route>,
    query: Arc<Query>,
    attributes: Attributes,
    audit_id: String,
    received: Timestamp,
    started: Instant,
    since: SystemTime,
}

/// How a request fared, for audit and metrics.
struct Outcome {
    answer: Answer,
    identity: Option<Identity>,
    /// `allow` or `forbid`, and why; empty when nobody was asked.
    decision: (&'static str, String),
    warnings: Vec<String>,
    served: Option<Served>,
    /// Known once it is known what is served.
    series: Option<Arc<RequestSeries>>,
    span: Span,
}

impl Outcome {
    fn early(answer: impl Into<Answer>, identity: Option<Identity>) -> Self {
        let decision = ("", String::new());
        let (served, series) = (None, None);
        Self { answer: answer.into(), identity, decision, warnings: Vec::new(), served, series, span: Span::OFF }
    }
}

impl Exchange {
    fn new(api: Api, parts: &Parts) -> Self {
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let route = routes::parse(&parts.method, parts.uri.path(), &query);
        let sent = parts.headers.get("audit-id").and_then(|v| v.to_str().ok()).filter(|v| v.len() <= 64);
        let audit_id = sent.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
        let attributes = identity::attributes(&route);
        Self {
            api,
            route: Arc::new(route),
            query: Arc::new(query),
            attributes,
            audit_id,
            received: now(),
            started: Instant::now(),
            since: SystemTime::now(),
        }
    }

    // The head is lent to those below, who would each keep a copy of what they were given for as long as they run.
    async fn run(&self, parts: &mut Parts, body: Incoming) -> Response<Body> {
        let how = Finish {
            audit_id: self.audit_id.clone(),
            gzip: takes_gzip(&parts.headers),
            pretty: is_pretty(&parts.headers, &self.query),
            warnings: Vec::new(),
        };
        let agent = text(&parts.headers, header::USER_AGENT).to_owned();
        let apply = is_apply(&parts.headers);
        let source = parts.extensions.get::<Peer>().and_then(|p| p.address).map(|a| a.ip());
        let head = parts.method == http::Method::HEAD;
        let mut outcome = self.answer(parts, body).await;
        outcome.answer = outcome.answer.settled(&how).await;
        let series = outcome.series.take().unwrap_or_else(|| self.series(None, apply));
        let code = outcome.answer.code.as_u16();
        if self.route.is_long_running() {
            series.ended(code);
        } else {
            let bytes = http_body::Body::size_hint(&outcome.answer.body).exact();
            series.answered(code, measure::is_dry_run(&self.query), self.started.elapsed().as_secs_f64(), bytes);
            outcome.answer.body = outcome.answer.body.counted(move |bytes| series.sent(bytes));
        }
        self.audit(&outcome, parts.uri.path_and_query().map_or("/", |u| u.as_str()), &agent, source);
        let audit_id = how.audit_id.clone();
        let mut response = finish(outcome.answer, &Finish { warnings: outcome.warnings, ..how });
        spans::end(&outcome.span, &audit_id, &mut response, self.route.is_mutating());
        if head { without_body(response) } else { response }
    }

    /// What it is counted by.
    fn series(&self, found: Option<&Served>, apply: bool) -> Arc<RequestSeries> {
        self.api.parts.metrics.requests.about(measure::about(&self.route, found, apply))
    }

    async fn answer(&self, parts: &mut Parts, body: Incoming) -> Outcome {
        let api = &self.api.parts;
        let peer = parts.extensions.get::<Peer>();
        let inside = peer.is_some_and(|p| p.inside.is_some());
        let sender = match identity::authenticate(&api.authenticator, peer, &parts.headers).await {
            Ok(sender) => sender,
            Err(status) => {
                api.metrics.requests.authenticated(Authentication::Failure);
                return Outcome::early(status, None);
            }
        };
        let anonymous = sender.is_anonymous();
        api.metrics.requests.authenticated(if anonymous { Authentication::Anonymous } else { Authentication::Success });
        let identity = match identity::impersonate(&api.authorizer, sender.clone(), &parts.headers) {
            Ok(identity) => identity,
            Err(status) => {
                return Outcome::early(status, Some(Identity { sender, impersonated: None }));
            }
        };
        let mut outcome = Outcome::early(Answer::empty(500), Some(identity.clone()));
        outcome.span = spans::begin(&self.route, parts, identity.user(), self.since);
        let asked = identity::authorize(&api.authorizer, identity.user(), &self.attributes);
        #[cfg(test)]
        let asked = if tests::matrix::forgets_to_ask(&self.attributes) { Ok(String::new()) } else { asked };
        match asked {
            Ok(reason) => outcome.decision = ("allow", reason),
            Err(status) => {
                api.metrics.requests.authorized(false);
                outcome.decision = ("forbid", String::new());
                outcome.answer = Answer::from(status).with_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
                return outcome;
            }
        }
        api.metrics.requests.authorized(true);
        let span = std::mem::take(&mut outcome.span);
        span.run(self.handle(parts, body, &identity, inside, &mut outcome)).await;
        outcome.span = span;
        outcome
    }

    /// Room for one more request, waiting a little for it (row Q2). Health, reviews, leases and our own controllers always
    /// have room (row Q4).
    async fn room(&self, inside: bool) -> Result<Option<Held>, Status> {
        let exempt = inside
            || match &self.route.resource {
                None => true,
                Some(r) => r.resource == "leases" || r.group.starts_with("auth"),
            };
        let (room, metrics) = (&self.api.room, &self.api.parts.metrics.requests);
        let busy = || Status::too_many_requests("The server is busy; please try again later.", 1);
        if self.route.is_long_running() {
            let Ok(permit) = Arc::clone(&room.long_running).try_acquire_owned() else {
                metrics.rejected(Priority::LongRunning, "concurrency-limit", 0.0);
                return Err(busy());
            };
            metrics.dispatched(Priority::LongRunning, 0.0);
            return Ok(Some(Box::new(permit)));
        }
        let mutating = self.route.is_mutating();
        if exempt {
            metrics.dispatched(Priority::Exempt, 0.0);
            return Ok(Some(Box::new(metrics.inflight(mutating))));
        }
        let (semaphore, priority) =
            if mutating { (&room.mutating, Priority::Mutating) } else { (&room.read_only, Priority::ReadOnly) };
        let began = Instant::now();
        let permit = match Arc::clone(semaphore).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                let _waits = metrics.queued(priority);
                let patience = self.api.parts.limits.patience;
                tokio::time::timeout(patience, Arc::clone(semaphore).acquire_owned()).await.ok().and_then(Result::ok)
            }
        };
        let Some(permit) = permit else {
            metrics.rejected(priority, "time-out", began.elapsed().as_secs_f64());
            return Err(busy());
        };
        metrics.dispatched(priority, began.elapsed().as_secs_f64());
        Ok(Some(Box::new((permit, metrics.inflight(mutating)))))
    }

    async fn handle(
        &self,
        parts: &mut Parts,
        body: Incoming,
        identity: &Identity,
        inside: bool,
        outcome: &mut Outcome,
    ) {
        let definitions = self.api.parts.registry.definitions();
        let found = match &self.route.resource {
            None => None,
            Some(resource) => match target::find(&definitions, &self.route, resource) {
                Ok(served) => Some(served),
                Err(answer) => {
                    outcome.answer = *answer;
                    return;
                }
            },
        };
        let limit = match options::timeout(&self.query) {
            Ok(limit) => limit,
            Err(status) => {
                outcome.answer = status.into();
                return;
            }
        };
        let apply = is_apply(&parts.headers);
        let caller = Arc::new(Caller::new(Arc::clone(identity.user()), text(&parts.headers, header::USER_AGENT)));
        let series = self.series(found.as_ref(), apply);
        outcome.series = Some(Arc::clone(&series));
        let call = Call {
            parts: Arc::clone(&self.api.parts),
            definitions,
            method: parts.method.clone(),
            route: Arc::clone(&self.route),
            query: Arc::clone(&self.query),
            series,
            headers: std::mem::take(&mut parts.headers),
            caller: Arc::clone(&caller),
        };
        let answer = match self.admit(found.as_ref(), identity, inside, body).await {
            Ok((body, permit)) => self.run_handler(&call, found.as_ref(), body, permit, limit).await,
            Err(status) => status.into(),
        };
        let format = negotiate(call.header(header::ACCEPT), Offer::PLAIN).map_or(Format::Json, |a| a.format);
        outcome.answer = answer.error_in(format);
        outcome.served = found;
        outcome.warnings = std::mem::take(&mut *caller.warnings.lock());
    }

    /// The body first, then the room: a slot is held only while there is work to do. Requests that change nothing have no body
    /// that anybody reads.
    async fn admit(
        &self,
        found: Option<&Served>,
        identity: &Identity,
        inside: bool,
        body: Incoming,
    ) -> Result<(Bytes, Option<Held>), Status> {
        let body = match found {
            Some(_) if self.route.is_mutating() => self.api.room.intake.read(&identity.sender.name, body).await?,
            None if handlers::paths::has_body(&self.route) => {
                self.api.room.intake.read(&identity.sender.name, body).await?
            }
            _ => Bytes::new(),
        };
        Ok((body, self.room(inside).await?))
    }

    /// Runs the handler within its deadline; a panic costs this request only.
    async fn run_handler(
        &self,
        call: &Call,
        found: Option<&Served>,
        body: Bytes,
        permit: Option<Held>,
        limit: Option<Duration>,
    ) -> Answer {
        // Boxed: the compiler cannot see that a borrowed future behind `catch_unwind` is `Send`.
        let handler: Pin<Box<dyn Future<Output = Result<Answer, Status>> + Send + '_>> = Box::pin(async {
            match found {
                Some(served) if self.route.is_long_running() => handlers::run(call, served, body, permit).await,
                Some(served) => {
                    let answer = handlers::run(call, served, body, None).await;
                    drop(permit);
                    answer
                }
                None => handlers::paths::run(call, body).await,
            }
        });
        let deadline = if self.route.is_mutating() {
            MUTATING_DEADLINE
        } else {
            limit.map_or(READING_DEADLINE, |limit| limit.min(READING_DEADLINE))
        };
        match tokio::time::timeout(deadline, AssertUnwindSafe(handler).catch_unwind()).await {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(status))) => status.into(),
            Ok(Err(_)) => {
                tracing::error!(path = %self.route.path, verb = %self.route.verb, "a request caused a panic");
                Status::internal("the request caused the server to panic; its log says more").into()
            }
            Err(_) if self.route.is_mutating() => Status::timeout(
                "Timeout: request did not complete within requested timeout - context deadline exceeded",
            )
            .into(),
            Err(_) => Status::timeout("Timeout: request did not complete within the allotted timeout").into(),
        }
    }

    /// One line for each request that changes state, tries to, reads Secrets, or takes all of them along (row Q1, design section 8).
    fn audit(&self, outcome: &Outcome, uri: &str, agent: &str, source: Option<std::net::IpAddr>) {
        let (Some(audit), Some(identity)) = (&self.api.parts.audit, &outcome.identity) else { return };
        let review = matches!(outcome.served, Some(Served::Review(_)));
        let told = match &self.route.resource {
            Some(resource) => self.route.is_mutating() || (resource.group.is_empty() && resource.resource == "secrets"),
            None => self.route.is_mutating() && self.route.path.starts_with(admin::PREFIX),
        };
        if review || !told {
            return;
        }
        audit.log(&Event {
            audit_id: &self.audit_id,
            stage: if self.route.is_long_running() { Stage::ResponseStarted } else { Stage::ResponseComplete },
            request_uri: uri,
            user: &identity.sender,
            impersonated: identity.impersonated.as_deref(),
            source,
            user_agent: agent,
            attributes: &self.attributes,
            code: outcome.answer.code.as_u16(),
            reason: outcome.answer.reason,
            received: self.received,
            now: now(),
            decision: outcome.decision.0,
            decision_reason: &outcome.decision.1,
            annotations: &[],
        });
        self.api.parts.metrics.requests.audited.inc();
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// Whether a PATCH is a server-side apply, of JSON or of YAML.
fn is_apply(headers: &HeaderMap) -> bool {
    text(headers, header::CONTENT_TYPE).starts_with("application/apply-patch")
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings = text(headers, header::ACCEPT_ENCODING).split(',');
    codings.map(|c| c.split(';').next().unwrap_or_default().trim()).any(|c| c.eq_ignore_ascii_case("gzip"))
}

/// Row T12: asked for, or a person's tool that did not say no.
fn is_pretty(headers: &HeaderMap, query: &Query) -> bool {
    match query.text("pretty") {
        "" => {
            let agent = text(headers, header::USER_AGENT);
            ["curl", "Wget", "Mozilla/5.0"].iter().any(|tool| agent.starts_with(tool))
        }
        asked => matches!(asked, "1" | "t" | "T" | "true" | "TRUE" | "True"),
    }
}

#[cfg(test)]
mod tests;
