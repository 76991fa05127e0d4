use super::*;
use otternauts_meta::Status;
use serde_json::json;

fn apply(doc: &Value, patch: &Value) -> Result<Value, PatchError> {
    json_patch(doc.clone(), patch.clone())
}

#[test]
fn operations_do_what_the_rfc_shows() {
    let cases = [
        (json!({"a":1}), json!([{"op":"add","path":"/b","value":2}]), json!({"a":1,"b":2})),
        (json!({"a":[1,3]}), json!([{"op":"add","path":"/a/1","value":2}]), json!({"a":[1,2,3]})),
        (json!({"a":[1]}), json!([{"op":"add","path":"/a/-","value":[2]}]), json!({"a":[1,[2]]})),
        (json!({"a":1,"b":2}), json!([{"op":"remove","path":"/a"}]), json!({"b":2})),
        (json!({"a":[1,2]}), json!([{"op":"remove","path":"/a/0"}]), json!({"a":[2]})),
        (json!({"a":1}), json!([{"op":"replace","path":"/a","value":null}]), json!({"a":null})),
        (json!({"a":{"x":1}}), json!([{"op":"move","from":"/a/x","path":"/b"}]), json!({"a":{},"b":1})),
        (json!({"a":[1,2,3]}), json!([{"op":"move","from":"/a/0","path":"/a/2"}]), json!({"a":[2,3,1]})),
        (json!({"a":{"x":1}}), json!([{"op":"copy","from":"/a","path":"/b"}]), json!({"a":{"x":1},"b":{"x":1}})),
        (json!({"a":1}), json!([{"op":"test","path":"/a","value":1.0}]), json!({"a":1})),
        (
            json!({"a/b":1,"m~n":2}),
            json!([{"op":"test","path":"/a~1b","value":1},{"op":"remove","path":"/m~0n"}]),
            json!({"a/b":1}),
        ),
        (json!({"a":1}), json!([{"op":"replace","path":"","value":{"b":2}}]), json!({"b":2})),
        (json!({}), json!([{"op":"test","path":"/a","value":null}]), json!({})),
        // Kubernetes reads indices as Go does: from the end when negative, with a sign or leading zeros when somebody writes them.
        (json!({"a":[1,2,3]}), json!([{"op":"remove","path":"/a/-1"}]), json!({"a":[1,2]})),
        (json!({"a":[1,2]}), json!([{"op":"add","path":"/a/-1","value":3}]), json!({"a":[1,2,3]})),
        (json!({"a":[1,2,3]}), json!([{"op":"add","path":"/a/-4","value":0}]), json!({"a":[0,1,2,3]})),
        (json!({"a":[1,2]}), json!([{"op":"replace","path":"/a/-1","value":3}]), json!({"a":[1,3]})),
        (json!({"a":[{"b":1}]}), json!([{"op":"test","path":"/a/-1/b","value":1}]), json!({"a":[{"b":1}]})),
        (json!({"a":[1,2]}), json!([{"op":"copy","from":"/a/-1","path":"/a/-"}]), json!({"a":[1,2,2]})),
        (json!({"a":[1,2]}), json!([{"op":"move","from":"/a/-1","path":"/a/0"}]), json!({"a":[2,1]})),
        (json!({"a":[1,2]}), json!([{"op":"remove","path":"/a/01"},{"op":"remove","path":"/a/+0"}]), json!({"a":[]})),
    ];
    for (doc, patch, expected) in cases {
        assert_eq!(apply(&doc, &patch).expect("applies"), expected, "{doc} with {patch}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_general_text() {
    let doc = json!({"a":[1], "s":"x"});
    for patch in [
        json!([{"op":"test","path":"/a","value":2}]),
        json!([{"op":"remove","path":"/nope"}]),
        json!([{"op":"replace","path":"/nope","value":1}]),
        json!([{"op":"add","path":"/nope/x","value":1}]),
        json!([{"op":"add","path":"/a/7","value":1}]),
        json!([{"op":"add","path":"/a/-3","value":1}]),
        json!([{"op":"remove","path":"/a/-2"}]),
        json!([{"op":"remove","path":"/a/1"}]),
        json!([{"op":"remove","path":"/a/-9223372036854775809"}]),
        json!([{"op":"remove","path":"/a/"}]),
        json!([{"op":"test","path":"/a/99","value":null}]),
        json!([{"op":"test","path":"/nope/x","value":null}]),
        json!([{"op":"add","path":"/s/x","value":1}]),
        json!([{"op":"add","path":"x","value":1}]),
        json!([{"op":"add","path":"/x"}]),
        json!([{"op":"frob","path":"/x","value":1}]),
        json!([{"op":"copy","from":"/nope","path":"/x"}]),
        json!([{"op":"move","from":"/a","path":"/a/0"}]),
        json!([{"path":"/x","value":1}]),
    ] {
        let status = Status::from(apply(&doc, &patch).expect_err("refused"));
        assert_eq!(
            String::from_utf8(status.to_json()).expect("text"),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server rejected our request due to an error in our request","reason":"Invalid","details":{},"code":422}"#,
            "{patch}"
        );
    }
}

#[test]
fn a_patch_that_is_no_list_is_malformed() {
    for patch in [json!({"op":"add"}), json!([1]), json!("x")] {
        assert_eq!(Status::from(apply(&json!({}), &patch).expect_err("malformed")).code, 400, "{patch}");
    }
    assert_eq!(Status::from(crate::decode(b"{bad").expect_err("malformed")).code, 400);
}

#[test]
fn more_than_ten_thousand_operations_are_too_many() {
    let op = json!({"op":"test","path":"/a","value":null});
    let status = Status::from(apply(&json!({}), &json!(vec![op; 10_001])).expect_err("too many"));
    assert_eq!(status.code, 413);
    assert_eq!(
        status.message,
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
}

#[test]
fn copies_that_double_stop_at_the_budget_and_at_the_depth() {
    let doc = json!({"a":"x".repeat(1000), "l":[]});
    let doubling: Vec<Value> = (0..40).map(|_| json!({"op":"copy","from":"/l","path":"/l/-"})).collect();
    assert!(apply(&doc, &json!(doubling)).is_err(), "H4: lists that hold themselves");
    let wide: Vec<Value> = (0..4000).map(|_| json!({"op":"copy","from":"/a","path":"/l/-"})).collect();
    assert!(apply(&doc, &json!(wide)).is_err(), "H4: 4 MB of copies");
    let nest: Vec<Value> = (0..200).map(|_| json!({"op":"move","from":"/l","path":"/k"})).collect();
    assert!(apply(&doc, &json!(nest)).is_err());
}

#[test]
fn ten_thousand_operations_on_a_huge_list_end_soon() {
    let doc = json!({"l": vec![1; 300_000]});
    let front: Vec<Value> = (0..10_000).map(|_| json!({"op":"remove","path":"/l/0"})).collect();
    assert!(apply(&doc, &json!(front)).is_err(), "H4: each removal shifts the rest");
    let back: Vec<Value> = (0..10_000).map(|_| json!({"op":"add","path":"/l/-","value":1})).collect();
    assert!(apply(&doc, &json!(back)).is_ok());
}
