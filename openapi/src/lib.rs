//! OpenAPI documents, v3 one a group-version and v2 one for all, made from the same definitions that validate (section 1.3). See README.md.

mod names;
mod operations;
mod parameters;
pub mod profile;
pub mod protobuf;
mod schemas;
pub mod v2;

use bytes::Bytes;
use otternauts_schema::Definition;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// One group-version's document.
#[derive(Clone, Debug)]
pub struct Document {
    pub bytes: Bytes,
    /// 128 upper-case hexadecimal digits of the bytes' SHA-512: clients keep a document as long as this is the same (row O2).
    pub hash: String,
    /// Made when it is first asked for: few clients do.
    protobuf: OnceLock<Bytes>,
}

impl Document {
    fn new(value: &Value) -> Self {
        let bytes = value.to_string();
        let hash = hex::encode_upper(Sha512::digest(bytes.as_bytes()));
        Self { bytes: bytes.into(), hash, protobuf: OnceLock::new() }
    }

    /// Reads its own bytes again: only for forms that are asked for rarely.
    fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("written by us")
    }

    /// The same as `openapi.v3.Document` (row O3).
    pub fn protobuf_v3(&self) -> &Bytes {
        self.protobuf.get_or_init(|| protobuf::v3(&self.value()).into())
    }

    /// The same as `openapi.v2.Document` (row O8).
    pub fn protobuf_v2(&self) -> &Bytes {
        self.protobuf.get_or_init(|| protobuf::v2(&self.value()).into())
    }
}

/// Every document, and the index that names them.
#[derive(Clone, Debug)]
pub struct Documents {
    index: Bytes,
    documents: BTreeMap<String, Document>,
    /// Made when it is first asked for: Argo CD, Terraform and old kubectl do.
    v2: OnceLock<Document>,
}

impl Documents {
    /// Builds the documents of all served versions of these kinds. The same kinds give the same bytes.
    pub fn build(definitions: &[Arc<Definition>]) -> Self {
        let mut by_path: BTreeMap<String, Vec<(&Definition, &str)>> = BTreeMap::new();
        for definition in definitions {
            for version in definition.versions.iter().filter(|v| v.served) {
                let path = names::document_path(&definition.group, &version.name);
                by_path.entry(path).or_default().push((definition, &version.name));
            }
        }
        let documents: BTreeMap<String, Document> =
            by_path.into_iter().map(|(path, kinds)| (path, document(&kinds))).collect();
        let paths: Map<String, Value> = documents
            .iter()
            .map(|(path, d)| {
                (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={}", d.hash)}))
            })
            .collect();
        let index = json!({ "paths": paths }).to_string().into();
        Self { index, documents, v2: OnceLock::new() }
    }

    /// The body of `/openapi/v3` (row O1).
    pub fn index(&self) -> &Bytes {
        &self.index
    }

    /// The document of `api/v1` or `apis/GROUP/VERSION`.
    pub fn get(&self, path: &str) -> Option<&Document> {
        self.documents.get(path)
    }

    /// The one document of all group-versions in OpenAPI 2.0 (row O8).
    pub fn v2(&self) -> &Document {
        self.v2.get_or_init(|| {
            let all: Vec<Value> = self.documents.values().map(Document::value).collect();
            Document::new(&v2::document(all.iter()))
        })
    }
}

fn document(kinds: &[(&Definition, &str)]) -> Document {
    let mut paths = Map::new();
    let mut components = schemas::shared();
    for (definition, version) in kinds {
        operations::add(&mut paths, definition, version);
        schemas::add(&mut components, definition, version);
    }
    paths.sort_keys();
    components.sort_keys();
    Document::new(&json!({
        "openapi": "3.0.0",
        "info": {"title": "Otternauts", "version": "1.36"},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "BearerToken": {
                    "type": "apiKey", "description": "Bearer token", "name": "authorization", "in": "header",
                },
            },
        },
    }))
}

#[cfg(test)]
mod tests;
