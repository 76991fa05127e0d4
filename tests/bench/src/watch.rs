//! Fan-out: many watchers of everything, and how late each event is.

use crate::load::{collection, object};
use crate::process;
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

/// What is watched, and how much happens.
#[derive(Clone, Copy)]
pub struct Load {
    pub watchers: usize,
    pub per_second: u32,
    pub events: usize,
    /// 1: all watch one collection; more: watchers and events are spread over so many.
    pub collections: usize,
    /// Clients that write at once.
    pub writers: usize,
}

/// Creates at a steady rate; every watcher must see every event of its collection.
pub async fn fan_out(target: &Target, load: Load, round: usize) -> Result<Latency> {
    let lists: Vec<String> = match load.collections {
        1 => vec![collection("watch")],
        n => (0..n).map(|i| collection(&format!("watch-{i}"))).collect(),
    };
    let lists = Arc::new(lists);
    let mut first = target.connect().await?;
    let (_, body) = first.call(Method::GET, &format!("{}?limit=1", lists[0]), Bytes::new(), &[]).await?;
    let now: serde_json::Value = serde_json::from_slice(&body)?;
    let version = now["metadata"]["resourceVersion"].as_str().context("a list has a resourceVersion")?.to_owned();
    let epoch = Instant::now();
    let open = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::with_capacity(load.watchers);
    let expected = load.events / load.collections;
    for watcher in 0..load.watchers {
        let mut connection = target.connect().await?;
        let list = &lists[watcher % lists.len()];
        let path = format!("{list}?watch=true&resourceVersion={version}&timeoutSeconds=120");
        let open = open.clone();
        tasks.push(tokio::spawn(async move {
            let response = connection.start(Method::GET, &path, Bytes::new()).await?;
            ensure!(response.status().is_success(), "a watch was refused: {}", response.status());
            open.fetch_add(1, Ordering::SeqCst);
            read_events(response.into_body(), epoch, expected).await
        }));
    }
    let patience = Instant::now();
    while open.load(Ordering::SeqCst) < load.watchers {
        ensure!(patience.elapsed() < Duration::from_secs(60), "not all watches were opened in 60 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    write(target, load, &lists, epoch, round).await?;
    let mut all = Vec::with_capacity(load.watchers * expected);
    for task in tasks {
        let read = tokio::time::timeout(Duration::from_secs(60), task).await.context("a watcher missed an event")?;
        all.extend(read.context("a watcher panicked")??);
    }
    for list in lists.iter() {
        first.call(Method::DELETE, list, Bytes::new(), &[]).await?;
    }
    all.sort_unstable();
    let wanted = load.watchers * expected;
    ensure!(all.len() == wanted, "{} of {wanted} deliveries", all.len());
    #[allow(clippy::cast_precision_loss, reason = "microseconds of a short run")]
    let at = |share: usize| all[(all.len() - 1) * share / 100] as f64 / 1e3;
    Ok(Latency { p50_ms: at(50), p99_ms: at(99) })
}

/// The events, from several clients at once where one is too slow for the rate.
async fn write(target: &Target, load: Load, lists: &Arc<Vec<String>>, epoch: Instant, round: usize) -> Result<()> {
    let mut tasks = Vec::with_capacity(load.writers);
    for writer in 0..load.writers {
        let (mut connection, lists) = (target.connect().await?, lists.clone());
        tasks.push(tokio::spawn(async move {
            let pause = Duration::from_secs(1) * u32::try_from(load.writers)? / load.per_second;
            let mut tick = tokio::time::interval(pause);
            for i in (writer..load.events).step_by(load.writers) {
                tick.tick().await;
                let sent = epoch.elapsed().as_micros().to_string();
                let event = object(&format!("e{round}-{i}"), &sent);
                connection.call(Method::POST, &lists[i % lists.len()], event, &[]).await?;
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await.context("a writer panicked")??;
    }
    Ok(())
}

/// MiB that `watchers` idle watches cost the server, a hundred to a connection.
pub async fn idle(target: &Target, pid: u32, watchers: usize) -> Result<f64> {
    let before = process::resident_mib(pid)?;
    let mut held = Vec::with_capacity(watchers);
    let path = format!("{}?watch=true&timeoutSeconds=300", collection("write"));
    for _ in 0..watchers.div_ceil(100) {
        let mut connection = target.connect_h2().await?;
        for _ in 0..100.min(watchers - held.len()) {
            let response = connection.get(&path).await?;
            ensure!(response.status().is_success(), "a watch was refused: {}", response.status());
            held.push(response);
        }
    }
    let grown = process::resident_mib(pid)? - before;
    ensure!(held.len() == watchers, "{} of {watchers} watches", held.len());
    Ok(grown)
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

/// The value of `"sent":"…"`, found without parsing and from the end, where it is: a thousand watchers read on two cores.
fn sent(line: &[u8]) -> Option<u64> {
    let key = b"\"sent\":\"";
    let from = line.windows(key.len()).rposition(|w| w == key)? + key.len();
    let digits = line[from..].split(|b| *b == b'"').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
