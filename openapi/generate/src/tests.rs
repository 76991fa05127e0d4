use super::*;
use serde_json::json;
use std::path::PathBuf;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_committed_file_is_what_would_be_generated() {
    let stale: Vec<String> = files(&root())
        .expect("the kinds are valid")
        .into_iter()
        .filter(|(path, text)| std::fs::read_to_string(root().join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    assert!(stale.is_empty(), "run `make generate` and commit what it changes: {stale:?}");
}

#[test]
fn generating_twice_gives_the_same_bytes() {
    assert_eq!(files(&root()).expect("valid"), files(&root()).expect("valid"));
}

#[test]
fn nothing_that_was_published_is_gone_or_newly_required() {
    let published = std::fs::read_to_string(root().join(PUBLISHED)).expect("it is committed");
    let breaks = published::breaks(&published, &published::lines(&profile().expect("valid")));
    assert!(breaks.is_empty(), "clients that exist would break:\n{}", breaks.join("\n"));
}

#[test]
fn a_removed_field_another_type_a_lost_value_and_a_new_duty_are_breaks_and_additions_are_not() {
    let profile = |properties: Value, required: Value| json!({"components": {"schemas": {"A": {"properties": properties, "required": required}}}, "paths": {}});
    let before = profile(json!({"a": {"type": "string", "enum": ["x", "y"]}, "b": {"type": "integer"}}), json!([]));
    let published = published::grown("", &published::lines(&before));
    let check = |properties: Value, required: Value, expected: &[&str]| {
        let now = published::lines(&profile(properties, required));
        assert_eq!(published::breaks(&published, &now), expected);
    };
    let enum_xy = json!({"type": "string", "enum": ["x", "y"]});
    check(json!({"a": enum_xy, "b": {"type": "integer"}, "c": {"type": "string"}}), json!([]), &[]);
    check(json!({"a": enum_xy}), json!([]), &["gone or changed: field A.b integer"]);
    check(json!({"a": enum_xy, "b": {"type": "string"}}), json!([]), &["gone or changed: field A.b integer"]);
    let fewer = json!({"type": "string", "enum": ["x"]});
    check(json!({"a": fewer, "b": {"type": "integer"}}), json!([]), &["gone or changed: enum A.a y"]);
    let now = json!({"a": enum_xy, "b": {"type": "integer"}});
    check(now.clone(), json!(["b"]), &["newly required A.b"]);
    let grown = published::grown(&published, &published::lines(&profile(now, json!(["b"]))));
    assert_eq!(grown, published, "generating does not hide it");
}

#[test]
fn the_profile_has_nothing_that_generators_choke_on() {
    fn walk(value: &Value, path: &str) {
        if let Value::Object(map) = value {
            if !path.ends_with("/properties") {
                for word in ["allOf", "oneOf", "anyOf", "nullable", "default", "uniqueItems"] {
                    let of_responses = word == "default" && path.ends_with("/responses");
                    assert!(of_responses || !map.contains_key(word), "{path}/{word}");
                }
                if map.get("type") == Some(&json!("object")) {
                    assert!(map.contains_key("additionalProperties"), "{path} drops what it does not know");
                }
            }
            map.iter().for_each(|(key, v)| walk(v, &format!("{path}/{key}")));
        } else if let Value::Array(list) = value {
            list.iter().for_each(|v| walk(v, path));
        }
    }
    let profile = profile().expect("valid");
    walk(&profile, "");
    let mut ids = Vec::new();
    for item in profile["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("an item").values().filter(|o| o["operationId"].is_string()) {
            ids.push(operation["operationId"].to_string());
            assert_eq!(
                operation["responses"]["default"]["content"]["application/json"]["schema"]["$ref"],
                "#/components/schemas/Status"
            );
        }
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "operation ids are unique");
    assert!(ids.contains(&"\"patchStack\"".to_owned()) && ids.contains(&"\"listAllStacks\"".to_owned()));
}

#[test]
fn every_reference_of_the_profile_leads_somewhere() {
    let profile = profile().expect("valid");
    let text = profile.to_string();
    for part in text.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().expect("a name");
        assert!(profile["components"]["schemas"][name].is_object(), "{name}");
    }
}
