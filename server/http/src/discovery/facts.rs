//! What discovery says, before it takes one of its two forms.

use crate::target::{REVIEWS, has_log};
use otternauts_registry::Definitions;
use otternauts_schema::Definition;

#[derive(Debug)]
pub struct Group {
    /// Empty for the core group.
    pub name: String,
    /// Best first (row D15).
    pub versions: Vec<Version>,
}

#[derive(Debug)]
pub struct Version {
    pub name: String,
    pub resources: Vec<Resource>,
}

#[derive(Debug)]
pub struct Resource {
    pub plural: String,
    pub singular: String,
    pub kind: Kind,
    pub namespaced: bool,
    pub verbs: &'static [&'static str],
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    /// `group/version/Kind` as stored; empty for what is never stored.
    pub storage: String,
    /// Built-in kinds leave group and version of `responseKind` empty (row D8).
    pub builtin: bool,
    pub subresources: Vec<Subresource>,
}

#[derive(Debug)]
pub struct Subresource {
    pub name: &'static str,
    pub kind: Kind,
    pub verbs: &'static [&'static str],
}

/// A kind, with its group and version where they differ from the list it stands in (row D6).
#[derive(Debug)]
pub struct Kind {
    pub kind: String,
    pub elsewhere: Option<(&'static str, &'static str)>,
}

const BUILTIN: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const NAMESPACES: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
const CUSTOM: &[&str] = &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const PART: &[&str] = &["get", "patch", "update"];
const CREATE: &[&str] = &["create"];
const UPDATE: &[&str] = &["update"];
const GET: &[&str] = &["get"];

/// Every group: core, built-in ones and the reviews, then custom ones (row D2).
pub fn groups(definitions: &Definitions) -> Vec<Group> {
    let mut groups: Vec<Group> = definitions.groups().into_iter().map(|name| group(definitions, name)).collect();
    let is_custom = |g: &Group| definitions.in_group(&g.name).next().is_some_and(|d| !d.is_builtin());
    let at = groups.iter().position(is_custom).unwrap_or(groups.len());
    let mut reviews: Vec<&str> = REVIEWS.iter().map(|(group, ..)| *group).collect();
    reviews.dedup();
    groups.splice(at..at, reviews.into_iter().map(review_group));
    groups
}

fn group(definitions: &Definitions, name: &str) -> Group {
    let mut names: Vec<&str> = definitions
        .in_group(name)
        .flat_map(|d| d.versions.iter().filter(|v| v.served).map(|v| v.name.as_str()))
        .collect();
    names.sort_by(|a, b| rank(a).cmp(&rank(b)));
    names.dedup();
    let versions = names
        .into_iter()
        .map(|version| {
            let served = definitions.in_group(name).filter(|d| d.version(version).is_some_and(|v| v.served));
            let mut resources: Vec<Resource> = served.map(|d| resource(d, version)).collect();
            resources.sort_by(|a, b| a.plural.cmp(&b.plural));
            Version { name: version.to_owned(), resources }
        })
        .collect();
    Group { name: name.to_owned(), versions }
}

fn resource(definition: &Definition, version: &str) -> Resource {
    let names = &definition.names;
    let builtin = definition.is_builtin();
    let itself = builtin && definition.group.is_empty() && names.plural == "namespaces";
    let verbs = match (builtin, itself) {
        (false, _) => CUSTOM,
        (true, true) => NAMESPACES,
        (true, false) => BUILTIN,
    };
    let stored = definition.storage_version();
    Resource {
        plural: names.plural.clone(),
        singular: names.singular.clone(),
        kind: Kind { kind: names.kind.clone(), elsewhere: None },
        namespaced: definition.is_namespaced(),
        verbs,
        short_names: names.short_names.clone(),
        categories: names.categories.clone(),
        storage: format!("{}/{}/{}", definition.group, stored.name, names.kind),
        builtin,
        subresources: subresources(definition, version, itself),
    }
}

fn subresources(definition: &Definition, version: &str, namespaces: bool) -> Vec<Subresource> {
    let own = || Kind { kind: definition.names.kind.clone(), elsewhere: None };
    let version = definition.version(version);
    let mut list = Vec::new();
    if namespaces {
        list.push(Subresource { name: "finalize", kind: own(), verbs: UPDATE });
    }
    if version.is_some_and(|v| v.has_status) {
        list.push(Subresource { name: "status", kind: own(), verbs: PART });
    }
    if version.is_some_and(|v| v.scale.is_some()) {
        let kind = Kind { kind: "Scale".to_owned(), elsewhere: Some(("autoscaling", "v1")) };
        list.push(Subresource { name: "scale", kind, verbs: PART });
    }
    if definition.group.is_empty() && definition.names.plural == "serviceaccounts" {
        let kind = Kind { kind: "TokenRequest".to_owned(), elsewhere: Some(("authentication.k8s.io", "v1")) };
        list.push(Subresource { name: "token", kind, verbs: CREATE });
    }
    if has_log(&definition.group, &definition.names.plural) {
        list.push(Subresource { name: "log", kind: own(), verbs: GET });
    }
    list
}

fn review_group(name: &str) -> Group {
    let resources = REVIEWS
        .iter()
        .filter(|(group, ..)| *group == name)
        .map(|(_, plural, kind, namespaced)| Resource {
            plural: (*plural).to_owned(),
            singular: kind.to_ascii_lowercase(),
            kind: Kind { kind: (*kind).to_owned(), elsewhere: None },
            namespaced: *namespaced,
            verbs: CREATE,
            short_names: Vec::new(),
            categories: Vec::new(),
            storage: String::new(),
            builtin: true,
            subresources: Vec::new(),
        })
        .collect();
    Group { name: name.to_owned(), versions: vec![Version { name: "v1".to_owned(), resources }] }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank<'a> {
    /// Stable, beta, alpha; then the numbers, biggest first.
    Known(u8, std::cmp::Reverse<u32>, std::cmp::Reverse<u32>),
    Other(&'a str),
}

/// Row D15: v10 before v2 before v1 before v1beta2 before v1alpha2; names of any other form last, as text.
fn rank(version: &str) -> Rank<'_> {
    use std::cmp::Reverse;
    let parsed = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major: u32 = rest[..digits].parse().ok()?;
        let tail = &rest[digits..];
        if tail.is_empty() {
            return Some(Rank::Known(0, Reverse(major), Reverse(0)));
        }
        let (stage, minor) = match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
            (Some(minor), _) => (1, minor),
            (_, Some(minor)) => (2, minor),
            _ => return None,
        };
        Some(Rank::Known(stage, Reverse(major), Reverse(minor.parse().ok()?)))
    };
    parsed().unwrap_or(Rank::Other(version))
}
