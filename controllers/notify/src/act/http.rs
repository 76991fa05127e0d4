//! A POST over a connection of its own. Of the answer only the head is read.

use super::target::{HttpTarget, resolve};
use super::tls;
use crate::backoff;
use crate::error::DeliveryError;
use crate::plan::HttpParcel;
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The head of an answer is never longer.
const MAX_HEAD: usize = 32 << 10;
const USER_AGENT: &str = concat!("otternauts/", env!("CARGO_PKG_VERSION"));

pub async fn post(
    parcel: &HttpParcel,
    target: &HttpTarget,
    authorities: Option<&str>,
    trusted: bool,
) -> Result<String, DeliveryError> {
    let request = request(parcel, target)?;
    let stream = connect(&target.host, &resolve(&target.host, target.port, trusted).await?).await?;
    if !target.tls {
        return exchange(stream, request, &target.host).await;
    }
    let failed = |why: String| DeliveryError::Tls { host: target.host.clone(), why };
    let name = ServerName::try_from(target.host.clone()).map_err(|e| failed(e.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(tls::config(authorities)?);
    let stream = connector.connect(name, stream).await.map_err(|e| failed(e.to_string()))?;
    exchange(stream, request, &target.host).await
}

fn request(parcel: &HttpParcel, target: &HttpTarget) -> Result<Request<Full<Bytes>>, DeliveryError> {
    // What the header cannot hold is a key or a token with a line feed in it; it is not repeated.
    let unusable = |_| DeliveryError::Unusable("the Secret's value cannot be sent in a header".to_owned());
    let mut request = Request::post(&target.path)
        .header(header::HOST, &target.authority)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close");
    for (name, value) in &parcel.headers {
        let mut value = HeaderValue::from_str(value.expose()).map_err(unusable)?;
        value.set_sensitive(true);
        request = request.header(*name, value);
    }
    let body = Full::new(Bytes::from(parcel.body.clone()));
    request.body(body).map_err(|_| DeliveryError::Unusable("the URL cannot be sent".to_owned()))
}

/// The first address that answers.
async fn connect(host: &str, addresses: &[SocketAddr]) -> Result<TcpStream, DeliveryError> {
    let mut why = String::new();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(e) => why = e.to_string(),
        }
    }
    Err(DeliveryError::Connect { host: host.to_owned(), why })
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>, host: &str) -> Result<String, DeliveryError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let early = |_| DeliveryError::Exchange { host: host.to_owned() };
    let handshake = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(early)?;
    let mut answer = pin!(sender.send_request(request));
    // Both at once, in this task: when the attempt is given up, so is the connection. One that ends may have brought the answer.
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ended = connection => answer.await,
    };
    let answer = answer.map_err(early)?;
    let (host, code) = (host.to_owned(), answer.status().as_u16());
    if answer.status().is_success() {
        return Ok(answer.status().to_string());
    }
    if answer.status().is_redirection() {
        return Err(DeliveryError::Redirect { host, code });
    }
    let asked = answer.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok());
    Err(DeliveryError::Answer { host, code, retry_after: backoff::retry_after(asked) })
}
