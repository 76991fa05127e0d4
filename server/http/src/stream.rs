//! Watch streams (rows W1 to W3, W13, W18, N13): one JSON document a line, sent as soon as it is there.
//!
//! Whatever is ready is gathered into one chunk, so a burst of events costs one write per watcher, not one per event.

use crate::accept::Shape;
use crate::answer::{Body, BodyError};
use crate::partial::write as write_partial;
use crate::table::{Include, Tables};
use bytes::Bytes;
use otternauts_meta::{Status, Timestamp};
use otternauts_registry::{Target, WatchEvent, WatchSession};
use otternauts_telemetry::watches::Watch;
use serde_json::json;
use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// A chunk is sent once it holds this much, even when more is ready.
const CHUNK: usize = 32 * 1024;

/// How a watch's events are written.
pub struct Lines {
    target: Target,
    shape: Shape,
    tables: Option<Tables>,
    columns_sent: bool,
    now: fn() -> Timestamp,
}

impl Lines {
    pub fn new(target: &Target, shape: Shape, include: Include, now: fn() -> Timestamp) -> Self {
        let tables = match shape {
            Shape::Table(version) => Some(Tables::new(target, version, include)),
            _ => None,
        };
        Self { target: target.clone(), shape, tables, columns_sent: false, now }
    }

    /// Appends one line. An object that cannot be written in the shape asked for becomes an ERROR event.
    pub fn write(&mut self, out: &mut Vec<u8>, event: WatchEvent) {
        let (kind, object) = match event {
            WatchEvent::Added(object) => ("ADDED", self.object(&object)),
            WatchEvent::Modified(object) => ("MODIFIED", self.object(&object)),
            WatchEvent::Deleted(object) => ("DELETED", self.object(&object)),
            WatchEvent::Bookmark { resource_version, initial_end } => {
                ("BOOKMARK", Ok(self.bookmark(&resource_version, initial_end)))
            }
            WatchEvent::Error(status) => ("ERROR", Err(status)),
        };
        let (kind, object) = match object {
            Ok(object) => (kind, object),
            Err(status) => ("ERROR", crate::answer::escape(status.to_json()).into()),
        };
        out.reserve(object.len() + 40);
        out.extend_from_slice(br#"{"type":""#);
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(br#"","object":"#);
        out.extend_from_slice(&object);
        out.extend_from_slice(b"}\n");
    }

    fn object(&mut self, object: &Bytes) -> Result<Bytes, Status> {
        match (&self.tables, self.shape) {
            (Some(tables), _) => {
                let first = !std::mem::replace(&mut self.columns_sent, true);
                tables.one(object, (self.now)(), first).map(Bytes::from)
            }
            (None, Shape::Partial(version) | Shape::PartialList(version)) => {
                let mut out = Vec::with_capacity(512);
                write_partial(&mut out, object, version)?;
                Ok(out.into())
            }
            (None, _) => Ok(object.clone()),
        }
    }

    fn bookmark(&mut self, resource_version: &str, initial_end: bool) -> Bytes {
        if let Some(tables) = &self.tables {
            let first = !std::mem::replace(&mut self.columns_sent, true);
            return tables.bookmark(resource_version, initial_end, first).into();
        }
        let (kind, api_version) = match self.shape {
            Shape::Partial(v) | Shape::PartialList(v) => {
                ("PartialObjectMetadata".to_owned(), format!("meta.k8s.io/{v}"))
            }
            _ => {
                let gvk = self.target.definition.gvk(&self.target.version);
                (gvk.kind.clone(), gvk.api_version())
            }
        };
        let end = json!({"k8s.io/initial-events-end": "true"});
        let object = if self.target.definition.is_builtin() {
            let mut metadata = json!({"resourceVersion": resource_version});
            if initial_end {
                metadata["annotations"] = end;
            }
            json!({"kind": kind, "apiVersion": api_version, "metadata": metadata})
        } else {
            let metadata = if initial_end {
                json!({"annotations": end, "resourceVersion": resource_version})
            } else {
                json!({"resourceVersion": resource_version})
            };
            json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
        };
        crate::answer::encode(&object).into()
    }
}

/// What a stream holds on to while it is open, and tells when events went out.
pub struct Held {
    /// Counts what is sent.
    pub watch: Watch,
    /// Permits and gauges: held, never read, let go when the stream ends.
    #[expect(dead_code, reason = "held for its drop")]
    pub guards: Box<dyn Send + Sync>,
}

/// The body of a watch: until the session ends, the time is up, or the server shuts down (rows W18, T11).
pub fn body(
    session: WatchSession,
    lines: Lines,
    lasts: Duration,
    mut shutdown: tokio::sync::watch::Receiver<bool>,
    held: Held,
) -> Body {
    let end = Instant::now() + lasts;
    // Two bookmarks before the end (row W13), where the time allows.
    let marks: VecDeque<Instant> =
        [2, 1].into_iter().filter(|s| lasts > Duration::from_secs(*s)).map(|s| end - Duration::from_secs(s)).collect();
    let alarm = Box::pin(tokio::time::sleep_until(marks.front().copied().unwrap_or(end)));
    let shutdown = Box::pin(async move { stopped(&mut shutdown).await });
    let state = State { session, lines, marks, end, alarm, shutdown, held, over: false, under_way: false };
    Body::stream(futures::stream::unfold(state, |mut state| async move {
        let chunk = state.chunk().await?;
        Some((Ok::<Bytes, BodyError>(chunk), state))
    }))
}

struct State {
    session: WatchSession,
    lines: Lines,
    marks: VecDeque<Instant>,
    end: Instant,
    /// Rings at the next mark, then at the end. It and the next field are made once: to wait for them costs an event nothing.
    alarm: Pin<Box<tokio::time::Sleep>>,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    held: Held,
    over: bool,
    /// Something was sent: a 410 now is a watch that was too slow, not one that began too late.
    under_way: bool,
}

/// Ends when the server shuts down; never, when nobody can say so any more.
pub async fn stopped(shutdown: &mut tokio::sync::watch::Receiver<bool>) {
    let deaf = shutdown.wait_for(|stop| *stop).await.is_err();
    if deaf {
        std::future::pending::<()>().await;
    }
}

enum Next {
    Event(Option<WatchEvent>),
    Time,
    Shutdown,
}

impl State {
    async fn chunk(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        let mut oldest = None;
        while out.is_empty() && !self.over {
            match self.next().await {
                Next::Event(event) => self.take(&mut out, event, &mut oldest),
                Next::Time => match self.marks.pop_front() {
                    Some(_) => {
                        self.alarm.as_mut().reset(self.marks.front().copied().unwrap_or(self.end));
                        if let Some(bookmark) = self.session.bookmark() {
                            self.lines.write(&mut out, bookmark);
                        }
                    }
                    None => self.over = true,
                },
                Next::Shutdown => self.over = true,
            }
            while !self.over && !out.is_empty() && out.len() < CHUNK {
                let Some(event) = self.session.ready() else { break };
                self.take(&mut out, Some(event), &mut oldest);
            }
        }
        if let Some(committed) = oldest {
            self.held.watch.delivered(committed.elapsed().as_secs_f64());
        }
        (!out.is_empty()).then(|| out.into())
    }

    async fn next(&mut self) -> Next {
        tokio::select! {
            event = self.session.next() => Next::Event(event),
            () = self.alarm.as_mut() => Next::Time,
            () = self.shutdown.as_mut() => Next::Shutdown,
        }
    }

    fn take(&mut self, out: &mut Vec<u8>, event: Option<WatchEvent>, oldest: &mut Option<std::time::Instant>) {
        match event {
            None => self.over = true,
            Some(event) => {
                if let WatchEvent::Error(status) = &event {
                    self.over = true;
                    if status.code == 410 && self.under_way {
                        self.held.watch.could_not_keep_up();
                    }
                }
                self.under_way = true;
                // They come in the order of their commits: the first is the oldest.
                *oldest = oldest.or(self.session.committed());
                let before = out.len();
                self.lines.write(out, event);
                self.held.watch.event(out.len() - before);
            }
        }
    }
}
