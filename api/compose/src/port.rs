//! Published ports: the short and the long syntax, ranges, and who may publish what.

use crate::interpolate::join;
use crate::keys::PORT;
use crate::policy::{Level, Policy};
use crate::tree::{Node, Position, Value};
use crate::walk::Walk;
use serde_json::{Value as Json, json};

/// Most ports one service may publish; a range counts with all it spans.
const MAX_PORTS: usize = 256;

/// One published port.
pub struct Port {
    pub target: u16,
    /// `None`: Swarm picks one.
    pub published: Option<u16>,
    pub protocol: &'static str,
    /// `ingress` or `host`.
    pub mode: &'static str,
    pub(crate) at: Position,
}

impl Port {
    pub(crate) fn render(&self) -> Json {
        match self.published {
            Some(published) => {
                json!({"target": self.target, "published": published, "protocol": self.protocol, "mode": self.mode})
            }
            None => json!({"target": self.target, "protocol": self.protocol, "mode": self.mode}),
        }
    }
}

pub(crate) fn read(walk: &mut Walk<'_>, service: &Node, path: &str) -> Vec<Port> {
    let Some(list) = service.get("ports").filter(|n| !n.is_null()) else { return Vec::new() };
    let here = join(path, "ports");
    if !matches!(list.value, Value::List(_)) {
        walk.expected(&here, list, "a list");
        return Vec::new();
    }
    let mut out: Vec<Port> = Vec::new();
    for (i, item) in list.items().iter().enumerate() {
        let spot = format!("{here}[{i}]");
        if item.is_open() {
            continue;
        }
        let parsed = match &item.value {
            Value::Map(_) => long(walk, item, &spot),
            _ => walk.text(item, &spot).map(|text| short(&text)),
        };
        match parsed {
            None => {}
            Some(Err(message)) => walk.error(&spot, item.at, message),
            Some(Ok(range)) => {
                for port in range.ports(item.at) {
                    let (policy, published) = (walk.policy, port.published);
                    if let Some(published) = published.filter(|p| refusal(policy, *p, "").is_some()) {
                        let at = item.get("published").map_or(item.at, |n| n.at);
                        walk.error_of(&spot, at, &published.to_string(), |shown| {
                            refusal(policy, published, shown).unwrap_or_default()
                        });
                    }
                    out.push(port);
                }
            }
        }
    }
    if out.len() > MAX_PORTS {
        walk.error(&here, list.at, format!("{} ports are published; at most {MAX_PORTS} are accepted", out.len()));
        out.truncate(MAX_PORTS);
    }
    out
}

/// Why a host port may not be published here, or `None`; `shown` is how the port is named.
fn refusal(policy: &Policy, port: u16, shown: &str) -> Option<String> {
    match policy.level {
        Level::Privileged => None,
        _ if policy.host_ports.contains(&port) => None,
        _ if port == 80 || port == 443 => Some(format!(
            "host port {shown} belongs to the ingress; give the service a domain with x-otternauts.domains"
        )),
        Level::Baseline if port >= 1024 => None,
        Level::Baseline => Some(format!(
            "host port {shown} is not allowed under policy baseline: 1024 to 65535 are, and what the cluster lists in spec.policy.hostPorts"
        )),
        Level::Restricted => Some(format!(
            "host port {shown} is not allowed under policy restricted: only what the cluster lists in spec.policy.hostPorts"
        )),
    }
}

/// Ports that belong together: `8000-8002:80-82`.
struct Range {
    target: (u16, u16),
    published: Option<(u16, u16)>,
    protocol: &'static str,
    mode: &'static str,
}

impl Range {
    fn ports(&self, at: Position) -> Vec<Port> {
        let port = |target, published| Port { target, published, protocol: self.protocol, mode: self.mode, at };
        let targets = (self.target.0..=self.target.1).take(MAX_PORTS + 1);
        match self.published {
            None => targets.map(|t| port(t, None)).collect(),
            Some((first, _)) => targets.zip(first..=u16::MAX).map(|(t, p)| port(t, Some(p))).collect(),
        }
    }
}

fn parse_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (0 < first && first <= last).then_some((first, last))
}

fn protocol(word: &str) -> Result<&'static str, String> {
    match word {
        "tcp" => Ok("tcp"),
        "udp" => Ok("udp"),
        "sctp" => Ok("sctp"),
        _ => Err(format!("expected protocol \"tcp\", \"udp\" or \"sctp\", found {word:?}")),
    }
}

/// `[[ip:]host:]container[/protocol]`
fn short(text: &str) -> Result<Range, String> {
    let (ports, word) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol(word)?;
    let bad = || format!("expected HOST:CONTAINER or CONTAINER, found {text:?}");
    let (host, container) = match ports.rsplit_once(':') {
        Some((host, container)) => (Some(host), container),
        None => (None, ports),
    };
    let host = match host.map(|h| h.rsplit_once(':').unwrap_or(("", h))) {
        Some((address, host)) => {
            every_address(address)?;
            Some(host).filter(|h| !h.is_empty())
        }
        None => None,
    };
    let target = parse_range(container).ok_or_else(bad)?;
    let published = match host {
        Some(host) => Some(parse_range(host).ok_or_else(bad)?),
        None => None,
    };
    same_length(Range { target, published, protocol, mode: "ingress" })
}

fn same_length(range: Range) -> Result<Range, String> {
    let length = |(a, b): (u16, u16)| b - a;
    match range.published {
        Some(published) if length(published) != length(range.target) => {
            Err("the two ranges of ports differ in length".into())
        }
        _ => Ok(range),
    }
}

/// Swarm publishes on every address of a node: what asks for one address would be open to all, so it is refused.
fn every_address(address: &str) -> Result<(), String> {
    match address.trim_matches(['[', ']']) {
        "" | "0.0.0.0" | "::" => Ok(()),
        other => {
            Err(format!("Swarm cannot publish on {other} alone: the port would be open on every address of the node"))
        }
    }
}

fn long(walk: &mut Walk<'_>, item: &Node, path: &str) -> Option<Result<Range, String>> {
    walk.object(item, path, PORT);
    let word = |key: &str, default: &str| item.get(key).and_then(Node::text).unwrap_or_else(|| default.to_owned());
    if item.get("target").is_some_and(Node::is_open) || item.get("published").is_some_and(Node::is_open) {
        return None;
    }
    let range = || {
        every_address(&word("host_ip", ""))?;
        let protocol = protocol(&word("protocol", "tcp"))?;
        let mode = match word("mode", "ingress").as_str() {
            "ingress" => "ingress",
            "host" => "host",
            other => return Err(format!("expected mode \"ingress\" or \"host\", found {other:?}")),
        };
        let target = parse_range(&word("target", "")).ok_or("target must be a port from 1 to 65535")?;
        let published = match item.get("published").filter(|p| !p.is_null()) {
            Some(p) => Some(p.text().and_then(|t| parse_range(&t)).ok_or("published must be a port from 1 to 65535")?),
            None => None,
        };
        same_length(Range { target, published, protocol, mode })
    };
    Some(range())
}
