use super::*;
use otternauts_schema::{Names, Origin, Scope, Version};
use serde_json::json;
use std::sync::Arc;

fn definition(origin: Origin, properties: &[&str]) -> Definition {
    let schema = Schema {
        properties: properties.iter().map(|name| ((*name).to_owned(), Schema::default())).collect(),
        ..Schema::default()
    };
    Definition {
        group: String::new(),
        names: Names { plural: "things".into(), kind: "Thing".into(), ..Names::default() },
        scope: Scope::Namespaced,
        origin,
        versions: vec![Version {
            name: "v1".into(),
            served: true,
            storage: true,
            schema: Arc::new(schema),
            schema_json: Arc::new(json!({})),
            has_status: false,
            scale: None,
            columns: Vec::new(),
            selectable_fields: Vec::new(),
            deprecation: None,
        }],
        hash: 9,
    }
}

fn object() -> Object {
    Object::from_value(json!({
        "spec": {"z": 1, "a": [{"y": 1, "b": 2}]},
        "data": {"resourceVersion": "\"resourceVersion\":\"", "a": "b"},
        "metadata": {
            "uid": "u", "name": "n", "annotations": {"z": "\"resourceVersion\":\"5\"", "a": "<"},
            "managedFields": [{"time": "t", "apiVersion": "v1", "manager": "m"}],
        },
        "apiVersion": "v1", "kind": "Thing",
    }))
    .expect("an object")
}

fn joined(body: &Body) -> String {
    let digits: &[u8] = b"77";
    String::from_utf8([&body.head, digits, &body.tail].concat()).expect("UTF-8")
}

#[test]
fn custom_kinds_have_sorted_keys_and_the_version_in_its_place_row_c1() {
    let definition = definition(Origin::Custom { crd_uid: "c".into() }, &[]);
    let text = joined(&body(&definition, &object()));
    let expected = concat!(
        r#"{"apiVersion":"v1","data":{"a":"b","resourceVersion":"\"resourceVersion\":\""},"kind":"Thing","#,
        r#""metadata":{"annotations":{"a":"\u003c","z":"\"resourceVersion\":\"5\""},"#,
        r#""managedFields":[{"apiVersion":"v1","manager":"m","time":"t"}],"name":"n","resourceVersion":"77","uid":"u"},"#,
        r#""spec":{"a":[{"b":2,"y":1}],"z":1}}"#,
    );
    assert_eq!(text, expected);
    assert_eq!(bytes(&definition, &object(), Some("77")), expected.as_bytes());
    assert_eq!(cut(&definition, "v1"), 0);
}

#[test]
fn built_in_kinds_keep_the_declared_order_and_the_list_prefix_can_be_cut_rows_c1_l1() {
    let definition = definition(Origin::BuiltIn, &["apiVersion", "kind", "metadata", "data", "spec"]);
    let text = joined(&body(&definition, &object()));
    let expected = concat!(
        r#"{"kind":"Thing","apiVersion":"v1","metadata":{"name":"n","uid":"u","resourceVersion":"77","#,
        r#""annotations":{"a":"\u003c","z":"\"resourceVersion\":\"5\""},"#,
        r#""managedFields":[{"manager":"m","apiVersion":"v1","time":"t"}]},"#,
        r#""data":{"a":"b","resourceVersion":"\"resourceVersion\":\""},"spec":{"a":[{"b":2,"y":1}],"z":1}}"#,
    );
    assert_eq!(text, expected);
    assert!(text[cut(&definition, "v1")..].starts_with("\"metadata\""));
}

#[test]
fn a_dry_run_has_no_version_row_f1() {
    let definition = definition(Origin::BuiltIn, &[]);
    let text = String::from_utf8(bytes(&definition, &object(), None).to_vec()).expect("UTF-8");
    assert!(!text.contains(r#""resourceVersion":"77""#) && text.contains(r#""uid":"u""#), "{text}");
}
