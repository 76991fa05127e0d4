//! The port: accept, shake hands, serve; bounded in number and in time (R37, T1, T2, H7).

mod connection;
#[cfg(test)]
mod tests;

pub use connection::Handler;

use anyhow::Context as _;
use connection::Connection;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once. Each watch of an HTTP/1.1 client is one.
const MAX_CONNECTIONS: usize = 10_000;
/// How long open requests may still take once we stop.
const DRAIN: Duration = Duration::from_secs(10);
/// A wait after an accept that failed, mostly for want of file descriptors.
const BACKOFF: Duration = Duration::from_millis(100);

/// A bound port, not yet served.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let address = socket.local_addr().context("cannot tell the port")?;
        Ok(Self { socket, address })
    }

    /// With the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`; then closes the port at once, lets open requests end, and cuts off what is left after
    /// ten seconds (row T11).
    pub async fn serve<H: Handler>(self, tls: Arc<rustls::ServerConfig>, handler: H, stop: CancellationToken) {
        let acceptor = TlsAcceptor::from(tls);
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let connections = TaskTracker::new();
        let cut = CancellationToken::new();
        loop {
            // A place first: whoever comes when all are taken waits in the kernel's queue.
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
                () = stop.cancelled() => break,
            };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stop.cancelled() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(BACKOFF).await;
                    continue;
                }
            };
            let connection =
                Connection { peer, acceptor: acceptor.clone(), handler: handler.clone(), stop: stop.clone() };
            let cut = cut.clone();
            connections.spawn(async move {
                let _place = place;
                cut.run_until_cancelled(connection.run(stream)).await;
            });
        }
        drop(self.socket);
        connections.close();
        if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
            tracing::warn!(open = connections.len(), "connections were cut off");
            cut.cancel();
            connections.wait().await;
        }
    }
}

fn no_delay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
}
