//! The generic part of `metadata`: read as typed, owned by the server where it is the server's (rows C1, C2, C12, C17, N17).

use crate::request::Caller;
use otternauts_meta::{Object, Timestamp};
use serde_json::{Map, Value};

/// Takes out nulls and empty values, as the typed form of metadata has none (row N17). `[{}]` of row A17 stays.
pub(crate) fn tidy(object: &mut Object) {
    let metadata = object.metadata_mut();
    metadata.retain(|key, value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty() || key == "managedFields",
        Value::Object(map) => !map.is_empty(),
        _ => true,
    });
    for key in ["labels", "annotations"] {
        if let Some(Value::Object(map)) = metadata.get_mut(key) {
            map.values_mut().filter(|v| v.is_null()).for_each(|v| *v = Value::String(String::new()));
        }
    }
    for owner in metadata.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::Object(owner) = owner {
            owner.retain(|_, value| !value.is_null());
        }
    }
}

/// Row C17: the same owner twice is one owner, with a warning.
pub(crate) fn dedupe_owners(object: &mut Object, caller: &Caller) {
    let Some(Value::Array(list)) = object.metadata_mut().get_mut("ownerReferences") else { return };
    let mut seen: Vec<Value> = Vec::new();
    let mut twice: Vec<String> = Vec::new();
    list.retain(|owner| {
        let same = seen.contains(owner);
        if same {
            let uid = owner.get("uid").and_then(Value::as_str).unwrap_or_default().to_owned();
            if !twice.contains(&uid) {
                twice.push(uid);
            }
        } else {
            seen.push(owner.clone());
        }
        !same
    });
    if !twice.is_empty() {
        caller.warn(format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject \
             such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            twice.join(", ")
        ));
    }
}

/// What the server says of a new object, whatever the client said (rows C1, C2).
pub(crate) fn begin(object: &mut Object, uid: &str, now: Timestamp, has_generation: bool) {
    let metadata = object.metadata_mut();
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"] {
        metadata.shift_remove(key);
    }
    metadata.insert("uid".into(), uid.into());
    metadata.insert("creationTimestamp".into(), now.to_string().into());
    if has_generation {
        metadata.insert("generation".into(), 1.into());
    }
}

/// What an update cannot change, because it may leave it out (row C12).
pub(crate) fn keep(object: &mut Object, old: &Object) {
    let empty = Map::new();
    let kept = old.metadata().unwrap_or(&empty);
    let metadata = object.metadata_mut();
    metadata.shift_remove("selfLink");
    for key in ["generation", "creationTimestamp"] {
        match kept.get(key) {
            Some(value) => drop(metadata.insert(key.into(), value.clone())),
            None => drop(metadata.shift_remove(key)),
        }
    }
    for key in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if let (None, Some(value)) = (metadata.get(key), kept.get(key)) {
            metadata.insert(key.into(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn empty_metadata_is_no_metadata_row_n17() {
        let mut object = Object::from_value(json!({"metadata": {
            "name": "a", "creationTimestamp": null, "labels": {}, "annotations": {"a": null}, "managedFields": [],
            "ownerReferences": [{"uid": "u", "controller": null}],
        }}))
        .expect("an object");
        tidy(&mut object);
        let expected =
            json!({"name": "a", "annotations": {"a": ""}, "managedFields": [], "ownerReferences": [{"uid": "u"}]});
        assert_eq!(object.0["metadata"], expected);
    }

    #[test]
    fn the_same_owner_twice_is_one_owner_row_c17() {
        let owner = json!({"uid": "u1", "name": "a"});
        let mut object =
            Object::from_value(json!({"metadata": {"ownerReferences": [owner, owner]}})).expect("an object");
        let caller = Caller::default();
        dedupe_owners(&mut object, &caller);
        assert_eq!(object.owner_references().len(), 1);
        assert!(caller.warnings.lock()[0].ends_with("duplicate UID(s) observed: u1"));
    }
}
