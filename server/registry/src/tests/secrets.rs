//! Row B13: what Secrets of well-known types must hold, in the reference's own words.

use super::*;

fn secret(kind: &str, data: &Value) -> Value {
    json!({"metadata": {"name": "a"}, "type": kind, "data": data})
}

#[tokio::test]
async fn secrets_of_well_known_types_are_checked_as_the_reference_checks_them_row_b13() {
    let world = world().await;
    let redacted = "Invalid value: \"<secret contents redacted>\": ";
    for (kind, data, expected) in [
        ("dockerconfigjson", json!({}), "data[.dockerconfigjson]: Required value".to_owned()),
        (
            "dockerconfigjson",
            json!({".dockerconfigjson": "eHg="}),
            format!("data[.dockerconfigjson]: {redacted}invalid character 'x' looking for beginning of value"),
        ),
        (
            "dockerconfigjson",
            json!({".dockerconfigjson": ""}),
            format!("data[.dockerconfigjson]: {redacted}unexpected end of JSON input"),
        ),
        (
            "dockerconfigjson",
            json!({".dockerconfigjson": "MQ=="}),
            format!(
                "data[.dockerconfigjson]: {redacted}json: cannot unmarshal number into Go value of type map[string]interface {{}}"
            ),
        ),
        ("dockercfg", json!({}), "data[.dockercfg]: Required value".to_owned()),
        (
            "dockercfg",
            json!({".dockercfg": "W10="}),
            format!(
                "data[.dockercfg]: {redacted}json: cannot unmarshal array into Go value of type map[string]interface {{}}"
            ),
        ),
        (
            "dockercfg",
            json!({".dockercfg": "e30geA=="}),
            format!("data[.dockercfg]: {redacted}invalid character 'x' after top-level value"),
        ),
        (
            "basic-auth",
            json!({"other": "eA=="}),
            "[data[username]: Required value, data[password]: Required value]".to_owned(),
        ),
        ("ssh-auth", json!({}), "data[ssh-privatekey]: Required value".to_owned()),
        ("ssh-auth", json!({"ssh-privatekey": ""}), "data[ssh-privatekey]: Required value".to_owned()),
        ("tls", json!({}), "[data[tls.crt]: Required value, data[tls.key]: Required value]".to_owned()),
        ("tls", json!({"tls.crt": "eA=="}), "data[tls.key]: Required value".to_owned()),
        (
            "service-account-token",
            json!({}),
            "metadata.annotations[kubernetes.io/service-account.name]: Required value".to_owned(),
        ),
    ] {
        let object = secret(&format!("kubernetes.io/{kind}"), &data);
        let status = world.create("secrets@default", object).await.expect_err(kind);
        assert_eq!(
            (status.code, &status.message),
            (422, &format!("Secret \"a\" is invalid: {expected}")),
            "{kind} {data}"
        );
    }
    for (name, kind, data) in [
        ("ok-1", "dockerconfigjson", json!({".dockerconfigjson": "e30="})),
        ("ok-2", "dockerconfigjson", json!({".dockerconfigjson": "bnVsbA=="})),
        ("ok-3", "basic-auth", json!({"username": "eA=="})),
        ("ok-4", "basic-auth", json!({"password": ""})),
        ("ok-5", "tls", json!({"tls.crt": "", "tls.key": ""})),
    ] {
        let mut object = secret(&format!("kubernetes.io/{kind}"), &data);
        object["metadata"]["name"] = name.into();
        world.create("secrets@default", object).await.unwrap_or_else(|status| panic!("{name}: {status}"));
    }
    let mut token = secret("kubernetes.io/service-account-token", &json!({}));
    token["metadata"]["annotations"] = json!({"kubernetes.io/service-account.name": "nope"});
    world.create("secrets@default", token).await.expect("the account may come later");
}

#[tokio::test]
async fn a_secrets_type_and_locked_data_never_change_row_b13() {
    let world = world().await;
    let basic = json!({"metadata": {"name": "b"}, "type": "kubernetes.io/basic-auth", "data": {"username": "eA=="}});
    world.create("secrets@default", basic).await.expect("created");
    let status =
        world.merge("secrets@default b", json!({"type": "kubernetes.io/tls"})).await.expect_err("another type");
    assert_eq!(
        status.message,
        "Secret \"b\" is invalid: [type: Invalid value: \"kubernetes.io/tls\": field is immutable, \
         data[tls.crt]: Required value, data[tls.key]: Required value]"
    );
    let status = world.merge("secrets@default b", json!({"data": null})).await.expect_err("still basic-auth");
    assert!(status.message.contains("data[username]: Required value, data[password]"), "{status}");
    let locked = json!({"metadata": {"name": "l"}, "data": {"a": "eA=="}, "immutable": true});
    world.create("secrets@default", locked).await.expect("created");
    let text = "Forbidden: field is immutable when `immutable` is set";
    for (patch, fields) in [
        (json!({"data": {"a": "eQ=="}}), &["data"][..]),
        (json!({"stringData": {"b": "x"}}), &["data"]),
        (json!({"immutable": false}), &["immutable"]),
        (json!({"immutable": null, "data": {"b": "eQ=="}}), &["immutable", "data"]),
    ] {
        let status = world.merge("secrets@default l", patch.clone()).await.expect_err("locked");
        let list: Vec<String> = fields.iter().map(|f| format!("{f}: {text}")).collect();
        let list = if let [one] = &list[..] { one.clone() } else { format!("[{}]", list.join(", ")) };
        assert_eq!(status.message, format!("Secret \"l\" is invalid: {list}"), "{patch}");
    }
    world.merge("secrets@default l", json!({"metadata": {"labels": {"x": "y"}}})).await.expect("metadata may change");
}

#[tokio::test]
async fn keys_that_are_no_file_names_are_refused_row_b13() {
    let world = world().await;
    for (key, text) in [(".", "must not be '.'"), ("..", "must not be '..'"), ("..a", "must not start with '..'")] {
        let object = json!({"metadata": {"name": "k"}, "data": {key: "eA=="}});
        let status = world.create("secrets@default", object).await.expect_err(key);
        assert_eq!(status.message, format!("Secret \"k\" is invalid: data[{key}]: Invalid value: \"{key}\": {text}"));
    }
}

#[tokio::test]
async fn a_patch_that_breaks_a_secret_is_refused_without_showing_it_row_f5() {
    let world = world().await;
    let object = json!({"metadata": {"name": "s"}, "data": {"a": "aHVudGVyMg=="}});
    world.create("secrets@default", object).await.expect("created");
    let status = world.merge("secrets@default s", json!({"data": {"b": "%%"}})).await.expect_err("no base64");
    assert_eq!(
        (status.code, status.message.as_str()),
        (
            422,
            " \"\" is invalid: patch: Invalid value: \"<secret contents redacted>\": illegal base64 data at input byte 0"
        )
    );
    let status = world.merge("secrets@default s", json!({"data": {"b": 5}})).await.expect_err("no string");
    assert!(status.code == 422 && !status.message.contains("aHVudGVyMg"), "{status}");
}
