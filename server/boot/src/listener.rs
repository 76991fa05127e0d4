//! The port: accept, shake hands, serve; bounded in number and in time (R37, T1, T2, H7).

mod connection;
#[cfg(test)]
mod tests;

pub use connection::Handler;

use anyhow::Context as _;
use connection::Connection;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

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
        let mut connections = JoinSet::new();
        let crowd = Arc::new(Crowd::default());
        loop {
            // A place first: whoever comes when all are taken waits in the kernel's queue.
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
                () = stop.cancelled() => break,
            };
            let accepted = loop {
                tokio::select! {
                    accepted = self.socket.accept() => break Some(accepted),
                    () = stop.cancelled() => break None,
                    // What is over is let go of at once: it still has its memory.
                    Some(_) = connections.join_next() => {}
                }
            };
            let Some(accepted) = accepted else { break };
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
            let crowd = Arc::clone(&crowd);
            connections.spawn(async move {
                let _place = place;
                let _counted = Counted::new(crowd);
                connection.run(stream).await;
            });
        }
        drop(self.socket);
        let over = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, over).await.is_err() {
            tracing::warn!(open = connections.len(), "connections were cut off");
            connections.shutdown().await;
        }
    }
}

/// Counts open connections, so that what a crowd has used goes back to the system once most of it has left.
#[derive(Default)]
struct Crowd(Mutex<Size>);

/// One open connection.
struct Counted(Arc<Crowd>);

#[derive(Default)]
struct Size {
    open: usize,
    most: usize,
}

impl Size {
    /// Fewer than so many are no crowd.
    const SOME: usize = 64;

    fn enter(&mut self) {
        self.open += 1;
        self.most = self.most.max(self.open);
    }

    /// True when most have left since the last time.
    fn leave(&mut self) -> bool {
        self.open -= 1;
        let gone = self.most >= Self::SOME && self.open < self.most / 4;
        if gone {
            self.most = self.open;
        }
        gone
    }
}

impl Counted {
    fn new(crowd: Arc<Crowd>) -> Self {
        crowd.0.lock().enter();
        Self(crowd)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let gone = self.0.0.lock().leave();
        if gone {
            // Not on this thread, which has requests to serve; without another one it stays as it is.
            let _ = std::thread::Builder::new().spawn(crate::process::give_back_memory);
        }
    }
}

fn no_delay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
}
