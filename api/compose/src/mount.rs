//! Volumes of a service: named volumes, tmpfs, and host paths where the policy allows them.

use crate::interpolate::join;
use crate::keys::MOUNT;
use crate::policy::{Level, Policy};
use crate::project::Shared;
use crate::tree::{Node, Value};
use crate::walk::Walk;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// Whether a host path may be mounted: listed by the cluster, or below something listed. `..` is never followed.
pub(crate) fn bind_allowed(policy: &Policy, path: &str) -> bool {
    if policy.level == Level::Privileged {
        return true;
    }
    let parts = |p: &str| p.split('/').filter(|c| !c.is_empty() && *c != ".").map(str::to_owned).collect::<Vec<_>>();
    let wanted = parts(path);
    let climbs = wanted.iter().any(|c| c == "..");
    path.starts_with('/') && !climbs && policy.bind_mounts.iter().any(|allowed| wanted.starts_with(&parts(allowed)))
}

/// The mounts of a service in the long syntax.
pub(crate) fn read(walk: &mut Walk<'_>, service: &Node, path: &str, volumes: &BTreeMap<String, Shared>) -> Vec<Json> {
    let Some(list) = service.get("volumes").filter(|n| !n.is_null()) else { return Vec::new() };
    let here = join(path, "volumes");
    if !matches!(list.value, Value::List(_)) {
        walk.expected(&here, list, "a list");
        return Vec::new();
    }
    let mut out = Vec::new();
    for (i, item) in list.items().iter().enumerate() {
        let spot = format!("{here}[{i}]");
        if item.is_open() {
            continue;
        }
        let mount = match &item.value {
            Value::Map(_) => long(walk, item, &spot),
            _ => walk.text(item, &spot).and_then(|text| short(walk, item, &spot, &text)),
        };
        let Some(mount) = mount else { continue };
        if judge(walk, item, &spot, &mount, volumes) {
            out.push(Json::Object(mount));
        }
    }
    out
}

/// `SOURCE:TARGET[:ro,…]`, or `TARGET` alone for an unnamed volume.
fn short(walk: &mut Walk<'_>, item: &Node, path: &str, text: &str) -> Option<Map<String, Json>> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] => ("", *target, ""),
        [source, target] => (*source, *target, ""),
        [source, target, options] => (*source, *target, *options),
        _ => {
            walk.error_of(path, item.at, text, |text| format!("expected SOURCE:TARGET[:OPTIONS], found {text:?}"));
            return None;
        }
    };
    let mut mount = Map::new();
    let bind = source.starts_with(['/', '.', '~']);
    mount.insert("type".into(), json!(if bind { "bind" } else { "volume" }));
    if !source.is_empty() {
        mount.insert("source".into(), json!(source));
    }
    mount.insert("target".into(), json!(target));
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" => drop(mount.insert("read_only".into(), json!(true))),
            "rw" => {}
            "nocopy" if !bind => drop(mount.insert("volume".into(), json!({"nocopy": true}))),
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" if bind => {
                mount.insert("bind".into(), json!({"propagation": option}));
            }
            "z" | "Z" | "cached" | "delegated" | "consistent" => {
                walk.warn(path, item.at, format!("Swarm ignores the option {option:?}"));
            }
            _ => walk.error(path, item.at, format!("unknown option {option:?}")),
        }
    }
    Some(mount)
}

fn long(walk: &mut Walk<'_>, item: &Node, path: &str) -> Option<Map<String, Json>> {
    let mut mount = walk.object(item, path, MOUNT);
    for key in ["type", "source", "target"] {
        let Some(node) = item.get(key) else { continue };
        if node.is_open() {
            return None;
        }
        let text = walk.text(node, &join(path, key))?;
        mount.insert(key.into(), json!(text));
    }
    Some(mount)
}

fn judge(
    walk: &mut Walk<'_>,
    item: &Node,
    path: &str,
    mount: &Map<String, Json>,
    volumes: &BTreeMap<String, Shared>,
) -> bool {
    let word = |key: &str| mount.get(key).and_then(Json::as_str).unwrap_or_default();
    let (source, target) = (word("source"), word("target"));
    let problem = match word("type") {
        _ if !target.starts_with('/') => Some(format!("the target {target:?} must be an absolute path")),
        "volume" if source.is_empty() => None,
        "volume" if !volumes.contains_key(source) => Some(format!("volume {source:?} is not declared under volumes")),
        "volume" | "tmpfs" => None,
        "bind" if !source.starts_with('/') => Some(format!(
            "{source:?} is a path on your machine; the server has no such directory: use a named volume or a config"
        )),
        "bind" if !bind_allowed(walk.policy, source) => {
            let at = item.get("source").map_or(item.at, |n| n.at);
            let level = walk.policy.level.name();
            walk.error_of(path, at, source, |source| {
                format!(
                    "not allowed under policy {level}: host path {source:?}; a cluster can list paths in spec.policy.bindMounts"
                )
            });
            return false;
        }
        "bind" => None,
        other => Some(format!("expected type \"volume\", \"tmpfs\" or \"bind\", found {other:?}")),
    };
    let fine = problem.is_none();
    if let Some(problem) = problem {
        walk.error(path, item.at, problem);
    }
    fine
}
