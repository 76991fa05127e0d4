//! One file per verb.

pub(crate) mod watch;

use crate::{
    Body, Caller, DeleteOptions, Deleted, ListOptions, PatchType, Registry, Served, ServedList, Target, WatchOptions,
    WatchSession, WriteOptions,
};
use bytes::Bytes;
use otternauts_meta::Status;

#[allow(unused_variables, clippy::unused_async, clippy::todo)]
impl Registry {
    /// `resource_version` as sent; empty when absent (row C16).
    pub async fn get(&self, caller: &Caller, target: &Target, resource_version: &str) -> Result<Served, Status> {
        todo!()
    }

    pub async fn list(&self, caller: &Caller, target: &Target, options: &ListOptions) -> Result<ServedList, Status> {
        todo!()
    }

    /// An error here is a plain HTTP error; what goes wrong later is an ERROR event (rows W10, W12).
    pub async fn watch(
        &self,
        caller: &Caller,
        target: &Target,
        options: &WatchOptions,
    ) -> Result<WatchSession, Status> {
        todo!()
    }

    pub async fn create(
        &self,
        caller: &Caller,
        target: &Target,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Served, Status> {
        todo!()
    }

    pub async fn update(
        &self,
        caller: &Caller,
        target: &Target,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Served, Status> {
        todo!()
    }

    /// `patch` is the body as sent: JSON, or YAML for [`PatchType::Apply`].
    pub async fn patch(
        &self,
        caller: &Caller,
        target: &Target,
        kind: PatchType,
        patch: Bytes,
        options: &WriteOptions,
    ) -> Result<Served, Status> {
        todo!()
    }

    pub async fn delete(&self, caller: &Caller, target: &Target, options: &DeleteOptions) -> Result<Deleted, Status> {
        todo!()
    }

    /// The items as they were before (row G9).
    pub async fn delete_collection(
        &self,
        caller: &Caller,
        target: &Target,
        list: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<ServedList, Status> {
        todo!()
    }
}
