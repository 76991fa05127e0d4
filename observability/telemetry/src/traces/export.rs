//! Sending a batch of spans, and counting what became of it.

use crate::series::Registrar;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prometheus_client::metrics::counter::Counter;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;
use tokio::runtime::Handle;

/// A collector's answer is a few bytes.
const ANSWER: usize = 64 * 1024;
/// For the whole exchange; the exporter tries again, and the queue drops what is too much.
const PATIENCE: Duration = Duration::from_secs(10);

type Https = hyper_rustls::HttpsConnector<HttpConnector>;

/// HTTP for the exporter. It is called from a thread without a runtime, so the exchange runs on ours.
pub(super) struct Sender {
    runtime: Handle,
    client: Client<Https, Full<Bytes>>,
}

impl Sender {
    pub(super) fn new() -> Self {
        let mut roots = rustls::RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let https =
            hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Self { runtime: Handle::current(), client: Client::builder(TokioExecutor::new()).build(https) }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

type Answer = Result<http::Response<Bytes>, HttpError>;

impl HttpClient for Sender {
    fn send_bytes<'a, 'b>(&'a self, request: http::Request<Bytes>) -> Pin<Box<dyn Future<Output = Answer> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let client = self.client.clone();
        let exchange = self.runtime.spawn(async move {
            let exchange = async {
                let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
                let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
                Ok::<_, HttpError>(http::Response::from_parts(parts, body))
            };
            tokio::time::timeout(PATIENCE, exchange).await?
        });
        Box::pin(async move { exchange.await? })
    }
}

/// What became of spans.
#[derive(Clone, Default)]
pub struct SpanMetrics {
    exported: Counter,
    dropped: Counter,
}

impl SpanMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            exported: registrar.counter("otternauts_telemetry_spans_exported_total"),
            dropped: registrar.counter("otternauts_telemetry_spans_dropped_total"),
        }
    }
}

/// An exporter that counts.
pub(super) struct Counted {
    inner: opentelemetry_otlp::SpanExporter,
    counts: SpanMetrics,
}

impl Counted {
    pub(super) fn new(inner: opentelemetry_otlp::SpanExporter, counts: SpanMetrics) -> Self {
        Self { inner, counts }
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let done = self.inner.export(batch).await;
        if done.is_ok() { &self.counts.exported } else { &self.counts.dropped }.inc_by(spans);
        done
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &opentelemetry_sdk::Resource) {
        self.inner.set_resource(resource);
    }
}
