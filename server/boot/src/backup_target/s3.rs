//! A bucket that speaks S3. Requests are signed by rusty-s3; this file sends them. A signed address is never logged: it opens the bucket.

use crate::backups::Whole;
use anyhow::{Context as _, bail, ensure};
use futures::StreamExt as _;
use http::{Method, Request, Response, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rusty_s3::actions::{DeleteObject, GetObject, ListObjectsV2, PutObject, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// How long a signed address is good for: it is used at once.
const SIGNED: Duration = Duration::from_secs(600);
/// For everything but the bytes of a backup.
const PATIENCE: Duration = Duration::from_secs(60);
/// A whole upload or download.
const LONGEST: Duration = Duration::from_secs(4 * 3600);
/// What one PUT may carry, as S3 has it.
const LARGEST: u64 = 5 << 30;
/// A list of names, or an error's text.
const TEXT: usize = 4 << 20;
const CHUNK: usize = 128 << 10;
/// Pages of names that are asked for, 1,000 names each.
const PAGES: usize = 100;

type Body = BoxBody<Bytes, std::io::Error>;

/// Somewhere below a prefix of one bucket.
pub struct S3 {
    bucket: Bucket,
    /// Empty, or with a slash at its end.
    prefix: String,
    credentials: Credentials,
    client: Client<HttpsConnector<HttpConnector>, Body>,
}

impl S3 {
    /// `bucket/prefix?endpoint=URL&region=NAME`; who we are is in `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        ensure!(!bucket.is_empty(), "it names no bucket");
        let (mut endpoint, mut region) = (None, "us-east-1".to_owned());
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("endpoint", url)) => endpoint = Some(url.to_owned()),
                Some(("region", name)) => name.clone_into(&mut region),
                _ => bail!("{part:?} is not understood: use endpoint= and region="),
            }
        }
        let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let endpoint = endpoint.parse().context("its endpoint is no address")?;
        let bucket = Bucket::new(endpoint, UrlStyle::Path, bucket.to_owned(), region);
        let bucket = bucket.context("its endpoint or its bucket cannot be used")?;
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let who = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
        let (key, secret) = who.context("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")?;
        Ok(Self { bucket, prefix, credentials: Credentials::new(key, secret), client: client()? })
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub async fn names(&self) -> anyhow::Result<Vec<String>> {
        let (mut names, mut token) = (Vec::new(), None);
        for _ in 0..PAGES {
            let mut action = ListObjectsV2::new(&self.bucket, Some(&self.credentials));
            action.with_prefix(self.prefix.as_str());
            if let Some(token) = token.take() {
                action.with_continuation_token(token);
            }
            let answer =
                self.send(&action, Method::GET, empty(), None, PATIENCE).await.context("cannot list the bucket")?;
            let text = text(answer).await.context("cannot list the bucket")?;
            let page = ListObjectsV2::parse_response(&text).ok().context("the bucket's list cannot be read")?;
            names.extend(
                page.contents.iter().filter_map(|object| object.key.strip_prefix(&self.prefix)).map(str::to_owned),
            );
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(names);
            }
        }
        bail!("the bucket holds too many names under {:?}", self.prefix)
    }

    pub async fn put(&self, name: &str, path: &Path) -> anyhow::Result<()> {
        let file = tokio::fs::File::open(path).await.context("cannot read the backup")?;
        let length = file.metadata().await.context("cannot read the backup")?.len();
        ensure!(length <= LARGEST, "the backup has {length} bytes, and S3 takes {LARGEST} in one piece");
        let read = |mut file: tokio::fs::File| async move {
            let mut chunk = vec![0; CHUNK];
            let read = file.read(&mut chunk).await?;
            chunk.truncate(read);
            Ok::<_, std::io::Error>((read > 0).then(|| (Frame::data(Bytes::from(chunk)), file)))
        };
        let body = StreamBody::new(futures::stream::try_unfold(file, read));
        let key = self.key(name);
        let action = PutObject::new(&self.bucket, Some(&self.credentials), &key);
        let sent = self.send(&action, Method::PUT, BodyExt::boxed(body), Some(length), LONGEST).await;
        sent.map(drop).context("cannot put the backup into the bucket")
    }

    pub async fn get(&self, name: &str, path: &Path) -> anyhow::Result<()> {
        let key = self.key(name);
        let action = GetObject::new(&self.bucket, Some(&self.credentials), &key);
        let answer =
            self.send(&action, Method::GET, empty(), None, PATIENCE).await.context("cannot fetch the backup")?;
        let mut whole = Whole::begin(path)?;
        let mut chunks = answer.into_body().into_data_stream();
        let fetch = async {
            while let Some(chunk) = chunks.next().await {
                whole.write(&chunk.context("the backup broke off")?)?;
            }
            whole.finish()
        };
        tokio::time::timeout(LONGEST, fetch).await.context("the backup takes too long")?
    }

    pub async fn remove(&self, name: &str) -> anyhow::Result<()> {
        let key = self.key(name);
        let action = DeleteObject::new(&self.bucket, Some(&self.credentials), &key);
        let sent = self.send(&action, Method::DELETE, empty(), None, PATIENCE).await;
        sent.map(drop).context("cannot remove an old backup from the bucket")
    }

    async fn send<'a>(
        &self,
        action: &impl S3Action<'a>,
        method: Method,
        body: Body,
        length: Option<u64>,
        patience: Duration,
    ) -> anyhow::Result<Response<Incoming>> {
        let url = action.sign(SIGNED);
        let mut request = Request::builder().method(method).uri(url.as_str());
        if let Some(length) = length {
            request = request.header(header::CONTENT_LENGTH, length);
        }
        let request = request.body(body).ok().context("the request cannot be made")?;
        let answer = tokio::time::timeout(patience, self.client.request(request)).await;
        let answer = answer.context("no answer in time")?.context("the server cannot be reached")?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let told = text(answer).await.unwrap_or_default();
        bail!("{status}{}", code(&told).map(|code| format!(" ({code})")).unwrap_or_default())
    }
}

fn empty() -> Body {
    BodyExt::boxed(Empty::new().map_err(|never| match never {}))
}

async fn text(answer: Response<Incoming>) -> anyhow::Result<String> {
    let read = tokio::time::timeout(PATIENCE, Limited::new(answer.into_body(), TEXT).collect()).await;
    let bytes =
        read.context("the answer takes too long")?.map_err(|_| anyhow::anyhow!("the answer broke off"))?.to_bytes();
    String::from_utf8(bytes.into()).ok().context("the answer is no text")
}

/// The code in an error of S3: a word such as `AccessDenied`.
fn code(xml: &str) -> Option<&str> {
    let code = xml.split_once("<Code>")?.1.split_once("</Code>")?.0;
    (code.len() < 64 && code.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(code)
}

fn client() -> anyhow::Result<Client<HttpsConnector<HttpConnector>, Body>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS cannot be used")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector =
        hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}
