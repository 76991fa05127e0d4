use super::*;
use crate::config::Controllers;
use futures::StreamExt as _;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use otternauts_vault::Identity;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tokio::net::TcpStream;

#[test]
fn clients_are_sent_where_they_can_connect() {
    for (listen, expected) in [
        ("127.0.0.1:7443", "127.0.0.1:7443"),
        ("0.0.0.0:8443", "127.0.0.1:8443"),
        ("[::]:8443", "[::1]:8443"),
        ("192.0.2.1:443", "192.0.2.1:443"),
    ] {
        assert_eq!(advertised(listen.parse().expect("valid")), expected);
    }
}

fn config(dir: &Path) -> Config {
    Config {
        data_dir: dir.join("data"),
        store: crate::config::StoreConfig::Sqlite,
        listen: "127.0.0.1:0".parse().expect("valid"),
        controllers: Controllers(Vec::new()),
        log_format: otternauts_telemetry::LogFormat::Text,
        disk: otternauts_store::DiskGuard::default(),
        token_auth_file: None,
        tls_san: Vec::new(),
        secret_key_file: None,
        high_water_mark: None,
        recovery_recipients: Vec::new(),
        backups: crate::scheduled::BackupSettings::default(),
    }
}

async fn start(dir: &Path) -> Server {
    Server::start(config(dir), None).await.expect("started")
}

async fn stop(server: Server) {
    server.stop.cancel();
    server.finish().await.expect("stopped");
}

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// TLS as a client speaks it that trusts our authority.
fn connector(dir: &Path) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    let ca = std::fs::read(dir.join("data/pki/ca.crt")).expect("there");
    roots.add(CertificateDer::from_pem_slice(&ca).expect("PEM")).expect("usable");
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(Arc::new(config))
}

async fn connect(server: &Server, tls: &tokio_rustls::TlsConnector) -> Stream {
    let stream = TcpStream::connect(&server.host).await.expect("connected");
    let name = ServerName::try_from("127.0.0.1").expect("valid");
    tls.connect(name, stream).await.expect("shaken hands")
}

/// A request as a client makes it, over a connection of its own: `(code, body)`.
async fn ask(
    server: &Server,
    dir: &Path,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &Value,
) -> (StatusCode, Value) {
    let stream = connect(server, &connector(dir)).await;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("ready");
    let running = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = request.header("content-type", "application/json").body(Full::new(bytes)).expect("valid");
    let answer = sender.send_request(request).await.expect("answered");
    let code = answer.status();
    let bytes = answer.into_body().collect().await.expect("read").to_bytes();
    drop(sender);
    running.await.expect("ended").expect("well");
    (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()))
}

fn admin_token(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("data/admin.token")).expect("there")
}

fn secret(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"password": value}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_serves_stops_and_starts_again_with_everything_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let server = start(dir).await;
    let token = admin_token(dir);
    let admin = Some(token.as_str());
    let (code, _) = ask(&server, dir, "GET", "/readyz", None, &Value::Null).await;
    assert_eq!(code, StatusCode::OK);
    let (code, namespaces) = ask(&server, dir, "GET", "/api/v1/namespaces", admin, &Value::Null).await;
    assert_eq!(code, StatusCode::OK, "{namespaces}");
    let names: Vec<&str> =
        namespaces["items"].as_array().expect("a list").iter().filter_map(|n| n["metadata"]["name"].as_str()).collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system", "otternauts-system"]);
    let (code, answer) = ask(&server, dir, "GET", "/api/v1/namespaces", Some("nonsense"), &Value::Null).await;
    assert_eq!((code, answer["message"].as_str()), (StatusCode::UNAUTHORIZED, Some("Unauthorized")));
    let (code, _) = ask(&server, dir, "GET", "/api/v1/namespaces", None, &Value::Null).await;
    assert_eq!(code, StatusCode::FORBIDDEN);
    let path = "/api/v1/namespaces/default/secrets";
    let (code, made) = ask(&server, dir, "POST", path, admin, &secret("cGxhbnRlZC1zZWNyZXQ=")).await;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    stop(server).await;

    let server = start(dir).await;
    assert_eq!(admin_token(dir), token, "made once");
    let (code, read) = ask(&server, dir, "GET", &format!("{path}/db"), admin, &Value::Null).await;
    assert_eq!((code, &read["data"]["password"]), (StatusCode::OK, &json!("cGxhbnRlZC1zZWNyZXQ=")), "{read}");
    stop(server).await;
    for file in std::fs::read_dir(dir.join("data")).expect("there").flatten().filter(|f| f.path().is_file()) {
        let bytes = std::fs::read(file.path()).expect("readable");
        for plain in ["cGxhbnRlZC1zZWNyZXQ", "planted-secret"] {
            let found = bytes.windows(plain.len()).any(|window| window == plain.as_bytes());
            assert!(!found, "{plain} stands in {}", file.path().display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_or_missing_key_refuses_to_start_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    stop(start(dir).await).await;
    let before = snapshot(&dir.join("data"));
    let other = Identity::generate();
    let refuse = async |key: Option<Secret<String>>| {
        let error = Server::start(config(dir), key).await.err().expect("refused");
        assert_eq!(snapshot(&dir.join("data")), before, "nothing changed");
        format!("{error:#}")
    };
    let error = refuse(Some(other.to_line())).await;
    assert!(error.contains("sealed for the key age1") && error.contains(&other.recipient()), "{error}");
    let error = refuse(Some(Secret::new("nonsense".to_owned()))).await;
    assert_eq!(error, "the secret key from OTTERNAUTS_SECRET_KEY is not one AGE-SECRET-KEY-1... line");
    let key = dir.join("data/secret.key");
    let kept = std::fs::read(&key).expect("there");
    std::fs::remove_file(&key).expect("removed");
    let error = Server::start(config(dir), None).await.err().expect("refused").to_string();
    assert!(error.contains("no key was given"), "{error}");
    assert!(!key.exists(), "never a new key for old secrets");
    // Also when the public half is gone: then the store knows.
    std::fs::remove_file(dir.join("data/secret.key.pub")).expect("removed");
    let error = Server::start(config(dir), None).await.err().expect("refused").to_string();
    assert!(error.contains("no key was given") && !key.exists(), "{error}");
    let line = Secret::new(String::from_utf8(kept).expect("text"));
    let server = Server::start(config(dir), Some(line)).await.expect("the right key from elsewhere");
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_refused_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.join(name), text).expect("written");
        std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o600)).expect("closed");
        Some(dir.join(name))
    };
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let taken = held.local_addr().expect("a port");
    let missing = Some(dir.join("missing"));
    let cases = [
        (Config { token_auth_file: missing.clone(), ..config(dir) }, "cannot read"),
        (Config { token_auth_file: file("tokens", "only,two\n"), ..config(dir) }, "expected at least token"),
        (Config { tls_san: vec!["h\u{f6}hle".to_owned()], ..config(dir) }, "is every --tls-san"),
        (Config { secret_key_file: missing, ..config(dir) }, "missing"),
        (Config { secret_key_file: file("key", "nonsense\n"), ..config(dir) }, "is not one AGE-SECRET-KEY-1"),
        (Config { listen: taken, ..config(dir) }, "cannot listen on"),
    ];
    for (config, expected) in cases {
        let config = Config { data_dir: dir.join("outer/data"), ..config };
        let error = Server::start(config, None).await.err().expect(expected);
        let error = format!("{error:#}");
        assert!(error.contains(expected), "{error}");
        assert!(!dir.join("outer").exists(), "something is left after: {error}");
    }
}

/// A connection that has sent the head of a POST and the server waits for its body: `Expect` makes it say so.
async fn half_a_post(server: &Server, tls: &tokio_rustls::TlsConnector, token: &str, n: usize) -> Stream {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = connect(server, tls).await;
    let head = format!(
        "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\nX-Number: {n}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert!([b"HTTP/1.1 100", b"HTTP/1.1 429"].contains(&&answer), "{}", String::from_utf8_lossy(&answer));
    stream
}

/// Row R37: whoever sends slowly waits alone. 210 is more than all slots for requests that change something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_senders_starve_nobody_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let users = "slow-token,sloth,1,system:masters\nquick-token,hare,2,system:masters\n";
    std::fs::write(dir.join("tokens"), users).expect("written");
    let config = Config { token_auth_file: Some(dir.join("tokens")), ..config(dir) };
    let server = Server::start(config, None).await.expect("started");
    let tls = connector(dir);
    let opening = futures::stream::iter(0..210).map(|n| half_a_post(&server, &tls, "slow-token", n));
    let slow: Vec<Stream> = opening.buffer_unordered(8).collect().await;
    let made = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "quick"}});
    let path = "/api/v1/namespaces/default/configmaps";
    let (code, answer) = ask(&server, dir, "POST", path, Some("quick-token"), &made).await;
    assert_eq!(code, StatusCode::CREATED, "{answer}");
    let theirs = half_a_post(&server, &tls, "quick-token", 0).await;
    drop((slow, theirs));
    stop(server).await;
}

/// Every file with its bytes.
fn snapshot(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            files.push((path.clone(), std::fs::read(&path).expect("readable")));
        }
    }
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = start(dir.path()).await;
    let error = Server::start(config(dir.path()), None).await.err().expect("refused").to_string();
    assert!(error.starts_with("another otter already runs on the data directory"), "{error}");
    stop(server).await;
}
