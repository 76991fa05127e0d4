//! One connection to one member: gRPC over HTTP/2, as little of it as we need.

use crate::engine::etcd::view::cause;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

const CONNECT: Duration = Duration::from_secs(2);
/// A peer that is gone without a word is found out by then, as long as something waits for it.
const PING: Duration = Duration::from_secs(3);
const PONG: Duration = Duration::from_secs(3);
/// The largest message we take in: a page of rows has far less.
const LARGEST: usize = 512 << 20;
/// A status line of an error is cut at it.
const STATUS_BYTES: usize = 512;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing was sent.
    #[error("{0}")]
    Connect(String),
    /// The call was sent, and the connection broke or was silent: it may have been carried out.
    #[error("{0}")]
    Broken(String),
    /// etcd's own answer: gRPC's code and etcd's text.
    #[error("{text}")]
    Status { code: u32, text: String },
}

/// Where a member listens.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// `host:port`
    pub authority: String,
    /// As the certificate must name it.
    pub name: String,
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// An open connection; cheap to clone.
#[derive(Clone)]
pub(super) struct Connection {
    send: SendRequest<Full<Bytes>>,
    scheme: &'static str,
    authority: Arc<str>,
}

impl Connection {
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Connection, Failure> {
        let failed = |what: &dyn std::fmt::Display| Failure::Connect(format!("{}: {what}", endpoint.authority));
        match tokio::time::timeout(CONNECT, Self::handshake(endpoint)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&"no connection in 2 s")),
        }
    }

    async fn handshake(endpoint: &Endpoint) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
        let tcp = TcpStream::connect(&endpoint.authority).await?;
        tcp.set_nodelay(true)?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PONG);
        builder.initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
        let authority = endpoint.authority.as_str().into();
        let Some(tls) = &endpoint.tls else {
            let (send, connection) = builder.handshake(TokioIo::new(tcp)).await?;
            tokio::spawn(connection);
            return Ok(Connection { send, scheme: "http", authority });
        };
        let name = ServerName::try_from(endpoint.name.clone())?;
        let stream = tokio_rustls::TlsConnector::from(tls.clone()).connect(name, tcp).await?;
        let (send, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection { send, scheme: "https", authority })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.send.is_closed()
    }

    /// One question, one answer.
    pub(super) async fn call<A: Message + Default>(
        &self,
        path: &str,
        request: &impl Message,
        patience: Duration,
    ) -> Result<A, Failure> {
        let answer = async {
            let mut stream = self.open_stream(path, request, Some(patience)).await?;
            match stream.next().await? {
                Some(answer) => Ok(answer),
                None => Err(Failure::Broken("an empty answer".to_owned())),
            }
        };
        let silent = || Failure::Broken(format!("{}: no answer in {} s", self.authority, patience.as_secs_f32()));
        tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| Err(silent()))
    }

    /// One question, answers until somebody ends it.
    pub(super) async fn open_stream(
        &self,
        path: &str,
        request: &impl Message,
        patience: Option<Duration>,
    ) -> Result<Stream, Failure> {
        let uri = format!("{}://{}{path}", self.scheme, self.authority);
        // A member without a leader says so at once, and ends its watches.
        let mut head = hyper::Request::post(uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("hasleader", "true");
        if let Some(patience) = patience {
            head = head.header("grpc-timeout", format!("{}m", patience.as_millis()));
        }
        let request = head.body(Full::new(frame(request))).map_err(|error| Failure::Connect(error.to_string()))?;
        let mut send = self.send.clone();
        send.ready().await.map_err(|error| Failure::Connect(format!("{}: {error}", self.authority)))?;
        let response = send.send_request(request).await.map_err(|error| self.broken(&error))?;
        if response.status() != hyper::StatusCode::OK {
            return Err(Failure::Broken(format!("{} answers HTTP {}", self.authority, response.status())));
        }
        if let Some(failure) = status(response.headers()) {
            return Err(failure);
        }
        Ok(Stream { body: response.into_body(), held: BytesMut::new(), authority: self.authority.clone() })
    }

    fn broken(&self, error: &hyper::Error) -> Failure {
        Failure::Broken(format!("{}: {}", self.authority, cause(error)))
    }
}

/// The answers of one call.
pub(super) struct Stream {
    body: Incoming,
    held: BytesMut,
    authority: Arc<str>,
}

impl Stream {
    /// The next answer; `None` when etcd has ended the call in good order.
    pub(super) async fn next<A: Message + Default>(&mut self) -> Result<Option<A>, Failure> {
        let broken = |what: &dyn std::fmt::Display| Failure::Broken(format!("{}: {what}", self.authority));
        loop {
            if let Some(message) = take(&mut self.held).map_err(|what| broken(&what))? {
                return A::decode(message).map(Some).map_err(|error| broken(&error));
            }
            let Some(frame) = self.body.frame().await else {
                return Err(broken(&"the connection ended"));
            };
            match frame.map_err(|error| broken(&error))?.into_data() {
                Ok(data) => self.held.put(data),
                Err(frame) => {
                    if let Some(trailers) = frame.trailers_ref() {
                        return status(trailers).map_or(Ok(None), Err);
                    }
                }
            }
        }
    }
}

/// A message with gRPC's five bytes before it: not compressed, and how long it is.
fn frame(message: &impl Message) -> Bytes {
    let size = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(5 + size);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(size).unwrap_or(u32::MAX));
    // A growing buffer takes every message.
    let _never_full = message.encode(&mut bytes);
    bytes.freeze()
}

/// The next whole message of what has come in.
fn take(held: &mut BytesMut) -> Result<Option<Bytes>, &'static str> {
    let Some(mut start) = held.get(..5) else { return Ok(None) };
    if start.get_u8() != 0 {
        return Err("a compressed answer, which was not asked for");
    }
    let size = start.get_u32() as usize;
    if size > LARGEST {
        return Err("an answer of more than 512 MiB");
    }
    if held.len() < 5 + size {
        held.reserve(5 + size - held.len());
        return Ok(None);
    }
    held.advance(5);
    Ok(Some(held.split_to(size).freeze()))
}

/// A status other than OK among headers or trailers.
fn status(headers: &hyper::HeaderMap) -> Option<Failure> {
    let code: u32 = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    if code == 0 {
        return None;
    }
    let text = headers.get("grpc-message").and_then(|text| text.to_str().ok()).unwrap_or("no reason given");
    Some(Failure::Status { code, text: unescaped(text) })
}

/// gRPC writes other bytes than printable ASCII as `%XX`.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    text.chars().filter(|c| !c.is_control()).take(STATUS_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::etcd::proto::RangeRequest;

    #[test]
    fn a_message_comes_back_whole_however_it_was_cut() {
        let message = RangeRequest { key: Bytes::from(vec![7; 300]), limit: 5, ..RangeRequest::default() };
        let wire = [frame(&message), frame(&message)].concat();
        for cut in 0..wire.len() {
            let mut held = BytesMut::from(&wire[..cut]);
            let mut found = Vec::new();
            while let Some(bytes) = take(&mut held).expect("in order") {
                found.push(bytes);
            }
            held.put_slice(&wire[cut..]);
            while let Some(bytes) = take(&mut held).expect("in order") {
                found.push(bytes);
            }
            assert_eq!(found.len(), 2);
            assert!(found.into_iter().all(|bytes| RangeRequest::decode(bytes).expect("valid") == message));
        }
        assert!(take(&mut BytesMut::from(&[1u8, 0, 0, 0, 0][..])).is_err());
        assert!(take(&mut BytesMut::from(&[0u8, 255, 255, 255, 255][..])).is_err());
    }

    #[test]
    fn a_status_text_is_read_as_it_was_meant() {
        assert_eq!(unescaped("etcdserver%3A no leader"), "etcdserver: no leader");
        assert_eq!(unescaped("100%"), "100%");
        assert_eq!(unescaped("%zz%0Aend"), "%zzend");
    }
}
