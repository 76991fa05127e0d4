//! A Kubernetes client of the plainest kind: ConfigMaps over HTTP/2 and TLS, every answer taken at its word.

use crate::history::{Action, Change, Expects, Item, Key, Kind, Outcome, Revision, Seen};
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const COLLECTION: &str = "/api/v1/namespaces/default/configmaps";

/// Where the server is, and the administrator's token.
#[derive(Clone)]
pub struct Door {
    address: String,
    bearer: String,
    tls: TlsConnector,
}

/// One connection for several clients; cheap to clone.
#[derive(Clone)]
pub struct Wire {
    send: SendRequest<Full<Bytes>>,
    base: String,
    bearer: String,
    gone: Gone,
}

/// A watch that is read line by line.
pub struct Watching {
    body: Incoming,
    buffer: Vec<u8>,
    gone: Gone,
}

/// When the connection has ended. A request that was handed over in that very moment may get no answer, and no error either.
#[derive(Clone)]
struct Gone(watch::Receiver<()>);

/// The connection itself; it tells its end by being dropped.
struct Line {
    stream: TlsStream<TcpStream>,
    _end: watch::Sender<()>,
}

impl Gone {
    /// What has come before the end counts.
    async fn or<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            _ = self.0.changed() => bail!("the connection has ended"),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Door {
    /// The server at `https://HOST:PORT` whose data directory this is.
    ///
    /// # Errors
    /// When the directory has no certificate or token.
    pub fn of(url: &str, data: &Path) -> Result<Door> {
        let address = url.strip_prefix("https://").context("not an https URL")?.to_owned();
        let token = std::fs::read_to_string(data.join("admin.token")).context("admin.token")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(data.join("pki/ca.crt"))? {
            roots.add(certificate?)?;
        }
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let bearer = format!("Bearer {}", token.trim());
        Ok(Door { address, bearer, tls: TlsConnector::from(Arc::new(tls)) })
    }

    /// # Errors
    /// When nobody answers.
    pub async fn connect(&self) -> Result<Wire> {
        let tcp = TcpStream::connect(&self.address).await?;
        tcp.set_nodelay(true)?;
        let host = self.address.split(':').next().unwrap_or_default().to_owned();
        let stream = self.tls.connect(ServerName::try_from(host)?, tcp).await?;
        let (end, gone) = watch::channel(());
        let (send, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(Line { stream, _end: end })).await?;
        // It ends with the connection; how is told to each request.
        tokio::spawn(driver);
        let base = format!("https://{}", self.address);
        Ok(Wire { send, base, bearer: self.bearer.clone(), gone: Gone(gone) })
    }
}

impl Wire {
    /// Asks, and says what is known after the answer: anything that is not one is [`Outcome::Unknown`].
    ///
    /// # Errors
    /// An answer that no server may give to a right question.
    pub async fn ask(&mut self, action: &Action) -> Result<Outcome> {
        let Ok(request) = request(action) else { bail!("the wire has one change a write") };
        let Ok((code, body)) = self.call(request).await else { return Ok(Outcome::Unknown) };
        if code.is_server_error() || code == StatusCode::TOO_MANY_REQUESTS {
            return Ok(Outcome::Unknown);
        }
        let text = || format!("{action:?}: {code}: {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
        let value: Value = serde_json::from_slice(&body).with_context(text)?;
        match action {
            Action::Write(changes) if code.is_success() => {
                Ok(Outcome::Done(changes[0].put.is_some().then(|| revision(&value)).transpose()?))
            }
            Action::Write(_) if matches!(code, StatusCode::CONFLICT | StatusCode::NOT_FOUND) => Ok(Outcome::Refused),
            Action::Get(_) if code == StatusCode::NOT_FOUND => Ok(Outcome::Found(None)),
            Action::Get(_) if code.is_success() => {
                Ok(Outcome::Found(item(&value)?.map(|item| (item.token, item.revision))))
            }
            Action::List if code.is_success() => {
                let items = value["items"].as_array().with_context(text)?;
                let items: Vec<Option<Item>> = items.iter().map(item).collect::<Result<_>>()?;
                Ok(Outcome::Listed { at: revision(&value)?, items: items.into_iter().flatten().collect() })
            }
            _ => bail!(text()),
        }
    }

    async fn call(&mut self, (method, path, kind, body): Asked) -> Result<(StatusCode, Bytes)> {
        let response = self.send(method, &path, kind, body).await?;
        let code = response.status();
        Ok((code, self.gone.or(response.into_body().collect()).await??.to_bytes()))
    }

    async fn send(&mut self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<hyper::Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, &self.bearer)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, kind)
            .body(Full::new(body))?;
        self.hand_over(request).await
    }

    async fn hand_over(&mut self, request: Request<Full<Bytes>>) -> Result<hyper::Response<Incoming>> {
        self.gone.or(self.send.ready()).await??;
        Ok(self.gone.or(self.send.send_request(request)).await??)
    }

    /// Hands somebody's request on, as ours.
    pub(crate) async fn pass(
        &mut self,
        method: Method,
        target: &str,
        headers: &http::HeaderMap,
        body: Bytes,
    ) -> Result<hyper::Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(format!("{}{target}", self.base));
        for name in [header::ACCEPT, header::CONTENT_TYPE, header::USER_AGENT] {
            request = match headers.get(&name) {
                Some(value) => request.header(name, value),
                None => request,
            };
        }
        self.hand_over(request.header(header::AUTHORIZATION, &self.bearer).body(Full::new(body))?).await
    }

    /// A watch of everything above a revision.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn watch(&mut self, after: Revision) -> Result<Watching> {
        let path = format!("{COLLECTION}?watch=1&allowWatchBookmarks=true&resourceVersion={after}");
        let response = self.send(Method::GET, &path, "application/json", Bytes::new()).await?;
        ensure!(response.status().is_success(), "watch after {after}: {}", response.status());
        Ok(Watching { body: response.into_body(), buffer: Vec::new(), gone: self.gone.clone() })
    }
}

impl Watching {
    /// The next events that came, of our objects; `None` at the end, however it ended.
    ///
    /// # Errors
    /// A line that is no event, or an ERROR event.
    pub async fn next(&mut self) -> Result<Option<Vec<Seen>>> {
        loop {
            let Ok(Some(Ok(frame))) = self.gone.or(self.body.frame()).await else { return Ok(None) };
            let Some(data) = frame.data_ref() else { continue };
            self.buffer.extend_from_slice(data);
            let Some(end) = self.buffer.iter().rposition(|byte| *byte == b'\n') else { continue };
            let rest = self.buffer.split_off(end + 1);
            let whole = std::mem::replace(&mut self.buffer, rest);
            let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let seen: Vec<Option<Seen>> = lines.map(event).collect::<Result<_>>()?;
            let seen: Vec<Seen> = seen.into_iter().flatten().collect();
            if !seen.is_empty() {
                return Ok(Some(seen));
            }
        }
    }
}

fn event(line: &[u8]) -> Result<Option<Seen>> {
    let text = || String::from_utf8_lossy(&line[..line.len().min(300)]).into_owned();
    let event: Value = serde_json::from_slice(line).with_context(text)?;
    let object = &event["object"];
    let kind = match event["type"].as_str() {
        Some("ADDED") => Kind::Added,
        Some("MODIFIED") => Kind::Modified,
        Some("DELETED") => Kind::Deleted,
        Some("BOOKMARK") => return Ok(Some(Seen::Bookmark(revision(object)?))),
        _ => bail!(text()),
    };
    Ok(item(object)?.map(|Item { key, token, revision }| Seen::Event { revision, key, kind, token }))
}

type Asked = (Method, String, &'static str, Bytes);

fn request(action: &Action) -> Result<Asked> {
    const JSON: &str = "application/json";
    let path = |key: Key| format!("{COLLECTION}/o{key}");
    Ok(match action {
        Action::Get(key) => (Method::GET, path(*key), JSON, Bytes::new()),
        Action::List => (Method::GET, COLLECTION.to_owned(), JSON, Bytes::new()),
        Action::Write(changes) => {
            let [Change { key, expects, put }] = changes[..] else { bail!("one change") };
            let Some(token) = put else {
                let Expects::At(at, _) = expects else { bail!("a deletion names its revision") };
                let options = json!({"kind": "DeleteOptions", "apiVersion": "v1",
                    "preconditions": {"resourceVersion": at.to_string()}});
                return Ok((Method::DELETE, path(key), JSON, Bytes::from(options.to_string())));
            };
            let mut object = json!({"metadata": {"name": format!("o{key}")},
                "data": {"token": token.to_string(), "check": (!token).to_string()}});
            if let Expects::At(at, _) = expects {
                object["metadata"]["resourceVersion"] = at.to_string().into();
            }
            let body = Bytes::from(object.to_string());
            match expects {
                Expects::Absent => (Method::POST, COLLECTION.to_owned(), JSON, body),
                // By turns, so that both ways are tried.
                Expects::At(..) if token % 2 == 0 => (Method::PUT, path(key), JSON, body),
                _ => (Method::PATCH, path(key), "application/merge-patch+json", body),
            }
        }
    })
}

fn revision(value: &Value) -> Result<Revision> {
    let text = value["metadata"]["resourceVersion"].as_str();
    text.and_then(|text| text.parse().ok()).with_context(|| format!("no resourceVersion: {value}"))
}

/// The object, if it is one of ours.
fn item(value: &Value) -> Result<Option<Item>> {
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    let Some(key) = name.strip_prefix('o').and_then(|number| number.parse().ok()) else { return Ok(None) };
    let number = |field: &str| value["data"][field].as_str().and_then(|number| number.parse::<u64>().ok());
    match (number("token"), number("check")) {
        (Some(token), Some(check)) if check == !token => Ok(Some(Item { key, token, revision: revision(value)? })),
        _ => bail!("wrong bytes: {value}"),
    }
}
