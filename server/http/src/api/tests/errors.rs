//! Refusals, in Kubernetes' words.

use super::*;

#[track_caller]
fn same(reply: &Reply, expected: &str) {
    assert_eq!(reply.status(), expected);
}

#[tokio::test]
async fn only_health_and_version_answer_without_a_credential() {
    let server = Server::start().await;
    let nobody = &["authorization: "][..];
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        assert_eq!(server.ask(&format!("GET {path}"), nobody, "").await.code, 200, "{path}");
    }
    let reply = server.ask("GET /api", nobody, "").await;
    same(&reply, r#"403 Forbidden: forbidden: User "system:anonymous" cannot get path "/api""#);
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    for path in ["/apis", "/openapi/v3", "/metrics", CM, "/readyz/ping", "/nowhere"] {
        assert_eq!(server.ask(&format!("GET {path}"), nobody, "").await.code, 403, "{path}");
    }
}

#[tokio::test]
async fn a_bad_credential_fails_everywhere_row_e2() {
    let server = Server::start().await;
    for path in ["/healthz", CM] {
        let reply = server.ask(&format!("GET {path}"), &["authorization: Bearer nonsense"], "").await;
        same(&reply, "401 Unauthorized: Unauthorized");
    }
}

#[tokio::test]
async fn a_user_without_rights_is_told_so_before_anything_is_read() {
    let server = Server::start().await;
    let reply = server.ask(&format!("POST {CM}"), &["authorization: Bearer bob"], "{bad").await;
    same(
        &reply,
        r#"403 Forbidden: configmaps is forbidden: User "bob" cannot create resource "configmaps" in API group "" in the namespace "default""#,
    );
    assert_eq!(reply.json()["details"], serde_json::json!({"kind": "configmaps"}));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = with_widgets().await;
    same(&server.get(&format!("{CM}/nope")).await, r#"404 NotFound: configmaps "nope" not found"#);
    same(&server.get(&format!("{WD}/nope")).await, r#"404 NotFound: widgets.test.example "nope" not found"#);
    let missing = "404 NotFound: the server could not find the requested resource";
    same(&server.get("/api/v1/nope").await, missing);
    same(&server.get("/apis/coordination.k8s.io/v9/leases").await, missing);
    same(&server.get(&format!("{CM}/a/nosub")).await, missing);
    same(&server.get("/api/v1/configmaps/a").await, missing);
    for path in ["/nowhere", "/apis/test.example/v1/nope", "/apis/nope.example/v1/x", "//api/v1/configmaps"] {
        let reply = server.get(path).await;
        assert_eq!((reply.code, reply.text.as_str()), (404, "404 page not found\n"), "{path}");
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    }
}

#[tokio::test]
async fn methods_that_a_resource_does_not_have_are_405() {
    let server = with_widgets().await;
    let builtin = "405 MethodNotAllowed: the server does not allow this method on the requested resource";
    same(&server.ask(&format!("POST {CM}/x"), &[], "{}").await, builtin);
    same(&server.ask(&format!("PUT {CM}"), &[], "{}").await, builtin);
    same(&server.ask("DELETE /api/v1/namespaces", &[], "").await, builtin);
    same(&server.ask("DELETE /api/v1/configmaps", &[], "").await, builtin);
    assert_eq!(server.ask(&format!("HEAD {CM}"), &[], "").await.code, 405);
    assert_eq!(server.ask(&format!("HEAD {WD}"), &[], "").await.code, 200);
    same(
        &server.ask(&format!("OPTIONS {WD}/x"), &[], "").await,
        r#"405 MethodNotAllowed:  is not supported on resources of kind "widgets.test.example""#,
    );
    same(&server.ask(&format!("PUT {WD}"), &[], "{}").await, "400 BadRequest: name must be provided");
}

#[tokio::test]
async fn types_that_cannot_be_read_or_written_are_415_and_406() {
    let server = with_widgets().await;
    let types = "application/json, application/yaml";
    same(
        &server.ask(&format!("POST {WD}"), &["content-type: text/plain"], "{}").await,
        &format!(
            "415 UnsupportedMediaType: the body of the request was in an unknown format - accepted media types include: {types}"
        ),
    );
    same(
        &server.ask(&format!("PATCH {CM}/x"), &[], "{}").await,
        "415 UnsupportedMediaType: 415: Unsupported Media Type",
    );
    same(
        &server.ask(&format!("PATCH {WD}/x"), &["content-type: application/strategic-merge-patch+json"], "{}").await,
        "415 UnsupportedMediaType: the body of the request was in an unknown format - accepted media types include: \
         application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    );
    let reply = server.ask(&format!("GET {WD}"), &["accept: text/html"], "").await;
    same(
        &reply,
        "406 NotAcceptable: only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    );
    assert!(reply.text.starts_with("{\n  \"kind\""), "406 bodies are indented");
    same(
        &server
            .ask(&format!("GET {CM}"), &["accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"], "")
            .await,
        "406 NotAcceptable: you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)",
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused() {
    let server = Server::start().await;
    let big = format!(r#"{{"metadata":{{"name":"x"}},"data":{{"a":"{}"}}}}"#, "x".repeat(3_145_728));
    same(
        &server.ask(&format!("POST {CM}"), &[], &big).await,
        "413 RequestEntityTooLarge: Request entity too large: limit is 3145728",
    );
    same(
        &server.ask(&format!("POST {CM}"), &[], "{bad").await,
        "400 BadRequest: the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         invalid character 'b' looking for beginning of object key string ({bad)",
    );
}

#[tokio::test]
async fn known_parameters_are_checked_and_unknown_ones_ignored_row_t5() {
    let server = Server::start().await;
    assert_eq!(server.get(&format!("{CM}?future=1&pretty=x&timeout=3s")).await.code, 200);
    same(
        &server.get(&format!("{CM}?timeout=abc")).await,
        r#"400 BadRequest: invalid timeout specified in the request URL - time: invalid duration "abc""#,
    );
    same(
        &server.get(&format!("{CM}?limit=abc")).await,
        r#"400 BadRequest: strconv.ParseInt: parsing "abc": invalid syntax"#,
    );
    same(
        &server.get(&format!("{CM}?labelSelector=x%20in")).await,
        "400 BadRequest: unable to parse requirement: found '' expected: '('",
    );
}

#[tokio::test]
async fn a_full_house_says_when_to_come_again_row_q2() {
    let limits = Limits { read_only: 0, patience: Duration::ZERO, long_running: 0, ..Limits::default() };
    let server = Server::start_with(limits).await;
    for path in [CM.to_owned(), format!("{CM}?watch=1")] {
        let reply = server.get(&path).await;
        assert_eq!((reply.code, reply.header("retry-after")), (429, "1"), "{path}");
    }
    assert_eq!(server.get("/readyz").await.code, 200, "health always has room");
}
