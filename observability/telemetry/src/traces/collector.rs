//! Where spans go: batches over OTLP/HTTP, in a thread of their own, dropped when the collector is dead or slow.

use super::TRACER;
use super::export::{Counted, Sender};
use crate::Metrics;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};
use std::time::Duration;

/// How long the last spans may take when the process stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// Tracing under way; [`Tracing::finish`] sends what is left.
pub struct Tracing(SdkTracerProvider);

/// Begins to trace when the environment asks for it: `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set, and
/// neither `OTEL_SDK_DISABLED=true` nor `OTEL_TRACES_EXPORTER=none`. Headers, timeouts, sampling, resource attributes and batch sizes
/// follow the specification's variables. Must be called within a Tokio runtime, once a process.
///
/// # Errors
/// A setting that cannot be used, in words.
pub fn start(
    service: &'static str,
    version: &'static str,
    metrics: Option<&Metrics>,
) -> Result<Option<Tracing>, String> {
    let given = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    let disabled = given("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"))
        || given("OTEL_TRACES_EXPORTER").is_some_and(|v| v.eq_ignore_ascii_case("none"));
    let asked = given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| given("OTEL_EXPORTER_OTLP_ENDPOINT")).is_some();
    if disabled || !asked {
        return Ok(None);
    }
    let protocol = given("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| given("OTEL_EXPORTER_OTLP_PROTOCOL"));
    if let Some(other) = protocol.filter(|p| p != "http/protobuf") {
        return Err(format!("OTEL_EXPORTER_OTLP_PROTOCOL is {other:?}: this program speaks http/protobuf (port 4318)"));
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(Sender::new())
        .build()
        .map_err(|e| format!("the OTLP exporter cannot be set up: {e}"))?;
    let counts = metrics.map(|metrics| metrics.spans.clone()).unwrap_or_default();
    let resource = Resource::builder()
        .with_attributes([KeyValue::new("service.version", version), KeyValue::new("service.instance.id", instance())])
        .with_detectors(&[])
        .build();
    let named = given("OTEL_SERVICE_NAME").is_some()
        || given("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|v| v.contains("service.name="));
    let resource = if named {
        resource
    } else {
        Resource::builder_empty()
            .with_attributes(resource.iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())))
            .with_service_name(service)
            .build()
    };
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_span_processor(BatchSpanProcessor::builder(Counted::new(exporter, counts)).build())
        .build();
    if TRACER.set(provider.tracer("otternauts")).is_err() {
        return Err("tracing has been started already".to_owned());
    }
    Ok(Some(Tracing(provider)))
}

/// Tells this process from others of the same name: random, as the conventions recommend.
fn instance() -> String {
    use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
    RandomIdGenerator::default().new_trace_id().to_string()
}

impl Tracing {
    /// Sends what is left, for three seconds at most. Blocks: call it where that is allowed.
    pub fn finish(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FAREWELL) {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}
