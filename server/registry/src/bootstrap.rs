//! What is there from the first start on (rows B1, I14; design sections 2, 3 and 9). Run at every start: what is there already and as it
//! should be is left alone, so a restart writes nothing.

mod roles;

use crate::definitions::Catalog;
use crate::facts;
use crate::housekeeping::system;
use crate::registry::{Clock, Error, Registry};
use crate::request::{Body, PatchType, Target, WriteOptions};
use crate::shape::as_object;
use bytes::Bytes;
use otternauts_meta::{GroupVersion, Object, Status};
use otternauts_store::{List, Range, Store};
use otternauts_vault::Vault;
use ring::hmac;
use serde_json::{Value, json};
use std::sync::Arc;

/// The key of continue tokens, among the small values of the store: tokens survive a restart.
const TOKEN_KEY: &str = "continue-token-key";
/// Set once everything of a first start is there.
const FIRST_START: &str = "first-start-done";
const NAMESPACES: [&str; 5] =
    ["default", "kube-system", "kube-public", "kube-node-lease", otternauts_types::SYSTEM_NAMESPACE];

impl Registry {
    /// Reads what is stored, and makes what has to be there. Answers when everything can be served.
    pub async fn new(store: Store, vault: Arc<Vault>, clock: Clock) -> Result<Self, Error> {
        let key = token_key(&store).await?;
        let registry = Self::assemble(store, vault, clock, hmac::Key::new(hmac::HMAC_SHA256, &key));
        registry.load().await?;
        registry.bootstrap().await?;
        Ok(registry)
    }

    /// Fills memory from the store.
    async fn load(&self) -> Result<(), Error> {
        for resource in facts::KEPT {
            let all = List { range: Range::resource(resource), at: None, after: None, limit: 0 };
            let (page, unreadable) = self.store().readable(all).await?;
            for object in unreadable {
                // Without it less is allowed, never more; all else is served (P16).
                let (key, revision) = (object.key, object.revision);
                tracing::error!(?key, revision, "a stored object cannot be read: starting without it");
            }
            for record in page.records {
                let what = || format!("{resource} {}", record.key.name);
                let read = serde_json::from_slice(&record.body).map_err(|error| Status::internal(&error.to_string()));
                let object = as_object(read.map_err(|status| Error::Stored(what(), status))?);
                self.facts().note(resource, &record.key.namespace, &record.key.name, Some(&object));
                if resource == facts::CRDS {
                    // A crash may have come between a CRD and its conditions.
                    self.crd_changed(&object, &record, false).await;
                }
            }
        }
        self.facts().rebuild_roles();
        let catalog: &Catalog = &self.inner.catalog.lock();
        self.publish(catalog);
        Ok(())
    }

    async fn bootstrap(&self) -> Result<(), Error> {
        for name in NAMESPACES {
            self.ensure(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await?;
        }
        for role in roles::all() {
            self.ensure(role).await?;
        }
        for crd in otternauts_types::crds() {
            self.ensure(crd).await?;
        }
        if self.store().meta(FIRST_START).await?.is_none() {
            // Made once: whoever deletes it later means it.
            self.ensure(json!({
                "apiVersion": "otternauts.dev/v1", "kind": "Cluster", "metadata": {"name": "default"}, "spec": {},
            }))
            .await?;
            self.store().set_meta(FIRST_START, Bytes::from_static(b"1")).await?;
        }
        Ok(())
    }

    /// Makes the object, or merges it into the one that is there; nothing is written when that changes nothing.
    async fn ensure(&self, wanted: Value) -> Result<(), Error> {
        let object = as_object(wanted);
        let what = format!("{} {}", object.kind(), object.name());
        self.ensure_object(object).await.map_err(|status| Error::Bootstrap(what, status))
    }

    async fn ensure_object(&self, object: Object) -> Result<(), Status> {
        let version = GroupVersion::parse(object.api_version())
            .unwrap_or(GroupVersion { group: String::new(), version: "v1".into() });
        let definitions = self.definitions();
        let Some(definition) = definitions.kind(&version.group, object.kind()) else {
            return Err(Status::internal(&format!("the kind {} is not served", object.kind())));
        };
        let target =
            Target { version: version.version, ..Target::object(definition, object.namespace(), object.name()) };
        let caller = system();
        let options = WriteOptions::default();
        let patch = serde_json::to_vec(&object.0).map_err(|error| Status::internal(&error.to_string()))?;
        match self.patch(&caller, &target, PatchType::Merge, Bytes::from(patch), &options).await {
            Ok(_) => return Ok(()),
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
        let collection = Target { name: None, ..target };
        match self.create(&caller, &collection, Body { object, duplicates: Vec::new() }, &options).await {
            // Another replica starts at the same time, and is as good at it.
            Err(status) if status.code == 409 && self.store().is_shared() => Ok(()),
            made => made.map(drop),
        }
    }
}

async fn token_key(store: &Store) -> Result<Vec<u8>, Error> {
    if let Some(key) = store.meta(TOKEN_KEY).await? {
        return Ok(key.to_vec());
    }
    let key: [u8; 32] = otternauts_auth::random_bytes().map_err(|_| Error::Random)?;
    let key = store.claim_meta(TOKEN_KEY, Bytes::copy_from_slice(&key)).await?;
    Ok(key.to_vec())
}
