//! The span of a request (ecosystem, section 2). Nothing of a body is in it, and of Secrets not even the name.

use crate::routes::{ResourceRoute, Route};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, header};
use otternauts_auth::{Peer, User};
use otternauts_telemetry::traces::{Kind, Origin, Span};
use std::time::SystemTime;

const TRACEPARENT: &str = "traceparent";
/// Tells a person which trace to look for.
const TRACE_ID: HeaderName = HeaderName::from_static("x-otternauts-trace-id");
/// Who may put a request into a trace of their own; for others theirs is linked.
const TRUSTED: &str = "system:masters";

/// Begins the span of a request that arrived at `since`. Requests that stay open and those for no resource have none.
pub fn begin(route: &Route, parts: &Parts, user: &User, since: SystemTime) -> Span {
    let Some(resource) = route.resource.as_ref().filter(|_| !route.is_long_running()) else { return Span::OFF };
    let sent = parts.headers.get(TRACEPARENT).and_then(|v| v.to_str().ok());
    let peer = parts.extensions.get::<Peer>();
    let origin = if peer.is_some_and(|p| p.inside.is_some()) {
        Origin::Current
    } else if user.groups.iter().any(|g| g == TRUSTED) {
        Origin::Parent(sent)
    } else {
        Origin::Link(sent)
    };
    let template = || template(resource);
    let span = Span::since(Kind::Server, || format!("{} {}", parts.method, template()), origin, Some(since));
    if !span.is_recorded() {
        return span;
    }
    span.set("http.request.method", parts.method.to_string());
    span.set("http.route", template());
    span.set("url.scheme", "https");
    if !(resource.group.is_empty() && resource.resource == "secrets") {
        span.set("url.path", route.path.clone());
    }
    if let Some(agent) = parts.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()) {
        span.set("user_agent.original", agent.to_owned());
    }
    if let Some(address) = peer.and_then(|p| p.address) {
        span.set("client.address", address.ip().to_string());
    }
    span
}

/// Ends what [`begin`] began.
pub fn end(span: &Span, audit_id: &str, response: &mut Response<crate::answer::Body>, tell: bool) {
    if !span.is_recorded() {
        return;
    }
    let code = response.status();
    span.set("audit-id", audit_id.to_owned());
    span.set("http.response.status_code", i64::from(code.as_u16()));
    if code.is_server_error() {
        span.fail("server_error");
    }
    let told = tell || code.is_client_error() || code.is_server_error();
    if let Some(id) = span.trace_id().filter(|_| told).and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert(TRACE_ID, id);
    }
}

/// As Kubernetes names them: `/apis/{group}/{version}/namespaces/{:namespace}/stacks/{:name}`. Made of what is served, never of names.
fn template(resource: &ResourceRoute) -> String {
    let mut path = match resource.group.as_str() {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    if !resource.namespace.is_empty() && resource.resource != "namespaces" {
        path.push_str("/namespaces/{:namespace}");
    }
    path.push('/');
    path.push_str(&resource.resource);
    if !resource.name.is_empty() && resource.named {
        path.push_str("/{:name}");
    }
    if !resource.subresource.is_empty() {
        path.push('/');
        path.push_str(&resource.subresource);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_templates_without_names() {
        let of = |group: &str, namespace: &str, resource: &str, name: &str, subresource: &str| {
            template(&ResourceRoute {
                group: group.into(),
                version: "v1".into(),
                namespace: namespace.into(),
                resource: resource.into(),
                name: name.into(),
                subresource: subresource.into(),
                named: !name.is_empty(),
                ..ResourceRoute::default()
            })
        };
        let stacks = "/apis/otternauts.dev/v1/namespaces/{:namespace}/stacks";
        assert_eq!(of("otternauts.dev", "a", "stacks", "", ""), stacks);
        assert_eq!(of("otternauts.dev", "a", "stacks", "b", "status"), format!("{stacks}/{{:name}}/status"));
        assert_eq!(of("", "a", "namespaces", "a", ""), "/api/v1/namespaces/{:name}");
        assert_eq!(of("", "", "secrets", "", ""), "/api/v1/secrets");
    }
}
