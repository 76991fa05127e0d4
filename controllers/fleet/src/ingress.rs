//! The admin API of the ingress: HTTP over a unix socket of the server, reached as the Docker engine is. The proxy holds no
//! socket of the engine, and its admin API is on no network (design section 10).

use crate::error::{Error, Result};
use crate::host::Host;
use crate::output::clean;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use std::time::Duration;

/// The directory on the server; see `scripts/prepare-ingress.sh`.
pub const INGRESS_DIRECTORY: &str = "/var/lib/otternauts-ingress";
pub(crate) const ADMIN_SOCKET: &str = "/var/lib/otternauts-ingress/admin.sock";

const WHAT: &str = "the admin API of the ingress";
/// A configuration takes a while to load: certificates are read, listeners opened.
const LIMIT: Duration = Duration::from_secs(30);
const MAX_ANSWER: usize = 16 * 1024 * 1024;

impl Host {
    /// The configuration that the proxy runs with, as JSON text.
    pub async fn ingress_config(&self) -> Result<Bytes> {
        self.ask_ingress(Method::GET, "/config/", Bytes::new()).await
    }

    /// Replaces the configuration; connections under way go on. The proxy keeps its old one when it refuses this.
    pub async fn ingress_load(&self, config: Vec<u8>) -> Result<()> {
        self.ask_ingress(Method::POST, "/load", Bytes::from(config)).await.map(drop)
    }

    async fn ask_ingress(&self, method: Method, path: &'static str, body: Bytes) -> Result<Bytes> {
        let ask = self.exchange(method, path, body);
        tokio::time::timeout(LIMIT, ask).await.map_err(|_| Error::Timeout { what: WHAT, after: LIMIT })?
    }

    async fn exchange(&self, method: Method, path: &'static str, body: Bytes) -> Result<Bytes> {
        let failed = |why: String| Error::ChannelFailed { what: WHAT, why };
        let stream = TokioIo::new(self.ingress_stream().await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(|e| failed(e.to_string()))?;
        let driver = tokio::spawn(connection);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static(path);
        let headers = request.headers_mut();
        // The one host that every version of Caddy accepts on a unix socket is none.
        headers.insert(header::HOST, HeaderValue::from_static(""));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = async {
            let response = sender.send_request(request).await.map_err(|e| failed(e.to_string()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let bytes = body.map_err(|e| failed(e.to_string()))?.to_bytes();
            match status.is_success() {
                true => Ok(bytes),
                false => Err(Error::Ingress { status: status.as_u16(), message: clean(&bytes) }),
            }
        };
        let answer = answer.await;
        driver.abort();
        answer
    }
}
