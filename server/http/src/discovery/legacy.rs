//! The legacy form (rows D1 to D6).

use super::facts::{Group, Kind, Resource, Subresource, Version};
use base64::Engine as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

pub fn versions(advertise: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": advertise}],
    })
}

pub fn group_list(groups: &[Group]) -> Value {
    let groups: Vec<Value> = groups.iter().filter(|g| !g.name.is_empty()).map(|g| group(g, false)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

pub fn group(group: &Group, alone: bool) -> Value {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|v| json!({"groupVersion": format!("{}/{}", group.name, v.name), "version": v.name}))
        .collect();
    let mut map = Map::new();
    if alone {
        map.insert("kind".to_owned(), "APIGroup".into());
        map.insert("apiVersion".to_owned(), "v1".into());
    }
    map.insert("name".to_owned(), group.name.as_str().into());
    let preferred = versions.first().cloned().unwrap_or_default();
    map.insert("versions".to_owned(), versions.into());
    map.insert("preferredVersion".to_owned(), preferred);
    map.into()
}

pub fn resources(group: &Group, version: &Version) -> Value {
    let list: Vec<Value> = version
        .resources
        .iter()
        .flat_map(|r| std::iter::once(resource(r)).chain(r.subresources.iter().map(|s| subresource(r, s))))
        .collect();
    if group.name.is_empty() {
        return json!({"kind": "APIResourceList", "groupVersion": version.name, "resources": list});
    }
    let name = format!("{}/{}", group.name, version.name);
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": list})
}

fn entry(name: String, singular: &str, namespaced: bool, kind: &Kind, verbs: &[&str]) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("name".to_owned(), name.into());
    map.insert("singularName".to_owned(), singular.into());
    map.insert("namespaced".to_owned(), namespaced.into());
    if let Some((group, version)) = kind.elsewhere {
        map.insert("group".to_owned(), group.into());
        map.insert("version".to_owned(), version.into());
    }
    map.insert("kind".to_owned(), kind.kind.as_str().into());
    map.insert("verbs".to_owned(), json!(verbs));
    map
}

fn resource(r: &Resource) -> Value {
    let mut map = entry(r.plural.clone(), &r.singular, r.namespaced, &r.kind, r.verbs);
    if !r.short_names.is_empty() {
        map.insert("shortNames".to_owned(), json!(r.short_names));
    }
    if !r.categories.is_empty() {
        map.insert("categories".to_owned(), json!(r.categories));
    }
    if !r.storage.is_empty() {
        let hash = &Sha256::digest(r.storage.as_bytes())[..8];
        let hash = base64::engine::general_purpose::STANDARD.encode(hash);
        map.insert("storageVersionHash".to_owned(), hash.into());
    }
    map.into()
}

fn subresource(r: &Resource, s: &Subresource) -> Value {
    entry(format!("{}/{}", r.plural, s.name), "", r.namespaced, &s.kind, s.verbs).into()
}
