use super::*;
use otternauts_meta::Object;
use serde_json::{Value, json};

fn object(value: Value) -> Object {
    Object::from_value(value).expect("an object")
}

fn role(kind: &str, namespace: &str, name: &str, rules: Value) -> Object {
    object(json!({"kind": kind, "metadata": {"namespace": namespace, "name": name}, "rules": rules}))
}

fn binding(kind: &str, namespace: &str, name: &str, role: (&str, &str), subjects: Value) -> Object {
    object(json!({
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role.0, "name": role.1},
        "subjects": subjects,
    }))
}

fn rule(text: &str) -> PolicyRule {
    serde_json::from_str(text).expect("a rule")
}

/// `verb group/resource[/sub] namespace name`, `-` for empty.
fn asked(text: &str) -> Attributes {
    let words: Vec<&str> = text.split(' ').map(|word| if word == "-" { "" } else { word }).collect();
    let [verb, target, namespace, name] = words.as_slice() else { panic!("four words: {text}") };
    if target.starts_with('/') {
        return Attributes { verb: (*verb).to_owned(), path: (*target).to_owned(), ..Attributes::default() };
    }
    let mut parts = target.split(':');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    Attributes {
        verb: (*verb).to_owned(),
        group: next(),
        resource: next(),
        subresource: next(),
        namespace: (*namespace).to_owned(),
        name: (*name).to_owned(),
        ..Attributes::default()
    }
}

#[test]
fn a_rule_allows_what_kubernetes_lets_it_allow() {
    let check = |rule_text: &str, asked_text: &str, expected: bool| {
        assert_eq!(rule(rule_text).allows(&asked(asked_text)), expected, "{rule_text} {asked_text}");
    };
    let stacks = r#"{"verbs":["get","list","create"],"apiGroups":["otternauts.dev"],"resources":["stacks"]}"#;
    check(stacks, "get otternauts.dev:stacks ns a", true);
    check(stacks, "get otternauts.dev:stacks:status ns a", false);
    check(stacks, "get :stacks ns a", false);
    check(stacks, "delete otternauts.dev:stacks ns a", false);
    let any = r#"{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}"#;
    check(any, "anything x:y:z ns a", true);
    check(any, "get /metrics - -", false);
    let status = r#"{"verbs":["update"],"apiGroups":["*"],"resources":["stacks/status"]}"#;
    check(status, "update otternauts.dev:stacks:status ns a", true);
    check(status, "update otternauts.dev:stacks ns a", false);
    let any_status = r#"{"verbs":["update"],"apiGroups":["*"],"resources":["*/status"]}"#;
    check(any_status, "update g:widgets:status - a", true);
    check(any_status, "update g:widgets:scale - a", false);
    let named = r#"{"verbs":["get","list","create"],"apiGroups":[""],"resources":["secrets"],"resourceNames":["db"]}"#;
    check(named, "get :secrets ns db", true);
    check(named, "get :secrets ns other", false);
    check(named, "list :secrets ns -", false);
    check(named, "list :secrets ns db", true);
    check(named, "create :secrets ns -", false);
    let paths = r#"{"verbs":["get"],"nonResourceURLs":["/healthz","/apis/*"]}"#;
    check(paths, "get /healthz - -", true);
    check(paths, "get /healthz/x - -", false);
    check(paths, "get /apis/x/y - -", true);
    check(paths, "get /apis - -", false);
    check(paths, "post /healthz - -", false);
    check(r#"{"verbs":["get"],"nonResourceURLs":["*"]}"#, "get /x - -", true);
}

fn house() -> RoleSnapshot {
    let read = json!([{"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["configmaps"]}]);
    let nodes = json!([{"verbs": ["get"], "apiGroups": ["otternauts.dev"], "resources": ["servers"]}]);
    let health = json!([{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}]);
    RoleSnapshot::from_objects(&[
        role("ClusterRole", "", "view", read.clone()),
        role("ClusterRole", "", "servers", nodes),
        role("ClusterRole", "", "health", health),
        role("Role", "team", "reader", read),
        binding("RoleBinding", "default", "a", ("ClusterRole", "view"), json!([{"kind": "User", "name": "alice"}])),
        binding("ClusterRoleBinding", "", "s", ("ClusterRole", "servers"), json!([{"kind": "Group", "name": "ops"}])),
        binding(
            "RoleBinding",
            "team",
            "bots",
            ("Role", "reader"),
            json!([{"kind": "ServiceAccount", "name": "bot"}, {"kind": "ServiceAccount", "name": "x", "namespace": "far"}]),
        ),
        binding(
            "ClusterRoleBinding",
            "",
            "all",
            ("ClusterRole", "health"),
            json!([{"kind": "Group", "name": "system:authenticated"}]),
        ),
        binding("ClusterRoleBinding", "", "bad", ("Role", "reader"), json!([{"kind": "User", "name": "mallory"}])),
        binding("ClusterRoleBinding", "", "gone", ("ClusterRole", "no"), json!([{"kind": "User", "name": "mallory"}])),
    ])
}

#[test]
fn bindings_count_where_they_are_and_for_whom_they_name() {
    let house = house();
    let ops = ["ops".to_owned()];
    let check = |user: User, what: &str, expected: Option<&str>| {
        let answer = match house.authorize(&user, &asked(what)) {
            Decision::Allow { reason } => Some(reason),
            Decision::NoOpinion => None,
        };
        assert_eq!(answer.as_deref(), expected, "{} {what}", user.name);
    };
    let by_a = r#"RBAC: allowed by RoleBinding "a/default" of ClusterRole "view" to User "alice""#;
    check(User::authenticated("alice", []), "get :configmaps default x", Some(by_a));
    check(User::authenticated("alice", []), "get :configmaps kube-system x", None);
    check(User::authenticated("alice", []), "list :configmaps - -", None);
    check(User::authenticated("alice", []), "get otternauts.dev:servers - s", None);
    let by_s = r#"RBAC: allowed by ClusterRoleBinding "s" of ClusterRole "servers" to Group "ops""#;
    check(User::authenticated("bob", ops), "get otternauts.dev:servers - s", Some(by_s));
    let by_bots = r#"RBAC: allowed by RoleBinding "bots/team" of Role "reader" to ServiceAccount "bot/team""#;
    check(User::service_account("team", "bot", "u"), "get :configmaps team x", Some(by_bots));
    check(User::service_account("default", "bot", "u"), "get :configmaps team x", None);
    let by_far = r#"RBAC: allowed by RoleBinding "bots/team" of Role "reader" to ServiceAccount "x/far""#;
    check(User::service_account("far", "x", "u"), "get :configmaps team x", Some(by_far));
    let by_all = r#"RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "health" to Group "system:authenticated""#;
    check(User::authenticated("mallory", []), "get /healthz - -", Some(by_all));
    check(User::anonymous(), "get /healthz - -", None);
    check(User::authenticated("mallory", []), "get :configmaps team x", None);
    check(User::authenticated("root", ["system:masters".to_owned()]), "delete x:y - z", Some(""));
}

#[test]
fn aggregating_roles_take_the_rules_of_the_roles_they_select_through_chains_and_cycles() {
    let labelled = |name: &str, label: &str, resource: &str| {
        object(json!({
            "kind": "ClusterRole",
            "metadata": {"name": name, "labels": {label: "true"}},
            "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": [resource]}],
        }))
    };
    let aggregate = |name: &str, own: &str, label: &str| {
        object(json!({
            "kind": "ClusterRole",
            "metadata": {"name": name, "labels": {own: "true"}},
            "aggregationRule": {"clusterRoleSelectors": [
                {"matchLabels": {label: "true"}, "matchExpressions": [{"key": label, "operator": "Exists"}]},
            ]},
            "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        }))
    };
    let roles = [
        aggregate("admin", "to-view", "to-admin"),
        aggregate("view", "to-admin", "to-view"),
        labelled("a", "to-admin", "secrets"),
        labelled("b", "to-view", "configmaps"),
        labelled("c", "other", "events"),
    ];
    let resolved = aggregated_rules(&roles);
    let resources = |name: &str| -> Vec<&str> { resolved[name].iter().map(|r| r.resources[0].as_str()).collect() };
    assert_eq!(resolved.keys().collect::<Vec<_>>(), ["admin", "view"]);
    assert_eq!(resources("admin"), ["secrets", "configmaps"]);
    assert_eq!(resources("view"), ["secrets", "configmaps"]);
}

#[test]
fn held_rules_cover_wanted_ones_as_in_kubernetes() {
    let check = |held: &[&str], wanted: &str, missing: &[&str]| {
        let held: Vec<PolicyRule> = held.iter().map(|text| rule(text)).collect();
        let found = covers(&held, &[rule(wanted)]).err().unwrap_or_default();
        assert_eq!(found.iter().map(describe).collect::<Vec<_>>(), missing, "{held:?} {wanted}");
    };
    let pods = r#"{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]}"#;
    check(&[pods], r#"{"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]}"#, &[]);
    check(
        &[pods],
        r#"{"verbs":["get","watch"],"apiGroups":[""],"resources":["pods"]}"#,
        &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["watch"]}"#],
    );
    check(
        &[pods],
        r#"{"verbs":["*"],"apiGroups":[""],"resources":["pods"]}"#,
        &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["*"]}"#],
    );
    let named = r#"{"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]}"#;
    check(
        &[named],
        r#"{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}"#,
        &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["get"]}"#],
    );
    check(
        &[named],
        r#"{"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a","b"]}"#,
        &[r#"{APIGroups:[""], Resources:["pods"], ResourceNames:["b"], Verbs:["get"]}"#],
    );
    let any_status = r#"{"verbs":["*"],"apiGroups":["*"],"resources":["*/status"]}"#;
    check(&[any_status], r#"{"verbs":["get"],"apiGroups":["x"],"resources":["stacks/status"]}"#, &[]);
    check(
        &[r#"{"verbs":["get"],"nonResourceURLs":["/a/*"]}"#],
        r#"{"verbs":["get"],"nonResourceURLs":["/a/b","/c"]}"#,
        &[r#"{NonResourceURLs:["/c"], Verbs:["get"]}"#],
    );
}

#[test]
fn the_refusal_of_an_escalation_reads_as_kubernetes_writes_it() {
    let bob = User::authenticated("bob", []);
    let wanted = [rule(r#"{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]}"#)];
    let text = RoleSnapshot::default().may_grant(&bob, "default", &wanted).expect_err("nothing is held");
    assert_eq!(
        text,
        "user \"bob\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}"
    );
    let root = User::authenticated("root", ["system:masters".to_owned()]);
    assert_eq!(RoleSnapshot::default().may_grant(&root, "default", &wanted), Ok(()));
}

#[test]
fn the_rules_of_a_user_are_listed_once_each() {
    let house = house();
    let rules = house.rules_for(&User::authenticated("alice", []), "default");
    assert_eq!(
        rules.resource,
        [rule(r#"{"verbs":["get","list","watch"],"apiGroups":[""],"resources":["configmaps"]}"#)]
    );
    assert_eq!(rules.non_resource, [rule(r#"{"verbs":["get"],"nonResourceURLs":["/healthz"]}"#)]);
    let masters = house.rules_for(&User::authenticated("root", ["system:masters".to_owned()]), "default");
    assert_eq!(masters.resource[0], rule(r#"{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}"#));
}
