//! Bad input is refused with a message that names the field, and nothing is sent anywhere.

use crate::otter;
use otternauts_harness::Otter;

fn stack(compose: &str) -> String {
    let indented: String = compose.lines().map(|l| format!("      {l}\n")).collect();
    format!(
        "apiVersion: otternauts.dev/v1\nkind: Stack\nmetadata: {{name: bad}}\nspec:\n  compose:\n    inline: |\n{indented}"
    )
}

fn refused(otter: &Otter, yaml: &str, wanted: &[&str]) {
    let ran = otter.kubectl_in(&["create", "-f", "-"], yaml);
    for text in wanted {
        assert!(ran.refused().contains(text), "wanted {text:?} in: {}", ran.stderr);
    }
    assert!(
        otter.kubectl(&["get", "stacks,servers,deployments", "-A", "-o", "name"]).ok().is_empty(),
        "nothing is left"
    );
}

#[test]
fn a_compose_file_with_a_syntax_error_names_line_and_column() {
    let otter = otter();
    let text = stack("services:\n  web:\n    image: [nginx\n");
    refused(&otter, &text, &["spec.compose.inline", "Configuration error: ", "line 3"]);
}

#[test]
fn a_compose_file_without_services_is_refused() {
    refused(&otter(), &stack("services: {}\n"), &["spec.compose.inline", "Configuration error: ", "service"]);
}

#[test]
fn a_forbidden_key_is_refused_with_its_path() {
    let otter = otter();
    let text = stack("services:\n  web:\n    image: nginx\n    privileged: true\n");
    refused(&otter, &text, &["Configuration error: ", "services.web.privileged", "line 4"]);
    otter.kubectl(&["label", "namespace", "default", "otternauts.dev/policy=privileged"]).ok();
    otter.kubectl_in(&["create", "--dry-run=server", "-f", "-"], &text).ok();
}

#[test]
fn an_unknown_field_of_a_server_is_refused_under_strict() {
    let server =
        "apiVersion: otternauts.dev/v1\nkind: Server\nmetadata: {name: s}\nspec: {address: a, user: u, adress: b}\n";
    refused(&otter(), server, &["strict decoding error", "unknown field \"spec.adress\""]);
}

#[test]
fn an_annotation_of_two_megabytes_is_refused() {
    let big = "x".repeat(2 * 1024 * 1024);
    let yaml = format!(
        "apiVersion: otternauts.dev/v1\nkind: Server\nmetadata: {{name: s, annotations: {{big: {big}}}}}\nspec: {{address: a, user: u}}\n"
    );
    refused(&otter(), &yaml, &["metadata.annotations: Too long: may not be more than 262144 bytes"]);
}

#[test]
fn a_variable_without_value_is_accepted_and_shown() {
    let otter = crate::whole();
    otter.apply(&stack("services:\n  web:\n    image: nginx:${TAG}\n"));
    let shown = otternauts_harness::until("the missing value to be shown", std::time::Duration::from_secs(20), || {
        let status = otter.kubectl(&["get", "stack", "bad", "-o", "json"]).json()["status"].clone();
        let ready = status["conditions"].as_array().and_then(|c| c.iter().find(|c| c["type"] == "Ready").cloned());
        match ready {
            Some(ready) if ready["reason"] == "ConfigurationError" => Ok((ready, status)),
            _ => Err(status),
        }
    });
    assert_eq!(shown.0["status"], "False");
    assert!(shown.0["message"].as_str().is_some_and(|m| m.contains("TAG")), "{}", shown.0);
    assert!(shown.1["lastError"].as_str().is_some_and(|m| m.starts_with("Configuration error: ")), "{}", shown.1);
}

#[test]
fn garbage_on_the_wire_gets_400_and_the_server_lives_on() {
    let otter = otter();
    let post = |body: &str| {
        let args = [
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "--data-binary",
            body,
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ];
        otter.curl_admin("/api/v1/namespaces/default/configmaps", &args).ok().to_owned()
    };
    assert_eq!(post("{"), "400");
    assert_eq!(post("[]"), "400");
    assert_eq!(post(&"[".repeat(100_000)), "400");
    assert_eq!(post("\u{1}"), "400");
    let big = otter.data_dir().join("big");
    std::fs::write(&big, vec![b'x'; 4 * 1024 * 1024]).expect("writable");
    assert_eq!(post(&format!("@{}", big.display())), "413");
    let plain = otter.curl("", &[&format!("{}/", otter.url.replace("https", "http"))]);
    assert!(plain.stdout.contains("Client sent an HTTP request to an HTTPS server."), "{plain:?}");
    assert_eq!(otter.curl("/readyz", &[]).ok(), "ok");
}

#[test]
fn what_the_system_lives_on_cannot_be_deleted_or_bound_to_nothing() {
    let otter = otter();
    let kept = otter.kubectl(&["delete", "namespace", "otternauts-system"]);
    assert!(kept.refused().contains("this namespace may not be deleted"), "{}", kept.stderr);
    let finalize =
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default"},"spec":{"finalizers":["bad"]}}"#;
    let put = ["replace", "--raw", "/api/v1/namespaces/default/finalize", "-f", "-"];
    assert!(otter.kubectl_in(&put, finalize).refused().contains("neither a standard finalizer name"));
    otter.kubectl(&["create", "serviceaccount", "robot"]).ok();
    let bound = ["create", "token", "robot", "--bound-object-kind=Secret", "--bound-object-name=nope"];
    assert!(otter.kubectl(&bound).refused().contains("spec.boundObjectRef"));
}

#[test]
fn head_is_answered_without_a_body_in_both_protocols() {
    let otter = otter();
    for protocol in ["--http1.1", "--http2"] {
        let head = otter.curl_admin("/api/v1/namespaces/default/configmaps", &["-I", protocol]);
        assert!(head.ok().contains("405"), "{}", head.stdout);
        let health = otter.curl_admin("/readyz", &["-I", protocol]);
        assert!(
            health.ok().contains("200") && health.stdout.to_lowercase().contains("content-length: 2"),
            "{health:?}"
        );
        let dates = |answer: &str| answer.lines().filter(|line| line.to_lowercase().starts_with("date: ")).count();
        assert_eq!((dates(&head.stdout), dates(&health.stdout)), (1, 1), "row T9: {health:?}");
    }
}
