//! One connection from its first byte to its last.

use super::no_delay;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use http::{Request, Response};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use otternauts_auth::{Peer, certificates};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

/// From the first byte to the end of the TLS handshake, and from there to the first request.
const GREETING: Duration = Duration::from_secs(10);
/// The head of a later request, the time between two requests included.
const NEXT_HEAD: Duration = Duration::from_secs(90);
const MAX_HEADERS: usize = 100;
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_STREAMS: u32 = 250;
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What one stream may hold in memory for a reader that does not read.
const STREAM_SEND_BUFFER: usize = 128 << 10;
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What Go's servers say to those who forget the `s` (row T1).
const PLAIN_HTTP: &[u8] = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";
/// The first byte of every TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Whoever answers requests: the API service.
pub trait Handler: Clone + Send + 'static {
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;

    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response<Self::Body>> + Send;
}

pub(super) struct Connection<H> {
    pub peer: SocketAddr,
    pub acceptor: TlsAcceptor,
    pub handler: H,
    pub stop: CancellationToken,
}

impl<H: Handler> Connection<H> {
    pub async fn run(self, stream: TcpStream) {
        no_delay(&stream);
        let greeted = async {
            tokio::select! {
                greeted = tokio::time::timeout(GREETING, greet(stream, &self.acceptor)) => greeted.ok().flatten(),
                () = self.stop.cancelled() => None,
            }
        };
        let Some(stream) = Box::pin(greeted).await else { return };
        let (_, session) = stream.get_ref();
        let user = session.peer_certificates().and_then(|chain| certificates::user_of(chain.first()?));
        let peer = self.peer;
        let known = Peer { address: Some(peer), certificate: user.map(Arc::new), inside: None };
        let h2 = session.alpn_protocol() == Some(b"h2");
        let first = Arc::new(Notify::new());
        let service = {
            let (handler, first) = (self.handler.clone(), Arc::clone(&first));
            service_fn(move |mut request: Request<Incoming>| {
                first.notify_one();
                request.extensions_mut().insert(known.clone());
                let handler = handler.clone();
                // On the heap and gone with the answer's head: a connection that only streams does not carry it along.
                Box::pin(async move { Ok::<_, Infallible>(handler.handle(request).await) })
            })
        };
        let io = TokioIo::new(stream);
        if h2 {
            let connection = pin!(h2_builder().serve_connection(io, service));
            drive(connection, peer, &first, &self.stop, http2::Connection::graceful_shutdown).await;
        } else {
            let connection = pin!(h1_builder().serve_connection(io, service));
            drive(connection, peer, &first, &self.stop, http1::Connection::graceful_shutdown).await;
        }
    }
}

/// Why we end a connection.
enum Reason {
    /// No first request.
    Silence,
    Stop,
}

/// Runs a connection to its end; without a first request there is none to wait for.
async fn drive<C>(
    mut connection: Pin<&mut C>,
    peer: SocketAddr,
    first: &Notify,
    stop: &CancellationToken,
    shut_down: fn(Pin<&mut C>),
) where
    C: Future<Output = hyper::Result<()>>,
{
    let silent = async {
        tokio::select! {
            () = first.notified() => std::future::pending().await,
            () = tokio::time::sleep(GREETING) => Reason::Silence,
        }
    };
    let stopped = async {
        stop.cancelled().await;
        Reason::Stop
    };
    // Asked only when one of them has something to say, not with every byte that the connection brings.
    let mut reasons: FuturesUnordered<_> = [silent.left_future(), stopped.right_future()].into_iter().collect();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        Some(reason) = reasons.next() => match reason {
            Reason::Silence => return,
            Reason::Stop => {
                shut_down(connection.as_mut());
                connection.await
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended");
    }
}

/// The TLS handshake; plain HTTP gets its answer, everything else that is no TLS none.
async fn greet(stream: TcpStream, acceptor: &TlsAcceptor) -> Option<TlsStream<TcpStream>> {
    let mut byte = [0];
    if stream.peek(&mut byte).await.ok()? == 0 {
        return None;
    }
    if byte[0] != TLS_HANDSHAKE {
        if byte[0].is_ascii_uppercase() {
            refuse_plain_http(stream).await;
        }
        return None;
    }
    match acceptor.accept(stream).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
    }
}

/// Errors are the client's to see: it has gone, or goes now.
async fn refuse_plain_http(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let _ = stream.write_all(PLAIN_HTTP).await;
    let _ = stream.shutdown().await;
}

fn h1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_HEAD)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .half_close(false);
    builder
}

fn h2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(STREAM_SEND_BUFFER)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
