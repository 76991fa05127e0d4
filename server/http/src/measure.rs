//! What a request is counted as. Labels come from kinds that exist, never from what a client wrote, so series stay bounded.

use crate::query::Query;
use crate::routes::Route;
use crate::target::Served;
use otternauts_telemetry::requests::About;

/// What a request is about, as far as that exists.
pub fn about<'a>(route: &'a Route, found: Option<&Served>, apply: bool) -> About<'a> {
    let verb = verb(route, apply);
    let Some(resource) = route.resource.as_ref().filter(|_| found.is_some()) else {
        return About { verb, ..About::default() };
    };
    let scope = if resource.named || verb == "POST" {
        "resource"
    } else if resource.namespace.is_empty() {
        "cluster"
    } else {
        "namespace"
    };
    About {
        verb,
        group: &resource.group,
        version: &resource.version,
        resource: &resource.resource,
        subresource: &resource.subresource,
        scope,
    }
}

fn verb(route: &Route, apply: bool) -> &'static str {
    match route.verb.as_str() {
        "get" => "GET",
        "list" => "LIST",
        "watch" => "WATCH",
        "create" | "post" => "POST",
        "update" | "put" => "PUT",
        "patch" if apply => "APPLY",
        "patch" => "PATCH",
        "delete" => "DELETE",
        "deletecollection" => "DELETECOLLECTION",
        "head" => "HEAD",
        "options" => "OPTIONS",
        _ => "other",
    }
}

/// True when the request asks for a dry run, for the label of the same name.
pub fn is_dry_run(query: &Query) -> bool {
    query.get("dryRun").is_some()
}
