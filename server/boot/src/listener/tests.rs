use super::*;
use crate::data_dir::DataDir;
use crate::pki::{Pki, names};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use otternauts_auth::Peer;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Answers who asks.
#[derive(Clone)]
struct Who;

impl Handler for Who {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let peer = request.extensions().get::<Peer>().expect("every request knows its peer");
        let name = peer.certificate.as_ref().map_or("nobody", |user| user.name.as_str());
        Response::new(Full::from(format!("{name} {:?}", request.version())))
    }
}

struct Server {
    pki: Pki,
    address: SocketAddr,
    stop: CancellationToken,
    done: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

async fn server() -> Server {
    let dir = tempfile::tempdir().expect("a directory");
    let data = DataDir::open(dir.path()).expect("opens");
    data.protect().expect("closed");
    let listener = Listener::bind("127.0.0.1:0".parse().expect("valid")).await.expect("bound");
    let address = listener.address();
    let now = crate::clock::now();
    let pki = Pki::open(&data, &names(address, &[]), now).expect("made");
    let stop = CancellationToken::new();
    let tls = crate::tls::server_config(&pki).expect("usable");
    let done = tokio::spawn(listener.serve(tls, Who, stop.clone()));
    Server { pki, address, stop, done, _dir: dir }
}

impl Server {
    async fn connect(&self, user: Option<&str>, alpn: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.pki.authority.certificate().as_bytes()).expect("PEM");
        roots.add(ca).expect("usable");
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match user {
            None => builder.with_no_client_auth(),
            Some(user) => {
                let now = crate::clock::now();
                let day = Duration::from_secs(24 * 3600);
                let groups = ["dev".to_owned(), "ops".to_owned()];
                let issued = self.pki.authority.client(user, &groups, day, now).expect("issued");
                let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM")];
                let key = PrivateKeyDer::from_pem_slice(issued.key.expose().as_bytes()).expect("PEM");
                builder.with_client_auth_cert(chain, key).expect("usable")
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("valid");
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("shaken hands")
    }
}

async fn body(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.expect("read").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn both_protocols_serve_with_and_without_a_client_certificate() {
    let server = server().await;
    let request = || Request::get("https://localhost/x").body(Full::<Bytes>::default()).expect("valid");
    for (user, expected) in [(None, "nobody"), (Some("alice"), "alice")] {
        let io = TokioIo::new(server.connect(user, b"http/1.1").await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("ready");
        let running = tokio::spawn(connection);
        let answer = body(sender.send_request(request()).await.expect("answered")).await;
        assert_eq!(answer, format!("{expected} HTTP/1.1"));
        drop(sender);
        running.await.expect("ended").expect("well");
        let io = TokioIo::new(server.connect(user, b"h2").await);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("ready");
        let running = tokio::spawn(connection);
        let answer = body(sender.send_request(request()).await.expect("answered")).await;
        assert_eq!(answer, format!("{expected} HTTP/2.0"));
        drop(sender);
        running.await.expect("ended").expect("well");
    }
    server.stop.cancel();
    server.done.await.expect("stopped");
}

#[tokio::test]
async fn plain_http_is_told_so_and_the_port_closes_when_we_stop() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"), "{answer}");
    let idle = server.connect(None, b"http/1.1").await;
    server.stop.cancel();
    server.done.await.expect("stopped");
    assert!(TcpStream::connect(server.address).await.is_err(), "the port is closed");
    drop(idle);
}

#[test]
fn a_crowd_that_has_left_is_noticed_once() {
    let mut size = Size::default();
    (0..1000).for_each(|_| size.enter());
    let noticed = (0..1000).filter(|_| size.leave()).count();
    // At 249 of 1000, and at 62 of 249; 62 are no crowd.
    assert_eq!((noticed, size.open), (2, 0));
    (0..63).for_each(|_| size.enter());
    assert!(!(0..63).any(|_| size.leave()), "few come and go all the time");
}
