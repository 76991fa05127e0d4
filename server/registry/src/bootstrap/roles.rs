//! The roles and bindings that every cluster has (row I14), and those of our controllers (design section 9).

use otternauts_types::SYSTEM_NAMESPACE;
use serde_json::{Value, json};

const RBAC: &str = "rbac.authorization.k8s.io";
const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

pub(super) fn all() -> Vec<Value> {
    let mut found = Vec::new();
    found.extend(discovery());
    found.extend(people());
    found.extend(controller("onboarding", &onboarding_rules()));
    found.extend(controller("deploy", &deploy_rules()));
    found.extend(controller("health", &health_rules()));
    found.extend(controller("ingress", &ingress_rules()));
    found.extend(controller("healing", &healing_rules()));
    found.extend(controller("notify", &notify_rules()));
    found
}

fn labels(extra: &[&str]) -> Value {
    let mut labels = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
    for to in extra {
        labels[format!("{RBAC}/aggregate-to-{to}")] = "true".into();
    }
    labels
}

fn cluster_role(name: &str, aggregate_to: &[&str], rules: &[Value]) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels(aggregate_to)}, "rules": rules,
    })
}

fn aggregating(name: &str, aggregate_to: &[&str]) -> Value {
    let mut selector = json!({});
    selector[format!("{RBAC}/aggregate-to-{name}")] = "true".into();
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels(aggregate_to)},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": selector}]},
    })
}

fn binding(name: &str, subjects: &Value) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": labels(&[])},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": subjects,
    })
}

fn group(name: &str) -> Value {
    json!({"apiGroup": RBAC, "kind": "Group", "name": name})
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

fn paths(urls: &[&str]) -> Value {
    json!({"nonResourceURLs": urls, "verbs": ["get"]})
}

/// What everybody with a credential may see, and what needs none.
fn discovery() -> Vec<Value> {
    let public = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let found = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let reviews = [
        rule(&["authorization.k8s.io"], &["selfsubjectaccessreviews", "selfsubjectrulesreviews"], &["create"]),
        rule(&["authentication.k8s.io"], &["selfsubjectreviews"], &["create"]),
    ];
    let monitoring = [
        "/healthz",
        "/healthz/*",
        "/livez",
        "/livez/*",
        "/metrics",
        "/metrics/containers",
        "/metrics/fleet",
        "/metrics/slis",
        "/readyz",
        "/readyz/*",
    ];
    vec![
        cluster_role("system:monitoring", &[], &[paths(&monitoring)]),
        cluster_role(
            "otternauts:alertmanager",
            &[],
            &[json!({"nonResourceURLs": ["/hooks/alertmanager"], "verbs": ["post"]})],
        ),
        binding("system:monitoring", &json!([group("system:monitoring")])),
        cluster_role("system:public-info-viewer", &[], &[paths(&public)]),
        cluster_role("system:discovery", &[], &[paths(&found)]),
        cluster_role("system:basic-user", &[], &reviews),
        binding("system:public-info-viewer", &json!([group("system:authenticated"), group("system:unauthenticated")])),
        binding("system:discovery", &json!([group("system:authenticated")])),
        binding("system:basic-user", &json!([group("system:authenticated")])),
    ]
}

/// `view`, `edit` and `admin` are for namespaces; Clusters and Servers are for `cluster-admin`.
fn people() -> Vec<Value> {
    let ours = ["stacks", "deployments", "healrules", "notifiers"];
    let ours_read = [
        "stacks",
        "stacks/status",
        "stacks/log",
        "deployments",
        "deployments/status",
        "healrules",
        "healrules/status",
        "notifiers",
        "notifiers/status",
    ];
    let with_credentials = ["stacks", "deployments", "healrules", "notifiers", "registrycredentials"];
    let everything = [rule(&["*"], &["*"], &["*"]), json!({"nonResourceURLs": ["*"], "verbs": ["*"]})];
    let view = [
        rule(&[""], &["configmaps", "serviceaccounts", "events", "namespaces", "namespaces/status"], &READ),
        rule(&["events.k8s.io"], &["events"], &READ),
    ];
    let edit = [
        rule(&[""], &["secrets"], &READ),
        rule(&[""], &["configmaps", "secrets", "serviceaccounts", "events"], &WRITE),
        rule(&[""], &["serviceaccounts/token"], &["create"]),
        rule(&["events.k8s.io"], &["events"], &["create", "update", "patch"]),
        rule(&["coordination.k8s.io"], &["leases"], &[&READ[..], &WRITE[..]].concat()),
    ];
    let admin = [
        rule(&[RBAC], &["roles", "rolebindings"], &[&READ[..], &WRITE[..]].concat()),
        rule(&["authorization.k8s.io"], &["localsubjectaccessreviews"], &["create"]),
    ];
    vec![
        cluster_role("cluster-admin", &[], &everything),
        binding("cluster-admin", &json!([group("system:masters")])),
        aggregating("admin", &[]),
        aggregating("edit", &["admin"]),
        aggregating("view", &["edit"]),
        cluster_role("system:aggregate-to-view", &["view"], &view),
        cluster_role("system:aggregate-to-edit", &["edit"], &edit),
        cluster_role("system:aggregate-to-admin", &["admin"], &admin),
        cluster_role("otternauts:aggregate-to-view", &["view"], &[rule(&[otternauts_types::GROUP], &ours_read, &READ)]),
        cluster_role(
            "otternauts:aggregate-to-edit",
            &["edit"],
            &[
                rule(&[otternauts_types::GROUP], &with_credentials, &WRITE),
                rule(&[otternauts_types::GROUP], &["registrycredentials", "registrycredentials/status"], &READ),
            ],
        ),
        cluster_role(
            "otternauts:aggregate-to-admin",
            &["admin"],
            &[rule(
                &[otternauts_types::GROUP],
                &ours.map(status_of).each_ref().map(String::as_str),
                &["get", "update", "patch"],
            )],
        ),
    ]
}

fn status_of(plural: &str) -> String {
    format!("{plural}/status")
}

/// A ServiceAccount in the system's namespace with a ClusterRole of its own.
fn controller(name: &str, rules: &[Value]) -> Vec<Value> {
    let role = format!("otternauts:controller:{name}");
    let subject = json!([{"kind": "ServiceAccount", "name": name, "namespace": SYSTEM_NAMESPACE}]);
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE}}),
        cluster_role(&role, &[], rules),
        binding(&role, &subject),
    ]
}

fn common_rules() -> Vec<Value> {
    vec![
        rule(&[""], &["namespaces"], &READ),
        rule(&["", "events.k8s.io"], &["events"], &["create", "update", "patch"]),
        rule(&["coordination.k8s.io"], &["leases"], &["get", "list", "watch", "create", "update", "patch"]),
    ]
}

fn onboarding_rules() -> Vec<Value> {
    let mut rules = common_rules();
    let own = ["servers", "clusters", "servers/status", "clusters/status", "servers/finalizers", "clusters/finalizers"];
    rules.push(rule(&[otternauts_types::GROUP], &own, &["get", "list", "watch", "create", "update", "patch"]));
    // A Cluster waits for the Stacks that refer to it.
    rules.push(rule(&[otternauts_types::GROUP], &["stacks"], &READ));
    rules.push(rule(
        &[""],
        &["secrets", "configmaps"],
        &["get", "list", "watch", "create", "update", "patch", "delete"],
    ));
    rules
}

fn deploy_rules() -> Vec<Value> {
    let mut rules = common_rules();
    let own = [
        "stacks",
        "deployments",
        "stacks/status",
        "deployments/status",
        "stacks/finalizers",
        "deployments/finalizers",
        "registrycredentials/status",
    ];
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
    rules.push(rule(&[otternauts_types::GROUP], &own, &verbs));
    let read = ["servers", "servers/status", "clusters", "clusters/status", "healrules", "registrycredentials"];
    rules.push(rule(&[otternauts_types::GROUP], &read, &READ));
    rules.push(rule(&[""], &["secrets", "configmaps"], &verbs));
    rules
}

fn health_rules() -> Vec<Value> {
    let mut rules = common_rules();
    // The servers, to know which of them are to be asked, and which are no more.
    rules.push(rule(&[otternauts_types::GROUP], &["stacks", "servers"], &READ));
    rules.push(rule(&[otternauts_types::GROUP], &["stacks/status"], &["get", "patch"]));
    // The values of a Deployment's snapshot, for what its health checks say: by name, never a list.
    rules.push(rule(&[otternauts_types::GROUP], &["deployments"], &["get"]));
    rules.push(rule(&[""], &["secrets"], &["get"]));
    rules
}

fn ingress_rules() -> Vec<Value> {
    let mut rules = common_rules();
    rules.push(rule(&[otternauts_types::GROUP], &["clusters", "servers", "stacks"], &READ));
    rules.push(rule(&[otternauts_types::GROUP], &["clusters/status", "stacks/status"], &["get", "patch"]));
    // The servers' private keys, by name, one at a time: never a list of everybody's Secrets.
    rules.push(rule(&[""], &["secrets"], &["get"]));
    rules
}

fn healing_rules() -> Vec<Value> {
    let mut rules = common_rules();
    rules.push(rule(&[otternauts_types::GROUP], &["stacks", "servers", "deployments", "healrules"], &READ));
    rules.push(rule(&[otternauts_types::GROUP], &["healrules/status"], &["get", "update", "patch"]));
    // To roll back, and to drain.
    rules.push(rule(&[otternauts_types::GROUP], &["deployments"], &["create"]));
    rules.push(rule(&[otternauts_types::GROUP], &["servers"], &["patch"]));
    // The signing keys of webhooks: by name, one at a time.
    rules.push(rule(&[""], &["secrets"], &["get"]));
    rules
}

fn notify_rules() -> Vec<Value> {
    let mut rules = common_rules();
    let told = ["clusters", "servers", "stacks", "notifiers"];
    rules.push(rule(&[otternauts_types::GROUP], &told, &READ));
    rules.push(rule(&[otternauts_types::GROUP], &["notifiers/status"], &["get", "update", "patch"]));
    rules.push(rule(&["", "events.k8s.io"], &["events"], &READ));
    // By name, one at a time: never a list of everybody's Secrets.
    rules.push(rule(&[""], &["secrets"], &["get"]));
    rules
}
