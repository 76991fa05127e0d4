//! GET of one object (rows C15, C16, S4).

use super::{bad_version, parse_version};
use crate::Served;
use crate::registry::{Registry, store_status};
use crate::request::{Caller, Subresource, Target};
use otternauts_meta::Status;
use otternauts_store::Key;

impl Registry {
    /// `resource_version` as sent; empty when absent (row C16).
    pub async fn get(&self, caller: &Caller, target: &Target, resource_version: &str) -> Result<Served, Status> {
        let _ = caller;
        let version = parse_version(resource_version).map_err(|e| bad_version(&e))?;
        if let Some(revision) = version {
            self.wait_for(revision).await?;
        }
        let shape = self.shape(target);
        let name = target.name.as_deref().unwrap_or_default();
        let key = shape.key(target, name);
        let record = match version {
            None => self.inner.store.get(&key).await,
            Some(_) => self.inner.store.get_seen(&key).await,
        };
        let Some(record) = record.map_err(|e| store_status(&e))? else {
            return Err(Status::not_found(&target.definition.group_resource(), name));
        };
        let bytes = match target.subresource {
            Subresource::Scale => self.scale_of(&shape, &record)?,
            _ => shape.serve(&record)?,
        };
        Ok(Served { bytes, created: false })
    }
}

impl crate::shape::Shape {
    /// Where an object of this kind is kept.
    pub(crate) fn key(&self, target: &Target, name: &str) -> Key {
        let namespace = target.namespace.as_deref().filter(|_| self.definition.is_namespaced()).unwrap_or_default();
        Key { resource: self.resource.clone(), namespace: namespace.into(), name: name.into() }
    }
}
