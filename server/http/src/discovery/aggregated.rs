//! The aggregated form (rows D7 to D9).

use super::facts::{Group, Kind, Resource, Version};
use serde_json::{Map, Value, json};

pub fn list(groups: &[&Group]) -> Value {
    let items: Vec<Value> = groups.iter().map(|g| group(g)).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn group(group: &Group) -> Value {
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
    let versions: Vec<Value> = group.versions.iter().map(|v| version(group, v)).collect();
    json!({"metadata": metadata, "versions": versions})
}

fn version(group: &Group, version: &Version) -> Value {
    let resources: Vec<Value> = version.resources.iter().map(|r| resource(group, version, r)).collect();
    json!({"version": version.name, "resources": resources, "freshness": "Current"})
}

fn resource(group: &Group, version: &Version, r: &Resource) -> Value {
    let own = if r.builtin { ("", "") } else { (group.name.as_str(), version.name.as_str()) };
    let mut map = Map::new();
    map.insert("resource".to_owned(), r.plural.as_str().into());
    map.insert("responseKind".to_owned(), response_kind(&r.kind, own));
    map.insert("scope".to_owned(), if r.namespaced { "Namespaced" } else { "Cluster" }.into());
    map.insert("singularResource".to_owned(), r.singular.as_str().into());
    map.insert("verbs".to_owned(), json!(r.verbs));
    if !r.short_names.is_empty() {
        map.insert("shortNames".to_owned(), json!(r.short_names));
    }
    if !r.categories.is_empty() {
        map.insert("categories".to_owned(), json!(r.categories));
    }
    if !r.subresources.is_empty() {
        let list: Vec<Value> = r
            .subresources
            .iter()
            .map(|s| json!({"subresource": s.name, "responseKind": response_kind(&s.kind, own), "verbs": s.verbs}))
            .collect();
        map.insert("subresources".to_owned(), list.into());
    }
    map.into()
}

fn response_kind(kind: &Kind, own: (&str, &str)) -> Value {
    let (group, version) = kind.elsewhere.unwrap_or(own);
    json!({"group": group, "version": version, "kind": kind.kind})
}
