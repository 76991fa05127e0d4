//! The servers we talk to: one connection each, opened when needed, told when lost.

use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::feed::Feeds;
use crate::fence::{Fence, Right};
use crate::host::Host;
use crate::samples::Samplers;
use crate::ssh;
use futures::Stream;
use otternauts_telemetry::Metrics;
use otternauts_telemetry::traces::{Kind, Origin, Span};
use otternauts_types::server::ObservedHostKey;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, broadcast};

/// Handshakes under way at once; sshd's `MaxStartups` begins to refuse at 10 from one address, but these go to many.
const HANDSHAKES: usize = 30;

/// How long each stage may take.
#[derive(Clone, Debug)]
pub struct Timeouts {
    pub connect: Duration,
    pub handshake: Duration,
    pub authenticate: Duration,
    pub channel: Duration,
    /// A connection that is silent for this long is probed; three unanswered probes end it.
    pub keepalive: Duration,
    /// One call of the Docker Engine API, up to its first byte.
    pub engine: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(15),
            authenticate: Duration::from_secs(15),
            channel: Duration::from_secs(15),
            keepalive: Duration::from_secs(5),
            engine: Duration::from_secs(60),
        }
    }
}

/// The way to all servers. Clones share everything.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) timeouts: Timeouts,
    handshakes: Semaphore,
    hosts: Mutex<HashMap<String, Host>>,
    losses: broadcast::Sender<String>,
    feeds: Mutex<Feeds>,
    samplers: Mutex<Samplers>,
    pub(crate) fence: Fence,
}

impl Fleet {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self::with_timeouts(metrics, Timeouts::default())
    }

    pub fn with_timeouts(metrics: Arc<Metrics>, timeouts: Timeouts) -> Self {
        Self(Arc::new(Inner {
            metrics,
            timeouts,
            handshakes: Semaphore::new(HANDSHAKES),
            hosts: Mutex::default(),
            losses: broadcast::channel(1024).0,
            feeds: Mutex::default(),
            samplers: Mutex::default(),
            fence: Fence::default(),
        }))
    }

    /// What this process may do to servers from now on; at first it is taken to be alone.
    pub fn set_right(&self, right: Right) {
        self.0.fence.set(right);
    }

    /// The instruments of the process, for those who work with the fleet.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    pub(crate) fn feeds(&self) -> parking_lot::MutexGuard<'_, Feeds> {
        self.0.feeds.lock()
    }

    pub(crate) fn samplers(&self) -> parking_lot::MutexGuard<'_, Samplers> {
        self.0.samplers.lock()
    }

    /// The key a server shows. Nothing is authenticated and nothing about us is told (OT-9).
    pub async fn observe_host_key(&self, address: &str, port: u16) -> Result<ObservedHostKey> {
        let _permit = self.0.handshake_permit().await?;
        ssh::observe(address, port, &self.0.timeouts).await
    }

    /// The server called `name`. Asking again with an equal endpoint gives the same connection; with another one the old
    /// connection is given up. Nothing is sent before the first operation.
    pub fn host(&self, name: &str, endpoint: &Endpoint) -> Host {
        let mut hosts = self.0.hosts.lock();
        if let Some(host) = hosts.get(name)
            && host.endpoint() == endpoint
        {
            return host.clone();
        }
        let host = Host::new(Arc::clone(&self.0), name.to_owned(), endpoint.clone());
        if let Some(old) = hosts.insert(name.to_owned(), host.clone()) {
            // The machine it stood for may not be ours any more: nothing of it is followed.
            self.unfollow(name);
            old.give_up();
        }
        host
    }

    /// Ends the connection to a server that is no longer ours.
    pub fn forget(&self, name: &str) {
        self.unfollow(name);
        if let Some(old) = self.0.hosts.lock().remove(name) {
            old.give_up();
        }
    }

    /// The names of servers whose connection ended without our wish. A reader that falls behind misses some.
    pub fn losses(&self) -> impl Stream<Item = String> + Send + 'static + use<> {
        futures::stream::unfold(self.0.losses.subscribe(), |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(name) => return Some((name, receiver)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
    }
}

impl Inner {
    async fn handshake_permit(&self) -> Result<tokio::sync::SemaphorePermit<'_>> {
        self.handshakes
            .acquire()
            .await
            .map_err(|_| Error::Timeout { what: "waiting to connect", after: Duration::ZERO })
    }

    /// A new authenticated connection.
    pub(crate) async fn open(&self, name: &str, target: &crate::SshTarget) -> Result<ssh::Link> {
        let _permit = self.handshake_permit().await?;
        let started = Instant::now();
        let span = Span::begin(Kind::Client, || "ssh connect", Origin::Current);
        if span.is_recorded() {
            span.set("otternauts.server", name.to_owned());
            span.set("server.address", target.address.clone());
            span.set("server.port", i64::from(target.port));
        }
        let loss = Loss::new(name, &self.losses, &self.metrics);
        let result = ssh::Link::open(target, &self.timeouts, loss.clone()).await;
        let class = result.as_ref().err().map_or("success", Error::class);
        if result.is_err() {
            span.fail(class);
        }
        self.metrics.fleet.connected(class, started.elapsed().as_secs_f64());
        match &result {
            Ok(_) => loss.arm(),
            Err(Error::HostKeyMismatch { .. }) => {
                self.metrics.fleet.host_key_mismatch(name);
            }
            Err(_) => {}
        }
        result
    }
}

/// Tells the fleet that a connection is gone, when its last owner drops it after it was armed.
#[derive(Clone)]
pub(crate) struct Loss(Arc<LossInner>);

struct LossInner {
    name: String,
    armed: std::sync::atomic::AtomicBool,
    losses: broadcast::Sender<String>,
    metrics: Arc<Metrics>,
}

impl Loss {
    pub(crate) fn new(name: &str, losses: &broadcast::Sender<String>, metrics: &Arc<Metrics>) -> Self {
        Self(Arc::new(LossInner {
            name: name.to_owned(),
            armed: std::sync::atomic::AtomicBool::new(false),
            losses: losses.clone(),
            metrics: Arc::clone(metrics),
        }))
    }

    fn arm(&self) {
        self.0.armed.store(true, std::sync::atomic::Ordering::Relaxed);
        self.0.metrics.fleet.ssh_sessions.inc();
    }
}

impl Drop for LossInner {
    fn drop(&mut self) {
        if *self.armed.get_mut() {
            self.metrics.fleet.ssh_sessions.dec();
            // Nobody may be listening.
            let _ = self.losses.send(std::mem::take(&mut self.name));
        }
    }
}
