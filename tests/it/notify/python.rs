//! Servers that Python has and we do not want to write: a mail server, HTTPS.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A program that prints its port, then a line of JSON for whatever it gets; ended when dropped.
pub struct Program {
    child: Child,
    pub port: u16,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Program {
    pub fn start(python: &str, text: &str, args: &[&str]) -> Self {
        let mut command = Command::new(python);
        command.args(["-W", "ignore", "-c", text]).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = lines.next().expect("a port").expect("a line").parse().expect("a number");
        let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().expect("not poisoned").push(serde_json::from_str(&line).expect("JSON"));
            }
        });
        Self { child, port, seen }
    }

    pub fn seen(&self) -> Vec<Value> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _no_zombie_stays = self.child.wait();
    }
}

/// Whether this Python has a module.
pub fn has(python: &str, module: &str) -> bool {
    let asked = Command::new(python).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
    asked.is_ok_and(|s| s.success())
}

/// An authority, which is answered, and a certificate for 127.0.0.1 (`cert.pem`, `key.pem`), by openssl.
pub fn certificates(dir: &Path) -> String {
    let openssl = |args: &str| {
        let done = Command::new("openssl").args(args.split(' ')).current_dir(dir).output().expect("openssl runs");
        assert!(done.status.success(), "{args}: {}", String::from_utf8_lossy(&done.stderr));
    };
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem -addext basicConstraints=critical,CA:TRUE",
    );
    openssl("req -newkey rsa:2048 -nodes -subj /CN=receiver -keyout key.pem -out receiver.csr");
    std::fs::write(dir.join("ext"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").expect("written");
    openssl("x509 -req -in receiver.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out cert.pem -extfile ext");
    std::fs::read_to_string(dir.join("ca.pem")).expect("the authority")
}
