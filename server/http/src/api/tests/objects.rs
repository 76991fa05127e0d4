//! Objects in every form they can be asked for.

use super::*;
use serde_json::json;

const TABLE: &str = "accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const PARTIAL: &str = "accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIALS: &str = "accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

#[tokio::test]
async fn an_object_is_created_read_changed_and_deleted() {
    let server = Server::start().await;
    let made = server.create(CM, r#"{"metadata":{"name":"a"},"data":{"k":"v"}}"#).await;
    assert_eq!((made["kind"].as_str(), made["apiVersion"].as_str()), (Some("ConfigMap"), Some("v1")));
    let read = server.get(&format!("{CM}/a")).await;
    assert_eq!(read.json(), made);
    assert_eq!(read.header("content-type"), "application/json");
    assert_eq!(read.header("cache-control"), "no-cache, private");
    assert!(!read.header("audit-id").is_empty());
    let patch = r#"{"data":{"k":"w"}}"#;
    let patched = server.ask(&format!("PATCH {CM}/a"), &["content-type: application/merge-patch+json"], patch).await;
    assert_eq!((patched.code, &patched.json()["data"]["k"]), (200, &json!("w")));
    let gone = server.ask(&format!("DELETE {CM}/a"), &[], "").await;
    assert_eq!(gone.code, 200);
    let uid = &made["metadata"]["uid"];
    assert_eq!(
        gone.json(),
        json!({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","details":{"name":"a","kind":"configmaps","uid":uid}})
    );
    assert_eq!(server.get(&format!("{CM}/a")).await.code, 404);
}

#[tokio::test]
async fn lists_have_the_shapes_of_row_l1() {
    let server = with_widgets().await;
    server.create(CM, r#"{"metadata":{"name":"a"}}"#).await;
    server
        .create(WD, r#"{"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"a"},"spec":{"size":1}}"#)
        .await;
    let builtin = server.get(&format!("{CM}?fieldSelector=metadata.name=a")).await;
    assert!(builtin.text.starts_with(r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":""#));
    assert!(
        builtin.text.contains(r#""items":[{"metadata":{"name":"a""#),
        "items leave their kind out: {}",
        builtin.text
    );
    let custom = server.get(WD).await;
    assert!(
        custom
            .text
            .starts_with(r#"{"apiVersion":"test.example/v1","items":[{"apiVersion":"test.example/v1","kind":"Widget""#)
    );
    assert!(custom.text.contains(r#"],"kind":"WidgetList","metadata":{"continue":"","resourceVersion":""#));
    let empty = server.get("/apis/test.example/v1/namespaces/none/widgets").await.json();
    assert_eq!(empty["items"], json!([]));
    assert!(!empty["metadata"]["resourceVersion"].as_str().expect("a version").is_empty());
}

#[tokio::test]
async fn pages_carry_a_token_and_what_remains() {
    let server = with_widgets().await;
    for name in ["a", "b", "c"] {
        let body = format!(r#"{{"apiVersion":"test.example/v1","kind":"Widget","metadata":{{"name":"{name}"}}}}"#);
        server.create(WD, &body).await;
    }
    let first = server.get(&format!("{WD}?limit=2")).await.json();
    assert_eq!(first["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    let token = first["metadata"]["continue"].as_str().expect("a token");
    let second = server.get(&format!("{WD}?limit=2&continue={token}")).await.json();
    assert_eq!(second["items"][0]["metadata"]["name"], "c");
    assert_eq!(second["metadata"]["continue"], "");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn a_table_has_the_columns_of_the_kind_rows_n10_to_n12() {
    let server = with_widgets().await;
    server
        .create(WD, r#"{"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"a"},"spec":{"size":7}}"#)
        .await;
    let table = server.ask(&format!("GET {WD}"), &[TABLE], "").await;
    assert_eq!(table.header("content-type"), "application/json");
    let table = table.json();
    assert_eq!((table["kind"].as_str(), table["apiVersion"].as_str()), (Some("Table"), Some("meta.k8s.io/v1")));
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["columnDefinitions"][0]["format"], "name");
    assert_eq!(table["columnDefinitions"][1]["name"], "Size");
    let row = &table["rows"][0];
    assert_eq!((&row["cells"][0], &row["cells"][1]), (&json!("a"), &json!(7)));
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    let whole = server.ask(&format!("GET {WD}/a?includeObject=Object"), &[TABLE], "").await.json();
    assert_eq!(whole["rows"][0]["object"]["spec"]["size"], 7);
    assert_eq!(whole["metadata"]["resourceVersion"], whole["rows"][0]["object"]["metadata"]["resourceVersion"]);
    let bare = server.ask(&format!("GET {WD}/a?includeObject=None"), &[TABLE], "").await.json();
    assert_eq!(bare["rows"][0]["object"], Value::Null);
    let bad = server.ask(&format!("GET {WD}/a?includeObject=bad"), &[TABLE], "").await;
    assert_eq!(
        bad.status(),
        r#"400 BadRequest: Unable to convert to Table as requested: includeObject: Invalid value: "bad": must be 'Metadata', 'Object', 'None', or empty"#
    );
}

#[tokio::test]
async fn partial_metadata_is_metadata_only_row_n15() {
    let server = Server::start().await;
    server.create(CM, r#"{"metadata":{"name":"a","labels":{"x":"y"}},"data":{"k":"v"}}"#).await;
    let one = server.ask(&format!("GET {CM}/a"), &[PARTIAL], "").await.json();
    assert_eq!((one["kind"].as_str(), &one["metadata"]["labels"]["x"]), (Some("PartialObjectMetadata"), &json!("y")));
    assert_eq!(one.get("data"), None);
    let list = server.ask(&format!("GET {CM}?labelSelector=x"), &[PARTIALS], "").await.json();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    let wrong = server.ask(&format!("GET {CM}/a"), &[PARTIALS], "").await;
    assert_eq!(
        wrong.status(),
        "406 NotAcceptable: you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)"
    );
}

#[tokio::test]
async fn yaml_goes_in_and_out_and_people_get_indentation() {
    let server = Server::start().await;
    let yaml = "metadata:\n  name: a\ndata:\n  k: v\n";
    let made = server.ask(&format!("POST {CM}"), &["content-type: application/yaml"], yaml).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let read = server.ask(&format!("GET {CM}/a"), &["accept: application/yaml"], "").await;
    assert_eq!(read.header("content-type"), "application/yaml");
    assert!(read.text.contains("\nkind: ConfigMap\n") || read.text.starts_with("kind: ConfigMap\n"), "{}", read.text);
    let curl = server.ask(&format!("GET {CM}/a?pretty=true"), &[], "").await;
    assert!(curl.text.starts_with("{\n  \"kind\": \"ConfigMap\",\n"), "{}", curl.text);
}

#[tokio::test]
async fn unknown_fields_are_warned_of_or_refused_rows_f4_and_f6() {
    let server = with_widgets().await;
    let body = r#"{"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"a"},"spec":{"size":1,"size":2,"foo":1}}"#;
    let strict = server.ask(&format!("POST {WD}?fieldValidation=Strict"), &[], body).await;
    assert_eq!(
        strict.status(),
        r#"400 BadRequest: Widget in version "v1" cannot be handled as a Widget: strict decoding error: duplicate field "spec.size", unknown field "spec.foo""#
    );
    let warned = server.ask(&format!("POST {WD}"), &[], body).await;
    assert_eq!(warned.code, 201);
    let warnings: Vec<&str> = warned.headers.get_all("warning").iter().filter_map(|v| v.to_str().ok()).collect();
    assert_eq!(warnings, [r#"299 - "duplicate field \"spec.size\"""#, r#"299 - "unknown field \"spec.foo\"""#]);
}

#[tokio::test]
async fn big_answers_are_compressed_when_asked_row_t8() {
    let server = Server::start().await;
    let big = format!(r#"{{"metadata":{{"name":"big"}},"data":{{"a":"{}"}}}}"#, "x".repeat(200_000));
    server.create(CM, &big).await;
    let response = server.send(&format!("GET {CM}/big"), &["accept-encoding: gzip"], "").await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(server.get(&format!("{CM}/big")).await.header("content-encoding"), "");
}

#[tokio::test]
async fn a_collection_is_deleted_and_listed_as_it_was_row_g9() {
    let server = Server::start().await;
    server.create(CM, r#"{"metadata":{"name":"a","labels":{"x":"y"}}}"#).await;
    server.create(CM, r#"{"metadata":{"name":"b"}}"#).await;
    let gone = server.ask(&format!("DELETE {CM}?labelSelector=x=y"), &[], "").await.json();
    assert_eq!((gone["kind"].as_str(), &gone["items"][0]["metadata"]["name"]), (Some("ConfigMapList"), &json!("a")));
    assert_eq!(server.get(&format!("{CM}/a")).await.code, 404);
    assert_eq!(server.get(&format!("{CM}/b")).await.code, 200);
}
