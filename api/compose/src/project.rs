//! What a compose file means to us: services in start order, and what they share.

use crate::finding::{Finding, Findings};
use crate::image;
use crate::interpolate::{Known, Values, interpolate, join};
use crate::keys::{FILE, NETWORK, TOP, VOLUME};
use crate::mask::mask;
use crate::policy::{Level, Policy};
use crate::service::{self, Service};
use crate::tree::{self, Node, Value};
use crate::walk::Walk;
use otternauts_meta::Secret;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// A compose file that passed every check, its variables replaced. Holds secret values: it has no `Debug`.
pub struct Project {
    /// In the order of `depends_on`, else of the file.
    pub services: Vec<Service>,
    pub networks: BTreeMap<String, Shared>,
    pub volumes: BTreeMap<String, Shared>,
    pub configs: BTreeMap<String, File>,
    pub secrets: BTreeMap<String, File>,
}

/// A top-level network or volume.
pub struct Shared {
    /// The name on the Swarm of something that must already exist there.
    pub external: Option<String>,
    /// The rest, as Swarm takes it.
    pub body: Map<String, Json>,
}

/// A top-level config or secret.
pub struct File {
    pub source: Source,
    pub body: Map<String, Json>,
}

/// Where the bytes of a config or secret come from.
pub enum Source {
    /// It exists on the Swarm under this name.
    External(String),
    /// Written in the file, or the value of a variable.
    Inline(Secret<Vec<u8>>),
}

/// A project and what its author should know.
pub struct Compiled {
    pub project: Project,
    pub warnings: Vec<Finding>,
}

/// Parses, interpolates and judges. `Err` lists every error, unresolved variables among them.
pub fn compile(text: &str, values: &Values, policy: &Policy) -> Result<Compiled, Vec<Finding>> {
    compiled(read(text, Known::All(values), policy))
}

/// As [`compile`], of a document that is parsed already: findings name the positions of its nodes.
pub fn compile_tree(root: Node, values: &Values, policy: &Policy) -> Result<Compiled, Vec<Finding>> {
    compiled(read_tree(root, Known::All(values), policy))
}

fn compiled((project, found): (Option<Project>, Findings)) -> Result<Compiled, Vec<Finding>> {
    match project {
        Some(project) if found.errors.is_empty() => Ok(Compiled { project, warnings: found.warnings }),
        _ => Err(found.errors),
    }
}

/// The one way through the crate's rooms, for admission and for deployment.
pub(crate) fn read(text: &str, known: Known<'_>, policy: &Policy) -> (Option<Project>, Findings) {
    match tree::parse(text) {
        Ok(root) => read_tree(root, known, policy),
        Err(error) => (None, Findings { errors: vec![error], warnings: Vec::new() }),
    }
}

pub(crate) fn read_tree(mut root: Node, known: Known<'_>, policy: &Policy) -> (Option<Project>, Findings) {
    let mut walk = Walk::new(policy);
    walk.expanded = interpolate(&mut root, "", known, &mut walk.errors);
    let project = project(&mut walk, &root, known);
    let mut found = Findings { errors: walk.errors, warnings: walk.warnings };
    found.errors.sort_by_key(|f| (f.line, f.column));
    found.errors.dedup();
    found.warnings.sort_by_key(|f| (f.line, f.column));
    if let Known::All(values) = known {
        mask(&mut found, values);
    }
    (project, found)
}

fn project(walk: &mut Walk<'_>, root: &Node, known: Known<'_>) -> Option<Project> {
    if !matches!(root.value, Value::Map(_)) {
        walk.expected("", root, "a mapping with \"services\"");
        return None;
    }
    walk.object(root, "", TOP);
    let networks = shared(walk, root, "networks");
    let volumes = shared(walk, root, "volumes");
    let configs = files(walk, root, "configs", known);
    let secrets = files(walk, root, "secrets", known);
    let Some(list) = root.get("services").filter(|s| !s.entries().is_empty()) else {
        let node = root.get("services").unwrap_or(root);
        walk.error("services", node.at, "a stack needs at least one service");
        return None;
    };
    let mut project = Project { services: Vec::new(), networks, volumes, configs, secrets };
    let names: Vec<&str> = list.entries().iter().map(|e| e.key.as_str()).collect();
    let mut services = Vec::new();
    for entry in list.entries() {
        let path = join("services", &entry.key);
        if !is_name(&entry.key) {
            walk.error(&path, entry.key_at, "a service's name has letters, digits, - _ and ., at most 63 in all");
        }
        if walk.is_map(&entry.value, &path) {
            services.push(service::read(walk, &entry.key, &entry.value, &path, &names, &project, known));
        }
    }
    unique_ports(walk, &services);
    unique_domains(walk, &services);
    project.services = in_start_order(walk, services, list);
    if project.services.iter().any(|s| s.networks.iter().any(|n| n == "default")) {
        let default = || Shared { external: None, body: Map::new() };
        project.networks.entry("default".into()).or_insert_with(default);
    }
    Some(project)
}

/// Names of services, networks, volumes, configs and secrets.
fn is_name(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 63 && name.bytes().all(fine) && name.as_bytes()[0].is_ascii_alphanumeric()
}

/// `external: true`, with `name:` or the old `external: {name: …}`; the outer `None` is "not external".
fn external(walk: &mut Walk<'_>, node: &Node, key: &str, path: &str) -> Option<String> {
    // A name that waits for a variable is judged when it is known.
    let named = node.get("name").and_then(|name| if name.is_open() { Some(String::new()) } else { name.text() });
    let external = node.get("external")?;
    match &external.value {
        Value::Bool(false) | Value::Null => None,
        Value::Bool(true) => Some(named.unwrap_or_else(|| key.to_owned())),
        Value::Map(_) => Some(external.get("name").and_then(Node::text).unwrap_or_else(|| key.to_owned())),
        Value::Open(_) => None,
        _ => {
            walk.expected(&join(path, "external"), external, "true or false");
            None
        }
    }
}

fn external_allowed(walk: &mut Walk<'_>, name: &str, node: &Node, path: &str) {
    if walk.policy.level == Level::Restricted {
        let message = "not allowed under policy restricted: a stack may only use what it declares itself";
        walk.error(path, node.at, message);
    }
    let predefined = matches!(name, "host" | "bridge" | "none" | "ingress" | "docker_gwbridge");
    let level = walk.policy.level;
    if level == Level::Privileged {
        return;
    }
    let at = node.get("name").map_or(node.at, |n| n.at);
    if predefined && path.starts_with("networks") {
        walk.error_of(path, at, name, |name| {
            format!("not allowed under policy {}: network {name:?} belongs to the machine", level.name())
        });
    }
    if is_of_a_stack(name) {
        walk.error_of(path, at, name, |name| {
            format!(
                "not allowed under policy {}: {name:?} is the name of something another stack made; only what was made \
                 outside of all stacks can be external",
                level.name()
            )
        });
    }
}

/// Names that we give: `<stack>-<8 hex>_<name>`. A stack's name has no underscore.
fn is_of_a_stack(name: &str) -> bool {
    let stack = name.split_once('_').and_then(|(stack, _)| stack.rsplit_once('-'));
    stack.is_some_and(|(stack, hash)| {
        !stack.is_empty() && hash.len() == 8 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn shared(walk: &mut Walk<'_>, root: &Node, section: &'static str) -> BTreeMap<String, Shared> {
    let mut out = BTreeMap::new();
    let Some(list) = root.get(section).filter(|n| !n.is_null()) else { return out };
    if !walk.is_map(list, section) {
        return out;
    }
    for entry in list.entries() {
        let path = join(section, &entry.key);
        if !is_name(&entry.key) {
            walk.error(&path, entry.key_at, "a name has letters, digits, - _ and ., at most 63 in all");
        }
        let node = &entry.value;
        let keys = if section == "networks" { NETWORK } else { VOLUME };
        let mut body = if node.is_null() { Map::new() } else { walk.object(node, &path, keys) };
        let external = external(walk, node, &entry.key, &path);
        match &external {
            Some(name) => external_allowed(walk, name, node, &path),
            None if section == "networks" => network_driver(walk, node, &path, &mut body),
            None => {
                volume_driver(walk, node, &path);
                volume_options(walk, node, &path, &mut body);
            }
        }
        let name = node.get("name").filter(|_| external.is_none()).and_then(Node::text);
        if let (Some(_), Some(named)) = (name, node.get("name")) {
            let why =
                "a fixed name is shared with other stacks and namespaces; leave it out, and the stack gets its own";
            if walk.policy.level < Level::Privileged {
                walk.error(
                    &join(&path, "name"),
                    named.at,
                    format!("not allowed under policy {}: {why}", walk.policy.level.name()),
                );
            } else if let Some(text) = named.text() {
                body.insert("name".into(), Json::String(text));
            }
        }
        out.insert(entry.key.clone(), Shared { external, body });
    }
    out
}

fn network_driver(walk: &mut Walk<'_>, node: &Node, path: &str, body: &mut Map<String, Json>) {
    if let Some(driver) = node.get("ipam").and_then(|i| i.get("driver"))
        && driver.text().is_some_and(|d| d != "default")
        && walk.policy.level < Level::Privileged
    {
        let message = format!("not allowed under policy {}: use default", walk.policy.level.name());
        walk.put(&join(&join(path, "ipam"), "driver"), driver.at, message);
    }
    let Some(driver) = node.get("driver").filter(|d| !d.is_null()) else { return };
    let here = join(path, "driver");
    let Some(name) = walk.text(driver, &here) else { return };
    match name.as_str() {
        "overlay" => {
            body.insert("driver".into(), Json::String(name));
        }
        "bridge" => {
            walk.warn(&here, driver.at, "a bridge ends at one machine; Swarm services get an overlay network instead");
            body.remove("driver_opts");
        }
        _ if walk.policy.level == Level::Privileged => {
            body.insert("driver".into(), Json::String(name));
        }
        _ => {
            walk.error(&here, driver.at, format!("not allowed under policy {}: use overlay", walk.policy.level.name()));
        }
    }
}

/// A plugin does as root what its options say: beside `local`, only what the cluster lists.
fn volume_driver(walk: &mut Walk<'_>, node: &Node, path: &str) {
    let Some(driver) = node.get("driver") else { return };
    let policy = walk.policy;
    let Some(name) = driver.text().filter(|d| d != "local" && !policy.volume_drivers.contains(d)) else { return };
    if policy.level < Level::Privileged {
        walk.error_of(&join(path, "driver"), driver.at, &name, |name| {
            format!(
                "not allowed under policy {}: volume driver {name:?}; local is, and what the cluster lists in \
                 spec.policy.volumeDrivers",
                policy.level.name()
            )
        });
    }
}

/// The local driver can bind any host path and mount any file system of the host through its options: a path counts as a bind
/// mount, and of file systems only those in memory and on the network are for everybody.
fn volume_options(walk: &mut Walk<'_>, node: &Node, path: &str, body: &mut Map<String, Json>) {
    let Some(options) = node.get("driver_opts").filter(|o| !o.is_null()) else { return };
    let here = join(path, "driver_opts");
    let pairs = walk.pairs(options, &here);
    let value = |key: &str| pairs.iter().find(|(k, _)| k == key).and_then(|(_, v)| v.clone()).unwrap_or_default();
    let (kind, device, flags) = (value("type"), value("device"), value("o"));
    let local = node.get("driver").is_none_or(|d| d.is_null() || d.text().is_some_and(|d| d == "local"));
    let policy = walk.policy;
    if local && policy.level < Level::Privileged {
        let at = |key: &str| options.get(key).map_or(options.at, |n| n.at);
        let level = policy.level.name();
        let has = |words: &[&str]| flags.split(',').any(|o| words.contains(&o.trim()));
        let bound = has(&["bind", "rbind", "move", "remount"]) || kind == "none";
        let share = kind == "cifs" && device.starts_with("//") && !bound;
        if bound || (device.starts_with('/') && !share) {
            if !crate::mount::bind_allowed(policy, &device) {
                walk.error_of(&here, at("device"), &device, |device| {
                    format!("not allowed under policy {level}: it mounts the host path {device:?}")
                });
            }
        } else if !matches!(kind.as_str(), "" | "tmpfs" | "nfs" | "nfs4" | "cifs") {
            walk.error_of(&here, at("type"), &kind, |kind| {
                format!(
                    "not allowed under policy {level}: file systems of type {kind:?}; tmpfs, nfs, nfs4 and cifs are"
                )
            });
        }
    }
    let rendered = pairs.into_iter().map(|(k, v)| (k, Json::String(v.unwrap_or_default())));
    body.insert("driver_opts".into(), Json::Object(rendered.collect()));
}

fn files(walk: &mut Walk<'_>, root: &Node, section: &'static str, known: Known<'_>) -> BTreeMap<String, File> {
    let mut out = BTreeMap::new();
    let Some(list) = root.get(section).filter(|n| !n.is_null()) else { return out };
    if !walk.is_map(list, section) {
        return out;
    }
    for entry in list.entries() {
        let path = join(section, &entry.key);
        if !is_name(&entry.key) {
            walk.error(&path, entry.key_at, "a name has letters, digits, - _ and ., at most 63 in all");
        }
        if !walk.is_map(&entry.value, &path) {
            continue;
        }
        let body = walk.object(&entry.value, &path, FILE);
        if let Some(source) = source(walk, &entry.value, &entry.key, &path, known) {
            out.insert(entry.key.clone(), File { source, body });
        }
    }
    out
}

fn source(walk: &mut Walk<'_>, node: &Node, key: &str, path: &str, known: Known<'_>) -> Option<Source> {
    if let Some(name) = external(walk, node, key, path) {
        external_allowed(walk, &name, node, path);
        return Some(Source::External(name));
    }
    if let Some(file) = node.entry("file") {
        let why = "a path means nothing on the server; deploy with `otter deploy FILE`, which reads the file and sends what is in it";
        walk.error(&join(path, "file"), file.key_at, why);
        return None;
    }
    let inline = |bytes: &[u8]| Some(Source::Inline(Secret::new(bytes.to_vec())));
    if let Some(content) = node.get("content") {
        let text = walk.text(content, &join(path, "content"));
        return inline(text.unwrap_or_default().as_bytes());
    }
    let Some(variable) = node.get("environment") else {
        walk.error(path, node.at, "it needs content, environment or external: true");
        return None;
    };
    let here = join(path, "environment");
    let name = walk.text(variable, &here)?;
    match known {
        Known::Nothing => inline(&[]),
        Known::All(values) => match values.bytes(&name) {
            Some(bytes) => inline(bytes),
            None => {
                walk.error(&here, variable.at, format!("variable {name} has no value"));
                None
            }
        },
    }
}

/// Two services cannot publish one port.
fn unique_ports(walk: &mut Walk<'_>, services: &[Service]) {
    let mut taken: BTreeMap<(u16, &str), &str> = BTreeMap::new();
    for service in services {
        for port in &service.ports {
            let Some(published) = port.published else { continue };
            if let Some(other) = taken.insert((published, port.protocol), &service.name) {
                let path = format!("services.{}.ports", service.name);
                walk.error(
                    &path,
                    port.at,
                    format!("port {published}/{} is already published by service {other}", port.protocol),
                );
            }
        }
    }
}

/// Two services cannot answer for one host and path.
fn unique_domains(walk: &mut Walk<'_>, services: &[Service]) {
    let mut taken: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for service in services {
        for domain in &service.ingress.domains {
            if let Some(other) = taken.insert((&domain.host, &domain.path), &service.name) {
                let path = format!("services.{}.x-otternauts.domains", service.name);
                walk.error(
                    &path,
                    domain.at,
                    format!("{}{} is already a domain of service {other}", domain.host, domain.path),
                );
            }
        }
    }
}

/// Services after what they depend on; a cycle is an error.
fn in_start_order(walk: &mut Walk<'_>, mut services: Vec<Service>, list: &Node) -> Vec<Service> {
    let mut ordered: Vec<Service> = Vec::with_capacity(services.len());
    while !services.is_empty() {
        let ready = |s: &Service| s.depends_on.iter().all(|d| ordered.iter().any(|o| o.name == *d));
        match services.iter().position(ready) {
            Some(i) => ordered.push(services.remove(i)),
            None => {
                // Names that do not exist were reported where they stand; what is left among real ones is a cycle.
                let names: Vec<&str> = services.iter().map(|s| s.name.as_str()).collect();
                let real = services.iter().all(|s| s.depends_on.iter().all(|d| list.entry(d).is_some()));
                if real {
                    walk.error("services", list.at, format!("depends_on goes round in a circle: {}", names.join(", ")));
                }
                ordered.append(&mut services);
            }
        }
    }
    ordered
}

/// The registry hosts a project pulls from, `docker.io` for short names.
pub fn registries(project: &Project) -> Vec<String> {
    let mut hosts: Vec<String> = project.services.iter().map(|s| image::registry(&s.image)).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}
