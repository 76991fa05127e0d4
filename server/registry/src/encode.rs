//! Objects to the exact bytes that are stored and served (design section 5, row C1).
//!
//! Custom kinds have all their keys sorted; built-in kinds keep the declared order, `{"kind":…,"apiVersion":…,"metadata":{…` first,
//! maps sorted. The place of `metadata.resourceVersion` is known because the metadata is written by hand around it: no search over
//! what users wrote.

use crate::json;
use bytes::Bytes;
use otternauts_meta::Object;
use otternauts_schema::{Definition, Schema};
use otternauts_store::{Body, Revision};
use serde_json::{Map, Value};

/// How Kubernetes declares ObjectMeta, ManagedFieldsEntry and OwnerReference.
const METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];
const MANAGED_FIELDS: [&str; 7] =
    ["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"];
const OWNER_REFERENCE: [&str; 6] = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];

/// The bytes for the store, which puts the revision's digits between head and tail.
pub(crate) fn body(definition: &Definition, object: &Object) -> Body {
    let mut out = Vec::with_capacity(1024);
    let split = Encoder::new(definition, object).object(&mut out, object, Some(""));
    let all = Bytes::from(out);
    // The place is always found: it is written whenever a version, even an empty one, is given.
    let split = split.unwrap_or(all.len());
    let leaving = object.is_terminating();
    Body { head: all.slice(..split), tail: all.slice(split..), schema: definition.hash, leaving }
}

/// The bytes for a client, with this version; `None` leaves `resourceVersion` out (dry run of a create, row F1).
pub(crate) fn bytes(definition: &Definition, object: &Object, version: Option<&str>) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    Encoder::new(definition, object).object(&mut out, object, version);
    Bytes::from(out)
}

/// [`bytes`] with a stored revision.
pub(crate) fn at(definition: &Definition, object: &Object, revision: Revision) -> Bytes {
    bytes(definition, object, Some(&revision.to_string()))
}

/// How many leading bytes of a built-in kind's objects are `{"kind":…,"apiVersion":…,`; 0 for custom kinds.
pub(crate) fn cut(definition: &Definition, version: &str) -> usize {
    if !definition.is_builtin() {
        return 0;
    }
    let gvk = definition.gvk(version);
    format!(r#"{{"kind":"{}","apiVersion":"{}","#, gvk.kind, gvk.api_version()).len()
}

/// A nested value with sorted keys: for error texts and comparisons.
pub(crate) fn sorted(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_sorted(&mut out, value);
    out
}

struct Encoder<'a> {
    /// `None`: sort everything.
    schema: Option<&'a Schema>,
}

impl<'a> Encoder<'a> {
    fn new(definition: &'a Definition, object: &Object) -> Self {
        let version = object.api_version().rsplit('/').next().unwrap_or_default();
        let schema = definition.version(version).unwrap_or_else(|| definition.storage_version());
        Self { schema: definition.is_builtin().then_some(&*schema.schema) }
    }

    /// Returns where the digits of the version begin, when one is written.
    fn object(&self, out: &mut Vec<u8>, object: &Object, version: Option<&str>) -> Option<usize> {
        let mut split = None;
        let empty = Map::new();
        let metadata = object.metadata().unwrap_or(&empty);
        let mut keys: Vec<&str> = object.0.keys().map(String::as_str).filter(|k| *k != "metadata").collect();
        match self.schema {
            None => {
                keys.push("metadata");
                keys.sort_unstable();
            }
            Some(schema) => {
                keys.retain(|k| *k != "kind" && *k != "apiVersion");
                keys = declared_first(&keys, schema.properties.iter().map(|(name, _)| name.as_str()));
                keys.splice(0..0, ["kind", "apiVersion", "metadata"]);
            }
        }
        out.push(b'{');
        let mut first = true;
        for key in keys {
            if key == "metadata" {
                comma(out, &mut first);
                out.extend_from_slice(b"\"metadata\":");
                split = self.metadata(out, metadata, version);
            } else if let Some(value) = object.0.get(key) {
                comma(out, &mut first);
                json::write(out, key);
                out.push(b':');
                match self.schema {
                    None => write_sorted(out, value),
                    Some(schema) => write_declared(out, value, schema.property(key)),
                }
            }
        }
        out.push(b'}');
        split
    }

    fn metadata(&self, out: &mut Vec<u8>, metadata: &Map<String, Value>, version: Option<&str>) -> Option<usize> {
        let mut keys: Vec<&str> = metadata.keys().map(String::as_str).filter(|k| *k != "resourceVersion").collect();
        if version.is_some() {
            keys.push("resourceVersion");
        }
        if self.schema.is_some() {
            keys = declared_first(&keys, METADATA.into_iter());
        } else {
            keys.sort_unstable();
        }
        let mut split = None;
        let mut first = true;
        out.push(b'{');
        for key in keys {
            comma(out, &mut first);
            json::write(out, key);
            out.push(b':');
            match (key, version) {
                ("resourceVersion", Some(version)) => {
                    out.push(b'"');
                    split = Some(out.len());
                    out.extend_from_slice(version.as_bytes());
                    out.push(b'"');
                }
                ("managedFields", _) if self.schema.is_some() => list_of(out, &metadata[key], &MANAGED_FIELDS),
                ("ownerReferences", _) if self.schema.is_some() => list_of(out, &metadata[key], &OWNER_REFERENCE),
                _ => write_sorted(out, &metadata[key]),
            }
        }
        out.push(b'}');
        split
    }
}

fn comma(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

/// The keys in the declared order, then the others sorted.
fn declared_first<'k, 'd>(keys: &[&'k str], declared: impl Iterator<Item = &'d str>) -> Vec<&'k str> {
    let mut ordered: Vec<&str> = Vec::with_capacity(keys.len());
    for name in declared {
        if let Some(key) = keys.iter().find(|key| **key == name) {
            ordered.push(key);
        }
    }
    let mut rest: Vec<&str> = keys.iter().copied().filter(|key| !ordered.contains(key)).collect();
    rest.sort_unstable();
    ordered.extend(rest);
    ordered
}

fn list_of(out: &mut Vec<u8>, list: &Value, declared: &[&str]) {
    let Some(items) = list.as_array() else {
        return write_sorted(out, list);
    };
    out.push(b'[');
    let mut first = true;
    for item in items {
        comma(out, &mut first);
        match item.as_object() {
            Some(map) => {
                let keys: Vec<&str> = map.keys().map(String::as_str).collect();
                write_map(out, map, declared_first(&keys, declared.iter().copied()), |out, _, value| {
                    write_sorted(out, value);
                });
            }
            None => write_sorted(out, item),
        }
    }
    out.push(b']');
}

fn write_map<'k>(
    out: &mut Vec<u8>,
    map: &Map<String, Value>,
    keys: impl IntoIterator<Item = &'k str>,
    write_value: impl Fn(&mut Vec<u8>, &str, &Value),
) {
    out.push(b'{');
    let mut first = true;
    for key in keys {
        comma(out, &mut first);
        json::write(out, key);
        out.push(b':');
        write_value(out, key, &map[key]);
    }
    out.push(b'}');
}

fn write_sorted(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&str> = map.keys().map(String::as_str).collect();
            keys.sort_unstable();
            write_map(out, map, keys, |out, _, value| write_sorted(out, value));
        }
        Value::Array(list) => write_list(out, list, write_sorted),
        scalar => json::write(out, scalar),
    }
}

fn write_declared(out: &mut Vec<u8>, value: &Value, schema: Option<&Schema>) {
    let Some(schema) = schema else {
        return write_sorted(out, value);
    };
    match value {
        Value::Object(map) => {
            let keys: Vec<&str> = map.keys().map(String::as_str).collect();
            let keys = declared_first(&keys, schema.properties.iter().map(|(name, _)| name.as_str()));
            write_map(out, map, keys, |out, key, value| write_declared(out, value, schema.property(key)));
        }
        Value::Array(list) => write_list(out, list, |out, item| write_declared(out, item, schema.items.as_deref())),
        scalar => json::write(out, scalar),
    }
}

fn write_list(out: &mut Vec<u8>, list: &[Value], write_item: impl Fn(&mut Vec<u8>, &Value)) {
    out.push(b'[');
    let mut first = true;
    for item in list {
        comma(out, &mut first);
        write_item(out, item);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests;
