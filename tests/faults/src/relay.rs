//! A relay before an API server that holds back the watches it is told to: who works behind it sees old objects as long as it likes
//! (B17). Everything else passes at once, and every change that passed is kept with its answer.

use crate::late::Deed;
use crate::wire::{Door, Wire};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

/// Serves plain HTTP on a port of its own, as the administrator; ends when dropped.
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

struct State {
    door: Door,
    /// Plural names of the kinds whose watches are held back.
    held: watch::Sender<BTreeSet<String>>,
    deeds: Mutex<Vec<Deed>>,
    /// Pieces of watches that had to wait.
    late: AtomicU64,
}

impl Relay {
    /// # Errors
    /// When there is no port to be had.
    pub async fn before(door: Door) -> Result<Relay> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (held, _) = watch::channel(BTreeSet::new());
        let state = Arc::new(State { door, held, deeds: Mutex::default(), late: AtomicU64::new(0) });
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&state), request));
                    let connection = hyper::server::conn::http1::Builder::new();
                    // It ends when the client is gone.
                    let _gone = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Relay { address, state, accepting: accepting.abort_handle() })
    }

    /// For clients that are to work through it.
    pub fn kubeconfig(&self) -> String {
        let entry = |key: &str, value: Value| json!([{"name": "late", key: value}]);
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "late",
            "clusters": entry("cluster", json!({"server": format!("http://{}", self.address)})),
            "users": entry("user", json!({})),
            "contexts": entry("context", json!({"cluster": "late", "user": "late"})),
        })
        .to_string()
    }

    /// From now on watches of these kinds (plural names) tell nothing, and those of all others what they have kept back.
    pub fn hold(&self, kinds: &[&str]) {
        self.state.held.send_replace(kinds.iter().map(|kind| (*kind).to_owned()).collect());
    }

    /// Every change that was asked for so far, in the order of the answers.
    pub fn deeds(&self) -> Vec<Deed> {
        self.state.deeds.lock().expect("nobody panics with it").clone()
    }

    /// How many pieces of watches had to wait.
    pub fn late(&self) -> u64 {
        self.state.late.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Answer = Response<Either<Full<Bytes>, Late>>;

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    Ok(pass(&state, request).await.unwrap_or_else(|error| {
        let mut answer = Response::new(Either::Left(Full::from(format!("{error:#}"))));
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        answer
    }))
}

async fn pass(state: &Arc<State>, request: Request<Incoming>) -> Result<Answer> {
    let (parts, body) = request.into_parts();
    let asked = body.collect().await?.to_bytes();
    let target = parts.uri.path_and_query().context("a path")?.as_str();
    // A connection of its own, so that no stream waits for another's window.
    let mut wire = state.door.connect().await?;
    let given = wire.pass(parts.method.clone(), target, &parts.headers, asked.clone()).await?;
    let (code, headers) = (given.status(), given.headers().clone());
    let path = parts.uri.path();
    let is_watch =
        parts.uri.query().unwrap_or_default().split('&').any(|part| part == "watch=true" || part == "watch=1");
    let body = if is_watch && code.is_success() {
        let kind = path.rsplit('/').next().unwrap_or_default().to_owned();
        let (send, pieces) = mpsc::channel(1);
        tokio::spawn(follow(Arc::clone(state), kind, wire, given.into_body(), send));
        Either::Right(Late(pieces))
    } else {
        let answer = given.into_body().collect().await?.to_bytes();
        if parts.method != Method::GET {
            let json = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or_default();
            let deed = Deed {
                method: parts.method.to_string(),
                path: path.to_owned(),
                body: json(&asked),
                code: code.as_u16(),
                answer: json(&answer),
            };
            state.deeds.lock().expect("nobody panics with it").push(deed);
        }
        Either::Left(Full::from(answer))
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    let kept = [header::CONTENT_TYPE, header::RETRY_AFTER];
    let kept = kept.into_iter().filter_map(|name| headers.get(&name).map(|value| (name, value.clone())));
    answer.headers_mut().extend(kept.collect::<HeaderMap>());
    Ok(answer)
}

/// Hands a watch on, piece by piece, each when its kind is not held back.
async fn follow(state: Arc<State>, kind: String, wire: Wire, mut body: Incoming, send: mpsc::Sender<Bytes>) {
    let mut held = state.held.subscribe();
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = send.closed() => break,
        };
        let Some(Ok(frame)) = frame else { break };
        let Ok(piece) = frame.into_data() else { continue };
        if held.borrow().contains(&kind) {
            state.late.fetch_add(1, Ordering::Relaxed);
        }
        tokio::select! {
            free = held.wait_for(|held| !held.contains(&kind)) => if free.is_err() { break },
            () = send.closed() => break,
        }
        if send.send(piece).await.is_err() {
            break;
        }
    }
    drop(wire);
}

/// The body of a watch.
struct Late(mpsc::Receiver<Bytes>);

impl Body for Late {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
