//! Paths that are no resource: discovery, OpenAPI, health, version, metrics (rows D1 to D17, O1 to O3, O8, H1 to H4).

use crate::accept::Offer;
use crate::answer::Answer;
use crate::call::Call;
use crate::routes::Route;
use crate::{admin, discovery, health, hooks, openapi, pages};
use bytes::Bytes;
use http::Method;
use otternauts_meta::Status;

/// Where an Alertmanager posts.
const ALERTS: &str = "/hooks/alertmanager";

/// Whether the body of a request that is about no resource is read: only where somebody takes it.
pub fn has_body(route: &Route) -> bool {
    let taken = route.path == ALERTS || admin::find(&Method::POST, &route.path).is_some();
    route.resource.is_none() && route.verb == "post" && taken
}

pub async fn run(call: &Call, body: Bytes) -> Result<Answer, Status> {
    let path = call.route.path.as_str();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if path.starts_with("//") {
        return Ok(Answer::page_not_found());
    }
    if let Some(request) = admin::find(&call.method, path) {
        return admin::run(call, request, body).await;
    }
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return if has_body(&call.route) { hooks::alertmanager(call, body).await } else { Ok(not_a_get(&parts)) };
    }
    match parts.as_slice() {
        [""] => {
            let accepted = call.accept(Offer::PLAIN, true)?;
            Answer::negotiated(200, accepted, call.parts.discovery.index(call))
        }
        ["version"] => Ok(call.parts.version.answer()),
        ["metrics", rest @ ..] => pages::answer(call, rest).await,
        ["api"] => discovery(call, discovery::Root::Core),
        ["apis"] => discovery(call, discovery::Root::Groups),
        ["api", version] => legacy(call, call.parts.discovery.resources(call, "", version), "", version),
        ["apis", group] => legacy(call, call.parts.discovery.group(call, group), group, ""),
        ["apis", group, version] => legacy(call, call.parts.discovery.resources(call, group, version), group, version),
        ["openapi", "v2"] => Ok(openapi::answer_v2(call)),
        ["openapi", "v3", rest @ ..] => openapi::answer(call, &rest.join("/")),
        _ => {
            let stopping = *call.parts.shutdown.borrow();
            Ok(health::answer(&call.parts.health, stopping, path, &call.query).unwrap_or_else(Answer::page_not_found))
        }
    }
}

fn not_a_get(parts: &[&str]) -> Answer {
    match parts {
        ["version" | "metrics" | "healthz" | "livez" | "readyz" | "api" | "apis", ..] => {
            Status::method_not_allowed().into()
        }
        _ => Answer::page_not_found(),
    }
}

fn discovery(call: &Call, root: discovery::Root) -> Result<Answer, Status> {
    if let Some(answer) = call.parts.discovery.aggregated(call, root) {
        return Ok(answer);
    }
    let accepted = call.accept(Offer::PLAIN, true)?;
    Answer::negotiated(200, accepted, call.parts.discovery.root(call, root))
}

fn legacy(call: &Call, found: Option<bytes::Bytes>, group: &str, version: &str) -> Result<Answer, Status> {
    let Some(bytes) = found else {
        let builtin = call.definitions.in_group(group).next().is_some_and(|d| d.is_builtin());
        let known = !version.is_empty() && (builtin || group.ends_with("ation.k8s.io"));
        return if known { Err(Status::no_such_resource()) } else { Ok(Answer::page_not_found()) };
    };
    let accepted = call.accept(Offer::PLAIN, true)?;
    Answer::negotiated(200, accepted, bytes)
}
