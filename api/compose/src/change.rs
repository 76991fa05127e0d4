//! What would change between two renderings, for `diff`, the plan and the UI.

use crate::render::Rendered;
use serde_json::Value as Json;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    Removed,
    Changed,
}

/// One difference. Values are shown only where no variable's value belongs: images, replicas, ports and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    pub path: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
        };
        write!(f, "{sign} {}", self.path)?;
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, ": {old} -> {new}"),
            (Some(one), None) | (None, Some(one)) => write!(f, ": {one}"),
            (None, None) => Ok(()),
        }
    }
}

/// The changes from `old` (nothing, for a first deployment) to `new`, by path.
pub fn diff(old: Option<&Rendered>, new: &Rendered) -> Vec<Change> {
    let mut out = Vec::new();
    let empty = std::collections::BTreeMap::new();
    let before = old.map_or(&empty, |o| &o.bodies);
    for (name, body) in &new.bodies {
        compare(&format!("services.{name}"), before.get(name), Some(body), &mut out);
    }
    for (name, body) in before.iter().filter(|(name, _)| !new.bodies.contains_key(*name)) {
        compare(&format!("services.{name}"), Some(body), None, &mut out);
    }
    let none = std::collections::BTreeMap::new();
    let asked = old.map_or(&none, |o| &o.probes);
    for name in new.bodies.keys() {
        let path = format!("services.{name}.x-otternauts.health");
        match (asked.get(name), new.probes.get(name)) {
            (before, after) if before == after => {}
            (before, after) => compare(&path, before, after, &mut out),
        }
    }
    let names = |r: &Rendered| r.inline.iter().map(|i| i.name.clone()).collect::<Vec<_>>();
    let (had, has) = (old.map(names).unwrap_or_default(), names(new));
    let file = |kind, name: &String| Change { kind, path: format!("files.{name}"), old: None, new: None };
    out.extend(has.iter().filter(|n| !had.contains(n)).map(|n| file(ChangeKind::Added, n)));
    out.extend(had.iter().filter(|n| !has.contains(n)).map(|n| file(ChangeKind::Removed, n)));
    out
}

fn compare(path: &str, old: Option<&Json>, new: Option<&Json>, out: &mut Vec<Change>) {
    let kind = match (old, new) {
        (Some(a), Some(b)) if a == b => return,
        (Some(Json::Object(a)), Some(Json::Object(b))) => {
            for (key, value) in b {
                compare(&format!("{path}.{key}"), a.get(key), Some(value), out);
            }
            for (key, value) in a.iter().filter(|(key, _)| !b.contains_key(*key)) {
                compare(&format!("{path}.{key}"), Some(value), None, out);
            }
            return;
        }
        (Some(_), Some(_)) => ChangeKind::Changed,
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
    };
    let shown = |value: Option<&Json>| value.filter(|_| is_open_to_all(path)).map(Json::to_string);
    out.push(Change { kind, path: path.to_owned(), old: shown(old), new: shown(new) });
}

fn is_open_to_all(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("services.") else { return false };
    let Some((_, key)) = rest.split_once('.') else { return false };
    ["image", "deploy.replicas", "deploy.mode", "deploy.resources", "deploy.placement", "ports", "networks"]
        .iter()
        .any(|k| key == *k || key.starts_with(&format!("{k}.")))
}
