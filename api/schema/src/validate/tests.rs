//! Expected texts were copied from the answers of kube-apiserver 1.36.

use crate::{Schema, validate, validate_lists};
use otternauts_meta::Path;
use serde_json::{Value, json};

fn probe() -> Schema {
    let document = json!({"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object", "required": ["req"], "properties": {
        "req": {"type": "string"},
        "n": {"type": "integer", "minimum": 0, "maximum": 10, "multipleOf": 2},
        "x": {"type": "number", "exclusiveMinimum": true, "minimum": 0, "exclusiveMaximum": true, "maximum": 5},
        "i32": {"type": "integer", "format": "int32"},
        "i64": {"type": "integer", "format": "int64"},
        "fl": {"type": "number", "format": "float"},
        "s": {"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^[a-z]+$"},
        "e": {"type": "string", "enum": ["gold", "silver"]},
        "ne": {"type": "string", "nullable": true, "enum": ["a"]},
        "dt": {"type": "string", "format": "date-time"},
        "any": {"type": "integer", "anyOf": [{"minimum": 5}, {"multipleOf": 3}]},
        "one": {"type": "integer", "oneOf": [{"minimum": 5}, {"multipleOf": 3}]},
        "all": {"type": "integer", "allOf": [{"minimum": 5}, {"multipleOf": 3}]},
        "not": {"type": "integer", "not": {"minimum": 5}},
        "ios": {"x-kubernetes-int-or-string": true},
        "l": {"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "string"}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "b"],
            "items": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"},
                "b": {"type": "integer", "default": 1}, "c": {"type": "integer", "maximum": 3}}}},
        "mp": {"type": "object", "minProperties": 1, "maxProperties": 2, "additionalProperties": {"type": "string"}},
        "tpl": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}},
        "bo": {"type": "boolean"},
        "en": {"type": "integer", "enum": [1, 2]}
    }}}});
    Schema::parse(&document).expect("structural")
}

fn texts(new: Value, old: Option<Value>) -> Vec<String> {
    let whole = |mut spec: Value| {
        spec.as_object_mut().expect("an object").entry("req").or_insert(json!("a"));
        json!({ "spec": spec })
    };
    let (new, old) = (whole(new), old.map(whole));
    let mut errors = validate(&probe(), &new, old.as_ref(), &Path::root());
    errors.extend(validate_lists(&probe(), &new, old.as_ref(), &Path::root()));
    let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

#[expect(clippy::needless_pass_by_value, reason = "rows of a table read better")]
fn check(new: Value, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(texts(new.clone(), None), expected, "{new}");
}

#[test]
fn values_of_the_wrong_type_are_named_by_their_json_type() {
    check(
        json!({"req": 1}),
        &[r#"spec.req: Invalid value: "integer": spec.req in body must be of type string: "integer""#],
    );
    check(
        json!({"o": 1, "bo": 1}),
        &[r#"spec.bo: Invalid value: "integer": spec.bo in body must be of type boolean: "integer""#],
    );
    check(json!({"l": {}}), &[r#"spec.l: Invalid value: "object": spec.l in body must be of type array: "object""#]);
    check(
        json!({"mp": "x"}),
        &[r#"spec.mp: Invalid value: "string": spec.mp in body must be of type object: "string""#],
    );
    check(
        json!({"ios": true}),
        &[r#"spec.ios: Invalid value: "boolean": spec.ios in body must be of type integer,string: "boolean""#],
    );
    check(
        json!({"dt": 5}),
        &[r#"spec.dt: Invalid value: "int64": spec.dt in body must be of type date-time: "int64""#],
    );
    check(
        json!({"mp": {"a": 1}}),
        &[r#"spec.mp.a: Invalid value: "integer": spec.mp.a in body must be of type string: "integer""#],
    );
    check(json!({"ios": 1, "n": 2.0}), &[]);
    assert_eq!(
        validate(&probe(), &json!({"spec": 3}), None, &Path::root())[0].to_string(),
        r#"spec: Invalid value: "integer": spec in body must be of type object: "integer""#
    );
    assert_eq!(validate(&probe(), &json!({}), None, &Path::root())[0].to_string(), "spec: Required value");
}

#[test]
fn numbers_have_bounds_and_widths() {
    check(
        json!({"n": 3.5}),
        &[
            r#"<nil>: Invalid value: "": Checked value must be of type integer (default format) in spec.n"#,
            r#"spec.n: Invalid value: "number": spec.n in body must be of type integer: "number""#,
            "spec.n: Invalid value: 3.5: spec.n in body should be a multiple of 2",
        ],
    );
    check(json!({"n": 98}), &["spec.n: Invalid value: 98: spec.n in body should be less than or equal to 10"]);
    check(json!({"n": -2}), &["spec.n: Invalid value: -2: spec.n in body should be greater than or equal to 0"]);
    check(json!({"x": 5}), &["spec.x: Invalid value: 5: spec.x in body should be less than 5"]);
    check(json!({"x": 0}), &["spec.x: Invalid value: 0: spec.x in body should be greater than 0"]);
    check(
        json!({"i32": 3_000_000_000_i64}),
        &[r#"<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.i32"#],
    );
    check(
        json!({"i64": 1e30}),
        &[
            r#"<nil>: Invalid value: "": Checked value must be of type integer with format int64 in spec.i64"#,
            r#"spec.i64: Invalid value: "float64": spec.i64 in body must be of type int64: "float64""#,
        ],
    );
    check(
        json!({"fl": 1e300}),
        &[r#"<nil>: Invalid value: "": Checked value must be of type number with format float in spec.fl"#],
    );
}

#[test]
fn strings_have_lengths_patterns_formats_and_enums() {
    check(json!({"s": "A"}), &[r#"spec.s: Invalid value: "A": spec.s in body should be at least 2 chars long"#]);
    check(json!({"s": "AB"}), &[r#"spec.s: Invalid value: "AB": spec.s in body should match '^[a-z]+$'"#]);
    check(json!({"s": "abcdefg"}), &["spec.s: Too long: may not be more than 5 bytes"]);
    check(json!({"e": "x"}), &[r#"spec.e: Unsupported value: "x": supported values: "gold", "silver""#]);
    check(json!({"ne": null}), &[r#"spec.ne: Unsupported value: null: supported values: "a""#]);
    check(json!({"en": 3}), &[r#"spec.en: Unsupported value: 3: supported values: "1", "2""#]);
    check(json!({"dt": "x"}), &[r#"spec.dt: Invalid value: "x": spec.dt in body must be of type date-time: "x""#]);
}

#[test]
fn branches_are_reported_beside_their_summary() {
    check(
        json!({"any": 4}),
        &[
            r#"<nil>: Invalid value: "": "spec.any" must validate at least one schema (anyOf)"#,
            "spec.any: Invalid value: 4: spec.any in body should be greater than or equal to 5",
        ],
    );
    check(
        json!({"one": 4}),
        &[
            r#"<nil>: Invalid value: "": "spec.one" must validate one and only one schema (oneOf). Found none valid"#,
            "spec.one: Invalid value: 4: spec.one in body should be greater than or equal to 5",
        ],
    );
    check(
        json!({"one": 6}),
        &[
            r#"<nil>: Invalid value: "": "spec.one" must validate one and only one schema (oneOf). Found 2 valid alternatives"#,
        ],
    );
    check(
        json!({"all": 4}),
        &[
            r#"<nil>: Invalid value: "": "spec.all" must validate all the schemas (allOf). None validated"#,
            "spec.all: Invalid value: 4: spec.all in body should be a multiple of 3",
            "spec.all: Invalid value: 4: spec.all in body should be greater than or equal to 5",
        ],
    );
    check(json!({"not": 6}), &[r#"<nil>: Invalid value: "": "spec.not" must not validate the schema (not)"#]);
}

#[test]
fn lists_and_maps_have_sizes_and_hold_nothing_twice() {
    check(json!({"l": ["a"]}), &["spec.l: Invalid value: 1: spec.l in body should have at least 2 items"]);
    check(
        json!({"l": ["a", "b", "c", null]}),
        &[
            "spec.l: Too many: 4: must have at most 3 items",
            r#"spec.l[3]: Invalid value: "null": spec.l[3] in body must be of type string: "null""#,
        ],
    );
    check(json!({"mp": {}}), &["spec.mp: Invalid value: 0: spec.mp in body should have at least 1 properties"]);
    check(json!({"mp": {"a": "1", "b": "2", "c": "3"}}), &["spec.mp: Too many: 3: must have at most 2 items"]);
    check(json!({"set": ["a", "a", "a"]}), &[r#"spec.set[1]: Duplicate value: "a""#]);
    check(
        json!({"map": [{"a": "x"}, {"a": "x", "b": 1}, {"a": "y", "c": 5}, {}]}),
        &[
            r#"spec.map[1]: Duplicate value: {"a":"x","b":1}"#,
            "spec.map[2].c: Invalid value: 5: spec.map[2].c in body should be less than or equal to 3",
            "spec.map[3].a: Required value",
        ],
    );
}

#[test]
fn embedded_resources_are_objects_too() {
    let found = texts(json!({"tpl": {"metadata": {"labels": {"a": "b c"}}}}), None);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], "spec.tpl.apiVersion: Required value");
    assert_eq!(found[1], "spec.tpl.kind: Required value");
    assert!(found[2].starts_with(r#"spec.tpl.metadata.labels: Invalid value: "b c": a valid label"#));
    check(
        json!({"tpl": {"apiVersion": "a/b/c", "kind": "X"}}),
        &[r#"spec.tpl.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c"#],
    );
}

#[test]
fn what_was_already_wrong_may_stay() {
    let check = |new: Value, old: Value, expected: usize| {
        let found = texts(new, Some(old));
        assert_eq!(found.len(), expected, "{found:?}");
    };
    check(json!({"n": 99, "e": "gold"}), json!({"n": 99}), 0);
    check(json!({"n": 98}), json!({"n": 99}), 1);
    check(json!({"map": [{"a": "y"}, {"a": "x", "c": 9}]}), json!({"map": [{"a": "x", "c": 9}]}), 0);
    check(json!({"l": ["a"], "e": "x"}), json!({"l": ["a"]}), 1);
    check(json!({"set": ["a", "a"]}), json!({"set": ["b", "b"]}), 0);
    check(json!({"set": ["a", "a"]}), json!({"set": ["b"]}), 1);
}

#[test]
fn a_value_that_hides_cel_rules_says_so() {
    let document = json!({"type": "object", "properties": {"a": {"type": "string"}},
        "x-kubernetes-validations": [{"rule": "self.a != ''"}]});
    let schema = Schema::parse(&document).expect("structural");
    let errors = validate(&schema, &json!({"a": 1}), None, &Path::root());
    assert_eq!(errors.len(), 2);
    assert!(errors[1].to_string().starts_with("<nil>: Invalid value: null: some validation rules were not checked"));
}

/// Specs, what kube-apiserver 1.36 said of them, and what it made of the good ones.
#[test]
fn answers_of_the_reference_are_ours() {
    let all: Value = serde_json::from_str(include_str!("answers.json")).expect("JSON of this crate");
    let schema = Schema::parse(&all["schema"]).expect("structural");
    let cases = all["answers"].as_array().expect("a list");
    assert!(cases.len() > 100);
    for case in cases {
        let mut value = json!({"apiVersion": "a", "kind": "b", "metadata": {"name": "a"}, "spec": case[0]});
        crate::normalize_numbers(&mut value);
        let _unknown = crate::prune(&schema, &mut value);
        crate::drop_nulls(&schema, &mut value);
        crate::apply_defaults(&schema, &mut value);
        let mut errors = validate(&schema, &value, None, &Path::root());
        errors.extend(validate_lists(&schema, &value, None, &Path::root()));
        let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.sort();
        assert_eq!(json!(texts), case[1], "{}", case[0]);
        if texts.is_empty() {
            assert_eq!(value["spec"], case[2], "{}", case[0]);
        }
    }
}
