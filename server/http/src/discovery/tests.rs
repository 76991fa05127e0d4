use super::facts::{Group, Kind, Resource, Subresource, Version};
use super::*;
use serde_json::json;

/// The group of the reference's answers.
fn group() -> Group {
    let kind = |kind: &str, elsewhere| Kind { kind: kind.to_owned(), elsewhere };
    let custom: &[&str] = &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
    let part: &[&str] = &["get", "patch", "update"];
    let stacks = Resource {
        plural: "stacks".into(),
        singular: "stack".into(),
        kind: kind("Stack", None),
        namespaced: true,
        verbs: custom,
        short_names: vec!["stk".into()],
        categories: vec!["otter".into(), "all".into()],
        storage: "otternauts.dev/v1/Stack".into(),
        builtin: false,
        subresources: vec![
            Subresource { name: "status", kind: kind("Stack", None), verbs: part },
            Subresource { name: "scale", kind: kind("Scale", Some(("autoscaling", "v1"))), verbs: part },
        ],
    };
    Group { name: "otternauts.dev".into(), versions: vec![Version { name: "v1".into(), resources: vec![stacks] }] }
}

#[test]
fn the_legacy_form_equals_the_references_answer_rows_d3_to_d6() {
    let group = group();
    assert_eq!(
        legacy::group(&group, true).to_string(),
        r#"{"kind":"APIGroup","apiVersion":"v1","name":"otternauts.dev","versions":[{"groupVersion":"otternauts.dev/v1","version":"v1"}],"preferredVersion":{"groupVersion":"otternauts.dev/v1","version":"v1"}}"#
    );
    assert_eq!(
        legacy::resources(&group, &group.versions[0]).to_string(),
        r#"{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"otternauts.dev/v1","resources":[{"name":"stacks","singularName":"stack","namespaced":true,"kind":"Stack","verbs":["delete","deletecollection","get","list","patch","create","update","watch"],"shortNames":["stk"],"categories":["otter","all"],"storageVersionHash":"TMOELnFEHEw="},{"name":"stacks/status","singularName":"","namespaced":true,"kind":"Stack","verbs":["get","patch","update"]},{"name":"stacks/scale","singularName":"","namespaced":true,"group":"autoscaling","version":"v1","kind":"Scale","verbs":["get","patch","update"]}]}"#
    );
}

#[test]
fn the_aggregated_form_equals_the_references_answer_row_d8() {
    assert_eq!(
        aggregated::list(&[&group()]),
        json!({"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[{"metadata":{"name":"otternauts.dev"},"versions":[{"version":"v1","resources":[{"resource":"stacks","responseKind":{"group":"otternauts.dev","version":"v1","kind":"Stack"},"scope":"Namespaced","singularResource":"stack","verbs":["delete","deletecollection","get","list","patch","create","update","watch"],"shortNames":["stk"],"categories":["otter","all"],"subresources":[{"subresource":"status","responseKind":{"group":"otternauts.dev","version":"v1","kind":"Stack"},"verbs":["get","patch","update"]},{"subresource":"scale","responseKind":{"group":"autoscaling","version":"v1","kind":"Scale"},"verbs":["get","patch","update"]}]}],"freshness":"Current"}]}]})
    );
}

#[test]
fn an_etag_is_the_quoted_hash_of_the_document() {
    let tagged = Tagged::new(b"{}".to_vec());
    assert_eq!(tagged.etag.len(), 130);
    assert_eq!(tagged.etag, Tagged::new(b"{}".to_vec()).etag);
    assert_ne!(tagged.etag, Tagged::new(b"{ }".to_vec()).etag);
}
