//! Traces: one connected story from a request to the container it causes (ecosystem, section 2). Off unless the standard
//! `OTEL_*` variables name a collector; then a span costs one look at a variable.
//!
//! The one room that knows OpenTelemetry: others open a [`Span`], run work [within](Span::run) it, and pass on its
//! [`traceparent`](Span::traceparent).

mod collector;
mod export;

pub use collector::{Tracing, start};
pub use export::SpanMetrics;

use opentelemetry::trace::{
    Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;
use std::borrow::Cow;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::SystemTime;

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The annotation that says which request wrote a spec last.
pub const ANNOTATION: &str = "tracing.k8s.io/traceparent";

/// Whether anything is traced at all.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// What a span is of, in OpenTelemetry's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request that is answered here.
    Server,
    /// Something asked of another program: the database, an engine, a server.
    Client,
    /// Work that a change caused, later.
    Consumer,
    Internal,
}

/// Where a span belongs.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// Below the span that runs; nothing when none does.
    Current,
    /// Below the caller's, when it may decide over our traces.
    Parent(Option<&'a str>),
    /// A trace of its own, linked to what caused it.
    Link(Option<&'a str>),
}

/// Something that takes time. Ends when dropped, unless [`Span::end`] did before; does nothing while tracing is off.
#[derive(Debug, Default)]
pub struct Span(Option<Context>);

impl Span {
    /// A span that is not there.
    pub const OFF: Self = Self(None);

    /// Begins one. `name` is built only when tracing is on.
    pub fn begin<N: Into<Cow<'static, str>>>(kind: Kind, name: impl FnOnce() -> N, origin: Origin<'_>) -> Self {
        Self::since(kind, name, origin, None)
    }

    /// Begins one that began at `start` in truth.
    pub fn since<N: Into<Cow<'static, str>>>(
        kind: Kind,
        name: impl FnOnce() -> N,
        origin: Origin<'_>,
        start: Option<SystemTime>,
    ) -> Self {
        let Some(tracer) = TRACER.get() else { return Self::OFF };
        let (parent, links) = match origin {
            Origin::Current => {
                let current = Context::current();
                if !current.span().span_context().is_valid() {
                    return Self::OFF;
                }
                (current, Vec::new())
            }
            Origin::Parent(text) => {
                let remote = text.and_then(parse);
                (remote.map_or_else(Context::new, |c| Context::new().with_remote_span_context(c)), Vec::new())
            }
            Origin::Link(text) => (Context::new(), text.and_then(parse).map(Link::with_context).into_iter().collect()),
        };
        let kind = match kind {
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Consumer => SpanKind::Consumer,
            Kind::Internal => SpanKind::Internal,
        };
        let mut builder = SpanBuilder::from_name(name()).with_kind(kind).with_links(links);
        builder.start_time = start;
        let span = tracer.build_with_context(builder, &parent);
        Self(Some(parent.with_span(span)))
    }

    /// Whether it will be exported: what is costly to find out needs to be known only then.
    pub fn is_recorded(&self) -> bool {
        self.0.as_ref().is_some_and(|c| c.span().is_recording())
    }

    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// It did not go well: `class` is one word of a closed list, never a message, which could quote a secret.
    pub fn fail(&self, class: &'static str) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new("error.type", class));
            context.span().set_status(Status::error(class));
        }
    }

    /// Tells another trace that this one has to do with it.
    pub fn link(&self, traceparent: &str) {
        if let (Some(context), Some(other)) = (&self.0, parse(traceparent)) {
            context.span().add_link(other, Vec::new());
        }
    }

    /// W3C `traceparent` of this span; `None` when it is not sampled.
    pub fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref()?.span().span_context().clone();
        context.is_sampled().then(|| print(&context))
    }

    /// The id people search for; `None` when the span is not sampled.
    pub fn trace_id(&self) -> Option<String> {
        let context = self.0.as_ref()?.span().span_context().clone();
        context.is_sampled().then(|| context.trace_id().to_string())
    }

    /// Runs `work` with this span as the current one.
    pub fn run<F: Future>(&self, work: F) -> Within<F> {
        Within { context: self.0.clone(), work }
    }

    /// Does short work with this span as the current one.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let _current = self.0.clone().map(Context::attach);
        work()
    }

    /// Ends it at a time of before.
    pub fn end_at(self, end: SystemTime) {
        if let Some(context) = &self.0 {
            context.span().end_with_timestamp(end);
        }
    }

    /// Ends it now.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            // Others may still hold the context; the span is over all the same.
            context.span().end();
        }
    }
}

pin_project_lite::pin_project! {
    /// Work within a span.
    pub struct Within<F> {
        context: Option<Context>,
        #[pin]
        work: F,
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _current = this.context.clone().map(Context::attach);
        this.work.poll(cx)
    }
}

/// `traceparent` of the span that runs; `None` when there is none or it is not sampled.
pub fn current() -> Option<String> {
    if !is_on() {
        return None;
    }
    let context = Context::current().span().span_context().clone();
    (context.is_valid() && context.is_sampled()).then(|| print(&context))
}

/// Sets an attribute of the span that runs.
pub fn note(key: &'static str, value: impl Into<Value>) {
    if is_on() {
        Context::current().span().set_attribute(KeyValue::new(key, value));
    }
}

fn print(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
}

/// W3C Trace Context, version 00 and what later versions keep of it. `tracestate` is not carried on.
fn parse(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().splitn(4, '-');
    let (version, trace, span, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower =
        |t: &str, length| t.len() == length && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !lower(version, 2) || version == "ff" || !lower(trace, 32) || !lower(span, 16) {
        return None;
    }
    let flags = rest.get(..2).filter(|f| lower(f, 2))?;
    if (version == "00" && rest.len() != 2) || (rest.len() > 2 && !rest[2..].starts_with('-')) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags & TraceFlags::SAMPLED, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparents_are_read_as_the_w3c_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(parse(good).map(|c| print(&c)).as_deref(), Some(good));
        assert!(parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").is_some_and(|c| !c.is_sampled()));
        // A later version may say more.
        assert!(parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x").is_some());
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-é4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7-01",
        ] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn off_means_off() {
        let built = std::cell::Cell::new(false);
        let span = Span::begin(
            Kind::Server,
            || {
                built.set(true);
                "x"
            },
            Origin::Parent(None),
        );
        assert!(!built.get() && !span.is_recorded() && span.traceparent().is_none() && current().is_none());
    }
}
