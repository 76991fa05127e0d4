//! One service: what Swarm gets (`body`) and what we keep for ourselves.

use crate::image;
use crate::ingress::{self, Ingress};
use crate::interpolate::{Known, join};
use crate::keys::{ATTACHMENT, GRANT, SERVICE};
use crate::mount;
use crate::policy::Level;
use crate::port::{self, Port};
use crate::project::{File, Project};
use crate::tree::{Node, Position, Value};
use crate::walk::Walk;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// A service ready to render. `body` holds environment values: no `Debug`.
pub struct Service {
    pub name: String,
    pub image: String,
    /// Names of services that should be up first.
    pub depends_on: Vec<String>,
    pub ports: Vec<Port>,
    /// Networks it is attached to, by the file's names.
    pub networks: Vec<String>,
    /// Configs and secrets it is given, by the file's names.
    pub configs: Vec<String>,
    pub secrets: Vec<String>,
    pub ingress: Ingress,
    /// The canonical service as `docker stack deploy` takes it.
    pub body: Map<String, Json>,
}

impl Service {
    /// Jobs run to an end; their finished tasks count as done.
    pub fn is_job(&self) -> bool {
        let mode = self.body.get("deploy").and_then(|d| d.get("mode")).and_then(Json::as_str);
        mode.is_some_and(|m| m.ends_with("-job"))
    }
}

#[allow(clippy::too_many_arguments)]
pub(crate) fn read(
    walk: &mut Walk<'_>,
    name: &str,
    node: &Node,
    path: &str,
    all: &[&str],
    project: &Project,
    known: Known<'_>,
) -> Service {
    let mut body = walk.object(node, path, SERVICE);
    let image = read_image(walk, node, path);
    if !image.is_empty() {
        body.insert("image".into(), json!(image));
    }
    let environment = environment(walk, node, path, known);
    if !environment.is_empty() {
        body.insert("environment".into(), Json::Object(environment));
    }
    extra_hosts(walk, node, path, &mut body);
    reserved_labels(walk, node, path);
    logging_driver(walk, node, path);
    let ports = port::read(walk, node, path);
    if !ports.is_empty() {
        body.insert("ports".into(), ports.iter().map(Port::render).collect());
    }
    let mounts = mount::read(walk, node, path, &project.volumes);
    if !mounts.is_empty() {
        body.insert("volumes".into(), Json::Array(mounts));
    }
    let networks = networks(walk, node, path, project, &mut body);
    let configs = grants(walk, node, path, "configs", &project.configs, &mut body);
    let secrets = grants(walk, node, path, "secrets", &project.secrets, &mut body);
    let depends_on = depends_on(walk, node, path, all);
    let ingress = ingress::read(walk, node, path, &ports);
    consistency(walk, node, path, &body);
    Service { name: name.to_owned(), image, depends_on, ports, networks, configs, secrets, ingress, body }
}

fn read_image(walk: &mut Walk<'_>, node: &Node, path: &str) -> String {
    let build = node.entry("build").filter(|e| !e.value.is_null());
    let Some(image) = node.get("image").filter(|i| !i.is_null()) else {
        match build {
            Some(build) => {
                let why = "Otternauts does not build images here: push one to a registry and name it with image";
                walk.error(&join(path, "build"), build.key_at, why);
            }
            None => walk.error(path, node.at, "a service needs an image"),
        }
        return String::new();
    };
    if let Some(build) = build {
        walk.warn(&join(path, "build"), build.key_at, "nothing is built: the image is pulled");
    }
    let here = join(path, "image");
    let Some(reference) = walk.text(image, &here) else { return String::new() };
    if let Some(problem) = image::problem(&reference) {
        walk.error_of(&here, image.at, &reference, |shown| format!("{shown:?} is not an image: {problem}"));
        return String::new();
    }
    let registry = image::registry(&reference);
    let allowed = &walk.policy.registries;
    if !allowed.is_empty() && !allowed.contains(&registry) {
        let allowed = allowed.join(", ");
        walk.error_of(&here, image.at, &registry, |shown| {
            format!("images from {shown} are not allowed by the cluster; allowed: {allowed}")
        });
    }
    reference
}

/// `NAME` without a value takes the variable of that name; one that has none is left out, as compose does.
fn environment(walk: &mut Walk<'_>, node: &Node, path: &str, known: Known<'_>) -> Map<String, Json> {
    let Some(list) = node.get("environment").filter(|n| !n.is_null()) else { return Map::new() };
    let pairs = walk.pairs(list, &join(path, "environment"));
    let resolved = pairs.into_iter().filter_map(|(name, value)| {
        let value = match (value, known) {
            (Some(value), _) => value,
            (None, Known::All(values)) => values.text(&name)?.to_owned(),
            (None, Known::Nothing) => return None,
        };
        Some((name, Json::String(value)))
    });
    resolved.collect()
}

/// A list of `host:ip` (or `host=ip`) or a mapping; rendered as a list.
fn extra_hosts(walk: &mut Walk<'_>, node: &Node, path: &str, body: &mut Map<String, Json>) {
    let Some(list) = node.get("extra_hosts").filter(|n| !n.is_null()) else { return };
    let here = join(path, "extra_hosts");
    let mut out: Vec<Json> = Vec::new();
    match &list.value {
        Value::List(items) => {
            for (i, item) in items.iter().enumerate() {
                let Some(text) = walk.text(item, &format!("{here}[{i}]")) else { continue };
                match text.split_once(['=', ':']) {
                    Some((host, address)) => out.push(json!(format!("{host}:{address}"))),
                    None => {
                        walk.error_of(&format!("{here}[{i}]"), item.at, &text, |shown| {
                            format!("expected host:address, found {shown:?}")
                        });
                    }
                }
            }
        }
        _ => {
            let pairs = walk.pairs(list, &here);
            out.extend(pairs.into_iter().map(|(host, ip)| json!(format!("{host}:{}", ip.unwrap_or_default()))));
        }
    }
    body.insert("extra_hosts".into(), Json::Array(out));
}

/// Drivers that keep logs on the machine. The others have the engine, as root, open connections and sockets of the author's choice.
fn logging_driver(walk: &mut Walk<'_>, node: &Node, path: &str) {
    const KEPT: [&str; 4] = ["json-file", "local", "journald", "none"];
    let Some(driver) = node.get("logging").and_then(|l| l.get("driver")) else { return };
    let policy = walk.policy;
    let known = |d: &String| KEPT.contains(&d.as_str()) || policy.logging_drivers.contains(d);
    let Some(name) = driver.text().filter(|d| !known(d)) else { return };
    if policy.level < Level::Privileged {
        walk.error_of(&join(&join(path, "logging"), "driver"), driver.at, &name, |name| {
            format!(
                "not allowed under policy {}: logging driver {name:?}; json-file, local, journald and none are, and what the \
                 cluster lists in spec.policy.loggingDrivers",
                policy.level.name()
            )
        });
    }
}

fn reserved_labels(walk: &mut Walk<'_>, node: &Node, path: &str) {
    let deploy = node.get("deploy");
    let places = [
        (node.get("labels"), join(path, "labels")),
        (deploy.and_then(|d| d.get("labels")), join(path, "deploy.labels")),
    ];
    for (labels, here) in places {
        let Some(labels) = labels else { continue };
        let names: Vec<(String, Position)> = match &labels.value {
            Value::Map(entries) => entries.iter().map(|e| (e.key.clone(), e.key_at)).collect(),
            Value::List(items) => items.iter().filter_map(|i| Some((i.text()?, i.at))).collect(),
            _ => Vec::new(),
        };
        for (name, at) in names {
            // All routing is ours (R35): a label of Traefik's could take another stack's requests (K12).
            if ["otternauts.dev/", "com.docker.stack.", "traefik."].iter().any(|p| name.starts_with(p)) {
                walk.error_of(&here, at, &name, |name| format!("label {name:?} is reserved"));
            }
        }
    }
}

/// Attachments to networks. Without any, the stack's own `default` network, which no other stack shares (OT-31).
fn networks(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    project: &Project,
    body: &mut Map<String, Json>,
) -> Vec<String> {
    let here = join(path, "networks");
    let mut out: Vec<String> = Vec::new();
    let mut rendered = Map::new();
    let list = node.get("networks").filter(|n| !n.is_null());
    let attached: Vec<(String, &Node, Option<&Node>)> = match list.map(|n| (&n.value, n)) {
        None => Vec::new(),
        Some((Value::Map(entries), _)) => entries.iter().map(|e| (e.key.clone(), &e.value, Some(&e.value))).collect(),
        Some((Value::List(items), _)) => items.iter().filter_map(|i| Some((walk.text(i, &here)?, i, None))).collect(),
        Some((_, other)) => {
            walk.expected(&here, other, "a list or a mapping");
            Vec::new()
        }
    };
    for (name, at, options) in attached {
        if name != "default" && !project.networks.contains_key(&name) {
            walk.error_of(&here, at.at, &name, |name| format!("network {name:?} is not declared under networks"));
        }
        let options = match options {
            Some(o) if !o.is_null() => walk.object(o, &join(&here, &name), ATTACHMENT),
            _ => Map::new(),
        };
        rendered.insert(name.clone(), Json::Object(options));
        out.push(name);
    }
    if out.is_empty() {
        out.push("default".into());
    } else {
        body.insert("networks".into(), Json::Object(rendered));
    }
    out
}

/// Configs or secrets a service is given; rendered in the long form.
fn grants(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    section: &'static str,
    declared: &BTreeMap<String, File>,
    body: &mut Map<String, Json>,
) -> Vec<String> {
    let mut out = Vec::new();
    let mut rendered = Vec::new();
    let Some(list) = node.get(section).filter(|n| !n.is_null()) else { return out };
    let here = join(path, section);
    if !matches!(list.value, Value::List(_)) {
        walk.expected(&here, list, "a list");
        return out;
    }
    for (i, item) in list.items().iter().enumerate() {
        let spot = format!("{here}[{i}]");
        let mut grant = match &item.value {
            Value::Map(_) => walk.object(item, &spot, GRANT),
            _ => Map::new(),
        };
        let named = match &item.value {
            Value::Map(_) => item.get("source").unwrap_or(item),
            _ => item,
        };
        // A variable whose value is not known: it was told, or it will be judged when it is.
        if named.is_open() {
            continue;
        }
        let source = named.text().unwrap_or_default();
        if !declared.contains_key(&source) {
            walk.error_of(&spot, named.at, &source, |source| {
                format!("{source:?} is not declared (or not complete) under {section}")
            });
            continue;
        }
        if let Some(mode) = item.get("mode") {
            match mode.text().and_then(|t| file_mode(&t)) {
                Some(mode) => drop(grant.insert("mode".into(), json!(mode))),
                None => walk.error(&join(&spot, "mode"), mode.at, "expected a file mode such as 0440"),
            }
        }
        grant.insert("source".into(), json!(source));
        rendered.push(Json::Object(grant));
        out.push(source);
    }
    if !rendered.is_empty() {
        body.insert(section.into(), Json::Array(rendered));
    }
    out
}

/// A leading zero is octal, as in every compose file; else decimal.
fn file_mode(text: &str) -> Option<u32> {
    let octal = text.strip_prefix("0o").or_else(|| text.strip_prefix('0').filter(|rest| !rest.is_empty()));
    let mode = match octal {
        Some(digits) => u32::from_str_radix(digits, 8).ok()?,
        None => text.parse().ok()?,
    };
    (mode <= 0o7777).then_some(mode)
}

fn depends_on(walk: &mut Walk<'_>, node: &Node, path: &str, all: &[&str]) -> Vec<String> {
    let Some(list) = node.get("depends_on").filter(|n| !n.is_null()) else { return Vec::new() };
    let here = join(path, "depends_on");
    let names: Vec<(String, &Node)> = match &list.value {
        Value::List(items) => items.iter().filter_map(|i| Some((i.text()?, i))).collect(),
        Value::Map(entries) => entries.iter().map(|e| (e.key.clone(), &e.value)).collect(),
        _ => {
            walk.expected(&here, list, "a list or a mapping");
            Vec::new()
        }
    };
    if let Some((name, at)) = names.iter().find(|(_, n)| n.get("condition").is_some()) {
        let why = "Swarm starts services together: the condition is not waited for";
        walk.warn(&join(&here, name), at.at, why);
    }
    for (name, at) in &names {
        if !all.contains(&name.as_str()) {
            walk.error_of(&here, at.at, name, |name| format!("service {name:?} does not exist"));
        }
    }
    names.into_iter().map(|(name, _)| name).collect()
}

/// Combinations that Swarm would refuse, found before anything is sent.
fn consistency(walk: &mut Walk<'_>, node: &Node, path: &str, body: &Map<String, Json>) {
    let deploy = |key: &str| body.get("deploy").and_then(|d| d.get(key));
    let mode = deploy("mode").and_then(Json::as_str).unwrap_or("replicated");
    let at = node.get("deploy").map_or(node.at, |d| d.at);
    let here = join(path, "deploy");
    if mode.starts_with("global") && deploy("replicas").is_some() {
        walk.error(&here, at, format!("replicas cannot be set with mode {mode}"));
    }
    let jobs = mode.ends_with("-job");
    if jobs && (deploy("update_config").is_some() || deploy("rollback_config").is_some()) {
        walk.error(&here, at, format!("update_config and rollback_config cannot be set with mode {mode}"));
    }
    let any = deploy("restart_policy").and_then(|p| p.get("condition")).and_then(Json::as_str) == Some("any");
    if jobs && any {
        walk.error(&here, at, format!("restart_policy.condition any cannot be used with mode {mode}"));
    }
    let ports = body.get("ports").and_then(Json::as_array);
    let ingress = ports.is_some_and(|p| p.iter().any(|p| p["mode"] == "ingress"));
    if deploy("endpoint_mode").and_then(Json::as_str) == Some("dnsrr") && ingress {
        walk.error(&here, at, "endpoint_mode dnsrr cannot publish ports in ingress mode; use mode: host");
    }
}
