//! Bodies are encoded by another implementation of the same descriptions, and decoded here.

use super::*;
use k8s_pb::api::core::v1 as core;
use k8s_pb::apiextensions_apiserver::pkg::apis::apiextensions::v1 as crd;
use k8s_pb::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_pb::apimachinery::pkg::runtime;
use prost::Message;
use serde_json::json;

fn body(api_version: &str, kind: &str, inner: &impl Message) -> Vec<u8> {
    let envelope = runtime::Unknown {
        type_meta: Some(runtime::TypeMeta { api_version: Some(api_version.into()), kind: Some(kind.into()) }),
        raw: Some(inner.encode_to_vec()),
        ..runtime::Unknown::default()
    };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(envelope.encode_to_vec());
    bytes
}

fn check(api_version: &str, kind: &str, inner: &impl Message, mut expected: Value) {
    let map = expected.as_object_mut().expect("an object");
    map.insert("apiVersion".into(), api_version.into());
    map.insert("kind".into(), kind.into());
    assert_eq!(decode(&body(api_version, kind, inner)), Ok(expected), "{kind}");
}

/// As Go writes it: texts that were never set are there, and empty; so is the time of creation.
fn metadata(name: &str) -> Option<meta::ObjectMeta> {
    Some(meta::ObjectMeta {
        name: Some(name.into()),
        generate_name: Some(String::new()),
        namespace: Some(String::new()),
        generation: Some(0),
        creation_timestamp: Some(meta::Time::default()),
        ..meta::ObjectMeta::default()
    })
}

#[test]
fn core_kinds_become_the_json_they_stand_for() {
    check(
        "v1",
        "Namespace",
        &core::Namespace { metadata: metadata("a"), spec: Some(core::NamespaceSpec::default()), status: None },
        json!({"metadata": {"name": "a"}, "spec": {}}),
    );
    check(
        "v1",
        "Secret",
        &core::Secret {
            metadata: metadata("a"),
            data: [("k".to_owned(), b"v".to_vec()), ("empty".to_owned(), Vec::new())].into(),
            r#type: Some("Opaque".into()),
            immutable: Some(false),
            ..core::Secret::default()
        },
        json!({"metadata": {"name": "a"}, "data": {"empty": "", "k": "dg=="}, "type": "Opaque", "immutable": false}),
    );
    check(
        "v1",
        "ConfigMap",
        &core::ConfigMap {
            metadata: Some(meta::ObjectMeta {
                labels: [("l".to_owned(), String::new())].into(),
                owner_references: vec![meta::OwnerReference {
                    api_version: Some("v1".into()),
                    kind: Some("A".into()),
                    name: Some("x".into()),
                    uid: Some("u".into()),
                    controller: Some(true),
                    block_owner_deletion: None,
                }],
                finalizers: vec!["a.b/c".into()],
                managed_fields: vec![meta::ManagedFieldsEntry {
                    manager: Some("m".into()),
                    time: Some(meta::Time { seconds: Some(1_767_322_245), nanos: Some(0) }),
                    fields_v1: Some(meta::FieldsV1 { raw: Some(br#"{"f:data":{}}"#.to_vec()) }),
                    ..meta::ManagedFieldsEntry::default()
                }],
                ..meta::ObjectMeta::default()
            }),
            data: [("k".to_owned(), "v".to_owned())].into(),
            binary_data: [("b".to_owned(), vec![0xff])].into(),
            immutable: None,
        },
        json!({"metadata": {"labels": {"l": ""}, "finalizers": ["a.b/c"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "x", "uid": "u", "controller": true}],
            "managedFields": [{"manager": "m", "time": "2026-01-02T02:50:45Z", "fieldsV1": {"f:data": {}}}]},
            "data": {"k": "v"}, "binaryData": {"b": "/w=="}}),
    );
}

#[test]
fn leases_and_events_keep_their_microseconds() {
    use k8s_pb::api::coordination::v1::{Lease, LeaseSpec};
    check(
        "coordination.k8s.io/v1",
        "Lease",
        &Lease {
            metadata: metadata("a"),
            spec: Some(LeaseSpec {
                holder_identity: Some("h".into()),
                lease_duration_seconds: Some(15),
                renew_time: Some(meta::MicroTime { seconds: Some(1_767_322_245), nanos: Some(6_000) }),
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        },
        json!({"metadata": {"name": "a"}, "spec": {"holderIdentity": "h", "leaseDurationSeconds": 15,
            "renewTime": "2026-01-02T02:50:45.000006Z", "leaseTransitions": 0}}),
    );
    check(
        "v1",
        "Event",
        &core::Event {
            metadata: metadata("e"),
            involved_object: Some(core::ObjectReference {
                kind: Some("Stack".into()),
                ..core::ObjectReference::default()
            }),
            source: Some(core::EventSource::default()),
            event_time: Some(meta::MicroTime { seconds: Some(-1), nanos: Some(0) }),
            count: Some(2),
            reporting_component: Some("c".into()),
            ..core::Event::default()
        },
        json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Stack"}, "source": {},
            "eventTime": "1969-12-31T23:59:59.000000Z", "count": 2, "reportingComponent": "c"}),
    );
}

#[test]
fn roles_and_bindings_are_read() {
    use k8s_pb::api::rbac::v1 as rbac;
    let group = "rbac.authorization.k8s.io/v1";
    check(
        group,
        "ClusterRole",
        &rbac::ClusterRole {
            metadata: metadata("r"),
            rules: vec![rbac::PolicyRule {
                verbs: vec!["get".into()],
                api_groups: vec![String::new()],
                non_resource_ur_ls: vec!["/x".into()],
                ..rbac::PolicyRule::default()
            }],
            aggregation_rule: Some(rbac::AggregationRule {
                cluster_role_selectors: vec![meta::LabelSelector {
                    match_labels: [("a".to_owned(), "b".to_owned())].into(),
                    match_expressions: vec![],
                }],
            }),
        },
        json!({"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "nonResourceURLs": ["/x"]}],
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}),
    );
    check(
        group,
        "RoleBinding",
        &rbac::RoleBinding {
            metadata: metadata("b"),
            subjects: vec![rbac::Subject {
                kind: Some("User".into()),
                name: Some("u".into()),
                api_group: Some(String::new()),
                namespace: None,
            }],
            role_ref: Some(rbac::RoleRef {
                api_group: Some("g".into()),
                kind: Some("Role".into()),
                name: Some("r".into()),
            }),
        },
        json!({"metadata": {"name": "b"}, "subjects": [{"kind": "User", "name": "u"}],
            "roleRef": {"apiGroup": "g", "kind": "Role", "name": "r"}}),
    );
}

#[test]
fn reviews_and_options_are_read() {
    use k8s_pb::api::authentication::v1 as authn;
    use k8s_pb::api::authorization::v1 as authz;
    check(
        "authorization.k8s.io/v1",
        "SubjectAccessReview",
        &authz::SubjectAccessReview {
            metadata: None,
            spec: Some(authz::SubjectAccessReviewSpec {
                resource_attributes: Some(authz::ResourceAttributes {
                    verb: Some("get".into()),
                    ..authz::ResourceAttributes::default()
                }),
                user: Some("bob".into()),
                extra: [("k".to_owned(), authz::ExtraValue { items: vec!["v".into()] })].into(),
                ..authz::SubjectAccessReviewSpec::default()
            }),
            status: None,
        },
        json!({"spec": {"resourceAttributes": {"verb": "get"}, "user": "bob", "extra": {"k": ["v"]}}}),
    );
    check(
        "authentication.k8s.io/v1",
        "TokenRequest",
        &authn::TokenRequest {
            metadata: None,
            spec: Some(authn::TokenRequestSpec { expiration_seconds: Some(600), ..authn::TokenRequestSpec::default() }),
            status: None,
        },
        json!({"spec": {"expirationSeconds": 600}}),
    );
    check(
        "apps/v1",
        "DeleteOptions",
        &meta::DeleteOptions {
            grace_period_seconds: Some(0),
            propagation_policy: Some("Background".into()),
            preconditions: Some(meta::Preconditions { uid: Some("u".into()), resource_version: None }),
            ..meta::DeleteOptions::default()
        },
        json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background", "preconditions": {"uid": "u"}}),
    );
}

/// A schema with every form that a property can take.
fn schema_of_every_form() -> crd::JsonSchemaProps {
    let string = crd::JsonSchemaProps { r#type: Some("string".into()), ..crd::JsonSchemaProps::default() };
    crd::JsonSchemaProps {
        r#type: Some("object".into()),
        properties: [
            (
                "n".to_owned(),
                crd::JsonSchemaProps {
                    r#type: Some("integer".into()),
                    minimum: Some(0.0),
                    default: Some(crd::Json { raw: Some(b"1".to_vec()) }),
                    ..Default::default()
                },
            ),
            (
                "l".to_owned(),
                crd::JsonSchemaProps {
                    r#type: Some("array".into()),
                    items: Some(Box::new(crd::JsonSchemaPropsOrArray {
                        schema: Some(Box::new(string.clone())),
                        j_son_schemas: vec![],
                    })),
                    ..Default::default()
                },
            ),
            (
                "m".to_owned(),
                crd::JsonSchemaProps {
                    r#type: Some("object".into()),
                    additional_properties: Some(Box::new(crd::JsonSchemaPropsOrBool {
                        allows: Some(true),
                        schema: Some(Box::new(string)),
                    })),
                    ..Default::default()
                },
            ),
            (
                "any".to_owned(),
                crd::JsonSchemaProps {
                    additional_properties: Some(Box::new(crd::JsonSchemaPropsOrBool {
                        allows: Some(true),
                        schema: None,
                    })),
                    r#enum: vec![crd::Json { raw: Some(b"\"a\"".to_vec()) }],
                    ..Default::default()
                },
            ),
        ]
        .into(),
        x_kubernetes_preserve_unknown_fields: Some(true),
        ..Default::default()
    }
}

#[test]
fn a_crd_keeps_its_schema() {
    let one = crd::CustomResourceDefinition {
        metadata: metadata("a.b.c"),
        spec: Some(crd::CustomResourceDefinitionSpec {
            group: Some("b.c".into()),
            versions: vec![crd::CustomResourceDefinitionVersion {
                name: Some("v1".into()),
                served: Some(true),
                storage: Some(false),
                schema: Some(crd::CustomResourceValidation { open_apiv3_schema: Some(schema_of_every_form()) }),
                subresources: Some(crd::CustomResourceSubresources {
                    status: Some(crd::CustomResourceSubresourceStatus {}),
                    scale: None,
                }),
                ..Default::default()
            }],
            ..Default::default()
        }),
        status: None,
    };
    check(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &one,
        json!({"metadata": {"name": "a.b.c"}, "spec": {"group": "b.c", "versions": [{"name": "v1", "served": true, "storage": false,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
                "n": {"type": "integer", "minimum": 0, "default": 1},
                "l": {"type": "array", "items": {"type": "string"}},
                "m": {"type": "object", "additionalProperties": {"type": "string"}},
                "any": {"enum": ["a"], "additionalProperties": true}}}},
            "subresources": {"status": {}}}]}}),
    );
}

#[test]
fn what_is_no_message_is_refused() {
    assert_eq!(decode(b"{}"), Err(Error::NoMagic));
    let unknown = Error::UnknownKind { api_version: "otternauts.dev/v1".into(), kind: "Stack".into() };
    assert_eq!(decode(&body("otternauts.dev/v1", "Stack", &core::Secret::default())), Err(unknown));
    let good = body("v1", "Secret", &core::Secret { metadata: metadata("a"), ..core::Secret::default() });
    assert_eq!(decode(&good[..good.len() - 1]), Err(Error::Truncated));
    let mut deep = crd::JsonSchemaProps::default();
    for _ in 0..90 {
        deep = crd::JsonSchemaProps { not: Some(Box::new(deep)), ..Default::default() };
    }
    let nested = |schema| crd::CustomResourceDefinition {
        spec: Some(crd::CustomResourceDefinitionSpec {
            versions: vec![crd::CustomResourceDefinitionVersion {
                schema: Some(crd::CustomResourceValidation { open_apiv3_schema: Some(schema) }),
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    };
    let kind = "CustomResourceDefinition";
    assert!(decode(&body("apiextensions.k8s.io/v1", kind, &nested(deep.clone()))).is_ok());
    for _ in 0..90 {
        deep = crd::JsonSchemaProps { not: Some(Box::new(deep)), ..Default::default() };
    }
    assert_eq!(decode(&body("apiextensions.k8s.io/v1", kind, &nested(deep))), Err(Error::TooDeep));
}

proptest::proptest! {
    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let mut all = MAGIC.to_vec();
        all.extend(&bytes);
        _ = decode(&all);
        for kind in ["Event", "Secret", "CustomResourceDefinition", "DeleteOptions"] {
            let version = if kind == "CustomResourceDefinition" { "apiextensions.k8s.io/v1" } else { "v1" };
            if let Some(table) = kinds::find(version, kind) {
                _ = message(table, &bytes, 0);
            }
        }
    }
}
