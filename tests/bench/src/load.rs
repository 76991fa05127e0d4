//! Creates, gets and lists.

use crate::target::{Connection, Target};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::time::{Duration, Instant};

/// A kind of our own, so that any API server with CRDs can be measured.
const CRD: &str = "loads.bench.example.com";
const API: &str = "/apis/bench.example.com/v1/namespaces";
/// One namespace for each purpose: what one measurement leaves behind does not weigh on the next.
const PURPOSES: [&str; 3] = ["write", "list", "watch"];

/// The collection of one purpose. Each run has namespaces of its own: a server may take its time to empty the last run's.
pub fn collection(purpose: &str) -> String {
    format!("{API}/{}/loads", namespace(purpose))
}

fn namespace(purpose: &str) -> String {
    format!("bench-{purpose}-{}", std::process::id())
}

/// A thousand watchers are a thousand connections.
pub fn allow_many_files() {
    #[allow(unsafe_code, reason = "two system calls on a local struct")]
    // SAFETY: both calls get a valid pointer to a struct that lives through them.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// The kind and the namespaces.
pub async fn prepare(target: &Target) -> Result<()> {
    let mut c = target.connect().await?;
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": CRD},
        "spec": {"group": "bench.example.com", "scope": "Namespaced",
            "names": {"plural": "loads", "singular": "load", "kind": "Load", "listKind": "LoadList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {
                    "sent": {"type": "string"}, "payload": {"type": "string"}}}}}}}]},
    });
    c.call(Method::POST, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body(&crd), &[409]).await?;
    for purpose in PURPOSES {
        let ns = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(purpose)}});
        c.call(Method::POST, "/api/v1/namespaces", body(&ns), &[409]).await?;
    }
    let started = Instant::now();
    loop {
        let (code, _) =
            c.call(Method::GET, &format!("{}?limit=1", collection("list")), Bytes::new(), &[404, 429]).await?;
        if code.is_success() {
            return Ok(());
        }
        ensure!(started.elapsed() < Duration::from_secs(30), "the CRD is not served after 30 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Takes away what was made.
pub async fn clean(target: &Target) -> Result<()> {
    let mut c = target.connect().await?;
    for purpose in PURPOSES {
        c.call(Method::DELETE, &collection(purpose), Bytes::new(), &[404]).await?;
        let path = format!("/api/v1/namespaces/{}", namespace(purpose));
        c.call(Method::DELETE, &path, Bytes::new(), &[404, 409]).await?;
    }
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CRD}");
    c.call(Method::DELETE, &path, Bytes::new(), &[404]).await?;
    Ok(())
}

fn body(value: &serde_json::Value) -> Bytes {
    Bytes::from(value.to_string())
}

/// About 1 KiB on the wire.
pub fn object(name: &str, sent: &str) -> Bytes {
    let payload = "x".repeat(700);
    body(&json!({
        "apiVersion": "bench.example.com/v1", "kind": "Load",
        "metadata": {"name": name, "labels": {"app": "bench"}},
        "spec": {"sent": sent, "payload": payload},
    }))
}

async fn connections(target: &Target, n: usize) -> Result<Vec<Connection>> {
    let mut all = Vec::with_capacity(n);
    for _ in 0..n {
        all.push(target.connect().await?);
    }
    Ok(all)
}

/// Runs `total` requests over `clients` connections at once; answers how many a second.
async fn rate<F, Fut>(target: &Target, clients: usize, total: usize, request: F) -> Result<f64>
where
    F: Fn(Connection, std::ops::Range<usize>) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let each = total / clients;
    let connections = connections(target, clients).await?;
    let started = Instant::now();
    let tasks: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(i, connection)| tokio::spawn(request(connection, i * each..(i + 1) * each)))
        .collect();
    for task in tasks {
        task.await.context("a client panicked")??;
    }
    #[allow(clippy::cast_precision_loss, reason = "a count")]
    Ok((each * clients) as f64 / started.elapsed().as_secs_f64())
}

/// Creates a second by `clients` at once; the objects are deleted afterwards.
pub async fn creates(target: &Target, clients: usize, total: usize, round: usize) -> Result<f64> {
    let rate = rate(target, clients, total, |mut c, range| async move {
        for i in range {
            let path = collection("write");
            c.call(Method::POST, &path, object(&format!("r{round}-{clients}-{i}"), ""), &[]).await?;
        }
        Ok(())
    })
    .await?;
    target.connect().await?.call(Method::DELETE, &collection("write"), Bytes::new(), &[]).await?;
    Ok(rate)
}

/// Gets a second of one object by `clients` at once.
pub async fn gets(target: &Target, clients: usize, total: usize) -> Result<f64> {
    let mut c = target.connect().await?;
    c.call(Method::POST, &collection("write"), object("read-me", ""), &[409]).await?;
    rate(target, clients, total, |mut c, range| async move {
        for _ in range {
            c.call(Method::GET, &format!("{}/read-me", collection("write")), Bytes::new(), &[]).await?;
        }
        Ok(())
    })
    .await
}

/// Brings the listed collection to `objects`.
pub async fn fill(target: &Target, objects: usize) -> Result<()> {
    rate(target, 32, objects.next_multiple_of(32), |mut c, range| async move {
        for i in range {
            c.call(Method::POST, &collection("list"), object(&format!("item-{i:06}"), ""), &[409]).await?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}

/// Milliseconds of one list, to the last byte.
pub async fn list(target: &Target, query: &str, at_least: usize) -> Result<f64> {
    let mut c = target.connect().await?;
    let started = Instant::now();
    let length = c.length(&format!("{}{query}", collection("list"))).await?;
    let ms = started.elapsed().as_secs_f64() * 1e3;
    ensure!(length > at_least * 700, "the list is too short: {length} bytes");
    Ok(ms)
}
