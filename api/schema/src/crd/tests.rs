use super::*;
use crate::{JsonPath, table};
use otternauts_meta::Timestamp;
use serde_json::json;

fn crd(change: impl FnOnce(&mut Value)) -> Object {
    let mut value = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "stacks.otternauts.dev", "uid": "u"},
        "spec": {"group": "otternauts.dev", "scope": "Namespaced",
            "names": {"plural": "stacks", "kind": "Stack", "shortNames": ["stk"]},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "additionalPrinterColumns": [
                    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
                    {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
                "selectableFields": [{"jsonPath": ".spec.color"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"replicas": {"type": "integer"}, "color": {"type": "string"}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}});
    change(&mut value);
    let mut crd = Object::from_value(value).expect("an object");
    default_names(&mut crd);
    crd
}

fn check(change: impl FnOnce(&mut Value), expected: &[&str]) {
    let found: Vec<String> = validate(&crd(change)).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (text, start) in found.iter().zip(expected) {
        assert!(text.starts_with(start), "{text} should start with {start}");
    }
}

#[test]
fn crds_that_cannot_be_served_get_the_reference_texts() {
    check(|_| {}, &[]);
    check(
        |c| c["spec"]["group"] = json!("foo"),
        &[
            r#"metadata.name: Invalid value: "stacks.otternauts.dev": must be spec.names.plural+"."+spec.group"#,
            r#"spec.group: Invalid value: "foo": should be a domain with at least one dot"#,
        ],
    );
    check(
        |c| c["spec"]["scope"] = json!("X"),
        &[r#"spec.scope: Unsupported value: "X": supported values: "Cluster", "Namespaced""#],
    );
    check(|c| c["spec"]["versions"][0]["storage"] = json!(false), &[r#"spec.versions: Invalid value: [{"name":"v1""#]);
    check(
        |c| c["spec"]["versions"][0]["name"] = json!("V_1"),
        &[r#"spec.versions[0].name: Invalid value: "V_1": a DNS-1035 label"#],
    );
    check(
        |c| {
            let v = c["spec"]["versions"][0].as_object_mut().expect("an object");
            v.remove("schema");
            v.remove("selectableFields");
        },
        &["spec.versions[0].schema.openAPIV3Schema: Required value"],
    );
    check(
        |c| c["spec"]["preserveUnknownFields"] = json!(true),
        &[
            "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields",
        ],
    );
    check(
        |c| c["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["a"] = json!({}),
        &[
            "spec.validation.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields",
        ],
    );
    check(
        |c| {
            let second = json!({"name": "v2", "served": true, "storage": false, "schema": {"openAPIV3Schema": {"type": "string"}}});
            c["spec"]["versions"].as_array_mut().expect("a list").push(second);
        },
        &[r#"spec.versions[1].schema.openAPIV3Schema.type: Invalid value: "string": must be object at the root"#],
    );
    check(
        |c| c["spec"]["conversion"] = json!({"strategy": "X"}),
        &[r#"spec.conversion.strategy: Unsupported value: "X": supported values: "None", "Webhook""#],
    );
    check(
        |c| c["spec"]["names"]["listKind"] = json!("Stack"),
        &[r#"spec.names.listKind: Invalid value: "Stack": kind and listKind may not be the same"#],
    );
    check(
        |c| c["status"] = json!({"storedVersions": ["v0"]}),
        &[
            r#"status.storedVersions[0]: Invalid value: "v0": missing from spec.versions; v0 was previously a storage version"#,
        ],
    );
}

#[test]
fn columns_scale_and_selectable_fields_are_judged() {
    let version = |key: &'static str, value: Value| move |c: &mut Value| c["spec"]["versions"][0][key] = value;
    check(
        version("additionalPrinterColumns", json!([{"name": "a", "type": "foo", "jsonPath": "spec"}])),
        &[
            r#"spec.additionalPrinterColumns[0].type: Invalid value: "foo": must be one of boolean,date,integer,number,string"#,
            r#"spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json path starting with ."#,
        ],
    );
    check(
        version("subresources", json!({"scale": {"specReplicasPath": "spec.r", "statusReplicasPath": ".spec.r"}})),
        &[
            r#"spec.subresources.scale.specReplicasPath: Invalid value: "spec.r": must be a simple json path starting with ."#,
            r#"spec.subresources.scale.statusReplicasPath: Invalid value: ".spec.r": should be a json path under .status"#,
        ],
    );
    check(
        version(
            "selectableFields",
            json!([{"jsonPath": ".spec.a"}, {"jsonPath": ".metadata.name"}, {"jsonPath": ".spec"}]),
        ),
        &[
            r#"spec.selectableFields[0].jsonPath: Invalid value: ".spec.a": is an invalid path: does not refer to a valid field"#,
            r#"spec.selectableFields[1].jsonPath: Invalid value: ".metadata.name": is an invalid path: does not refer to a valid field"#,
            r#"spec.selectableFields[2].jsonPath: Invalid value: ".spec": must point to a field of type string, boolean or integer."#,
        ],
    );
    check(
        version("selectableFields", json!(vec![json!({"jsonPath": ".spec.color"}); 9])),
        &["spec.selectableFields: Too many: 9: must have at most 8 items"],
    );
}

#[test]
fn protected_groups_need_an_approval() {
    let protect = |c: &mut Value| {
        c["spec"]["group"] = json!("foo.k8s.io");
        c["metadata"]["name"] = json!("stacks.foo.k8s.io");
    };
    check(
        protect,
        &[
            r#"metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation"#,
        ],
    );
    check(
        |c| {
            protect(c);
            c["metadata"]["annotations"] = json!({"api-approved.kubernetes.io": "unapproved, an experiment"});
        },
        &[],
    );
}

#[test]
fn a_crd_becomes_a_definition() {
    let one = definition(&crd(|_| {})).expect("valid");
    assert_eq!((one.names.singular.as_str(), one.names.list_kind.as_str()), ("stack", "StackList"));
    assert!(one.is_namespaced() && !one.is_builtin());
    let version = one.storage_version();
    assert!(version.has_status);
    assert_eq!(version.scale.as_ref().map(|s| s.spec_replicas_path.as_str()), Some(".spec.replicas"));
    assert_eq!(version.selectable_fields, [".spec.color"]);
    let same = definition(&crd(|c| c["metadata"]["labels"] = json!({"a": "b"}))).expect("valid");
    assert_eq!(one.hash, same.hash, "what clients cannot see of the kind does not change it");
    let other = definition(&crd(|c| c["spec"]["names"]["shortNames"] = json!(["x"]))).expect("valid");
    assert_ne!(one.hash, other.hash);
}

#[test]
fn versions_come_best_first_and_deprecated_ones_say_where_to_go() {
    let one = definition(&crd(|c| {
        let mut second = c["spec"]["versions"][0].clone();
        second["name"] = json!("v1beta1");
        second["storage"] = json!(false);
        second["deprecated"] = json!(true);
        c["spec"]["versions"].as_array_mut().expect("a list").insert(0, second);
    }))
    .expect("valid");
    let names: Vec<&str> = one.versions.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["v1", "v1beta1"]);
    let warning = one.version("v1beta1").and_then(|v| v.deprecation.as_deref());
    assert_eq!(warning, Some("otternauts.dev/v1beta1 Stack is deprecated; use otternauts.dev/v1 Stack"));
}

#[test]
fn tables_of_custom_kinds_read_their_columns() {
    let one = definition(&crd(|_| {})).expect("valid");
    let now = Timestamp::parse("2026-01-06T00:00:00Z").expect("a time");
    let object = json!({"metadata": {"name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"replicas": 2},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let object = Object::from_value(object).expect("an object");
    assert_eq!(table::cells(&one, "v1", &object, now), [json!("web"), json!(2), json!("True"), json!("5d")]);
    assert_eq!(
        table::columns(&one, "v1")[1].description,
        "Custom resource definition column (in JSONPath format): .spec.replicas"
    );
    let empty = Object::from_value(json!({"metadata": {"name": "web"}})).expect("an object");
    assert_eq!(table::cells(&one, "v1", &empty, now), [json!("web"), Value::Null, Value::Null, Value::Null]);
    assert!(JsonPath::parse(".spec.replicas").is_some());
}

#[test]
fn what_is_fixed_cannot_change() {
    let established = |c: &mut Value| c["status"] = json!({"conditions": [{"type": "Established", "status": "True"}]});
    let old = crd(established);
    let new = crd(|c| {
        established(c);
        c["spec"]["scope"] = json!("Cluster");
        c["spec"]["names"]["plural"] = json!("x");
    });
    let found: Vec<String> = validate_update(&new, &old).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            r#"spec.names.plural: Invalid value: "x": field is immutable"#,
            r#"spec.scope: Invalid value: "Cluster": field is immutable"#
        ]
    );
    assert!(validate_update(&crd(|c| c["spec"]["scope"] = json!("Cluster")), &crd(|_| {})).is_empty());
}

#[test]
fn unknown_keywords_are_named_and_removed() {
    let mut one = crd(|c| {
        c["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["foo"] = json!(1);
        c["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["bar"] = json!(1);
    });
    assert_eq!(
        prune_schemas(&mut one),
        ["spec.versions[0].schema.openAPIV3Schema.foo", "spec.versions[0].schema.openAPIV3Schema.properties.spec.bar"]
    );
    assert!(prune_schemas(&mut one).is_empty());
}
