//! Fan-out: many watchers of everything, and how late each event is.

use crate::load::{collection, object};
use crate::target::Target;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// From before the write is sent to when a watcher has read its event.
pub struct Latency {
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// `events` creates at `per_second`, each seen by `watchers`; every watcher must see every event.
pub async fn fan_out(
    target: &Target,
    watchers: usize,
    per_second: u32,
    events: usize,
    round: usize,
) -> Result<Latency> {
    let mut writer = target.connect().await?;
    let list = collection("watch");
    let (_, body) = writer.call(Method::GET, &format!("{list}?limit=1"), Bytes::new(), &[]).await?;
    let now: serde_json::Value = serde_json::from_slice(&body)?;
    let version = now["metadata"]["resourceVersion"].as_str().context("a list has a resourceVersion")?.to_owned();
    let epoch = Instant::now();
    let open = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::with_capacity(watchers);
    for _ in 0..watchers {
        let mut connection = target.connect().await?;
        let path = format!("{list}?watch=true&resourceVersion={version}&timeoutSeconds=120");
        let open = open.clone();
        tasks.push(tokio::spawn(async move {
            let response = connection.start(Method::GET, &path, Bytes::new()).await?;
            ensure!(response.status().is_success(), "a watch was refused: {}", response.status());
            open.fetch_add(1, Ordering::SeqCst);
            read_events(response.into_body(), epoch, events).await
        }));
    }
    let patience = Instant::now();
    while open.load(Ordering::SeqCst) < watchers {
        ensure!(patience.elapsed() < Duration::from_secs(60), "not all watches were opened in 60 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second);
    for i in 0..events {
        tick.tick().await;
        let sent = epoch.elapsed().as_micros().to_string();
        writer.call(Method::POST, &list, object(&format!("e{round}-{i}"), &sent), &[]).await?;
    }
    let mut all = Vec::with_capacity(watchers * events);
    for task in tasks {
        let read = tokio::time::timeout(Duration::from_secs(60), task).await.context("a watcher missed an event")?;
        all.extend(read.context("a watcher panicked")??);
    }
    writer.call(Method::DELETE, &list, Bytes::new(), &[]).await?;
    all.sort_unstable();
    ensure!(all.len() == watchers * events, "{} of {} deliveries", all.len(), watchers * events);
    #[allow(clippy::cast_precision_loss, reason = "microseconds of a short run")]
    let at = |share: usize| all[(all.len() - 1) * share / 100] as f64 / 1e3;
    Ok(Latency { p50_ms: at(50), p99_ms: at(99) })
}

/// Reads lines until `events` have come; answers each one's lateness in microseconds.
async fn read_events(mut body: hyper::body::Incoming, epoch: Instant, events: usize) -> Result<Vec<u64>> {
    let mut late = Vec::with_capacity(events);
    let mut line: Vec<u8> = Vec::with_capacity(4096);
    while late.len() < events {
        let frame = body.frame().await.context("the watch ended early")??;
        let Some(data) = frame.data_ref() else { continue };
        let now = u64::try_from(epoch.elapsed().as_micros()).unwrap_or(u64::MAX);
        for part in data.split_inclusive(|b| *b == b'\n') {
            line.extend_from_slice(part);
            if line.last() == Some(&b'\n') {
                let sent = sent(&line).context("an event without its time")?;
                late.push(now.saturating_sub(sent));
                line.clear();
            }
        }
    }
    Ok(late)
}

/// The value of `"sent":"…"`, found without parsing: a thousand watchers read on two cores.
fn sent(line: &[u8]) -> Option<u64> {
    let key = b"\"sent\":\"";
    let from = line.windows(key.len()).position(|w| w == key)? + key.len();
    let digits = line[from..].split(|b| *b == b'"').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
