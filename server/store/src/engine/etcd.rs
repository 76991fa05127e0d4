//! The etcd engine: the same log in a cluster, written and read by several replicas at once (P8, P9, N1).
//!
//! Rows lie under keys that sort like their places, as in the SQLite engine, so revisions are our own: without gaps,
//! whatever else the cluster does. One key, the head, is compared and moved by every commit. It runs on a thread of its
//! own, so that no caller's runtime matters.

mod client;
mod compaction;
mod followed;
mod follower;
mod grpc;
mod holds;
mod import;
mod load;
mod meta;
mod proto;
mod row;
mod state;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use crate::engine::{BodyRef, Visit, VisitHeader};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::key::Revision;
use crate::log::{Header, Place};
use crate::observer::{NoObserver, Observer};
use crate::record::{Committed, Write};
use crate::retention::{Clock, Retention, system_clock};
use crate::visible::Visible;
use bytes::Bytes;
use client::Client;
use compaction::Compaction;
pub(crate) use followed::Tell;
use grpc::Endpoint;
pub use import::{EtcdImporter, NotEmpty};
use parking_lot::Mutex;
use row::Keys;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
pub use state::Purpose;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, oneshot};
use view::View;
use writer::{Request, Waiting, Writer};

/// How many transactions may wait for the writer; more wait for a place in the queue.
const QUEUE: usize = 4096;

/// Where an etcd store is and how it behaves.
#[derive(Clone)]
pub struct EtcdOptions {
    /// `http://host:port` or `https://host:port` of the members; any of them may be down.
    pub endpoints: Vec<String>,
    /// Everything of ours is under it; the keys of several replicas of one control plane under the same.
    pub prefix: String,
    /// PEM: who signed the members' certificates. Needed for `https`.
    pub ca_file: Option<PathBuf>,
    /// PEM: our own certificate and its key, where the cluster asks for one.
    pub certificate_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub retention: Retention,
    pub clock: Clock,
    pub observer: Arc<dyn Observer>,
    /// What it is opened for: to be served from, unless said otherwise.
    pub purpose: Purpose,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        EtcdOptions {
            endpoints: vec!["http://127.0.0.1:2379".to_owned()],
            prefix: "/otternauts".to_owned(),
            ca_file: None,
            certificate_file: None,
            key_file: None,
            retention: Retention::default(),
            clock: system_clock(),
            observer: Arc::new(NoObserver),
            purpose: Purpose::default(),
        }
    }
}

/// What is wrong with the options.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{0:?} is not an endpoint of etcd: it should be like https://10.0.0.1:2379")]
    Endpoint(String),
    #[error("https endpoints of etcd need the certificate of their authority")]
    NoAuthority,
    #[error("a client certificate for etcd needs its key, and a key its certificate")]
    Half,
    #[error("cannot use {path}")]
    File {
        path: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

pub(crate) struct Etcd {
    runtime: Option<Runtime>,
    view: Arc<View>,
    queue: mpsc::UnboundedSender<Request>,
    places: Arc<Semaphore>,
    closed: AtomicBool,
    follower: Mutex<Option<tokio::task::AbortHandle>>,
}

impl Etcd {
    pub(crate) fn open(options: EtcdOptions) -> Result<(Arc<Visible>, Etcd)> {
        let unusable = |error: Unusable| Error::Engine(Box::new(error));
        let client = Client::new(endpoints(&options).map_err(unusable)?);
        let visible = Arc::new(Visible::new(Index::default(), options.observer));
        let keys = Keys::under(&options.prefix);
        let view = Arc::new(View::new(client, keys, visible.clone(), options.clock, options.retention));
        let runtime = own_runtime()?;
        let (queue, requests) = mpsc::unbounded_channel();
        let mut etcd = Etcd {
            runtime: Some(runtime),
            view: view.clone(),
            queue,
            places: Arc::new(Semaphore::new(QUEUE)),
            closed: AtomicBool::new(false),
            follower: Mutex::new(None),
        };
        let left = etcd.wait({
            let (view, purpose) = (view.clone(), options.purpose);
            async move {
                load::claim(&view, &purpose).await?;
                load::reload(&view).await
            }
        })?;
        etcd.start(left, requests);
        Ok((visible, etcd))
    }

    fn start(&mut self, left: Vec<Place>, requests: mpsc::UnboundedReceiver<Request>) {
        let compaction = Compaction::new(left);
        let writer = Writer { view: self.view.clone(), compaction };
        let Some(runtime) = &self.runtime else { return };
        runtime.spawn(writer.run(requests));
        *self.follower.lock() = Some(runtime.spawn(follower::follow(self.view.clone())).abort_handle());
    }

    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<Committed> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        let (reply, answer) = oneshot::channel();
        let request = Request::Commit(Waiting { writes, since: tokio::time::Instant::now(), reply, _place: place });
        self.queue.send(request).map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Returns when this replica has seen everything that anybody was answered before the call.
    pub(crate) async fn fresh(&self) -> Result<()> {
        let view = self.view.clone();
        self.spawn(async move { view.fresh().await }).await
    }

    pub(crate) fn is_reached(&self) -> bool {
        self.view.reached.load(Ordering::Relaxed)
    }

    /// Blocks the calling thread.
    pub(crate) fn rows(&self, places: &[Place], visit: Visit<'_>) -> Result<()> {
        if places.is_empty() {
            return Ok(());
        }
        let (view, places) = (self.view.clone(), places.to_vec());
        for stored in self.wait(async move { view.rows(&places).await })? {
            visit(&Header::of(&stored.row), &BodyRef::Shared(&stored.row.body));
        }
        Ok(())
    }

    pub(crate) fn headers(&self, places: &[Place], visit: VisitHeader<'_>) -> Result<()> {
        self.rows(places, &mut |header: &Header<'_>, _: &BodyRef<'_>| visit(header))
    }

    pub(crate) async fn meta(&self, name: &str) -> Result<Option<Bytes>> {
        let (view, key) = (self.view.clone(), self.view.keys.meta(name));
        self.spawn(async move { meta::read(&view, key).await }).await
    }

    pub(crate) async fn set_meta(&self, name: &str, value: Bytes) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let request = Request::SetMeta { name: name.to_owned(), value, reply };
        self.queue.send(request).map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    pub(crate) async fn metas(&self) -> Result<Vec<(String, Bytes)>> {
        let view = self.view.clone();
        self.spawn(async move { meta::all(&view).await }).await
    }

    pub(crate) async fn forget(&self, upto: Revision) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Request::Forget { upto, reply }).map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// See [`crate::Store::hold`]: for as long as what is answered lives.
    pub(crate) async fn hold(&self) -> Result<(Revision, Box<dyn Send + Sync>)> {
        let view = self.view.clone();
        let held = self.spawn(async move { holds::take(&view).await }).await?;
        Ok((held.revision, Box::new(held)))
    }

    /// The value there is, or else this one.
    pub(crate) async fn claim_meta(&self, name: &str, value: Bytes) -> Result<Bytes> {
        let (view, key) = (self.view.clone(), self.view.keys.meta(name));
        self.spawn(async move { meta::claim(&view, key, value).await }).await
    }

    /// See [`crate::Store::replace_meta`].
    pub(crate) async fn replace_meta(&self, name: &str, before: Bytes, value: Bytes) -> Result<bool> {
        let (view, key) = (self.view.clone(), self.view.keys.meta(name));
        self.spawn(async move { meta::replace(&view, key, before, value).await }).await
    }

    /// See [`crate::Store::follow`].
    pub(crate) async fn follow(&self, name: &str, tell: Tell) -> Result<()> {
        let (view, name) = (self.view.clone(), name.to_owned());
        self.spawn(async move { followed::follow(&view, &name, tell).await }).await
    }

    /// See [`crate::Store::moved`].
    pub(crate) async fn moved(&self) -> Result<Option<String>> {
        let view = self.view.clone();
        self.spawn(async move { state::moved(&view).await }).await
    }

    /// See [`crate::Store::leave`].
    pub(crate) async fn leave(&self, at: Revision, note: String) -> Result<()> {
        let view = self.view.clone();
        self.spawn(async move { state::leave(&view, at, &note).await }).await
    }

    pub(crate) async fn close(&self) -> Result<()> {
        self.places.close();
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Request::Close(reply)).is_ok() {
            // An error says that it has ended, which is what we want.
            let _ended = answer.await;
        }
        if let Some(follower) = self.follower.lock().take() {
            follower.abort();
        }
        Ok(())
    }

    /// Runs on the engine's own thread.
    async fn spawn<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.closed.load(Ordering::SeqCst)) else {
            return Err(Error::Closed);
        };
        match runtime.spawn(work).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Error::Closed),
        }
    }

    /// [`Etcd::spawn`] for who cannot await; needs no runtime of the caller's.
    fn wait<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let Some(runtime) = &self.runtime else { return Err(Error::Closed) };
        wait_on(runtime, work)
    }
}

/// A thread of our own, so that no caller's runtime matters.
fn own_runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).thread_name("store-etcd").enable_all().build();
    runtime.map_err(|error| Error::Engine(Box::new(error)))
}

/// Blocks the calling thread.
fn wait_on<T: Send + 'static>(runtime: &Runtime, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let (send, receive) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let _nobody_waits = send.send(work.await);
    });
    receive.recv().unwrap_or(Err(Error::Closed))
}

impl Drop for Etcd {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn endpoints(options: &EtcdOptions) -> Result<Vec<Endpoint>, Unusable> {
    let tls = tls(options)?;
    let endpoint = |url: &String| {
        let wrong = || Unusable::Endpoint(url.clone());
        let uri: hyper::Uri = url.trim_end_matches('/').parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => Some(tls.clone().ok_or(Unusable::NoAuthority)?),
            Some("http") => None,
            _ => return Err(wrong()),
        };
        let authority = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(2379));
        Ok(Endpoint { authority, name, tls })
    };
    let found: Vec<Endpoint> = options.endpoints.iter().map(endpoint).collect::<Result<_, _>>()?;
    if found.is_empty() { Err(Unusable::Endpoint(String::new())) } else { Ok(found) }
}

fn tls(options: &EtcdOptions) -> Result<Option<Arc<rustls::ClientConfig>>, Unusable> {
    let Some(ca) = &options.ca_file else { return Ok(None) };
    let failed = |path: &PathBuf, source: Box<dyn std::error::Error + Send + Sync>| {
        let path = path.display().to_string();
        Unusable::File { path, source }
    };
    let certificates = |path: &PathBuf| {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        read.map_err(|error| failed(path, Box::new(error)))
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|error| failed(ca, Box::new(error)))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| failed(ca, Box::new(error)))?.with_root_certificates(roots);
    let mut config = match (&options.certificate_file, &options.key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, Box::new(error)))?;
            let own = builder.with_client_auth_cert(certificates(certificate)?, secret);
            own.map_err(|error| failed(certificate, Box::new(error)))?
        }
        _ => return Err(Unusable::Half),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Some(Arc::new(config)))
}
