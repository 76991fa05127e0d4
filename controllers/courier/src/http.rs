//! A POST over a connection of its own. Of the answer only the head is read.

use crate::error::DeliveryError;
use crate::target::{HttpTarget, resolve};
use crate::tls;
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use otternauts_meta::Secret;
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The head of an answer is never longer.
const MAX_HEAD: usize = 32 << 10;
const USER_AGENT: &str = concat!("otternauts/", env!("CARGO_PKG_VERSION"));

/// From the first question to a name server to the answer.
const LIMIT: Duration = Duration::from_secs(10);

/// A POST.
#[derive(Clone, Debug)]
pub struct HttpParcel {
    pub url: Secret<String>,
    pub headers: Vec<(&'static str, Secret<String>)>,
    pub body: Vec<u8>,
}

/// Sends it, once. `authorities` (PEM) are believed beside the system's; `trusted`: see [`crate::address::refusal`]. Answers what the
/// receiver said, in a few words.
pub async fn post(parcel: &HttpParcel, authorities: Option<&str>, trusted: bool) -> Result<String, DeliveryError> {
    let target = HttpTarget::parse(parcel.url.expose())?;
    let late = |_| DeliveryError::Timeout { host: target.host.clone(), after: LIMIT };
    tokio::time::timeout(LIMIT, send(parcel, &target, authorities, trusted)).await.map_err(late)?
}

async fn send(
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
    Err(DeliveryError::Answer { host, code, retry_after: retry_after(asked) })
}

/// Seconds, or nothing: an HTTP date would need to trust the receiver's clock.
fn retry_after(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_is_asked_for_is_in_seconds() {
        assert_eq!(retry_after(Some(" 120 ")), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(retry_after(None), None);
    }
}
