//! What `metadata` may say, whatever the kind (rows M1 to M8, C12).

use crate::field::{ErrorList, FieldError, Path};
use crate::gvk::{GroupVersion, GroupVersionKind};
use crate::names::{self, NameRule};
use crate::object::Object;
use serde_json::{Map, Value};

/// Most bytes that all keys and values of the annotations have together (row M5).
pub const ANNOTATIONS_MAX_BYTES: usize = 262_144;

const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Checks the metadata of a whole object (rows M1 to M8). `path` is `metadata` for an object itself.
/// A name must be there: fill a `generateName` in before.
pub fn validate_metadata(obj: &Object, namespaced: bool, rule: NameRule, path: &Path) -> ErrorList {
    let empty = Map::new();
    let meta = obj.metadata().unwrap_or(&empty);
    let mut errors = ErrorList::new();
    let prefix = obj.meta_str("generateName");
    if !prefix.is_empty() {
        complain(&mut errors, &path.child("generateName"), prefix, rule.check_prefix(prefix));
    }
    if obj.name().is_empty() {
        errors.push(FieldError::required(&path.child("name"), "name or generateName is required"));
    } else {
        complain(&mut errors, &path.child("name"), obj.name(), rule.check(obj.name()));
    }
    let ns = obj.namespace();
    match (namespaced, ns.is_empty()) {
        (true, true) => errors.push(FieldError::required(&path.child("namespace"), "")),
        (true, false) => complain(&mut errors, &path.child("namespace"), ns, names::dns1123_label(ns)),
        (false, false) => errors.push(FieldError::forbidden(&path.child("namespace"), "not allowed on this type")),
        (false, true) => {}
    }
    if obj.generation() < 0 {
        let text = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(&path.child("generation"), obj.generation(), text));
    }
    errors.extend(validate_maps(meta, path));
    errors.extend(owner_references(meta, &path.child("ownerReferences")));
    errors.extend(finalizers(meta, &path.child("finalizers")));
    errors
}

/// Checks labels and annotations alone (rows M4, M5): also for the metadata of embedded objects.
pub fn validate_maps(meta: &Map<String, Value>, path: &Path) -> ErrorList {
    let mut errors = labels(meta, &path.child("labels"));
    errors.extend(annotations(meta, &path.child("annotations")));
    errors
}

fn complain(errors: &mut ErrorList, path: &Path, value: &str, complaints: Vec<String>) {
    errors.extend(complaints.into_iter().map(|text| FieldError::invalid(path, value, text)));
}

fn strings<'a>(meta: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = (&'a String, &'a str)> {
    meta.get(key).and_then(Value::as_object).into_iter().flatten().filter_map(|(k, v)| Some((k, v.as_str()?)))
}

fn labels(meta: &Map<String, Value>, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    for (key, value) in strings(meta, "labels") {
        complain(&mut errors, path, key, names::qualified_name(key));
        complain(&mut errors, path, value, names::label_value(value));
    }
    errors
}

fn annotations(meta: &Map<String, Value>, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    let mut total = 0;
    for (key, value) in strings(meta, "annotations") {
        complain(&mut errors, path, key, names::qualified_name(&key.to_lowercase()));
        total += key.len() + value.len();
    }
    if total > ANNOTATIONS_MAX_BYTES {
        errors.push(FieldError::too_long(path, ANNOTATIONS_MAX_BYTES));
    }
    errors
}

fn owner_references(meta: &Map<String, Value>, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    let Some(list) = meta.get("ownerReferences").and_then(Value::as_array) else {
        return errors;
    };
    let mut controller: Option<String> = None;
    for owner in list {
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        let gv = GroupVersion::parse(text("apiVersion"));
        if gv.is_none() {
            errors.push(FieldError::invalid(
                &path.child("apiVersion"),
                text("apiVersion"),
                "version must not be empty",
            ));
        }
        for key in ["kind", "name", "uid"] {
            if text(key).is_empty() {
                errors.push(FieldError::invalid(&path.child(key), text(key), "must not be empty"));
            }
        }
        if let Some(gv) = gv
            && gv == (GroupVersion { group: String::new(), version: "v1".to_owned() })
            && text("kind") == "Event"
        {
            let gvk =
                GroupVersionKind { group: gv.group, version: format!("/{}", gv.version), kind: "Event".to_owned() };
            errors.push(FieldError::invalid(path, owner.clone(), format!("{gvk} is disallowed from being an owner")));
        }
        if owner.get("controller").and_then(Value::as_bool) == Some(true) {
            let this = format!("{}/{}", text("kind"), text("name"));
            if let Some(first) = &controller {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                );
                errors.push(FieldError::invalid(path, Value::Array(list.clone()), why));
            } else {
                controller = Some(this);
            }
        }
    }
    errors
}

fn finalizers(meta: &Map<String, Value>, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    let Some(list) = meta.get("finalizers").and_then(Value::as_array) else {
        return errors;
    };
    let has = |name: &str| list.iter().any(|f| f.as_str() == Some(name));
    for name in list.iter().filter_map(Value::as_str) {
        complain(&mut errors, path, name, names::qualified_name(name));
    }
    if has("orphan") && has("foregroundDeletion") {
        let text = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(path, Value::Array(list.clone()), text));
    }
    errors
}

fn is_bare(finalizer: &str) -> bool {
    !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer)
}

/// Finalizers of a built-in kind need a domain (row M6).
pub fn validate_builtin_finalizers(obj: &Object, path: &Path) -> ErrorList {
    let path = path.child("finalizers");
    let text = "name is neither a standard finalizer name nor is it fully qualified";
    let list = obj.finalizers().into_iter().enumerate();
    list.filter(|(_, f)| is_bare(f)).map(|(i, f)| FieldError::invalid(&path.index(i), f, text)).collect()
}

/// The warnings of a custom object for finalizers it did not have before and that name no domain (row M6).
pub fn finalizer_warnings(new: &Object, old: Option<&Object>) -> Vec<String> {
    let had = old.map(Object::finalizers).unwrap_or_default();
    let added = new.finalizers().into_iter().filter(|f| is_bare(f) && !had.contains(f));
    added
        .map(|f| {
            format!(
                "metadata.finalizers: {}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other \
                 finalizer writers",
                crate::field::quoted(f)
            )
        })
        .collect()
}

/// What an update may not do to metadata (rows C12, M7, M10). Server-owned fields must be restored from `old` before;
/// `resourceVersion` is not looked at.
pub fn validate_metadata_update(new: &Object, old: &Object) -> ErrorList {
    let path = Path::new("metadata");
    let mut errors = ErrorList::new();
    if old.is_terminating() {
        let had = old.finalizers();
        let added: Vec<&str> = new.finalizers().into_iter().filter(|f| !had.contains(f)).collect();
        if !added.is_empty() {
            let list: Vec<String> = added.iter().map(|f| crate::field::quoted(f)).collect();
            let text = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                list.join(", ")
            );
            errors.push(FieldError::forbidden(&path.child("finalizers"), text));
        }
    }
    if new.generation() < old.generation() {
        errors.push(FieldError::invalid(&path.child("generation"), new.generation(), "must not be decremented"));
    }
    let field = |obj: &Object, key: &str| obj.metadata().and_then(|m| m.get(key)).cloned().unwrap_or(Value::Null);
    let empty = |v: &Value| v.is_null() || v.as_str() == Some("");
    for key in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (new, old) = (field(new, key), field(old, key));
        if new != old && !(empty(&new) && empty(&old)) {
            errors.push(FieldError::invalid(&path.child(key), new, "field is immutable"));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(metadata: Value) -> Object {
        let map = [("metadata".to_owned(), metadata)].into_iter().collect();
        Object(map)
    }

    fn check(metadata: Value, expected: &[&str]) {
        let errors = validate_metadata(&object(metadata), false, NameRule::Subdomain, &Path::new("metadata"));
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), expected.len(), "{texts:#?}");
        for (text, start) in texts.iter().zip(expected) {
            assert!(text.starts_with(start), "{text} should start with {start}");
        }
    }

    #[test]
    fn metadata_is_judged_as_kubernetes_judges_it() {
        check(json!({"name": "a"}), &[]);
        check(json!({}), &["metadata.name: Required value: name or generateName is required"]);
        check(json!({"name": "a", "namespace": "b"}), &["metadata.namespace: Forbidden: not allowed on this type"]);
        check(
            json!({"name": "a", "labels": {"a": "b c"}}),
            &[r#"metadata.labels: Invalid value: "b c": a valid label"#],
        );
        check(json!({"name": "a", "annotations": {"A/b": "any thing"}}), &[]);
        check(
            json!({"name": "a", "annotations": {"b": "x".repeat(ANNOTATIONS_MAX_BYTES)}}),
            &["metadata.annotations: Too long: may not be more than 262144 bytes"],
        );
        check(
            json!({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "x", "uid": "u"}]}),
            &[
                r#"metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"x","uid":"u"}: /v1, Kind=Event is disallowed from being an owner"#,
            ],
        );
        check(
            json!({"name": "a", "ownerReferences": [{"kind": "A"}]}),
            &[
                r#"metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty"#,
                r#"metadata.ownerReferences.name: Invalid value: "": must not be empty"#,
                r#"metadata.ownerReferences.uid: Invalid value: "": must not be empty"#,
            ],
        );
        check(
            json!({"name": "a", "finalizers": ["orphan", "foregroundDeletion"]}),
            &[r#"metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and"#],
        );
    }

    #[test]
    fn one_controller_at_most() {
        let owner = |n: &str| json!({"apiVersion": "v1", "kind": "A", "name": n, "uid": n, "controller": true});
        let errors = validate_metadata(
            &object(json!({"name": "a", "ownerReferences": [owner("x"), owner("y")]})),
            false,
            NameRule::Subdomain,
            &Path::new("metadata"),
        );
        assert!(errors[0].detail.ends_with("references for A/x and A/y"), "{errors:?}");
    }

    #[test]
    fn updates_keep_what_the_server_owns_and_add_no_finalizer_while_terminating() {
        let old = object(json!({"name": "a", "uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"}));
        let mut new = old.clone();
        new.metadata_mut().insert("finalizers".into(), json!(["x.y/z"]));
        new.set_meta_str("uid", "v");
        let texts: Vec<String> = validate_metadata_update(&new, &old).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                r#"metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"x.y/z"}"#,
                r#"metadata.uid: Invalid value: "v": field is immutable"#
            ]
        );
        assert!(validate_metadata_update(&old, &old).is_empty());
    }

    #[test]
    fn bare_finalizers_warn_on_custom_kinds_and_fail_on_built_in_ones() {
        let obj = object(json!({"name": "a", "finalizers": ["abc", "orphan", "a.b/c"]}));
        assert_eq!(finalizer_warnings(&obj, None).len(), 1);
        assert!(finalizer_warnings(&obj, Some(&obj)).is_empty());
        let errors = validate_builtin_finalizers(&obj, &Path::new("metadata"));
        assert_eq!(
            errors[0].to_string(),
            r#"metadata.finalizers[0]: Invalid value: "abc": name is neither a standard finalizer name nor is it fully qualified"#
        );
    }
}
