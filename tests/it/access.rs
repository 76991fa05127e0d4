//! Who may do what, with Kubernetes' own refusals (rows E2, E3, I1 to I13).

use crate::otter;
use otternauts_harness::Otter;
use std::path::PathBuf;

/// A kubeconfig of a user with a client certificate, made by the command line.
fn kubeconfig_of(otter: &Otter, user: &str) -> PathBuf {
    let data = otter.data_dir();
    let made = otter.otter(&["kubeconfig", "--data-dir", data.to_str().expect("UTF-8"), "--user", user]);
    let path = data.join(format!("{user}.kubeconfig"));
    std::fs::write(&path, made.ok()).expect("writable");
    path
}

#[test]
fn a_viewer_reads_in_one_namespace_and_is_refused_elsewhere() {
    let otter = otter();
    otter.kubectl(&["create", "namespace", "bay"]).ok();
    otter.kubectl(&["-n", "bay", "create", "rolebinding", "v", "--clusterrole=view", "--user=alice"]).ok();
    let alice = kubeconfig_of(&otter, "alice");
    otter.kubectl_as(&alice, &["-n", "bay", "get", "stacks,configmaps"], "").ok();
    let elsewhere = otter.kubectl_as(&alice, &["-n", "default", "get", "stacks"], "");
    assert_eq!(
        elsewhere.refused().trim(),
        "Error from server (Forbidden): stacks.otternauts.dev is forbidden: User \"alice\" cannot list resource \"stacks\" in API group \
         \"otternauts.dev\" in the namespace \"default\""
    );
    let servers = otter.kubectl_as(&alice, &["get", "servers"], "");
    assert!(
        servers
            .refused()
            .contains("cannot list resource \"servers\" in API group \"otternauts.dev\" at the cluster scope")
    );
    let write = otter.kubectl_as(&alice, &["-n", "bay", "create", "configmap", "c"], "");
    assert!(write.refused().contains("cannot create resource \"configmaps\""), "{}", write.stderr);
    let secret = otter.kubectl_as(&alice, &["-n", "bay", "get", "secrets"], "");
    assert!(
        secret.refused().contains("cannot list resource \"secrets\""),
        "view does not read secrets: {}",
        secret.stderr
    );
}

#[test]
fn an_unknown_token_gets_401_everywhere_and_nothing_is_anonymous_but_health_and_version() {
    let otter = otter();
    for path in ["/api/v1/namespaces", "/apis", "/healthz", "/metrics"] {
        let answer =
            otter.curl(path, &["-H", "Authorization: Bearer nonsense", "-o", "/dev/null", "-w", "%{http_code}"]);
        assert_eq!(answer.ok(), "401", "{path}");
    }
    for (path, code) in [
        ("/readyz", "200"),
        ("/livez", "200"),
        ("/healthz", "200"),
        ("/version", "200"),
        ("/api", "403"),
        ("/metrics", "403"),
        ("/openapi/v3", "403"),
    ] {
        assert_eq!(otter.curl(path, &["-o", "/dev/null", "-w", "%{http_code}"]).ok(), code, "{path}");
    }
    let text = otter.curl("/apis/otternauts.dev/v1/servers", &[]).json();
    let wanted = "servers.otternauts.dev is forbidden: User \"system:anonymous\" cannot list resource \"servers\" in API group \
                  \"otternauts.dev\" at the cluster scope";
    assert_eq!(text["message"], wanted);
}

#[test]
fn nobody_grants_more_than_they_hold() {
    let otter = otter();
    otter.kubectl(&["create", "clusterrole", "roles", "--verb=*", "--resource=roles.rbac.authorization.k8s.io"]).ok();
    let patch = r#"[{"op":"replace","path":"/rules/0/verbs","value":["get","create"]}]"#;
    otter.kubectl(&["patch", "clusterrole", "roles", "--type=json", "-p", patch]).ok();
    otter.kubectl(&["create", "rolebinding", "b", "--clusterrole=roles", "--user=bob"]).ok();
    let bob = kubeconfig_of(&otter, "bob");
    let grab = otter.kubectl_as(&bob, &["create", "role", "r", "--verb=get", "--resource=secrets"], "");
    assert!(grab.refused().contains("is attempting to grant RBAC permissions not currently held"), "{}", grab.stderr);
}

#[test]
fn a_service_accounts_token_works_until_the_account_is_gone() {
    let otter = otter();
    otter.kubectl(&["create", "serviceaccount", "robot"]).ok();
    let token = otter.kubectl(&["create", "token", "robot"]).ok().trim().to_owned();
    let header = format!("Authorization: Bearer {token}");
    let ask =
        || otter.curl("/api/v1/namespaces", &["-H", &header, "-o", "/dev/null", "-w", "%{http_code}"]).ok().to_owned();
    assert_eq!(ask(), "403", "known, but without rights");
    otter
        .kubectl(&[
            "create",
            "clusterrolebinding",
            "b",
            "--clusterrole=cluster-admin",
            "--serviceaccount=default:robot",
        ])
        .ok();
    assert_eq!(ask(), "200");
    otter.kubectl(&["delete", "serviceaccount", "robot"]).ok();
    assert_eq!(ask(), "401", "a token of an account that is gone is no credential");
}
