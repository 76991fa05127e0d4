use super::*;

fn attributes() -> Attributes {
    Attributes {
        verb: "update".to_owned(),
        version: "v1".to_owned(),
        resource: "secrets".to_owned(),
        namespace: "default".to_owned(),
        name: "db".to_owned(),
        ..Attributes::default()
    }
}

fn event<'a>(user: &'a User, attributes: &'a Attributes) -> Event<'a> {
    let now = Timestamp::parse("2026-01-02T03:04:05.000006Z").expect("valid");
    Event {
        audit_id: "a-1",
        stage: Stage::ResponseComplete,
        request_uri: "/api/v1/namespaces/default/secrets/db",
        user,
        impersonated: None,
        source: Some([127, 0, 0, 1].into()),
        user_agent: "kubectl/v1.36",
        attributes,
        code: 403,
        reason: "Forbidden",
        received: now,
        now,
        decision: "forbid",
        decision_reason: "",
        annotations: &[],
    }
}

#[test]
fn an_event_has_the_shape_of_kubernetes_metadata_level() {
    let user = User::authenticated("alice", []);
    let attributes = attributes();
    let text = String::from_utf8(event(&user, &attributes).to_line()).expect("UTF-8");
    let expected = concat!(
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a-1","stage":"ResponseComplete","#,
        r#""requestURI":"/api/v1/namespaces/default/secrets/db","verb":"update","#,
        r#""user":{"username":"alice","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"#,
        r#""userAgent":"kubectl/v1.36","objectRef":{"resource":"secrets","namespace":"default","name":"db","#,
        r#""apiVersion":"v1"},"responseStatus":{"metadata":{},"code":403,"status":"Failure","reason":"Forbidden"},"#,
        r#""requestReceivedTimestamp":"2026-01-02T03:04:05.000006Z","stageTimestamp":"2026-01-02T03:04:05.000006Z","#,
        r#""annotations":{"authorization.k8s.io/decision":"forbid","authorization.k8s.io/reason":""}}"#,
    );
    assert_eq!(text, format!("{expected}\n"));
}

#[test]
fn lines_are_appended_across_restarts_to_a_file_only_the_owner_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.log");
    let (user, attributes) = (User::authenticated("alice", []), attributes());
    for _ in 0..2 {
        let log = AuditLog::open(&path).expect("opens");
        for _ in 0..100 {
            log.log(&event(&user, &attributes));
        }
        log.flush();
        assert_eq!(log.lost(), 0);
    }
    let text = std::fs::read_to_string(&path).expect("readable");
    assert_eq!(text.lines().count(), 200);
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_full_file_is_set_aside() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.log");
    let mut out = Output::open(path.clone(), Arc::default()).expect("opens");
    for _ in 0..7 {
        out.bytes = MAX_FILE_BYTES;
        out.append(b"x\n").expect("written");
    }
    out.file.flush().expect("flushed");
    let kept = (1..10).filter(|number| numbered(&path, *number).exists()).count();
    assert_eq!(kept, 5);
    assert_eq!(std::fs::read_to_string(&path).expect("readable"), "x\n");
}
