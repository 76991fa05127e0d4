//! `x-otternauts`: the domains, port and health check a service asks for (OT-43, OT-33).

use crate::interpolate::join;
use crate::keys::{DOMAIN, HEALTH, OTTERNAUTS, Shape};
use crate::port::Port;
use crate::probe::{self, Probe};
use crate::tree::{Node, Position, Value};
use crate::walk::{Message, Walk};

/// What the ingress needs to know of a service.
#[derive(Default)]
pub struct Ingress {
    pub domains: Vec<Domain>,
    /// The container port requests go to, stated or inferred.
    pub port: Option<u16>,
    /// `x-otternauts.health`; none while a variable in it has no value.
    pub probe: Option<Probe>,
}

pub struct Domain {
    /// In lower case.
    pub host: String,
    /// Begins with `/`.
    pub path: String,
    pub port: Option<u16>,
    pub(crate) at: Position,
}

pub(crate) fn read(walk: &mut Walk<'_>, service: &Node, path: &str, ports: &[Port]) -> Ingress {
    let Some(node) = service.get("x-otternauts").filter(|n| !n.is_null()) else { return Ingress::default() };
    let here = join(path, "x-otternauts");
    walk.object(node, &here, OTTERNAUTS);
    let domains = domains(walk, node, &here);
    let health = node.get("health").filter(|n| !n.is_null());
    let said = health.map(|health| walk.object(health, &join(&here, "health"), HEALTH)).unwrap_or_default();
    let asks_http = said.contains_key("http");
    let mut port = port(walk, node, &here);
    let waits = node.get("port").is_some_and(Node::is_open);
    if port.is_none() && !waits && (asks_http || domains.iter().any(|d| d.port.is_none())) {
        port = inferred(walk, service, node, &here, ports);
    }
    // Without a port that is known by now there may be one later.
    let probe = match health {
        Some(_) if asks_http && port.is_none() && waits => None,
        Some(health) => probe::read(walk, health, &join(&here, "health"), &said, port),
        None => None,
    };
    Ingress { domains, port, probe }
}

/// The single container port that `ports` and `expose` name; more than one is a question for the author.
fn inferred(walk: &mut Walk<'_>, service: &Node, node: &Node, path: &str, ports: &[Port]) -> Option<u16> {
    let exposed = service.get("expose").map(Node::items).unwrap_or_default().iter();
    let exposed = exposed.filter_map(|n| n.text()?.split('/').next()?.parse::<u16>().ok());
    let mut known: Vec<u16> = ports.iter().map(|p| p.target).chain(exposed).collect();
    known.sort_unstable();
    known.dedup();
    match known.as_slice() {
        [] => {
            walk.warn(path, node.at, "no port is known: requests for the domains go to port 80; set x-otternauts.port");
            None
        }
        [only] => Some(*only),
        several => {
            let list = several.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            // The numbers may be values of variables where they stand, and this is said elsewhere.
            let places = ports.iter().map(|p| p.at).chain(service.get("expose").map(|e| e.at));
            let message: Message = match places.into_iter().any(|at| walk.expanded.written(at).is_some()) {
                true => "which port answers for the domains? Several are known: set x-otternauts.port".into(),
                false => {
                    format!("which port answers for the domains? Ports {list} are known: set x-otternauts.port").into()
                }
            };
            walk.error(path, node.at, message);
            None
        }
    }
}

fn domains(walk: &mut Walk<'_>, node: &Node, path: &str) -> Vec<Domain> {
    let Some(list) = node.get("domains").filter(|n| !n.is_null()) else { return Vec::new() };
    let here = join(path, "domains");
    if !matches!(list.value, Value::List(_)) {
        walk.expected(&here, list, "a list of host names");
        return Vec::new();
    }
    let mut out = Vec::new();
    for (i, item) in list.items().iter().enumerate() {
        let spot = format!("{here}[{i}]");
        let host = match &item.value {
            Value::Map(_) => {
                walk.object(item, &spot, DOMAIN);
                item.get("host")
            }
            _ => Some(item),
        };
        let Some(host) = host else {
            walk.error(&spot, item.at, "a domain needs a host");
            continue;
        };
        let Some(name) = walk.text(host, &spot) else { continue };
        let name = name.to_ascii_lowercase();
        if let Some(problem) = host_problem(&name) {
            walk.error_of(&spot, host.at, &name, |name| format!("{name:?} is not a host name: {problem}"));
            continue;
        }
        let prefix = match item.get("path") {
            Some(p) => walk.text(p, &join(&spot, "path")).unwrap_or_else(|| "/".into()),
            None => "/".into(),
        };
        // Proxies read more than a path's characters: placeholders, wildcards, quotes.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
        if !prefix.starts_with('/') || !prefix.bytes().all(plain) {
            walk.error(&join(&spot, "path"), item.at, "a path begins with / and has letters, digits and -._~/ only");
        }
        out.push(Domain { host: name, path: prefix, port: port(walk, item, &spot), at: host.at });
    }
    out
}

fn port(walk: &mut Walk<'_>, node: &Node, path: &str) -> Option<u16> {
    let port = node.get("port").filter(|p| !p.is_null())?;
    let here = join(path, "port");
    let number = walk.value(port, &here, Shape::Int)?.as_u64()?;
    let fits = u16::try_from(number).ok().filter(|p| *p > 0);
    if fits.is_none() {
        walk.error(&here, port.at, "a port is a number from 1 to 65535");
    }
    fits
}

/// What keeps a name from being a host name (RFC 1123), or `None`.
fn host_problem(name: &str) -> Option<&'static str> {
    if name.len() > 253 {
        return Some("it is longer than 253 characters");
    }
    if name.starts_with("*.") {
        return Some("a wildcard needs a DNS challenge, which is not supported yet");
    }
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    if !name.split('.').all(label) {
        return Some("each part has letters, digits and inner hyphens, 1 to 63 of them");
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|b| b.is_ascii_digit()).then_some("it is an address; domains need names")
}
