//! I1: every verb of every resource refuses who has no right to it, and the test that says so can fail.

use super::*;
use std::process::Command;

/// The bug of this crate in docs/faults.md: one handler does not ask. It is compiled into unit tests only.
pub(in crate::api) fn forgets_to_ask(attributes: &otternauts_auth::Attributes) -> bool {
    attributes.verb == "deletecollection"
        && attributes.resource == "configmaps"
        && std::env::var_os("OTTERNAUTS_PLANTED").is_some_and(|bug| bug == "ignored-authz")
}

/// What everybody may ask about themselves.
const OPEN: [&str; 3] = ["selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"];

/// `METHOD path` of each verb of each resource of one group and version.
fn requests(base: &str, list: &Value) -> Vec<String> {
    let mut requests = Vec::new();
    for resource in list["resources"].as_array().expect("resources") {
        let name = resource["name"].as_str().expect("a name");
        if OPEN.contains(&name) {
            continue;
        }
        let (plural, sub) = name.split_once('/').map_or((name, None), |(plural, sub)| (plural, Some(sub)));
        let scope = if resource["namespaced"] == true { "/namespaces/default" } else { "" };
        let all = format!("{base}{scope}/{plural}");
        let one = sub.map_or_else(|| format!("{all}/x"), |sub| format!("{all}/x/{sub}"));
        for verb in resource["verbs"].as_array().expect("verbs") {
            requests.push(match verb.as_str().expect("a verb") {
                "get" => format!("GET {one}"),
                "list" => format!("GET {all}"),
                "watch" => format!("GET {all}?watch=1&timeoutSeconds=1"),
                "create" if sub.is_some() => format!("POST {one}"),
                "create" => format!("POST {all}"),
                "update" => format!("PUT {one}"),
                "patch" => format!("PATCH {one}"),
                "delete" => format!("DELETE {one}"),
                "deletecollection" => format!("DELETE {all}"),
                other => panic!("{name} has a verb that this test does not know: {other}"),
            });
        }
    }
    requests
}

#[tokio::test]
async fn every_verb_of_every_resource_refuses_who_has_no_right() {
    let server = with_widgets().await;
    let mut bases = vec!["/api/v1".to_owned()];
    let groups = server.get("/apis").await.json();
    for group in groups["groups"].as_array().expect("groups") {
        let versions = group["versions"].as_array().expect("versions").iter();
        bases.extend(versions.map(|version| format!("/apis/{}", version["groupVersion"].as_str().expect("a version"))));
    }
    let mut asked = 0;
    for base in bases {
        for request in requests(&base, &server.get(&base).await.json()) {
            let kind = if request.starts_with("PATCH") { "application/merge-patch+json" } else { "application/json" };
            let headers = ["authorization: Bearer bob", &format!("content-type: {kind}")];
            let reply = server.ask(&request, &headers, if request.starts_with("GET") { "" } else { "{}" }).await;
            assert_eq!(reply.code, 403, "{request} was not refused: {}", reply.text);
            assert!(reply.status().contains("bob"), "{request}: {}", reply.text);
            asked += 1;
        }
    }
    assert!(asked > 150, "only {asked} requests");
    assert_eq!(server.ask("GET /metrics", &["authorization: Bearer bob"], "").await.code, 403);
}

#[test]
fn a_handler_that_does_not_ask_is_caught_by_that_test() {
    let mut again = Command::new(std::env::current_exe().expect("this program"));
    again.args(["--exact", "api::tests::matrix::every_verb_of_every_resource_refuses_who_has_no_right", "--nocapture"]);
    let ran = again.env("OTTERNAUTS_PLANTED", "ignored-authz").env("RUST_BACKTRACE", "0").output().expect("it starts");
    let output = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(output.contains("1 failed") && output.contains("configmaps was not refused"), "{output}");
}
