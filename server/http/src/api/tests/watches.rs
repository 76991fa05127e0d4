//! Watch streams.

use super::*;
use serde_json::json;

/// A watch under way, read line by line.
struct Watch {
    body: Body,
    text: String,
}

impl Watch {
    async fn open(server: &Server, path: &str, headers: &[&str]) -> Self {
        let response = server.send(&format!("GET {path}"), headers, "").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        while !self.text.contains('\n') {
            let frame = self.body.frame().await?.expect("no cut");
            let data = frame.into_data().expect("data");
            self.text.push_str(std::str::from_utf8(&data).expect("UTF-8"));
        }
        let (line, rest) = self.text.split_once('\n').expect("a line");
        let event = serde_json::from_str(line).expect("JSON");
        self.text = rest.to_owned();
        Some(event)
    }

    async fn kinds(&mut self, count: usize) -> Vec<String> {
        let mut list = Vec::new();
        for _ in 0..count {
            let event = self.next().await.expect("an event");
            list.push(format!(
                "{} {}",
                event["type"].as_str().unwrap_or_default(),
                event["object"]["metadata"]["name"].as_str().unwrap_or_default()
            ));
        }
        list
    }
}

#[tokio::test]
async fn a_watch_sends_the_state_then_every_change_in_order() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/watched/configmaps";
    server.create("/api/v1/namespaces", r#"{"metadata":{"name":"watched"}}"#).await;
    server.create(path, r#"{"metadata":{"name":"a"}}"#).await;
    let mut watch = Watch::open(&server, &format!("{path}?watch=true"), &[]).await;
    assert_eq!(watch.kinds(1).await, ["ADDED a"]);
    server.create(path, r#"{"metadata":{"name":"b"}}"#).await;
    let patch = r#"{"data":{"k":"v"}}"#;
    server.ask(&format!("PATCH {path}/a"), &["content-type: application/merge-patch+json"], patch).await;
    server.ask(&format!("DELETE {path}/b"), &[], "").await;
    assert_eq!(watch.kinds(3).await, ["ADDED b", "MODIFIED a", "DELETED b"]);
    server.stop.send_replace(true);
    assert_eq!(watch.next().await, None, "the stream ends cleanly when the server stops");
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark_of_the_kind_rows_w14_and_w15() {
    let server = with_widgets().await;
    server.create(WD, r#"{"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"a"}}"#).await;
    let path =
        format!("{WD}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    let mut watch = Watch::open(&server, &path, &[]).await;
    assert_eq!(watch.kinds(1).await, ["ADDED a"]);
    let bookmark = watch.next().await.expect("a bookmark");
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(
        (&bookmark["object"]["kind"], &bookmark["object"]["apiVersion"]),
        (&json!("Widget"), &json!("test.example/v1"))
    );
    assert_eq!(bookmark["object"]["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    assert!(bookmark["object"]["metadata"]["resourceVersion"].is_string());
}

#[tokio::test]
async fn the_time_of_a_watch_is_the_clients_choice_row_w18() {
    let server = Server::start().await;
    let started = Instant::now();
    let path = format!("{CM}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name=none");
    let mut watch = Watch::open(&server, &path, &[]).await;
    assert_eq!(watch.next().await, None);
    assert!(started.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn a_table_watch_names_its_columns_once_row_n13() {
    let server = with_widgets().await;
    let table = "accept: application/json;as=Table;v=v1;g=meta.k8s.io";
    let mut watch = Watch::open(&server, &format!("{WD}?watch=1"), &[table]).await;
    for name in ["a", "b"] {
        let body = format!(
            r#"{{"apiVersion":"test.example/v1","kind":"Widget","metadata":{{"name":"{name}"}},"spec":{{"size":3}}}}"#
        );
        server.create(WD, &body).await;
    }
    let first = watch.next().await.expect("an event");
    assert_eq!((&first["type"], &first["object"]["kind"]), (&json!("ADDED"), &json!("Table")));
    assert_eq!(first["object"]["columnDefinitions"][1]["name"], "Size");
    assert_eq!(first["object"]["rows"][0]["cells"][1], 3);
    let second = watch.next().await.expect("an event");
    assert_eq!(second["object"]["columnDefinitions"], Value::Null);
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
}

#[tokio::test]
async fn partial_metadata_can_be_watched() {
    let server = Server::start().await;
    let partial = "accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let mut watch = Watch::open(&server, &format!("{CM}?watch=1&fieldSelector=metadata.name=a"), &[partial]).await;
    server.create(CM, r#"{"metadata":{"name":"a"},"data":{"k":"v"}}"#).await;
    let event = watch.next().await.expect("an event");
    assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("ADDED"), &json!("PartialObjectMetadata")));
    assert_eq!(event["object"].get("data"), None);
}

#[tokio::test]
async fn bad_options_are_plain_errors_and_an_old_version_an_event_rows_w10_and_w12() {
    let server = Server::start().await;
    let bad = server.get(&format!("{CM}?watch=1&sendInitialEvents=true")).await;
    assert_eq!(bad.code, 422);
    let yaml = server.ask(&format!("GET {CM}?watch=1"), &["accept: application/yaml"], "").await;
    assert_eq!(yaml.code, 406);
}

#[tokio::test]
async fn a_watch_gives_its_room_back_when_it_is_dropped() {
    let server = Server::start_with(Limits { long_running: 1, ..Limits::default() }).await;
    let path = format!("{CM}?watch=1");
    let first = Watch::open(&server, &path, &[]).await;
    assert_eq!(server.get(&path).await.code, 429);
    drop(first);
    Watch::open(&server, &path, &[]).await;
}
