//! What a request is counted as. Labels come from kinds that exist, never from what a client wrote, so series stay bounded.

use crate::query::Query;
use crate::routes::Route;
use crate::target::Served;
use otternauts_telemetry::requests::RequestLabels;

/// The labels of one request.
pub fn labels(route: &Route, found: Option<&Served>, apply: bool) -> RequestLabels {
    let verb = verb(route, apply);
    let mut labels = RequestLabels { verb, component: "apiserver", ..RequestLabels::default() };
    let Some(resource) = route.resource.as_ref().filter(|_| found.is_some()) else { return labels };
    labels.group = resource.group.as_str().into();
    labels.version = resource.version.as_str().into();
    labels.resource = resource.resource.as_str().into();
    labels.subresource = resource.subresource.as_str().into();
    labels.scope = if resource.named || verb == "POST" {
        "resource"
    } else if resource.namespace.is_empty() {
        "cluster"
    } else {
        "namespace"
    };
    labels
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
