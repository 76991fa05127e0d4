//! Path and method to what a request is about (rows T3, T4). The verb found here is what RBAC, audit and metrics see.

use crate::query::{Query, decode};
use http::Method;

/// What a request is about, before anybody asks whether such a thing exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The path as sent, without the query.
    pub path: String,
    /// `get`, `list`, `watch`, … for resources; the lower-case method for every other path.
    pub verb: String,
    /// `None`: discovery, health, version, anything that is no resource.
    pub resource: Option<ResourceRoute>,
}

/// The parts of `/apis/{group}/{version}/namespaces/{namespace}/{resource}/{name}/{subresource}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceRoute {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    /// Empty for cluster scope and for all namespaces. A namespace counts as being in itself.
    pub namespace: String,
    pub resource: String,
    pub name: String,
    pub subresource: String,
    /// What follows the subresource; nothing is served there.
    pub rest: bool,
    /// The name came from the path; otherwise from `metadata.name=x` in a field selector (row L15).
    pub named: bool,
    /// `/apis/g/v/watch/…`, the old form of a watch.
    pub watch_path: bool,
}

impl Route {
    /// True for requests that stay open: they count apart and have no deadline (rows T10, Q2).
    pub fn is_long_running(&self) -> bool {
        self.verb == "watch" || self.resource.as_ref().is_some_and(|r| r.subresource == "log")
    }

    /// True when the request may change state.
    pub fn is_mutating(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection" | "post" | "put")
    }
}

/// Reads a request line.
pub fn parse(method: &Method, path: &str, query: &Query) -> Route {
    let lower = method.as_str().to_ascii_lowercase();
    let plain = Route { path: path.to_owned(), verb: lower, resource: None };
    if path.starts_with("//") {
        return plain;
    }
    let parts: Vec<String> = path.trim_matches('/').split('/').map(|p| decode(p, false)).collect();
    let (group, version, rest) = match parts.first().map(String::as_str) {
        Some("api") if parts.len() >= 3 => ("", parts[1].as_str(), &parts[2..]),
        Some("apis") if parts.len() >= 4 => (parts[1].as_str(), parts[2].as_str(), &parts[3..]),
        _ => return plain,
    };
    let mut found = ResourceRoute { group: group.to_owned(), version: version.to_owned(), ..ResourceRoute::default() };
    let rest = match rest {
        [first, rest @ ..] if first == "watch" && !rest.is_empty() => {
            found.watch_path = true;
            rest
        }
        rest => rest,
    };
    let rest = split_namespace(&mut found, rest);
    found.resource = rest.first().cloned().unwrap_or_default();
    found.name = rest.get(1).cloned().unwrap_or_default();
    found.named = !found.name.is_empty();
    found.subresource = rest.get(2).cloned().unwrap_or_default();
    found.rest = rest.len() > 3;
    let verb = verb(method, &mut found, query);
    Route { path: path.to_owned(), verb: verb.to_owned(), resource: Some(found) }
}

fn split_namespace<'a>(found: &mut ResourceRoute, rest: &'a [String]) -> &'a [String] {
    let [first, namespace, after @ ..] = rest else { return rest };
    if first != "namespaces" {
        return rest;
    }
    found.namespace.clone_from(namespace);
    match after.first().map(String::as_str) {
        None | Some("status" | "finalize") => rest,
        Some(_) => after,
    }
}

fn verb(method: &Method, found: &mut ResourceRoute, query: &Query) -> &'static str {
    if found.watch_path {
        found.subresource.clear();
        return "watch";
    }
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::GET | Method::HEAD if found.named => "get",
        Method::GET | Method::HEAD => {
            found.name = selected_name(query.text("fieldSelector"));
            if query.flag("watch") == Some(true) { "watch" } else { "list" }
        }
        Method::DELETE if found.named => "delete",
        Method::DELETE => "deletecollection",
        _ => "",
    }
}

/// The name in `metadata.name=x`, if a field selector asks for exactly one.
fn selected_name(selector: &str) -> String {
    selector
        .split(',')
        .filter_map(|part| part.strip_prefix("metadata.name="))
        .map(|name| name.trim_start_matches('='))
        .find(|name| !name.is_empty() && *name != "." && *name != ".." && !name.contains(['/', '%']))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests;
