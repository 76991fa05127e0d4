//! What calls of an engine are counted as.

use http::Method;

/// What is asked of an engine, from a closed set: no id and no name is in it.
pub(super) fn operation(method: &Method, path: &str) -> &'static str {
    // `/v1.44/containers/ID/json`: the version is left out by older calls.
    let mut parts = path.trim_start_matches('/').split('/').skip_while(|p| p.starts_with('v') && p.contains('.'));
    let (first, rest): (_, Vec<&str>) = (parts.next().unwrap_or_default(), parts.collect());
    let writes = !matches!(*method, Method::GET | Method::HEAD);
    match (first, rest.as_slice(), writes) {
        ("version", ..) => "version",
        ("info", ..) => "info",
        ("_ping", ..) => "ping",
        ("events", ..) => "events",
        ("system", ..) => "disk usage",
        ("distribution", ..) => "ask registry",
        ("auth", ..) => "log in to registry",
        ("swarm", _, false) => "inspect swarm",
        ("swarm", _, true) => "change swarm",
        ("nodes", [], _) => "list nodes",
        ("nodes", _, false) => "inspect node",
        ("nodes", _, true) => "change node",
        ("services", [], _) => "list services",
        ("services", [.., "logs"], _) => "read logs",
        ("services", _, false) => "inspect service",
        ("services", _, true) => "change service",
        ("tasks", [.., "logs"], _) => "read logs",
        ("tasks", [], _) => "list tasks",
        ("tasks", ..) => "inspect task",
        ("containers", ["json"], _) => "list containers",
        ("containers", [.., "stats"], _) => "container stats",
        ("containers", [.., "logs"], _) => "read logs",
        ("containers", _, false) => "inspect container",
        ("containers", _, true) => "change container",
        ("networks", _, true) => "change network",
        ("networks", _, false) => "look at networks",
        ("volumes", _, true) => "change volume",
        ("volumes", _, false) => "look at volumes",
        ("secrets", _, true) => "change secret",
        ("secrets", _, false) => "look at secrets",
        ("configs", _, true) => "change config",
        ("configs", _, false) => "look at configs",
        ("images", _, true) => "change image",
        ("images", _, false) => "look at images",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_names_no_object() {
        let check =
            |method: Method, path: &str, expected: &str| assert_eq!(operation(&method, path), expected, "{path}");
        check(Method::GET, "/v1.44/containers/json", "list containers");
        check(Method::GET, "/v1.44/containers/8f2a/json", "inspect container");
        check(Method::GET, "/v1.44/containers/8f2a/stats", "container stats");
        check(Method::POST, "/v1.44/services/abc/update", "change service");
        check(Method::GET, "/version", "version");
        check(Method::GET, "/v1.44/nodes", "list nodes");
        check(Method::GET, "/v1.44/plugins", "other");
    }
}
