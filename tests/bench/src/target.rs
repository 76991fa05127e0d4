//! One API server, reached with a kubeconfig over HTTP/1.1 and TLS, one connection a client.

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where requests go, and as whom.
pub struct Target {
    pub name: &'static str,
    pub host: String,
    pub port: u16,
    bearer: Option<String>,
    tls: TlsConnector,
}

/// One connection: one client.
pub struct Connection {
    send: SendRequest<Full<Bytes>>,
    host: String,
    bearer: Option<String>,
}

impl Target {
    pub fn open(name: &'static str, kubeconfig: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(kubeconfig).with_context(|| kubeconfig.display().to_string())?;
        let file: Value = serde_saphyr::from_str(&text).context("the kubeconfig is not YAML")?;
        let context = named(&file, "contexts", file["current-context"].as_str().unwrap_or_default())?;
        let cluster = named(&file, "clusters", context["context"]["cluster"].as_str().unwrap_or_default())?;
        let user = named(&file, "users", context["context"]["user"].as_str().unwrap_or_default())?;
        let (cluster, user) = (&cluster["cluster"], &user["user"]);
        let url: http::Uri = cluster["server"].as_str().context("the cluster has no server")?.parse()?;
        let host = url.host().context("the server's URL has no host")?.to_owned();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = if cluster["insecure-skip-tls-verify"] == true {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        } else {
            let mut roots = rustls::RootCertStore::empty();
            let ca = bytes_of(cluster, "certificate-authority")?.context("the cluster has no certificate authority")?;
            for certificate in CertificateDer::pem_slice_iter(&ca) {
                roots.add(certificate?)?;
            }
            builder.with_root_certificates(roots)
        };
        let tls = match (bytes_of(user, "client-certificate")?, bytes_of(user, "client-key")?) {
            (Some(chain), Some(key)) => {
                let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>()?;
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&key)?)?
            }
            _ => builder.with_no_client_auth(),
        };
        let bearer = user["token"].as_str().map(|t| format!("Bearer {t}"));
        let port = url.port_u16().unwrap_or(443);
        Ok(Self { name, host, port, bearer, tls: TlsConnector::from(Arc::new(tls)) })
    }

    pub async fn connect(&self) -> Result<Connection> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(self.host.clone())?;
        let tls = self.tls.connect(name, tcp).await?;
        let (send, driver) = http1::handshake(TokioIo::new(tls)).await?;
        tokio::spawn(driver);
        Ok(Connection { send, host: format!("{}:{}", self.host, self.port), bearer: self.bearer.clone() })
    }
}

/// One HTTP/2 connection: many requests at once.
#[derive(Clone)]
pub struct Multiplexed {
    send: http2::SendRequest<Full<Bytes>>,
    authority: String,
    bearer: Option<String>,
}

impl Target {
    pub async fn connect_h2(&self) -> Result<Multiplexed> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let name = ServerName::try_from(self.host.clone())?;
        let mut config = (**self.tls.config()).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        let (send, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await?;
        tokio::spawn(driver);
        Ok(Multiplexed { send, authority: format!("{}:{}", self.host, self.port), bearer: self.bearer.clone() })
    }
}

impl Multiplexed {
    pub async fn get(&mut self, path: &str) -> Result<hyper::Response<Incoming>> {
        self.send.ready().await?;
        let mut request = Request::builder()
            .uri(format!("https://{}{path}", self.authority))
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "bench");
        if let Some(bearer) = &self.bearer {
            request = request.header(header::AUTHORIZATION, bearer);
        }
        Ok(self.send.send_request(request.body(Full::new(Bytes::new()))?).await?)
    }
}

/// The entry of one of the kubeconfig's lists.
fn named<'a>(file: &'a Value, list: &str, name: &str) -> Result<&'a Value> {
    let entries = file[list].as_array().with_context(|| format!("the kubeconfig has no {list}"))?;
    entries.iter().find(|e| e["name"] == name).with_context(|| format!("{list} has no {name:?}"))
}

/// A field that is there inline (`<field>-data`, base64) or as a file.
fn bytes_of(entry: &Value, field: &str) -> Result<Option<Vec<u8>>> {
    if let Some(data) = entry[format!("{field}-data")].as_str() {
        return Ok(Some(base64::engine::general_purpose::STANDARD.decode(data)?));
    }
    Ok(entry[field].as_str().map(std::fs::read).transpose()?)
}

impl Connection {
    pub async fn start(&mut self, method: Method, path: &str, body: Bytes) -> Result<hyper::Response<Incoming>> {
        self.send.ready().await?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "bench");
        if let Some(bearer) = &self.bearer {
            request = request.header(header::AUTHORIZATION, bearer);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        Ok(self.send.send_request(request.body(Full::new(body))?).await?)
    }

    /// A GET whose answer is read to its end and thrown away: how many bytes it had. A client that keeps nothing measures the
    /// server.
    pub async fn length(&mut self, path: &str) -> Result<usize> {
        let response = self.start(Method::GET, path, Bytes::new()).await?;
        let code = response.status();
        ensure!(code.is_success(), "GET {path}: {code}");
        let (mut body, mut length) = (response.into_body(), 0);
        while let Some(frame) = body.frame().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        Ok(length)
    }

    /// A request whose whole answer is read. A code of 300 or more is an error, but for those in `also`.
    pub async fn call(&mut self, method: Method, path: &str, body: Bytes, also: &[u16]) -> Result<(StatusCode, Bytes)> {
        let response = self.start(method.clone(), path, body).await?;
        let code = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !code.is_success() && !also.contains(&code.as_u16()) {
            let text = String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned();
            bail!("{method} {path}: {code}: {text}");
        }
        Ok((code, body))
    }
}

/// Believes any certificate, for a kubeconfig that says so itself.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
