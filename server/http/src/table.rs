//! Tables (rows N9 to N13): what kubectl prints.

use crate::partial::{list_meta, write as write_partial};
use crate::query::Query;
use bytes::Bytes;
use otternauts_meta::{Status, Timestamp};
use otternauts_registry::{ServedList, Target};
use serde_json::{Value, json};

/// What each row carries beside its cells (row N10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    Metadata,
    Object,
    None,
}

/// Reads `?includeObject=`.
pub fn include(query: &Query) -> Result<Include, Status> {
    match query.text("includeObject") {
        "" | "Metadata" => Ok(Include::Metadata),
        "Object" => Ok(Include::Object),
        "None" => Ok(Include::None),
        other => Err(Status::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', 'Object', 'None', or empty"
        ))),
    }
}

/// Writes tables of one kind.
#[derive(Clone, Debug)]
pub struct Tables {
    target: Target,
    /// `v1` or `v1beta1`.
    version: &'static str,
    include: Include,
    definitions: Vec<u8>,
    columns: usize,
}

impl Tables {
    pub fn new(target: &Target, version: &'static str, include: Include) -> Self {
        let columns = crate::columns::of(&target.definition, &target.version);
        let list: Vec<Value> = columns
            .iter()
            .map(|c| {
                json!({
                    "name": c.name, "type": c.r#type, "format": c.format,
                    "description": c.description, "priority": c.priority,
                })
            })
            .collect();
        let definitions = crate::answer::encode(&Value::Array(list));
        Self { target: target.clone(), version, include, definitions, columns: columns.len() }
    }

    /// The table of a list.
    pub fn list(&self, list: &ServedList, now: Timestamp) -> Result<Bytes, Status> {
        let meta = list_meta(&list.resource_version, &list.continue_token, list.remaining);
        let mut out = Vec::with_capacity(1024 + list.items.len() * 512);
        self.open(&mut out, &meta, true);
        for (i, item) in list.items.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            self.row(&mut out, item, now)?;
        }
        out.extend_from_slice(b"]}");
        Ok(out.into())
    }

    /// A table of one row (rows N12, N13). In a watch only the first event names the columns.
    pub fn one(&self, object: &[u8], now: Timestamp, with_columns: bool) -> Result<Vec<u8>, Status> {
        let version = object_version(object);
        let mut out = Vec::with_capacity(1024);
        self.open(&mut out, &list_meta(&version, "", None), with_columns);
        self.row(&mut out, object, now)?;
        out.extend_from_slice(b"]}");
        Ok(out)
    }

    /// A bookmark: one row of empty cells whose object carries the version.
    pub fn bookmark(&self, resource_version: &str, initial_end: bool, with_columns: bool) -> Vec<u8> {
        let mut metadata = json!({"resourceVersion": resource_version});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": format!("meta.k8s.io/{}", self.version),
            "metadata": metadata,
        });
        let mut cells = vec![Value::Null; self.columns];
        if let Some(first) = cells.first_mut() {
            *first = "".into();
        }
        let mut out = Vec::with_capacity(512);
        self.open(&mut out, &list_meta(resource_version, "", None), with_columns);
        out.extend_from_slice(&crate::answer::encode(&json!({"cells": cells, "object": object})));
        out.extend_from_slice(b"]}");
        out
    }

    fn open(&self, out: &mut Vec<u8>, meta: &[u8], with_columns: bool) {
        out.extend_from_slice(br#"{"kind":"Table","apiVersion":"meta.k8s.io/"#);
        out.extend_from_slice(self.version.as_bytes());
        out.extend_from_slice(br#"","metadata":"#);
        out.extend_from_slice(meta);
        out.extend_from_slice(br#","columnDefinitions":"#);
        out.extend_from_slice(if with_columns { &self.definitions } else { b"null" });
        out.extend_from_slice(br#","rows":["#);
    }

    fn row(&self, out: &mut Vec<u8>, object: &[u8], now: Timestamp) -> Result<(), Status> {
        let value: Value =
            serde_json::from_slice(object).map_err(|_| Status::internal("a stored object is no JSON"))?;
        let cells = crate::columns::cells(&self.target.definition, &self.target.version, value, now);
        out.extend_from_slice(br#"{"cells":"#);
        out.extend_from_slice(&crate::answer::encode(&Value::Array(cells)));
        out.extend_from_slice(br#","object":"#);
        match self.include {
            Include::None => out.extend_from_slice(b"null"),
            Include::Object => out.extend_from_slice(object),
            Include::Metadata => write_partial(out, object, self.version)?,
        }
        out.push(b'}');
        Ok(())
    }
}

/// `metadata.resourceVersion` of an object's bytes; empty when it has none (a dry run).
pub fn object_version(object: &[u8]) -> String {
    #[derive(serde::Deserialize, Default)]
    struct Meta {
        #[serde(rename = "resourceVersion", default)]
        resource_version: String,
    }
    #[derive(serde::Deserialize)]
    struct Parts {
        #[serde(default)]
        metadata: Meta,
    }
    serde_json::from_slice::<Parts>(object).map(|p| p.metadata.resource_version).unwrap_or_default()
}
