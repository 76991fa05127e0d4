//! `x-otternauts.health`: how a service is asked, from outside its container, whether it is well.

use crate::interpolate::join;
use crate::tree::Node;
use crate::walk::{Walk, seconds};
use serde_json::{Map, Value as Json, json};
use std::time::Duration;

/// A check that is repeated; the defaults are Kubernetes'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub check: Check,
    pub interval: Duration,
    /// Of one check; never more than the interval.
    pub timeout: Duration,
    /// Failures in a row that make a container unhealthy.
    pub retries: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Well when the answer is 200 to 399. `shown` is the path as its author wrote it, without its query: what may be said of it.
    Http { path: String, shown: String, port: u16 },
    /// Well when a connection is accepted.
    Tcp { port: u16 },
    /// Run in the container, without a shell; well when it exits with 0.
    Command(Vec<String>),
}

impl Probe {
    /// What makes it another one. It may hold values of variables: only a hash of it may be kept.
    pub(crate) fn canonical(&self) -> Json {
        let check = match &self.check {
            Check::Http { path, port, .. } => json!({"http": path, "port": port}),
            Check::Tcp { port } => json!({"tcp": port}),
            Check::Command(words) => json!({"command": words}),
        };
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        json!([check, millis(self.interval), millis(self.timeout), self.retries])
    }
}

const INTERVAL: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(3);
const RETRIES: u32 = 3;
/// More often would be a load of its own.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(3600);

/// `health` is what was read of `node`; `port` is where HTTP requests go, if that is known.
pub(crate) fn read(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    health: &Map<String, Json>,
    port: Option<u16>,
) -> Option<Probe> {
    // Values that are not known yet cannot be judged.
    if node.is_open() || node.entries().iter().any(|e| e.value.is_open()) {
        return None;
    }
    let check = check(walk, node, path, health, port)?;
    let duration = |key: &str| {
        let said = health.get(key).and_then(Json::as_str).and_then(seconds)?;
        Some(Duration::try_from_secs_f64(said).unwrap_or(Duration::MAX))
    };
    let interval = duration("interval").unwrap_or(INTERVAL);
    if interval < SHORTEST || interval > LONGEST {
        walk.error(&join(path, "interval"), node.at, "an interval is at least 1s and at most 1h");
        return None;
    }
    let retries = health.get("retries").and_then(Json::as_u64).unwrap_or(u64::from(RETRIES));
    let Some(retries) = u32::try_from(retries).ok().filter(|r| (1..=100).contains(r)) else {
        walk.error(&join(path, "retries"), node.at, "retries is a number from 1 to 100");
        return None;
    };
    Some(Probe { check, interval, timeout: duration("timeout").unwrap_or(TIMEOUT).min(interval), retries })
}

fn check(walk: &mut Walk<'_>, node: &Node, path: &str, health: &Map<String, Json>, port: Option<u16>) -> Option<Check> {
    let asked: Vec<&str> = ["http", "tcp", "command"].into_iter().filter(|k| health.contains_key(*k)).collect();
    let [kind] = asked.as_slice() else {
        walk.error(path, node.at, "a health check is exactly one of http, tcp and command");
        return None;
    };
    let here = join(path, kind);
    match *kind {
        "http" => {
            let target = health.get("http").and_then(Json::as_str).unwrap_or_default();
            let plain = target.bytes().all(|b| b.is_ascii_graphic());
            if !target.starts_with('/') || !plain {
                walk.error(&here, node.at, "a path begins with / and has no spaces");
                return None;
            }
            let Some(port) = port else {
                walk.error(&here, node.at, "which port answers? Set x-otternauts.port");
                return None;
            };
            let written = node.get("http").and_then(|n| walk.expanded.written(n.at)).unwrap_or(target);
            let shown = written.split_once('?').map_or(written, |(path, _)| path).to_owned();
            Some(Check::Http { path: target.to_owned(), shown, port })
        }
        "tcp" => {
            let number = health.get("tcp").and_then(Json::as_u64).and_then(|p| u16::try_from(p).ok());
            let Some(port) = number.filter(|p| *p > 0) else {
                walk.error(&here, node.at, "a port is a number from 1 to 65535");
                return None;
            };
            Some(Check::Tcp { port })
        }
        _ => match health.get("command") {
            Some(Json::Array(words)) if !words.is_empty() => {
                Some(Check::Command(words.iter().filter_map(|w| Some(w.as_str()?.to_owned())).collect()))
            }
            _ => {
                walk.error(&here, node.at, "a command is a list of words: no shell reads it");
                None
            }
        },
    }
}
