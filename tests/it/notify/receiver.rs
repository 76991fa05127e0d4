//! An HTTP server of a few lines: it keeps what it was sent, and answers as it is told.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// And more headers, each with its line end.
    Status(u16, &'static str),
    /// The connection stays open, and nothing comes.
    Silence,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Got {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

pub struct Receiver {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    /// `answer` gets the number of the request, from 0.
    pub fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("a port");
        let seen: Arc<Mutex<Vec<Got>>> = Arc::default();
        let (kept, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || serve(&stream, &kept, &*answer));
            }
        });
        Self { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn seen(&self) -> Vec<Got> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

fn serve(stream: &TcpStream, kept: &Mutex<Vec<Got>>, answer: &dyn Fn(usize) -> Answer) {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        let _half_a_line_is_seen_below = reader.read_line(&mut line);
        line.trim_end().to_owned()
    };
    let first = line();
    let mut headers = Vec::new();
    loop {
        let header = line();
        let Some((name, value)) = header.split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(n, _)| n == "content-length").map_or(0, |(_, v)| v.parse().expect("a length"));
    let mut body = vec![0; length];
    // A client that was killed has sent half a request, which is none.
    if first.is_empty() || length == 0 || reader.read_exact(&mut body).is_err() {
        return;
    }
    let number = {
        let mut kept = kept.lock().expect("not poisoned");
        kept.push(Got { line: first, headers, body });
        kept.len() - 1
    };
    match answer(number) {
        Answer::Status(code, headers) => {
            let text = match code {
                200 => "OK",
                204 => "No Content",
                _ => "As Told",
            };
            let head = format!("HTTP/1.1 {code} {text}\r\ncontent-length: 0\r\nconnection: close\r\n{headers}\r\n");
            let _client_may_be_gone = (&*stream).write_all(head.as_bytes());
        }
        // Until the client hangs up.
        Answer::Silence => drop(reader.read_to_end(&mut Vec::new())),
    }
}
