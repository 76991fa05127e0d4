//! Between what is stored and what a version serves (rows X8, X9, X15): sealed fields, other versions, changed schemas.
//!
//! The quick way is no way at all: a kind with nothing sealed, asked for in its storage version under the schema it was written
//! with, is served as the bytes it was stored as.

use crate::definitions::Definitions;
use crate::encode;
use crate::kinds::{self, Kind};
use crate::unreadable;
use bytes::Bytes;
use otternauts_meta::{Object, Status};
use otternauts_schema::{Definition, Version, apply_defaults, prune};
use otternauts_store::{Body, Record, Revision};
use otternauts_vault::Vault;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// One kind in one of its versions.
#[derive(Clone)]
pub(crate) struct Shape {
    pub definition: Arc<Definition>,
    pub version: String,
    pub kind: &'static dyn Kind,
    /// The kind whose storage this one shares; itself for all but `events.k8s.io`.
    stored: Arc<Definition>,
    pub resource: Arc<str>,
    vault: Arc<Vault>,
    /// It has fields that are sealed at rest.
    seals: bool,
}

impl Shape {
    pub fn new(definitions: &Definitions, vault: &Arc<Vault>, definition: &Arc<Definition>, version: &str) -> Self {
        let kind = kinds::of(definition);
        let stored = kind.stored_as().and_then(|plural| definitions.resource("", plural)).unwrap_or(definition);
        Self {
            definition: Arc::clone(definition),
            version: version.to_owned(),
            kind,
            stored: Arc::clone(stored),
            resource: stored.group_resource().to_string().into(),
            vault: Arc::clone(vault),
            seals: vault.seals(stored),
        }
    }

    /// The version asked for; every target names one that exists.
    pub fn served(&self) -> &Version {
        self.definition.version(&self.version).unwrap_or_else(|| self.definition.storage_version())
    }

    fn converts(&self) -> bool {
        self.kind.stored_as().is_some() || self.served().name != self.definition.storage_version().name
    }

    /// Rows that carry this are served as the bytes they are stored as; `None`: none are.
    pub fn exact(&self) -> Option<u64> {
        (!self.seals && !self.converts()).then_some(self.stored.hash)
    }

    /// The bytes as stored are the bytes to serve.
    pub fn is_exact(&self, record: &Record) -> bool {
        self.exact() == Some(record.schema)
    }

    /// A stored object on its way out.
    pub fn serve(&self, record: &Record) -> Result<Bytes, Status> {
        if self.is_exact(record) {
            return Ok(record.body.clone());
        }
        let object = self.read(record)?;
        Ok(self.bytes(&object, Some(record.revision)))
    }

    /// The bytes of an object in this shape, stored or not; `None`: it has no version yet.
    pub fn bytes(&self, object: &Object, revision: Option<Revision>) -> Bytes {
        match revision {
            Some(revision) => encode::at(&self.definition, object, revision),
            None => encode::bytes(&self.definition, object, None),
        }
    }

    /// A stored object as this version shows it, opened.
    pub fn read(&self, record: &Record) -> Result<Object, Status> {
        let mut object = self.parse(record)?;
        if record.schema != self.stored.hash {
            let version = self.stored.storage_version();
            let mut value = object.into_value();
            let _unknown = prune(&version.schema, &mut value);
            apply_defaults(&version.schema, &mut value);
            object = as_object(value);
        }
        self.kind.to_served(&mut object);
        if !self.stored_like_served() {
            object.0.insert("apiVersion".into(), self.definition.gvk(&self.version).api_version().into());
            let mut value = object.into_value();
            let _unknown = prune(&self.served().schema, &mut value);
            object = as_object(value);
        }
        Ok(object)
    }

    fn stored_like_served(&self) -> bool {
        self.served().name == self.definition.storage_version().name
    }

    /// The object as it is stored, opened.
    pub fn parse(&self, record: &Record) -> Result<Object, Status> {
        let value: Value = serde_json::from_slice(&record.body).map_err(|error| {
            tracing::error!(key = ?record.key, revision = record.revision, %error, "a stored object is not JSON");
            unreadable::one(&record.key, record.revision)
        })?;
        let mut object = as_object(value);
        if self.seals {
            self.vault.open_object(&self.stored, &mut object).map_err(|error| {
                tracing::error!(key = ?record.key, revision = record.revision, %error, "a field could not be opened");
                unreadable::one(&record.key, record.revision)
            })?;
        }
        Ok(object)
    }

    /// The body for the store, sealed, in the storage version.
    pub fn body(&self, object: &Object) -> Result<Body, Status> {
        let mut object = self.storable(object);
        if self.seals {
            let done = self.vault.seal_object(&self.stored, object.to_mut());
            self.sealing(&object, done)?;
        }
        Ok(encode::body(&self.stored, &object))
    }

    /// The object in the form and version it is stored in. A field that version does not know is lost (row X15).
    pub fn storable<'o>(&self, object: &'o Object) -> Cow<'o, Object> {
        let mut object = Cow::Borrowed(object);
        if self.kind.stored_as().is_some() {
            self.kind.to_stored(object.to_mut());
        }
        if !self.stored_like_served() {
            let version = self.definition.storage_version();
            let mut converted = object.into_owned();
            converted.0.insert("apiVersion".into(), self.definition.gvk(&version.name).api_version().into());
            let mut value = converted.into_value();
            let _unknown = prune(&version.schema, &mut value);
            object = Cow::Owned(as_object(value));
        }
        object
    }

    /// The same objects are served by another kind too (row B9).
    pub fn shares_storage(&self) -> bool {
        self.kind.stored_as().is_some() || (self.stored.group.is_empty() && self.stored.names.plural == kinds::EVENTS)
    }

    /// What rows written under the kind as it is now carry.
    pub fn stored_hash(&self) -> u64 {
        self.stored.hash
    }

    /// What the vault says is for the log; a client learns only that it failed.
    fn sealing(&self, object: &Object, done: Result<(), otternauts_vault::Error>) -> Result<(), Status> {
        done.map_err(|error| {
            let (namespace, name) = (object.namespace(), object.name());
            tracing::error!(resource = %self.resource, namespace, name, %error, "a field could not be sealed");
            Status::internal("a sealed field could not be written")
        })
    }
}

/// What the store and the schema room hand back for an object is an object.
pub(crate) fn as_object(value: Value) -> Object {
    Object::from_value(value).unwrap_or_default()
}
