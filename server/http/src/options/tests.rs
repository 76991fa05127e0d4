use super::*;

fn message<T: std::fmt::Debug>(result: Result<T, Status>) -> String {
    let status = result.expect_err("refused");
    format!("{} {}", status.code, status.message)
}

#[test]
fn write_options_are_checked_in_kubernetes_words() {
    #[track_caller]
    fn check(query: &str, which: Write, expected: &str) {
        assert_eq!(message(write(&Query::parse(query), which)), expected);
    }
    check(
        "dryRun=foo",
        Write::Create,
        r#"422 CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["foo"]: supported values: "All""#,
    );
    check(
        "dryRun=",
        Write::Update,
        r#"422 UpdateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: [""]: supported values: "All""#,
    );
    check(
        "fieldValidation=strict",
        Write::Create,
        r#"422 CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "strict": supported values: "", "Ignore", "Strict", "Warn""#,
    );
    check(
        "force=true",
        Write::Patch,
        r#"422 PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#,
    );
    check(
        "",
        Write::Apply,
        r#"422 PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#,
    );
    let long = format!("fieldManager={}", "x".repeat(129));
    check(
        &long,
        Write::Create,
        r#"422 CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes"#,
    );
}

#[test]
fn write_options_are_read() {
    let options = write(&Query::parse("dryRun=All&fieldManager=m&fieldValidation=Strict&force=true"), Write::Apply)
        .expect("valid");
    assert!(options.dry_run);
    assert_eq!(options.field_manager, "m");
    assert_eq!(options.field_validation, FieldValidation::Strict);
    assert_eq!(options.force, Some(true));
    assert!(!write(&Query::parse(""), Write::Create).expect("valid").dry_run);
}

#[test]
fn list_options_follow_l5_l17_and_t5() {
    #[track_caller]
    fn check(query: &str, expected: &str) {
        assert_eq!(message(list(&Query::parse(query))), expected);
    }
    let head = r#"422 ListOptions.meta.k8s.io "" is invalid: "#;
    check(
        "resourceVersionMatch=Exact",
        &format!(
            "{head}resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        ),
    );
    check(
        "sendInitialEvents=true",
        &format!("{head}sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
    );
    check("limit=abc", r#"400 strconv.ParseInt: parsing "abc": invalid syntax"#);
    check("timeoutSeconds=abc", r#"400 strconv.ParseInt: parsing "abc": invalid syntax"#);
    assert_eq!(list(&Query::parse("limit=-3")).expect("valid").limit, 0);
    assert_eq!(list(&Query::parse("limit=7&unknown=1")).expect("valid").limit, 7);
}

#[test]
fn watch_options_follow_w17_and_w18() {
    let head = r#"422 ListOptions.meta.k8s.io "" is invalid: "#;
    assert_eq!(
        message(watch(&Query::parse("watch=1&sendInitialEvents=true"))),
        format!(
            "{head}resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    );
    let (options, timeout) = watch(&Query::parse(
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=5",
    ))
    .expect("valid");
    assert_eq!(options.send_initial_events, Some(true));
    assert!(options.allow_bookmarks);
    assert_eq!(timeout, Some(Duration::from_secs(5)));
    assert_eq!(watch(&Query::parse("timeoutSeconds=0")).expect("valid").1, None);
}

#[test]
fn delete_options_come_from_the_body_or_only_without_one_from_the_query() {
    let query = Query::parse("dryRun=All&propagationPolicy=Orphan&gracePeriodSeconds=3");
    let from_query = delete(&query, None).expect("valid");
    assert!(from_query.dry_run);
    assert_eq!(from_query.propagation_policy.as_deref(), Some("Orphan"));
    assert_eq!(from_query.grace_period_seconds, Some(3));
    let body = json!({"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u"},"orphanDependents":true});
    let from_body = delete(&query, Some(&body)).expect("valid");
    assert!(!from_body.dry_run);
    assert_eq!(from_body.uid.as_deref(), Some("u"));
    assert_eq!(from_body.propagation_policy.as_deref(), Some("Orphan"));
    assert_eq!(
        message(delete(&Query::parse("propagationPolicy=Foo"), None)),
        r#"422 DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Foo": supported values: "Foreground", "Background", "Orphan", "nil""#
    );
    assert_eq!(
        message(delete(&query, Some(&json!({"kind":"Pod","apiVersion":"v1"})))),
        r#"400 no kind "Pod" is registered for version "v1""#
    );
}

#[test]
fn timeouts_are_go_durations() {
    for (text, seconds) in [("32s", Some(32.0)), ("1m30s", Some(90.0)), ("500ms", Some(0.5)), ("0", None), ("0s", None)]
    {
        let query = Query::parse(&format!("timeout={text}"));
        assert_eq!(timeout(&query).expect("valid").map(|d| d.as_secs_f64()), seconds, "{text}");
    }
    assert_eq!(
        message(timeout(&Query::parse("timeout=abc"))),
        r#"400 invalid timeout specified in the request URL - time: invalid duration "abc""#
    );
    assert!(timeout(&Query::parse("timeout=5")).is_err());
}
