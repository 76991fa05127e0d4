//! Mail through a real server (python3-aiosmtpd), with STARTTLS, with TLS from the first byte, and without.

use super::python::{Program, certificates, has};
use super::{control_plane, so_many, stack, stands};
use otternauts_harness::skip::skip;
use serde_json::{Value, json};
use std::path::Path;

const TEST: &str = "a_mail_goes_through_a_real_server_ot_72";
const PYTHON: [&str; 2] = ["/usr/bin/python3", "python3"];

/// Prints its port, then a line of JSON for each mail.
const SERVER: &str = r#"
import json, logging, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

logging.disable(logging.WARNING)
security, cert, key = sys.argv[1:4]

class Handler:
    async def handle_DATA(self, server, session, envelope):
        print(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "text": envelope.content.decode()}), flush=True)
        return "250 taken"

def check(server, session, envelope, mechanism, data):
    good = data.login == b"otter" and data.password == b"planted-password"
    return AuthResult(success=good, auth_data=data if good else None)

context = None
if security != "none":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
more = {}
if security == "startTls":
    more = {"tls_context": context, "require_starttls": True, "authenticator": check, "auth_required": True}
if security == "tls":
    more = {"ssl_context": context}

class Loopback(Controller):
    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

controller = Loopback(Handler(), hostname="127.0.0.1", port=0, **more)
controller.start()
print(controller.port, flush=True)
sys.stdin.read()
"#;

fn start(python: &str, dir: &Path, security: &str) -> Program {
    let file = |name: &str| dir.join(name).display().to_string();
    Program::start(python, SERVER, &[security, &file("cert.pem"), &file("key.pem")])
}

#[test]
fn a_mail_goes_through_a_real_server_ot_72() {
    let Some(python) = PYTHON.into_iter().find(|python| has(python, "aiosmtpd")) else {
        return skip(TEST, "no mail server here (Debian: python3-aiosmtpd)");
    };
    let dir = tempfile::tempdir().expect("a directory");
    let authority = certificates(dir.path());
    let otter = control_plane();
    let password = "--from-literal=password=planted-password";
    otter.kubectl(&["-n", "otternauts-system", "create", "secret", "generic", "mail", password]).ok();
    stack(&otter, "web");
    for security in ["startTls", "tls", "none"] {
        let mails = start(python, dir.path(), security);
        let mut email = json!({
            "host": "127.0.0.1", "port": mails.port, "security": security,
            "from": "Otto <otter@example.com>", "to": ["ops@example.com", "boss@example.com"],
        });
        if security == "startTls" {
            email["username"] = "otter".into();
            email["secretRef"] = json!({"name": "mail"});
        }
        let name = security.to_lowercase();
        let object = json!({
            "apiVersion": "otternauts.dev/v1", "kind": "Notifier",
            "metadata": {"name": name, "namespace": "otternauts-system"},
            "spec": {"channel": {"email": email}, "caBundle": authority, "groupWait": "0s", "selector": {"kinds": ["Stack"]}},
        });
        otter.apply(&object.to_string());
        let answer = otter.otter(&["-n", "otternauts-system", "notify", "test", &name]);
        assert_eq!(answer.ok(), "delivered by email: 250 taken\n", "{security}");
        stands(&otter, "web", false, "Unhealthy");
        let seen = so_many(security, 2, || mails.seen());
        let mail = &seen[1];
        assert_eq!(
            (&mail["from"], &mail["to"]),
            (&json!("otter@example.com"), &json!(["ops@example.com", "boss@example.com"]))
        );
        assert_eq!(mail["tls"], security != "none", "{mail}");
        assert_eq!(mail["user"], if security == "startTls" { json!("otter") } else { Value::Null });
        let text = mail["text"].as_str().expect("text");
        assert!(text.contains("Subject: [otternauts] Problem: Stack default/web: Unhealthy\r\n"), "{text}");
        assert!(text.contains("Message-ID: <msg_"), "{text}");
        assert!(text.contains("Problem: Stack default/web: Unhealthy: because: Unhealthy"), "{text}");
        // The next round begins well, and this Notifier hears no more of it.
        otter.kubectl(&["-n", "otternauts-system", "delete", "notifier", &name]).ok();
        stands(&otter, "web", true, "Deployed");
    }
    // A server that wants a password we do not have, and an authority we do not know.
    let mails = start(python, dir.path(), "tls");
    let object = json!({
        "apiVersion": "otternauts.dev/v1", "kind": "Notifier",
        "metadata": {"name": "stranger", "namespace": "otternauts-system"},
        "spec": {"channel": {"email": {
            "host": "127.0.0.1", "port": mails.port, "security": "tls", "from": "a@example.com", "to": ["b@example.com"],
        }}},
    });
    otter.apply(&object.to_string());
    let answer = otter.otter(&["-n", "otternauts-system", "notify", "test", "stranger"]);
    assert!(answer.refused().contains("not delivered by email"), "{answer:?}");
    assert!(mails.seen().is_empty(), "no mail goes to a stranger");
    assert!(!otter.log().contains("planted-password"), "the password is in the log");
}
