//! What PUT and PATCH share: read, change, prepare, commit; again when somebody else was quicker (row P7).

use super::update::{asked_version, version_required};
use crate::Served;
use crate::registry::{Permit, Registry, store_status};
use crate::writing::{Outcome, Writing};
use otternauts_meta::{Object, Status};
use otternauts_store::{Error, Record};

/// Lost races in a row before a client is asked to come again.
const ATTEMPTS: usize = 64;

/// What a request makes of the object that is there.
pub(super) struct Change {
    pub object: Object,
    /// Its managedFields are final (an apply).
    pub owned: bool,
}

/// What it makes of nothing.
pub(super) enum Missing<'a> {
    NotFound,
    /// Row C10.
    Create(&'a Object),
    /// Row A2: ownership is known already.
    Apply(&'a (dyn Fn() -> Result<Object, Status> + Sync)),
}

impl Registry {
    pub(super) async fn change(
        &self,
        writing: &Writing<'_>,
        dry_run: bool,
        missing: Missing<'_>,
        modify: &(dyn Fn(&Object) -> Result<Change, Status> + Sync),
    ) -> Result<Served, Status> {
        let name = writing.target.name.as_deref().unwrap_or_default();
        let key = writing.shape.key(writing.target, name);
        for _ in 0..ATTEMPTS {
            let permit = self.enter(&key.resource, false).await;
            let record = self.inner.store.get(&key).await.map_err(|e| store_status(&e))?;
            let Some(record) = record else {
                drop(permit);
                match self.make(writing, dry_run, &missing).await {
                    // Somebody made it between the two reads: go on as for an object that is there.
                    Err(status) if status.reason == "AlreadyExists" => continue,
                    done => return done,
                }
            };
            if let Some(served) = self.attempt(writing, dry_run, permit, &record, modify).await? {
                return Ok(served);
            }
        }
        let why = "it changes too often; please try again";
        Err(Status::conflict(&writing.resource, name, why).retry_after(1))
    }

    async fn make(&self, writing: &Writing<'_>, dry_run: bool, missing: &Missing<'_>) -> Result<Served, Status> {
        let name = writing.target.name.as_deref().unwrap_or_default();
        match missing {
            Missing::NotFound => Err(Status::not_found(&writing.resource, name)),
            Missing::Create(object) => {
                writing.may_create_by_update()?;
                self.insert(writing, (*object).clone(), dry_run, false).await
            }
            Missing::Apply(object) => {
                writing.may_create_by_update()?;
                self.insert(writing, object()?, dry_run, true).await
            }
        }
    }

    /// `None`: the race was lost and nothing in the request forbids to run again.
    async fn attempt(
        &self,
        writing: &Writing<'_>,
        dry_run: bool,
        permit: Permit,
        record: &Record,
        modify: &(dyn Fn(&Object) -> Result<Change, Status> + Sync),
    ) -> Result<Option<Served>, Status> {
        let old = writing.shape.read(record)?;
        let Change { object, owned } = modify(&old)?;
        let asked = asked_version(&object)?;
        if asked.is_some_and(|version| version != record.revision) {
            return Err(Status::stale(&writing.resource, old.name()));
        }
        if asked.is_none() && !writing.shape.kind.unconditional_update() && !owned && !writing.is_patch {
            return Err(version_required(writing, &object));
        }
        let prepared = writing.prepare_update(&old, object)?;
        let mut object = if owned { prepared } else { writing.own(Some(&old), prepared)? };
        if !dry_run {
            writing.stamp(&mut object, Some(&old));
        }
        let shape = &writing.shape;
        let (object, write, gone) = match writing.outcome(record, &old, object)? {
            Outcome::Same => return Ok(Some(Served { bytes: shape.serve(record)?, created: false })),
            Outcome::Put { object, write } => (object, write, false),
            Outcome::Gone { object, write } => (object, write, true),
        };
        if dry_run {
            return Ok(Some(Served { bytes: shape.bytes(&object, Some(record.revision)), created: false }));
        }
        match self.commit(permit, vec![write]).await {
            // Row G3: the answer keeps the old version.
            Ok(_) if gone => Ok(Some(Served { bytes: shape.bytes(&object, Some(record.revision)), created: false })),
            Ok(committed) => {
                let bytes = match committed.records.first() {
                    Some(record) if shape.is_exact(record) => record.body.clone(),
                    _ => shape.bytes(&object, Some(committed.revision)),
                };
                Ok(Some(Served { bytes, created: false }))
            }
            Err(Error::Conflict { current, .. }) if asked.is_some() && !writing.is_patch => match current {
                Some(_) => Err(Status::stale(&writing.resource, old.name())),
                None => Err(Status::not_found(&writing.resource, old.name())),
            },
            // A patch runs again on the newer object; one that names a version finds out there that it is stale.
            Err(Error::Conflict { .. }) => Ok(None),
            Err(error) => Err(store_status(&error)),
        }
    }
}
