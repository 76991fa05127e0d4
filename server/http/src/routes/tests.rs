use super::*;

/// `METHOD path` and `verb group/version namespace resource name subresource`, `-` for an empty part.
#[track_caller]
fn check(request: &str, expected: &str) {
    let (method, uri) = request.split_once(' ').expect("METHOD path");
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let route = parse(&method, path, &Query::parse(query));
    let dash = |s: &str| if s.is_empty() { "-".to_owned() } else { s.to_owned() };
    let text = match &route.resource {
        None => format!("{} path", dash(&route.verb)),
        Some(r) => format!(
            "{} {}/{} {} {} {} {}",
            dash(&route.verb),
            dash(&r.group),
            r.version,
            dash(&r.namespace),
            dash(&r.resource),
            dash(&r.name),
            dash(&r.subresource)
        ),
    };
    assert_eq!(text, expected, "{request}");
}

#[test]
fn methods_and_paths_become_verbs_and_parts() {
    check("GET /api/v1/pods", "list -/v1 - pods - -");
    check("GET /api/v1/namespaces/n/secrets/s", "get -/v1 n secrets s -");
    check("HEAD /api/v1/namespaces/n/secrets/s", "get -/v1 n secrets s -");
    check("POST /api/v1/namespaces/n/secrets", "create -/v1 n secrets - -");
    check("PUT /apis/o.dev/v1/namespaces/n/stacks/web/status", "update o.dev/v1 n stacks web status");
    check("PATCH /apis/o.dev/v1/namespaces/n/stacks/web", "patch o.dev/v1 n stacks web -");
    check("DELETE /apis/o.dev/v1/namespaces/n/stacks/web", "delete o.dev/v1 n stacks web -");
    check("DELETE /apis/o.dev/v1/namespaces/n/stacks", "deletecollection o.dev/v1 n stacks - -");
    check("OPTIONS /apis/o.dev/v1/namespaces/n/stacks", "- o.dev/v1 n stacks - -");
}

#[test]
fn a_watch_is_a_list_with_a_flag_that_is_not_false() {
    check("GET /api/v1/pods?watch", "watch -/v1 - pods - -");
    check("GET /api/v1/pods?watch=abc", "watch -/v1 - pods - -");
    check("GET /api/v1/pods?watch=0", "list -/v1 - pods - -");
    check("GET /api/v1/pods?watch=false", "list -/v1 - pods - -");
    check("GET /api/v1/namespaces/n/pods/p?watch=1", "get -/v1 n pods p -");
    check("GET /apis/o.dev/v1/watch/namespaces/n/stacks/web", "watch o.dev/v1 n stacks web -");
    check("GET /apis/o.dev/v1/watch/stacks", "watch o.dev/v1 - stacks - -");
}

#[test]
fn a_namespace_is_in_itself_and_has_two_subresources() {
    check("GET /api/v1/namespaces", "list -/v1 - namespaces - -");
    check("GET /api/v1/namespaces/n", "get -/v1 n namespaces n -");
    check("PUT /api/v1/namespaces/n/finalize", "update -/v1 n namespaces n finalize");
    check("GET /api/v1/namespaces/n/status", "get -/v1 n namespaces n status");
    check("GET /api/v1/namespaces/n/pods", "list -/v1 n pods - -");
}

#[test]
fn a_name_in_the_field_selector_counts_for_the_authoriser() {
    check("GET /api/v1/pods?fieldSelector=metadata.name%3Dx", "list -/v1 - pods x -");
    check("GET /api/v1/pods?watch=1&fieldSelector=spec.a=b,metadata.name==x", "watch -/v1 - pods x -");
    check("GET /api/v1/pods?fieldSelector=metadata.name!=x", "list -/v1 - pods - -");
}

#[test]
fn everything_else_is_a_path_with_the_method_as_verb() {
    check("GET /healthz", "get path");
    check("GET /apis", "get path");
    check("GET /api/v1", "get path");
    check("GET /apis/o.dev/v1/", "get path");
    check("POST /version", "post path");
    check("GET //api/v1/pods", "get path");
    check("GET /apis/o.dev/v1/stacks/", "list o.dev/v1 - stacks - -");
    check(
        "GET /apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Abasic-user",
        "get rbac.authorization.k8s.io/v1 - clusterroles system:basic-user -",
    );
}
