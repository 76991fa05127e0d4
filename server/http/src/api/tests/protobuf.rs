//! Bodies as typed clients send them (rows N4 to N6).

use super::*;

/// A length-delimited field; every message here is shorter than 128 bytes, so lengths are one byte.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("short");
    assert!(length < 128, "one byte holds the length");
    [&[number << 3 | 2, length], bytes].concat()
}

fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let types = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &types), field(2, raw)].concat()
}

const PROTOBUF: &[&str] = &[
    "content-type: application/vnd.kubernetes.protobuf",
    "accept: application/vnd.kubernetes.protobuf,application/json",
];

/// The name in ObjectMeta, which is field 1 of the object.
fn named(name: &str) -> Vec<u8> {
    field(1, &field(1, name.as_bytes()))
}

#[tokio::test]
async fn a_builtin_kind_is_created_from_protobuf_and_answered_in_json() {
    let server = Server::start().await;
    let entry = [field(1, b"k"), field(2, b"v")].concat();
    let body = envelope("v1", "ConfigMap", &[named("pb"), field(2, &entry)].concat());
    let response = server.send(&format!("POST {CM}"), PROTOBUF, body).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(server.get(&format!("{CM}/pb")).await.json()["data"]["k"], "v");
}

#[tokio::test]
async fn a_review_may_come_as_protobuf() {
    let server = Server::start().await;
    let body = envelope("authentication.k8s.io/v1", "SelfSubjectReview", &[]);
    let path = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews";
    assert_eq!(server.send(path, PROTOBUF, body).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn custom_kinds_take_delete_options_in_protobuf_but_no_objects_row_n6() {
    let server = with_widgets().await;
    server.create(WD, r#"{"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"a"}}"#).await;
    let object = envelope("test.example/v1", "Widget", &named("b"));
    let refused = server.send(&format!("POST {WD}"), PROTOBUF, object).await;
    assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    // Field 4 of DeleteOptions is the propagation policy.
    let options = envelope("v1", "DeleteOptions", &field(4, b"Background"));
    let deleted = server.send(&format!("DELETE {WD}/a"), PROTOBUF, options).await;
    assert_eq!(deleted.status(), StatusCode::OK);
    assert_eq!(server.get(&format!("{WD}/a")).await.code, 404);
}
