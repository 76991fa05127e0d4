//! One dynamic object type for every kind, built in or user defined.

use serde_json::{Map, Value};

/// A Kubernetes object as JSON. Key order is kept as it was read or inserted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(pub Map<String, Value>);

/// What `metadata.ownerReferences` says of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerReference {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub controller: bool,
    pub block_owner_deletion: bool,
}

impl Object {
    /// Takes a JSON object; anything else is handed back.
    pub fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            other => Err(other),
        }
    }

    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    fn str_at<'a>(map: Option<&'a Map<String, Value>>, key: &str) -> &'a str {
        map.and_then(|m| m.get(key)).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn api_version(&self) -> &str {
        Self::str_at(Some(&self.0), "apiVersion")
    }

    pub fn kind(&self) -> &str {
        Self::str_at(Some(&self.0), "kind")
    }

    /// `metadata`, if it is there and an object.
    pub fn metadata(&self) -> Option<&Map<String, Value>> {
        self.0.get("metadata").and_then(Value::as_object)
    }

    /// `metadata`, made when absent; whatever stood there that was no object is replaced.
    pub fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        let slot = self.0.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        slot.as_object_mut().expect("made an object in the line above")
    }

    /// A string of `metadata`; empty when absent or not a string.
    pub fn meta_str(&self, key: &str) -> &str {
        Self::str_at(self.metadata(), key)
    }

    /// Sets a string of `metadata`; the empty string removes it.
    pub fn set_meta_str(&mut self, key: &str, value: &str) {
        if value.is_empty() {
            self.metadata_mut().shift_remove(key);
        } else {
            self.metadata_mut().insert(key.to_owned(), Value::String(value.to_owned()));
        }
    }

    pub fn name(&self) -> &str {
        self.meta_str("name")
    }

    pub fn namespace(&self) -> &str {
        self.meta_str("namespace")
    }

    pub fn uid(&self) -> &str {
        self.meta_str("uid")
    }

    pub fn resource_version(&self) -> &str {
        self.meta_str("resourceVersion")
    }

    pub fn generation(&self) -> i64 {
        self.metadata().and_then(|m| m.get("generation")).and_then(Value::as_i64).unwrap_or_default()
    }

    /// True once the object is on its way out (row G2).
    pub fn is_terminating(&self) -> bool {
        !self.meta_str("deletionTimestamp").is_empty()
    }

    fn meta_map(&self, key: &str) -> Option<&Map<String, Value>> {
        self.metadata().and_then(|m| m.get(key)).and_then(Value::as_object)
    }

    /// `metadata.labels`, for selectors.
    pub fn labels(&self) -> Option<&Map<String, Value>> {
        self.meta_map("labels")
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.meta_map("labels").and_then(|m| m.get(key)).and_then(Value::as_str)
    }

    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.meta_map("annotations").and_then(|m| m.get(key)).and_then(Value::as_str)
    }

    pub fn finalizers(&self) -> Vec<&str> {
        self.metadata()
            .and_then(|m| m.get("finalizers"))
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default()
    }

    pub fn owner_references(&self) -> Vec<OwnerReference> {
        let Some(list) = self.metadata().and_then(|m| m.get("ownerReferences")).and_then(Value::as_array) else {
            return Vec::new();
        };
        list.iter()
            .filter_map(Value::as_object)
            .map(|o| OwnerReference {
                api_version: Self::str_at(Some(o), "apiVersion").to_owned(),
                kind: Self::str_at(Some(o), "kind").to_owned(),
                name: Self::str_at(Some(o), "name").to_owned(),
                uid: Self::str_at(Some(o), "uid").to_owned(),
                controller: o.get("controller").and_then(Value::as_bool).unwrap_or_default(),
                block_owner_deletion: o.get("blockOwnerDeletion").and_then(Value::as_bool).unwrap_or_default(),
            })
            .collect()
    }

    /// The value at a path of keys, e.g. `["spec", "replicas"]`.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(*first)?, |v, key| v.get(key))
    }
}
