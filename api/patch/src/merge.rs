//! JSON merge patch, RFC 7386 (row P2).

use crate::value::remove_members;
use serde_json::{Map, Value};

/// Null deletes a member, objects are merged, everything else replaces.
pub fn merge_patch(doc: Value, patch: Value) -> Value {
    let Value::Object(changes) = patch else {
        return patch;
    };
    let mut target = match doc {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let mut gone = Vec::new();
    for (key, change) in changes {
        if change.is_null() {
            gone.push(key);
        } else if let Some(slot) = target.get_mut(&key) {
            *slot = merge_patch(slot.take(), change);
        } else {
            target.insert(key, merge_patch(Value::Null, change));
        }
    }
    remove_members(&mut target, &gone);
    Value::Object(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patch_gives_the_results_of_the_rfc() {
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (doc, patch, expected) in cases {
            assert_eq!(merge_patch(doc.clone(), patch.clone()), expected, "{doc} with {patch}");
        }
    }
}
