use super::*;
use proptest::prelude::*;
use serde_json::json;

fn set(fields: &Value) -> FieldSet {
    FieldSet::decode(fields).expect("fields")
}

#[test]
fn fields_come_back_as_they_were_written() {
    for text in [
        r#"{"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"f:a":{}}}"#,
        r#"{"f:spec":{"f:ports":{"k:{\"port\":80,\"proto\":\"TCP\"}":{".":{},"f:port":{}}},"f:set":{"v:\"x\"":{},"v:3":{}}}}"#,
        r#"{"f:l":{"i:0":{},"i:1":{"f:x":{}}}}"#,
        "{}",
    ] {
        let value: Value = serde_json::from_str(text).expect("json");
        assert_eq!(set(&value).encode().to_string(), text);
    }
}

#[test]
fn elements_are_made_canonical_and_unknown_kinds_left_out() {
    let sent = json!({"f:p": {"k:{\"proto\": \"TCP\", \"port\":80.0}": {}}, "z:later": {}});
    assert_eq!(set(&sent).encode(), json!({"f:p": {"k:{\"port\":80,\"proto\":\"TCP\"}": {}}}));
    for bad in
        [json!({"x": {}}), json!({"k:[]": {}}), json!({"i:x": {}}), json!({"v:{": {}}), json!({"f:a": 1}), json!([])]
    {
        assert!(FieldSet::decode(&bad).is_err(), "{bad}");
    }
}

#[test]
fn paths_read_as_messages_show_them() {
    let fields = json!({"f:spec": {".": {}, "f:z": {}, "f:a": {"f:b": {}}, "f:p": {
        "k:{\"port\":443,\"proto\":\"TCP\"}": {"f:w": {}}, "k:{\"port\":80,\"proto\":\"TCP\"}": {".": {}, "f:w": {}}},
        "f:s": {"v:\"x\"": {}}, "f:i": {"i:2": {}}}});
    let expected = [
        ".spec",
        ".spec.z",
        ".spec.a.b",
        ".spec.i[2]",
        ".spec.p[port=80,proto=\"TCP\"]",
        ".spec.p[port=80,proto=\"TCP\"].w",
        ".spec.p[port=443,proto=\"TCP\"].w",
        ".spec.s[=\"x\"]",
    ];
    assert_eq!(set(&fields).paths(), expected);
}

#[test]
fn leaves_are_fields_without_any_below() {
    let fields = set(&json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}}));
    assert_eq!(fields.leaves().encode(), json!({"f:a": {"f:b": {}}, "f:c": {}}));
    assert_eq!((fields.len(), fields.leaves().len()), (3, 2));
    assert!(fields.contains(&["f:a"]) && fields.contains(&["f:a", "f:b"]) && !fields.contains(&["f:b"]));
}

fn any_set() -> impl Strategy<Value = FieldSet> {
    let element = prop::sample::select(vec!["f:a", "f:b", "k:{\"n\":1}", "v:\"x\"", "i:0"]);
    prop::collection::vec(prop::collection::vec(element, 1..4), 0..12).prop_map(|paths| {
        let mut set = FieldSet::default();
        for path in paths {
            set.insert(&path);
        }
        set
    })
}

fn union(a: &FieldSet, b: &FieldSet) -> FieldSet {
    let mut both = a.clone();
    both.union(b.clone());
    both
}

fn difference(a: &FieldSet, b: &FieldSet) -> FieldSet {
    let mut left = a.clone();
    left.difference(b);
    left
}

proptest! {
    #[test]
    fn sets_keep_the_laws_of_sets(a in any_set(), b in any_set(), c in any_set()) {
        prop_assert_eq!(union(&a, &b), union(&b, &a));
        prop_assert_eq!(union(&union(&a, &b), &c), union(&a, &union(&b, &c)));
        prop_assert_eq!(union(&a, &a), a.clone());
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert!(difference(&a, &a).is_empty());
        prop_assert_eq!(difference(&a, &b), difference(&a, &a.intersection(&b)));
        prop_assert_eq!(difference(&a, &union(&b, &c)), difference(&difference(&a, &b), &c));
        prop_assert_eq!(union(&difference(&a, &b), &a.intersection(&b)), a.clone());
        prop_assert_eq!(union(&a, &b).len() + a.intersection(&b).len(), a.len() + b.len());
        prop_assert_eq!(FieldSet::decode(&a.encode()), Ok(a.clone()));
        prop_assert!(a.paths().len() == a.len());
    }
}
