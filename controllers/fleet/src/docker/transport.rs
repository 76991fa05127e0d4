//! HTTP to the engine over a byte stream of the server's connection: one channel per request, none left behind.

use super::operation::operation;
use super::types::Engine;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ssh::Use;
use bollard::BollardRequest;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;
use otternauts_telemetry::traces::{Kind, Origin, Span};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

type Answer = Pin<Box<dyn Future<Output = std::result::Result<Response<Incoming>, bollard::errors::Error>> + Send>>;

/// What bollard calls for each of its requests.
pub(super) fn over(host: Host) -> impl Fn(BollardRequest) -> Answer + Send + Sync {
    move |request| {
        let host = host.clone();
        Box::pin(async move {
            send(&host, request).await.map_err(|e| bollard::errors::Error::IOError { err: std::io::Error::other(e) })
        })
    }
}

/// The one question that is asked without a version in its path, since older engines refuse versions they do not know.
pub(super) async fn version(host: &Host) -> Result<Engine> {
    let unavailable = |why: String| Error::DockerUnavailable { why };
    let request = Request::get("/version").body(Empty::<Bytes>::new()).map_err(|e| unavailable(e.to_string()))?;
    let ask = async {
        let response = send(host, request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), 1024 * 1024);
        let bytes = body.collect().await.map_err(|e| unavailable(e.to_string()))?.to_bytes();
        if !status.is_success() {
            let message = crate::output::clean(&bytes);
            return Err(Error::Docker { status: status.as_u16(), message });
        }
        serde_json::from_slice(&bytes).map_err(|e| unavailable(format!("its version is not readable: {e}")))
    };
    let after = host.engine_timeout();
    tokio::time::timeout(after, ask)
        .await
        .map_err(|_| Error::Timeout { what: "asking for the Docker version", after })?
}

/// A question or an order whose JSON goes through as it is: what our types do not know is not lost.
pub(super) async fn json(host: &Host, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
    let unavailable = |why: String| Error::DockerUnavailable { why };
    let text = body.map(Value::to_string).unwrap_or_default();
    let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Full::new(Bytes::from(text))).map_err(|e| unavailable(e.to_string()))?;
    let ask = async {
        let response = send(host, request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), 4 * 1024 * 1024);
        let bytes = body.collect().await.map_err(|e| unavailable(e.to_string()))?.to_bytes();
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if !status.is_success() {
            let said = answer["message"].as_str().map_or_else(|| crate::output::clean(&bytes), str::to_owned);
            return Err(Error::Docker { status: status.as_u16(), message: said });
        }
        Ok(answer)
    };
    let after = host.engine_timeout();
    tokio::time::timeout(after, ask)
        .await
        .map_err(|_| Error::Timeout { what: "a call of the Docker Engine API", after })?
}

/// One request, timed until the engine begins to answer.
async fn send<B>(host: &Host, request: Request<B>) -> Result<Response<Incoming>>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let operation = operation(request.method(), request.uri().path());
    if !matches!(*request.method(), http::Method::GET | http::Method::HEAD) {
        host.may_change()?;
    }
    let started = Instant::now();
    let span = Span::begin(Kind::Client, || format!("docker {operation}"), Origin::Current);
    if span.is_recorded() {
        host.describe(&span);
        span.set("http.request.method", request.method().to_string());
    }
    let result = span.run(exchange(host, request)).await;
    match &result {
        Ok(response) => span.set("http.response.status_code", i64::from(response.status().as_u16())),
        Err(error) => span.fail(error.class()),
    }
    let code = match result.as_ref().map(|response| response.status().as_u16() / 100) {
        Ok(2) => "2xx",
        Ok(1 | 3) => "3xx",
        Ok(4) => "4xx",
        Ok(_) => "5xx",
        Err(_) => "error",
    };
    host.metrics().fleet.docker(operation, code, started.elapsed().as_secs_f64());
    result
}

async fn exchange<B>(host: &Host, mut request: Request<B>) -> Result<Response<Incoming>>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let unavailable = |e: hyper::Error| Error::DockerUnavailable { why: reason(&e) };
    // A server is asked for a path; the authority bollard wants is nowhere.
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let of = Use::of(path.as_str());
    *request.uri_mut() = http::Uri::from(path);
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("docker"));
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    let stream = TokioIo::new(host.engine_stream(of).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(unavailable)?;
    // Ends with the response's body, or when the caller drops it.
    tokio::spawn(async move {
        if let Err(e) = connection.await {
            tracing::debug!(error = %e, "a connection to a Docker engine ended early");
        }
    });
    sender.send_request(request).await.map_err(unavailable)
}

fn reason(e: &hyper::Error) -> String {
    if e.is_incomplete_message() || e.is_canceled() || e.is_closed() {
        "nothing answers at its socket (is it installed and running?)".to_owned()
    } else {
        e.to_string()
    }
}
