use crate::Schema;
use serde_json::{Value, json};

/// `spec` of one property `a`, and what is said of it.
#[expect(clippy::needless_pass_by_value, reason = "rows of a table read better")]
fn check(a: Value, expected: &[&str]) {
    let document = json!({"type": "object", "properties": {"a": a}});
    let errors = Schema::parse(&document).err().unwrap_or_default();
    let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.sort();
    assert_eq!(texts.len(), expected.len(), "{document}: {texts:#?}");
    for (text, start) in texts.iter().zip(expected) {
        assert!(text.starts_with(start), "{text} should start with {start}");
    }
}

#[test]
fn documents_that_are_not_structural_get_the_reference_texts() {
    check(json!({"type": "string"}), &[]);
    check(json!({}), &["properties[a].type: Required value: must not be empty for specified object fields"]);
    check(
        json!({"type": "foo"}),
        &[
            r#"properties[a].type: Unsupported value: "foo": supported values: "array", "boolean", "integer", "number", "object", "string""#,
        ],
    );
    check(json!({"type": "array"}), &["properties[a].items: Required value: must be specified"]);
    check(
        json!({"type": "array", "items": {}}),
        &["properties[a].items.type: Required value: must not be empty for specified array items"],
    );
    check(
        json!({"type": "string", "anyOf": [{"type": "string", "description": "x", "default": 1}]}),
        &[
            "properties[a].anyOf[0].default: Forbidden: must be undefined to be structural",
            "properties[a].anyOf[0].description: Forbidden: must be empty to be structural",
            "properties[a].anyOf[0].type: Forbidden: must be empty to be structural",
        ],
    );
    check(json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}), &[]);
    check(
        json!({"x-kubernetes-int-or-string": true, "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"maximum": 3}]}),
        &[],
    );
    check(json!({"type": "string", "$ref": "#/x"}), &["properties[a].$ref: Forbidden: $ref is not supported"]);
    check(
        json!({"type": "string", "uniqueItems": true}),
        &[
            "properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ],
    );
    check(
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": false}),
        &["properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"],
    );
    check(
        json!({"type": "object", "x-kubernetes-embedded-resource": true}),
        &[
            "properties[a].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without",
        ],
    );
    check(
        json!({"type": "string", "pattern": "("}),
        &[
            r#"properties[a].pattern: Invalid value: "(": must be a valid regular expression, but isn't: error parsing regexp: "#,
        ],
    );
}

#[test]
fn list_and_map_types_are_judged() {
    let item = |extra: Value| {
        let mut item = json!({"type": "object", "properties": {"n": {"type": "string"}}});
        item.as_object_mut().expect("an object").extend(extra.as_object().cloned().unwrap_or_default());
        item
    };
    let map = |keys: Value, item: Value| json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys, "items": item});
    check(map(json!(["n"]), item(json!({"required": ["n"]}))), &[]);
    check(
        map(json!(["n"]), item(json!({}))),
        &[
            "properties[a].items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, so",
        ],
    );
    check(
        map(json!(["q"]), item(json!({}))),
        &[
            r#"properties[a].x-kubernetes-list-map-keys: Invalid value: ["q"]: entries must all be names of item properties"#,
        ],
    );
    check(
        map(json!([]), item(json!({}))),
        &[
            "properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ],
    );
    check(
        json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "foo"}),
        &[
            r#"properties[a].x-kubernetes-list-type: Unsupported value: "foo": supported values: "atomic", "set", "map""#,
        ],
    );
    check(
        json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}),
        &["properties[a].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with"],
    );
    check(
        json!({"type": "object", "x-kubernetes-map-type": "foo"}),
        &[r#"properties[a].x-kubernetes-map-type: Unsupported value: "foo": supported values: "atomic", "granular""#],
    );
}

#[test]
fn defaults_must_be_allowed_by_their_own_schema() {
    check(
        json!({"type": "string", "default": 1}),
        &[r#"properties[a].default: Invalid value: "integer":  in body must be of type string: "integer""#],
    );
    check(
        json!({"type": "object", "properties": {"b": {"type": "string"}}, "default": {"z": 1}}),
        &[r#"properties[a].default: Invalid value: {"z":1}: must not have unknown fields"#],
    );
    check(json!({"type": "string", "nullable": true, "default": null}), &[]);
}

#[test]
fn the_root_is_an_object_and_says_little_of_metadata() {
    let one = |document: Value| {
        let errors = Schema::parse(&document).expect_err("not structural");
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(one(json!({})), ["type: Required value: must not be empty at the root"]);
    assert_eq!(one(json!({"type": "string"})), [r#"type: Invalid value: "string": must be object at the root"#]);
    let metadata = json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}});
    assert_eq!(
        one(metadata),
        [
            "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"
        ]
    );
}

#[test]
fn a_root_knows_its_kind_version_and_metadata_first() {
    let document = json!({"type": "object", "properties": {"spec": {"type": "object"},
        "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 3}}}}});
    let schema = Schema::parse(&document).expect("structural");
    let names: Vec<&str> = schema.properties.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["kind", "apiVersion", "metadata", "spec"]);
    let metadata = schema.property("metadata").expect("always there");
    assert_eq!(metadata.property("name").and_then(|n| n.rules.max_length), Some(3));
    assert_eq!(metadata.property("ownerReferences").and_then(|o| o.patch_merge_key.as_deref()), Some("uid"));
}

#[test]
fn cel_rules_are_kept_and_their_shape_is_judged() {
    check(
        json!({"type": "string", "x-kubernetes-validations": [{"rule": "self != ''", "reason": "FieldValueInvalid"}]}),
        &[],
    );
    check(
        json!({"type": "string", "x-kubernetes-validations": [{"rule": "", "message": "a\nb", "reason": "Foo"}]}),
        &[
            r#"properties[a].x-kubernetes-validations[0].message: Invalid value: "a\nb": must not contain line breaks"#,
            r#"properties[a].x-kubernetes-validations[0].reason: Unsupported value: "Foo": supported values: "FieldValueDuplicate""#,
            "properties[a].x-kubernetes-validations[0].rule: Required value: rule is not specified",
        ],
    );
}

/// Documents and what kube-apiserver 1.36 said of them, one of each kind of answer but the few where we differ on purpose.
#[test]
fn answers_of_the_reference_are_ours() {
    let cases: Vec<(Value, Vec<String>)> = serde_json::from_str(include_str!("answers.json")).expect("a list of pairs");
    assert!(cases.len() > 100);
    for (document, expected) in cases {
        let errors = Schema::parse_at(&document, &otternauts_meta::Path::new("S")).err().unwrap_or_default();
        let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.sort();
        assert_eq!(texts, expected, "{document}");
    }
}
