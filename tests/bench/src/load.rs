//! Creates, gets and lists.

use crate::target::{Connection, Target};
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A kind of our own, so that any API server with CRDs can be measured.
const CRD: &str = "loads.bench.example.com";
const API: &str = "/apis/bench.example.com/v1";
/// Over how many namespaces spread watchers are spread.
pub const SPREAD: usize = 20;
/// How often a server is asked to delete a collection until it says that it has.
const CLEANINGS: usize = 20;

/// One namespace for each purpose: what one measurement leaves behind does not weigh on the next.
fn purposes() -> Vec<String> {
    let spread = (0..SPREAD).map(|i| format!("watch-{i}"));
    ["write", "list", "watch"].into_iter().map(str::to_owned).chain(spread).collect()
}

/// The collection of one purpose. Each run has namespaces of its own: a server may take its time to empty the last run's.
pub fn collection(purpose: &str) -> String {
    format!("{API}/namespaces/{}/loads", namespace(purpose))
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
    for purpose in &purposes() {
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
    for purpose in &purposes() {
        // A server that cannot delete so many within its own time limit has deleted some, and goes on when asked again; some answer
        // 504 then, some end the connection.
        for left in (0..CLEANINGS).rev() {
            match c.call(Method::DELETE, &collection(purpose), Bytes::new(), &[404, 504]).await {
                Ok((code, _)) if code != 504 => break,
                Ok(_) if left == 0 => bail!("the server deleted only a part of {purpose} each time"),
                Err(error) if left == 0 => return Err(error),
                Ok(_) | Err(_) => c = target.connect().await?,
            }
        }
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
    labelled(name, sent, "none", None)
}

fn labelled(name: &str, sent: &str, slot: &str, version: Option<&str>) -> Bytes {
    let payload = "x".repeat(700);
    let mut metadata = json!({"name": name, "labels": {"app": "bench", "slot": slot}});
    if let Some(version) = version {
        metadata["resourceVersion"] = json!(version);
    }
    body(&json!({
        "apiVersion": "bench.example.com/v1", "kind": "Load", "metadata": metadata,
        "spec": {"sent": sent, "payload": payload},
    }))
}

/// Runs one job on each of `clients` connections at once; answers how long all took together, and their results.
async fn together<F, Fut, T>(target: &Target, clients: usize, job: F) -> Result<(Duration, Vec<T>)>
where
    F: Fn(Connection, usize) -> Fut,
    Fut: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(target.connect().await?);
    }
    let started = Instant::now();
    let tasks: Vec<_> = connections.into_iter().enumerate().map(|(i, c)| tokio::spawn(job(c, i))).collect();
    let mut results = Vec::with_capacity(clients);
    for task in tasks {
        results.push(task.await.context("a client panicked")??);
    }
    Ok((started.elapsed(), results))
}

#[allow(clippy::cast_precision_loss, reason = "a count")]
fn per_second(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// How many a second of each.
pub struct Writes {
    pub creates: f64,
    pub updates: f64,
    pub deletes: f64,
}

/// Creates, full updates with a precondition, and deletes of single objects, by `clients` at once.
pub async fn writes(target: &Target, clients: usize, total: usize, round: usize) -> Result<Writes> {
    let each = total / clients;
    let path = move |client: usize, i: usize| format!("r{round}-{clients}-{client}-{i}");
    let (create, made) = together(target, clients, |mut c, client| async move {
        let mut versions = Vec::with_capacity(each);
        for i in 0..each {
            let (_, made) = c.call(Method::POST, &collection("write"), object(&path(client, i), ""), &[]).await?;
            versions.push(version(&made)?);
        }
        Ok(versions)
    })
    .await?;
    let made = Arc::new(made);
    let (update, _) = together(target, clients, |mut c, client| {
        let made = made.clone();
        async move {
            for (i, version) in made[client].iter().enumerate() {
                let name = path(client, i);
                let changed = labelled(&name, "again", "none", Some(version));
                c.call(Method::PUT, &format!("{}/{name}", collection("write")), changed, &[]).await?;
            }
            Ok(())
        }
    })
    .await?;
    let (delete, _) = together(target, clients, |mut c, client| async move {
        for i in 0..each {
            let path = format!("{}/{}", collection("write"), path(client, i));
            c.call(Method::DELETE, &path, Bytes::new(), &[]).await?;
        }
        Ok(())
    })
    .await?;
    let rate = |elapsed| per_second(each * clients, elapsed);
    Ok(Writes { creates: rate(create), updates: rate(update), deletes: rate(delete) })
}

/// Only creates, of objects that nothing else made; for a server that forgets them as well.
pub async fn creates(target: &Target, clients: usize, total: usize, round: usize) -> Result<f64> {
    let each = total / clients;
    let (elapsed, _) = together(target, clients, |mut c, client| async move {
        for i in 0..each {
            let name = format!("c{round}-{clients}-{client}-{i}");
            c.call(Method::POST, &collection("write"), object(&name, ""), &[]).await?;
        }
        Ok(())
    })
    .await?;
    target.connect().await?.call(Method::DELETE, &collection("write"), Bytes::new(), &[]).await?;
    Ok(per_second(each * clients, elapsed))
}

/// The first `"resourceVersion":"…"` of an object, found without parsing.
fn version(object: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(object)?;
    let rest = text.split_once("\"resourceVersion\":\"").context("an object has a resourceVersion")?.1;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

/// Which object a get asks for.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// Always the same one.
    One,
    /// Any of the first so many of the listed collection, here and there: of many more than a cache holds, most are not in it.
    Any(usize),
}

/// Gets a second by `clients` at once.
pub async fn gets(target: &Target, clients: usize, total: usize, wanted: Wanted) -> Result<f64> {
    one(target).await?;
    let each = total / clients;
    let (elapsed, _) = together(target, clients, |mut c, client| async move {
        for i in 0..each {
            let path = match wanted {
                Wanted::One => format!("{}/read-me", collection("watch")),
                // Steps of a large prime: the same in every run, none near the one before, and no client asks for another's.
                Wanted::Any(objects) => {
                    format!("{}/item-{:07}", collection("list"), (client * each + i) * 2_654_435_761 % objects)
                }
            };
            c.call(Method::GET, &path, Bytes::new(), &[]).await?;
        }
        Ok(())
    })
    .await?;
    Ok(per_second(each * clients, elapsed))
}

/// The bytes of the object that is read.
pub async fn one(target: &Target) -> Result<Bytes> {
    let mut c = target.connect().await?;
    c.call(Method::POST, &collection("watch"), object("read-me", ""), &[409]).await?;
    Ok(c.call(Method::GET, &format!("{}/read-me", collection("watch")), Bytes::new(), &[]).await?.1)
}

/// Operations a second of 64 clients, each: seven gets, a list of ten, a create and its delete, and again.
pub async fn mixed(target: &Target, total: usize, round: usize) -> Result<f64> {
    const CLIENTS: usize = 64;
    one(target).await?;
    let each = total / CLIENTS;
    let (elapsed, _) = together(target, CLIENTS, |mut c, client| async move {
        for i in 0..each {
            let name = format!("m{round}-{client}-{}", i / 10);
            let (method, path, sent) = match i % 10 {
                7 => (Method::GET, format!("{}?limit=10", collection("list")), Bytes::new()),
                8 => (Method::POST, collection("write"), object(&name, "")),
                9 => (Method::DELETE, format!("{}/{name}", collection("write")), Bytes::new()),
                _ => (Method::GET, format!("{}/read-me", collection("watch")), Bytes::new()),
            };
            c.call(method, &path, sent, &[404]).await?;
        }
        Ok(())
    })
    .await?;
    target.connect().await?.call(Method::DELETE, &collection("write"), Bytes::new(), &[]).await?;
    Ok(per_second(each * CLIENTS, elapsed))
}

/// Brings the listed collection from `have` to `objects`, in a hundred slots.
pub async fn fill(target: &Target, have: usize, objects: usize) -> Result<()> {
    const CLIENTS: usize = 64;
    together(target, CLIENTS, |mut c, client| async move {
        for i in (have + client..objects).step_by(CLIENTS) {
            let item = labelled(&format!("item-{i:07}"), "", &format!("s{}", i % 100), None);
            c.call(Method::POST, &collection("list"), item, &[409]).await?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}

/// Milliseconds of one list, to the last byte, by each of `clients` at once: until all have it.
pub async fn list(target: &Target, clients: usize, query: &str, at_least: usize) -> Result<f64> {
    let path = Arc::new(format!("{}{query}", collection("list")));
    let (elapsed, lengths) = together(target, clients, |mut c, _| {
        let path = path.clone();
        async move { c.length(&path).await }
    })
    .await?;
    let short = lengths.iter().find(|n| **n <= at_least * 700);
    ensure!(short.is_none(), "the list is too short: {short:?} bytes");
    Ok(elapsed.as_secs_f64() * 1e3)
}

/// The bytes of the whole list.
pub async fn whole(target: &Target) -> Result<Bytes> {
    let mut c = target.connect().await?;
    Ok(c.call(Method::GET, &collection("list"), Bytes::new(), &[]).await?.1)
}
