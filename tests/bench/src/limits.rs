//! What this machine can do at all, with the same bytes: hyper and TLS with nothing behind them, and SQLite with nothing around it.

use crate::target::Target;
use crate::{server, store};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use otternauts_store::{SqliteOptions, Store};
use rusqlite::OpenFlags;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A server of its own process that answers every GET with one of two bodies from memory, and every POST with what it was sent.
pub struct Plain {
    child: Child,
    dir: tempfile::TempDir,
}

impl Plain {
    /// With the certificate of the otter whose data directory this is.
    pub fn start(data: &Path, object: &[u8], list: &[u8]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        for file in ["server.crt", "server.key"] {
            std::fs::copy(data.join("pki").join(file), dir.path().join(file))?;
        }
        std::fs::write(dir.path().join("object"), object)?;
        std::fs::write(dir.path().join("list"), list)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--plain")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let url = server::ready(&mut child)?;
        let kubeconfig = std::fs::read_to_string(data.join("admin.kubeconfig"))?;
        let lines = kubeconfig.lines().map(|line| match line.split_once("server: ") {
            Some((indent, _)) => format!("{indent}server: {url}"),
            None => line.to_owned(),
        });
        std::fs::write(dir.path().join("kubeconfig"), lines.collect::<Vec<_>>().join("\n"))?;
        Ok(Self { child, dir })
    }

    pub fn target(&self) -> Result<Target> {
        Target::open("plain hyper", &self.dir.path().join("kubeconfig"))
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _nothing_to_learn = self.child.wait();
    }
}

/// The other side of [`Plain::start`]: serves until it is killed.
pub async fn serve(dir: &Path) -> Result<()> {
    let read = |name: &str| std::fs::read(dir.join(name)).with_context(|| name.to_owned());
    let chain = CertificateDer::pem_slice_iter(&read("server.crt")?).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&read("server.key")?)?;
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let (acceptor, bodies) =
        (TlsAcceptor::from(Arc::new(config)), (Bytes::from(read("object")?), Bytes::from(read("list")?)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready https://{}", listener.local_addr()?);
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let (acceptor, bodies) = (acceptor.clone(), bodies.clone());
        tokio::spawn(async move {
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let service = service_fn(move |request| answer(request, bodies.clone()));
            let _a_client_may_leave =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    (object, list): (Bytes, Bytes),
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let lists = request.uri().path().ends_with("/loads");
    let (status, body) = match *request.method() {
        Method::POST => (StatusCode::CREATED, request.into_body().collect().await?.to_bytes()),
        _ if lists => (StatusCode::OK, list),
        _ => (StatusCode::OK, object),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Rows a second that SQLite itself commits, `batch` rows a transaction: the rows that [`store::creates`] leaves, into a database that
/// the store has made, with its settings. What is written there is no valid log: the numbers that stand for checksums are none.
pub async fn sqlite(dir: &Path, batch: usize, rows: usize, round: usize) -> Result<f64> {
    let file = dir.join(format!("raw-{batch}-{round}.db"));
    Store::sqlite(SqliteOptions::new(&file))?.close().await?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(&file, flags)?;
    // The store checkpoints by itself, after as many pages.
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=1; PRAGMA mmap_size=0; PRAGMA cache_size=-4096;
         PRAGMA journal_size_limit=16777216; PRAGMA wal_autocheckpoint=1000;",
    )?;
    // As long as the store's longest: with the digits of the newest revision.
    let body = vec![b'x'; store::BODY + rows.to_string().len()];
    let started = Instant::now();
    for first in (1..=rows).step_by(batch) {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        {
            let mut insert = connection.prepare_cached(
                "INSERT INTO log (id, resource, namespace, name, op, schema, previous, checksum, chain, body)
                 VALUES (?1, ?2, 'default', ?3, 1, 1, 0, ?4, ?5, ?6)",
            )?;
            for revision in first..(first + batch).min(rows + 1) {
                let (name, number) = (format!("w{}-{}", revision % batch, revision / batch), i64::try_from(revision)?);
                insert.execute((number << 16, store::RESOURCE, name, i64::MAX - number, i64::MIN + number, &body))?;
            }
        }
        connection.execute_batch("COMMIT")?;
    }
    #[allow(clippy::cast_precision_loss, reason = "a count")]
    let rate = rows as f64 / started.elapsed().as_secs_f64();
    Ok(rate)
}
