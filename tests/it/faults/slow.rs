//! B12, P7: whoever asks for a watch and does not read it costs the server next to nothing, however much is written; what it reads in the
//! end is everything, in order, or everything up to where it is told that the rest is gone.

use super::{directory, nightly, say};
use crate::otter;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams, PostParams};
use otternauts_harness::{Otter, until};
use serde_json::{Value, json};
use std::io::{BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const WRITERS: u64 = 8;
const BODY: usize = 8 << 10;
/// What one of them may cost (B12), and what may come and go meanwhile.
const EACH_KIB: u64 = 256;
const SLACK_KIB: u64 = 24 << 10;
/// How many do not read, one of them but a byte each second, and how much is written meanwhile: much more than the system keeps for a
/// reader that does not read.
const SHORT: (usize, u64) = (8, 48);
const NIGHT: (usize, u64) = (20, 512);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_nobody_reads_costs_next_to_nothing_and_misses_nothing_b12() {
    let (watches, mib) = if nightly() { NIGHT } else { SHORT };
    let writes_of = |mib: u64| mib * (1 << 20) / BODY as u64;
    let otter = otter();
    let maps: Api<ConfigMap> = Api::default_namespaced(otter.client().await);
    for number in 0..WRITERS {
        let named = json!({"metadata": {"name": format!("m{number}")}});
        let named = serde_json::from_value(named).expect("a ConfigMap");
        maps.create(&PostParams::default(), &named).await.expect("created");
    }
    // The server as it is while one watch is read.
    let mut read = Watch::open(&otter, 0);
    let mut reader = BufReader::new(read.0.stdout.take().expect("piped"));
    let reading = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    write(&otter, writes_of(SHORT.1)).await;
    let before = resident_kib(otter.pid());

    let start = newest(&maps).await;
    let mut slow: Vec<Watch> = (0..watches).map(|_| Watch::open(&otter, start)).collect();
    until("all to be watching", Duration::from_secs(60), || {
        let watching = watching(&otter);
        if watching >= watches as u64 { Ok(()) } else { Err(watching) }
    });
    let one_byte = tokio::task::spawn_blocking({
        let mut last = slow.pop().expect("some");
        move || {
            let mut stdout = last.0.stdout.take().expect("piped");
            let mut first = [0; 10];
            for byte in first.chunks_exact_mut(1) {
                stdout.read_exact(byte).expect("there is much to read");
                std::thread::sleep(Duration::from_secs(1));
            }
            (last, stdout, first)
        }
    });
    let written = write(&otter, writes_of(mib)).await;
    let after = resident_kib(otter.pid());
    let end = newest(&maps).await;

    let (mut whole, mut gone) = (0, 0);
    for mut watch in slow {
        let stdout = watch.0.stdout.take().expect("piped");
        judge(BufReader::new(stdout), &written, end, &mut whole, &mut gone);
    }
    let (_last, stdout, first) = one_byte.await.expect("it reads");
    judge(BufReader::new(std::io::Cursor::new(first).chain(stdout)), &written, end, &mut whole, &mut gone);
    let line = json!({"test": "slow", "watches": watches, "writtenMiB": mib, "whole": whole, "toldGone": gone,
        "residentKiBBefore": before, "residentKiBAfter": after});
    say(&line.to_string());
    std::fs::write(directory().join("slow.json"), format!("{line}\n")).expect("target can be written");
    let most = before + watches as u64 * EACH_KIB + SLACK_KIB;
    assert!(after < most, "{after} KiB resident, and {before} before {watches} watches that nobody reads");
    drop(read);
    reading.join().expect("it reads").expect("to the end");
}

/// A `curl` that watches, and goes on only as far as somebody takes what it says.
struct Watch(Child);

impl Watch {
    fn open(otter: &Otter, after: u64) -> Watch {
        let token = std::fs::read_to_string(otter.data_dir().join("admin.token")).expect("a token");
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--no-buffer",
            "--http1.1",
            "--header",
            &format!("Authorization: Bearer {}", token.trim()),
        ]);
        curl.arg("--cacert").arg(otter.data_dir().join("pki/ca.crt"));
        let path = "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=86400";
        curl.arg(format!("{}{path}&resourceVersion={after}", otter.url));
        Watch(curl.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("curl starts"))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _best_effort = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Changes one object each of some clients, so often in all; the revisions, in order.
async fn write(otter: &Otter, writes: u64) -> Vec<u64> {
    let left = Arc::new(AtomicU64::new(writes));
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let (left, maps) = (Arc::clone(&left), Api::<ConfigMap>::default_namespaced(otter.client().await));
        writers.spawn(async move {
            let mut revisions = Vec::new();
            while let Ok(turn) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
                let patch = Patch::Merge(json!({"data": {"turn": turn.to_string(), "text": "x".repeat(BODY)}}));
                let done = maps.patch(&format!("m{number}"), &PatchParams::default(), &patch).await.expect("written");
                revisions.push(done.resource_version().and_then(|at| at.parse().ok()).expect("a revision"));
            }
            revisions
        });
    }
    let mut revisions = writers.join_all().await.concat();
    revisions.sort_unstable();
    revisions
}

async fn newest(maps: &Api<ConfigMap>) -> u64 {
    let list = maps.list(&Default::default()).await.expect("listed");
    list.metadata.resource_version.and_then(|at| at.parse().ok()).expect("a revision")
}

/// Reads a watch to its end: all that was written, or up to where it is told that the rest is gone.
fn judge(watch: impl std::io::BufRead, written: &[u64], end: u64, whole: &mut u32, gone: &mut u32) {
    let mut wanted = written.iter();
    for line in watch.lines() {
        let event: Value = serde_json::from_str(&line.expect("text")).expect("an event");
        if event["type"] == "ERROR" {
            assert_eq!(event["object"]["code"], 410, "{event}");
            *gone += 1;
            return;
        }
        let revision = event["object"]["metadata"]["resourceVersion"].as_str().and_then(|at| at.parse().ok());
        assert_eq!(revision.as_ref(), wanted.next(), "the next that was written");
        if revision.is_some_and(|revision| revision >= end) {
            break;
        }
    }
    assert_eq!(wanted.next(), None, "it ended before it had everything");
    *whole += 1;
}

/// Watches of ConfigMaps that are open, as the server counts them.
fn watching(otter: &Otter) -> u64 {
    let metrics = otter.curl_admin("/metrics", &[]);
    let of_maps = |line: &&str| line.starts_with("apiserver_longrunning_requests") && line.contains("\"configmaps\"");
    metrics.ok().lines().find(of_maps).and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
