//! Reviews and tokens.

use super::*;
use serde_json::json;

const AUTHZ: &str = "/apis/authorization.k8s.io/v1";
const AUTHN: &str = "/apis/authentication.k8s.io/v1";
const BOB: &str = "authorization: Bearer bob";

#[tokio::test]
async fn may_i_is_answered_with_201_and_nothing_stored_row_i8() {
    let server = Server::start().await;
    let spec = r#"{"spec":{"resourceAttributes":{"namespace":"default","verb":"get","resource":"secrets"}}}"#;
    let path = format!("POST {AUTHZ}/selfsubjectaccessreviews");
    let root = server.ask(&path, &[], spec).await;
    assert_eq!((root.code, &root.json()["status"]), (201, &json!({"allowed": true})));
    let bob = server.ask(&path, &[BOB], spec).await;
    assert_eq!((bob.code, &bob.json()["status"]), (201, &json!({"allowed": false})));
    assert_eq!(bob.json()["spec"]["resourceAttributes"]["verb"], "get");
    let health =
        server.ask(&path, &[BOB], r#"{"spec":{"nonResourceAttributes":{"path":"/healthz","verb":"get"}}}"#).await;
    assert_eq!(health.json()["status"]["allowed"], true);
    assert!(health.json()["status"]["reason"].as_str().expect("a reason").starts_with("RBAC: allowed by "));
    let neither = server.ask(&path, &[], "{}").await;
    assert_eq!(
        neither.status(),
        r#"422 Invalid: .authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"#
    );
    let nobody = server.ask(&path, &["authorization: "], spec).await;
    assert_eq!(nobody.code, 403);
    assert_eq!(server.get(&format!("{AUTHZ}/selfsubjectaccessreviews")).await.code, 405);
}

#[tokio::test]
async fn what_may_i_lists_rules_row_i9() {
    let server = Server::start().await;
    let path = format!("POST {AUTHZ}/selfsubjectrulesreviews");
    assert_eq!(server.ask(&path, &[], r#"{"spec":{}}"#).await.status(), "400 BadRequest: no namespace on request");
    let rules = server.ask(&path, &[BOB], r#"{"spec":{"namespace":"default"}}"#).await;
    assert_eq!(rules.code, 201);
    let rules = rules.json();
    assert_eq!((&rules["spec"], &rules["status"]["incomplete"]), (&json!({}), &json!(false)));
    let reviews = rules["status"]["resourceRules"].as_array().expect("a list");
    assert!(
        reviews
            .iter()
            .any(|r| r["resources"].as_array().is_some_and(|l| l.contains(&json!("selfsubjectaccessreviews"))))
    );
}

#[tokio::test]
async fn who_am_i_says_name_and_groups_row_i10() {
    let server = Server::start().await;
    let me = server.ask(&format!("POST {AUTHN}/selfsubjectreviews"), &[BOB], "{}").await;
    assert_eq!(me.code, 201);
    assert_eq!(me.json()["status"]["userInfo"], json!({"username": "bob", "groups": ["system:authenticated"]}));
}

#[tokio::test]
async fn others_are_asked_about_by_those_who_may_row_i11() {
    let server = Server::start().await;
    let spec =
        r#"{"spec":{"user":"bob","resourceAttributes":{"namespace":"default","verb":"get","resource":"secrets"}}}"#;
    let answer = server.ask(&format!("POST {AUTHZ}/subjectaccessreviews"), &[], spec).await;
    assert_eq!((answer.code, &answer.json()["status"]["allowed"]), (201, &json!(false)));
    let local = format!("POST {AUTHZ}/namespaces/other/localsubjectaccessreviews");
    assert_eq!(
        server.ask(&local, &[], spec).await.status(),
        r#"422 Invalid: .authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "default": must match metadata.namespace"#
    );
    assert_eq!(server.ask(&format!("POST {AUTHZ}/subjectaccessreviews"), &[BOB], spec).await.code, 403);
}

#[tokio::test]
async fn a_token_is_issued_reviewed_and_dies_with_its_account_row_i7() {
    let server = Server::start().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    server.create(accounts, r#"{"metadata":{"name":"bot"}}"#).await;
    let issued = server.ask(&format!("POST {accounts}/bot/token"), &[], "{}").await;
    assert_eq!(issued.code, 201, "{}", issued.text);
    let token = issued.json()["status"]["token"].as_str().expect("a token").to_owned();
    assert_eq!(issued.json()["spec"]["expirationSeconds"], 3600);
    let as_bot = format!("authorization: Bearer {token}");
    let me = server.ask(&format!("POST {AUTHN}/selfsubjectreviews"), &[as_bot.as_str()], "{}").await;
    assert_eq!(me.json()["status"]["userInfo"]["username"], "system:serviceaccount:default:bot");
    let review = |token: &str| format!(r#"{{"spec":{{"token":"{token}"}}}}"#);
    let reviewed = server.ask(&format!("POST {AUTHN}/tokenreviews"), &[], &review(&token)).await;
    assert_eq!((reviewed.code, &reviewed.json()["status"]["authenticated"]), (201, &json!(true)));
    let bad = server.ask(&format!("POST {AUTHN}/tokenreviews"), &[], &review("bad")).await;
    assert_eq!(bad.json()["status"], json!({"user": {}, "error": "invalid bearer token"}));
    let short = server.ask(&format!("POST {accounts}/bot/token"), &[], r#"{"spec":{"expirationSeconds":5}}"#).await;
    assert_eq!(short.code, 422);
    assert_eq!(server.ask(&format!("POST {accounts}/none/token"), &[], "{}").await.code, 404);
    server.ask(&format!("DELETE {accounts}/bot"), &[], "").await;
    assert_eq!(server.ask("GET /api", &[as_bot.as_str()], "").await.code, 401);
}

#[tokio::test]
async fn impersonation_is_for_those_who_may_row_i5() {
    let server = Server::start().await;
    let path = format!("POST {AUTHN}/selfsubjectreviews");
    let headers = ["impersonate-user: carol", "impersonate-group: staff"];
    let carol = server.ask(&path, &headers, "{}").await;
    let groups = json!({"username": "carol", "groups": ["staff", "system:authenticated"]});
    assert_eq!(carol.json()["status"]["userInfo"], groups);
    let refused = server.ask(&path, &[BOB, "impersonate-user: carol"], "{}").await;
    assert_eq!(
        refused.status(),
        r#"403 Forbidden: users "carol" is forbidden: User "bob" cannot impersonate resource "users" in API group "" at the cluster scope"#
    );
}
