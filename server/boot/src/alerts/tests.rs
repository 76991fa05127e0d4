//! What a payload of Alertmanager becomes.

use super::*;

fn post(status: &str, labels: Value) -> Vec<u8> {
    let alert = json!({
        "status": status, "labels": labels, "annotations": {"summary": "It is ill", "description": "Very."},
        "startsAt": "2026-01-01T00:00:00.5Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://p", "fingerprint": "C0FFEE00",
    });
    json!({"version": "4", "status": status, "receiver": "r", "groupLabels": {}, "alerts": [alert]})
        .to_string()
        .into_bytes()
}

#[test]
fn an_alert_is_about_what_its_labels_name() {
    let check = |labels: Value, expected: Option<(&str, &str, &str)>| {
        let alerts = read(&post("firing", labels)).expect("a payload");
        assert_eq!(alerts[0].about(), expected);
    };
    check(json!({"namespace": "shop", "stack": "web", "server": "a"}), Some(("Stack", "shop", "web")));
    check(json!({"server": "a", "cluster": "main"}), Some(("Server", "", "a")));
    check(json!({"cluster": "main"}), Some(("Cluster", "", "main")));
    check(json!({"stack": "web"}), None);
}

#[test]
fn an_alert_is_one_event_when_it_fires_and_another_when_it_is_over() {
    let labels = json!({"alertname": "OtternautsServerNotReady", "severity": "critical", "server": "a"});
    let about = json!({"apiVersion": "otternauts.dev/v1", "kind": "Server", "name": "a", "uid": "u"});
    let event_of = |status: &str| {
        let alerts = read(&post(status, labels.clone())).expect("a payload");
        event(&alerts[0], &about, "2026-01-01T00:00:01.000000Z").expect("an Event")
    };
    let firing = event_of("firing");
    assert_eq!(firing["metadata"], json!({"name": "alert-c0ffee00-19b76daa9f4-firing", "namespace": "default"}));
    assert_eq!((&firing["type"], &firing["reason"]), (&json!("Warning"), &json!("OtternautsServerNotReady")));
    let note = "It is ill: Very. (firing; began 2026-01-01T00:00:00.5Z)";
    assert_eq!((&firing["note"], &firing["action"]), (&json!(note), &json!("Firing")));
    assert_eq!(event_of("firing"), firing, "told twice, it has the same name");
    let resolved = event_of("resolved");
    assert_eq!((&resolved["type"], &resolved["action"]), (&json!("Normal"), &json!("Resolved")));
    assert_ne!(resolved["metadata"]["name"], firing["metadata"]["name"]);
    assert_ne!(resolved["note"], firing["note"], "the end is no repetition");
}

#[test]
fn what_is_no_payload_is_refused() {
    let code = |body: &[u8]| read(body).map(|alerts| alerts.len()).map_err(|status| status.code);
    assert_eq!(code(b"{"), Err(400));
    assert_eq!(code(br#"{"version": "3", "alerts": []}"#), Err(400));
    assert_eq!(code(br#"{"version": "4"}"#), Ok(0));
    let odd = read(&post("firing", json!({"alertname": "a name/with odd\nthings"}))).expect("a payload");
    assert_eq!(odd[0].reason(), "Alert");
    let nameless =
        Alert { fingerprint: "../x".to_owned(), ..read(&post("firing", json!({}))).expect("a payload").remove(0) };
    assert!(event(&nameless, &json!({}), "").is_none());
}
