//! Discovery, OpenAPI, version, health, metrics.

use super::*;
use serde_json::json;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[tokio::test]
async fn both_forms_of_discovery_name_every_kind() {
    let server = with_widgets().await;
    let api = server.get("/api").await.json();
    assert_eq!(
        api,
        json!({"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":"127.0.0.1:7443"}]})
    );
    let groups = server.get("/apis").await.json();
    let names: Vec<&str> =
        groups["groups"].as_array().expect("a list").iter().filter_map(|g| g["name"].as_str()).collect();
    assert_eq!(names.last(), Some(&"test.example"), "custom groups come last: {names:?}");
    for name in ["authentication.k8s.io", "authorization.k8s.io", "coordination.k8s.io", "rbac.authorization.k8s.io"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    for group in groups["groups"].as_array().expect("a list") {
        assert!(group["versions"].as_array().expect("a list").contains(&group["preferredVersion"]), "row D2");
        for version in group["versions"].as_array().expect("a list") {
            let path = format!("/apis/{}", version["groupVersion"].as_str().expect("a text"));
            assert_eq!(server.get(&path).await.json()["kind"], "APIResourceList", "row D16: {path}");
        }
    }
    let accept = format!("accept: application/json,{AGGREGATED}");
    let aggregated = server.ask("GET /apis", &[&accept], "").await;
    assert_eq!(aggregated.header("content-type"), AGGREGATED);
    let aggregated_json = aggregated.json();
    let items = aggregated_json["items"].as_array().expect("a list");
    assert_eq!(items.len(), names.len());
    let widgets = &items.last().expect("not empty")["versions"][0]["resources"][0];
    assert_eq!(widgets["responseKind"], json!({"group": "test.example", "version": "v1", "kind": "Widget"}));
    let etag = format!("if-none-match: {}", aggregated.header("etag"));
    let again = server.ask("GET /apis", &[&accept, &etag], "").await;
    assert_eq!((again.code, again.text.as_str()), (304, ""));
    let core = server.ask("GET /api", &[&format!("accept: {AGGREGATED}")], "").await;
    assert_eq!(core.json()["items"][0]["metadata"], json!({}));
}

#[tokio::test]
async fn every_path_of_the_index_answers_row_d16() {
    let server = with_widgets().await;
    let index = server.get("/").await.json();
    let paths: Vec<&str> = index["paths"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for path in ["/api/v1", "/apis/test.example", "/apis/test.example/v1", "/readyz", "/openapi/v3"] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    for path in paths {
        assert_eq!(server.get(path).await.code, 200, "{path}");
    }
    assert_eq!(server.ask("GET /", &["authorization: Bearer bob"], "").await.code, 403, "for administrators");
}

#[tokio::test]
async fn a_kind_comes_and_goes_with_its_crd_rows_d12_and_o11() {
    let server = Server::start().await;
    assert_eq!(server.get("/apis/test.example").await.code, 404);
    server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGETS).await;
    assert_eq!(server.get("/apis/test.example").await.json()["kind"], "APIGroup");
    let index = server.get("/openapi/v3").await.json();
    assert!(index["paths"]["apis/test.example/v1"].is_object());
}

#[tokio::test]
async fn openapi_documents_are_kept_by_their_hash_row_o2() {
    let server = with_widgets().await;
    let index = server.get("/openapi/v3").await.json();
    let url = index["paths"]["apis/test.example/v1"]["serverRelativeURL"].as_str().expect("a URL").to_owned();
    let document = server.get(&url).await;
    assert_eq!((document.code, document.header("cache-control")), (200, "public, immutable"));
    let schemas = &document.json()["components"]["schemas"];
    assert_eq!(schemas["example.test.v1.Widget"]["x-kubernetes-group-version-kind"][0]["kind"], "Widget");
    let wrong = server.get("/openapi/v3/apis/test.example/v1?hash=00").await;
    assert_eq!((wrong.code, wrong.header("location")), (301, url.as_str()));
    let plain = server.get("/openapi/v3/apis/test.example/v1").await;
    assert_eq!((plain.code, plain.header("cache-control")), (200, "no-cache, private"));
    assert_eq!(server.get("/openapi/v3/apis/none/v1").await.code, 404);
    let etag = format!("if-none-match: {}", document.header("etag"));
    assert_eq!(server.ask(&format!("GET {url}"), &[&etag], "").await.code, 304);
    assert_eq!(server.ask(&format!("GET {url}"), &["accept: text/html"], "").await.code, 406);
}

const V2: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

#[tokio::test]
async fn openapi_v3_is_written_as_protobuf_too_row_o3() {
    let server = with_widgets().await;
    for accept in ["spec.v3@v1.0+protobuf", "spec.v3.v1.0+protobuf"] {
        let accept = format!("accept: application/com.github.proto-openapi.{accept}");
        let found = server.ask("GET /openapi/v3/apis/test.example/v1", &[&accept], "").await;
        let media = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";
        assert_eq!((found.code, found.header("content-type")), (200, media));
        assert!(found.text.contains("#/components/schemas/"));
    }
    assert_eq!(server.ask("GET /openapi/v3/api/v1", &[&format!("accept: {V2}")], "").await.code, 406);
}

#[tokio::test]
async fn openapi_v2_is_json_and_protobuf_with_an_etag_row_o8() {
    let server = with_widgets().await;
    let json = server.get("/openapi/v2").await;
    assert_eq!((json.code, json.header("content-type")), (200, "application/json"));
    assert_eq!((json.header("cache-control"), json.header("vary")), ("no-cache, private", "Accept"));
    assert_eq!(json.json()["swagger"], "2.0");
    let known = format!("if-none-match: {}", json.header("etag"));
    assert_eq!(server.ask("GET /openapi/v2", &[&known], "").await.code, 304);
    let protobuf = server.ask("GET /openapi/v2", &[&format!("accept: {V2}")], "").await;
    let media = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    assert_eq!((protobuf.code, protobuf.header("content-type")), (200, media));
    assert!(protobuf.text.starts_with("\n\u{3}2.0"), "field 1 is the version");
    // Old kubectl asks so: protobuf first, JSON if there is none.
    let both = server.ask("GET /openapi/v2", &[&format!("accept: {V2},application/json")], "").await;
    assert_eq!(both.header("content-type"), media);
    assert_eq!(server.ask("GET /openapi/v2", &["accept: text/html"], "").await.code, 406);
}

#[tokio::test]
async fn openapi_follows_the_crds_row_o11() {
    let server = with_widgets().await;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.test.example";
    let before = (server.get("/openapi/v2").await, server.get("/openapi/v3").await);
    assert!(before.0.json()["definitions"]["example.test.v1.Widget"].is_object());
    let patch = r#"{"spec":{"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":
        {"type":"object","properties":{"spec":{"type":"object","properties":{"depth":{"type":"integer"}}}}}}}]}}"#;
    let merge = "content-type: application/merge-patch+json";
    assert_eq!(server.ask(&format!("PATCH {path}"), &[merge], patch).await.code, 200);
    let after = (server.get("/openapi/v2").await, server.get("/openapi/v3").await);
    assert_ne!(before.0.header("etag"), after.0.header("etag"));
    let url = |index: &Reply| {
        index.json()["paths"]["apis/test.example/v1"]["serverRelativeURL"].as_str().expect("a URL").to_owned()
    };
    assert_ne!(url(&before.1), url(&after.1), "another schema, another hash");
    assert_eq!(server.get(&url(&before.1)).await.header("location"), url(&after.1));
    let spec = &after.0.json()["definitions"]["example.test.v1.Widget"]["properties"]["spec"];
    assert!(spec["properties"]["depth"].is_object(), "{spec}");
}

#[tokio::test]
async fn every_openapi_document_resolves_its_references() {
    let server = Server::start().await;
    let index = server.get("/openapi/v3").await.json();
    for entry in index["paths"].as_object().expect("an object").values() {
        let url = entry["serverRelativeURL"].as_str().expect("a URL");
        let text = server.get(url).await.text;
        let document: Value = serde_json::from_str(&text).expect("JSON");
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().expect("a name");
            assert!(document["components"]["schemas"][name].is_object(), "{url}: {name}");
        }
    }
}

#[tokio::test]
async fn version_is_one_that_clients_understand_row_h1() {
    let server = Server::start().await;
    let version = server.get("/version").await;
    assert!(version.text.starts_with("{\n  \"major\": \"1\",\n  \"minor\": \"36\""));
    assert_eq!(version.json()["gitVersion"], "v1.36.0+otternauts.0.1.0");
}

#[tokio::test]
async fn metrics_count_requests_and_need_a_right() {
    let server = Server::start().await;
    server.get(CM).await;
    let metrics = server.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let counted = metrics.text.lines().find(|l| l.starts_with("apiserver_request_total{") && l.contains("configmaps"));
    assert!(counted.is_some_and(|l| l.contains(r#"verb="LIST""#) && l.contains(r#"code="200""#)), "{counted:?}");
    let refused = server.ask("GET /metrics", &["authorization: Bearer bob"], "").await;
    assert_eq!(refused.status(), r#"403 Forbidden: forbidden: User "bob" cannot get path "/metrics""#);
    server.get("/apis/made-up/v1/namespaces/x/by-a-client").await;
    assert!(!server.get("/metrics").await.text.contains("by-a-client"), "labels come from kinds that exist");
}

#[tokio::test]
async fn readiness_fails_first_when_the_server_stops_row_t11() {
    let server = Server::start().await;
    assert_eq!(server.get("/readyz").await.text, "ok");
    server.stop.send_replace(true);
    let reply = server.get("/readyz").await;
    assert_eq!(reply.code, 500);
    assert!(reply.text.contains("[-]shutdown failed: reason withheld\n"));
    assert_eq!(server.get("/livez").await.code, 200);
}
