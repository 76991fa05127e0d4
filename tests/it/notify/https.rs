//! A webhook over TLS: only to a receiver whose authority is known.

use super::python::{Program, certificates, has};
use super::{control_plane, webhook};
use otternauts_harness::skip::skip;
use serde_json::json;

const TEST: &str = "a_webhook_over_tls_goes_to_whom_we_know";
const PYTHON: &str = "python3";

const SERVER: &str = r#"
import json, ssl, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        print(json.dumps({"path": self.path, "host": self.headers["host"], "event": json.loads(body)}), flush=True)
        self.send_response(202)
        self.end_headers()
    def log_message(self, *args):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

#[test]
fn a_webhook_over_tls_goes_to_whom_we_know() {
    if !has(PYTHON, "ssl") {
        return skip(TEST, "no Python here");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let authority = certificates(dir.path());
    let file = |name: &str| dir.path().join(name).display().to_string();
    let receiver = Program::start(PYTHON, SERVER, &[&file("cert.pem"), &file("key.pem")]);
    let otter = control_plane();
    let url = format!("https://127.0.0.1:{}/hook?a=b", receiver.port);
    let other = url.replace("127.0.0.1", "localhost");
    for (name, url, authority, expected) in [
        ("stranger", &url, None, "the TLS connection to 127.0.0.1 failed"),
        ("known", &url, Some(&authority), "delivered by webhook: 202 Accepted"),
        ("another-name", &other, Some(&authority), "the TLS connection to localhost failed"),
        (
            "broken",
            &url,
            Some(&"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n".to_owned()),
            "spec.caBundle is not",
        ),
    ] {
        let object = json!({
            "apiVersion": "otternauts.dev/v1", "kind": "Notifier",
            "metadata": {"name": name, "namespace": "otternauts-system"},
            "spec": {"channel": webhook(url), "caBundle": authority},
        });
        otter.apply(&object.to_string());
        let ran = otter.otter(&["-n", "otternauts-system", "notify", "test", name]);
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(expected), "{name}: {ran:?}");
        assert_eq!(ran.code == 0, name == "known", "{name}: {ran:?}");
    }
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(
        (&seen[0]["path"], &seen[0]["host"]),
        (&json!("/hook?a=b"), &json!(format!("127.0.0.1:{}", receiver.port)))
    );
    assert_eq!(seen[0]["event"]["data"]["notices"][0]["reason"], "Test");
}
