//! DELETE (rows G1 to G7, G10).

use crate::registry::{Registry, store_status};
use crate::request::{Caller, DeleteOptions, Subresource, Target};
use crate::shape::Shape;
use crate::unreadable;
use crate::{Deleted, Served};
use otternauts_meta::{FieldError, GroupResource, GroupVersionKind, Object, Path, Status, Timestamp};
use otternauts_store::{Error, Key, Op, Precondition, Record, Write};
use serde_json::Value;

pub(crate) const FOREGROUND: &str = "foregroundDeletion";
pub(crate) const ORPHAN: &str = "orphan";
const ATTEMPTS: usize = 64;

/// What is to be done with one object.
enum Plan {
    Remove {
        write: Write,
    },
    Mark {
        object: Object,
        write: Write,
    },
    /// On its way out already, nothing changes.
    Leave,
}

impl Registry {
    pub async fn delete(&self, caller: &Caller, target: &Target, options: &DeleteOptions) -> Result<Deleted, Status> {
        let _ = caller;
        let shape = self.shape(target);
        let name = target.name.as_deref().unwrap_or_default();
        let key = shape.key(target, name);
        if options.ignore_read_error {
            return self.delete_unread(&shape, &key).await;
        }
        for _ in 0..ATTEMPTS {
            let permit = self.enter(&key.resource, false).await;
            let record = self.inner.store.get(&key).await.map_err(|e| store_status(&e))?;
            let Some(record) = record else {
                return Err(Status::not_found(&shape.definition.group_resource(), name));
            };
            let object = shape.read(&record)?;
            check_preconditions(&shape, &object, &record, options)?;
            let gone = || Deleted::Gone { uid: object.uid().to_owned(), name: object.name().to_owned() };
            let waiting = |bytes| Deleted::Waiting(Served { bytes, created: false });
            let (write, answer) = match plan(&shape, &record, &object, options, self.now())? {
                Plan::Leave => return Ok(waiting(shape.serve(&record)?)),
                Plan::Remove { write } => (write, None),
                Plan::Mark { object, write } => (write, Some(object)),
            };
            if options.dry_run {
                return Ok(match answer {
                    Some(marked) => waiting(shape.bytes(&marked, Some(record.revision))),
                    None => gone(),
                });
            }
            match self.commit(permit, vec![write]).await {
                Ok(committed) => {
                    return Ok(match answer {
                        Some(marked) => waiting(shape.bytes(&marked, Some(committed.revision))),
                        None => gone(),
                    });
                }
                Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(store_status(&error)),
            }
        }
        let why = "it changes too often; please try again";
        Err(Status::conflict(&shape.definition.group_resource(), name, why).retry_after(1))
    }
}

impl Registry {
    /// Deletes an object that cannot be read, and only such a one (P16, KEP-3926): no finalizer is asked, its last state is its
    /// place alone.
    async fn delete_unread(&self, shape: &Shape, key: &Key) -> Result<Deleted, Status> {
        let resource = shape.definition.group_resource();
        for _ in 0..ATTEMPTS {
            let permit = self.enter(&key.resource, false).await;
            let revision = match self.inner.store.get(key).await {
                Ok(None) => return Err(Status::not_found(&resource, &key.name)),
                Ok(Some(record)) => match shape.read(&record) {
                    Err(status) if unreadable::is_unreadable(&status) => record.revision,
                    Err(status) => return Err(status),
                    Ok(_) => return Err(readable(shape, key)),
                },
                Err(Error::Corrupt { revision, .. }) => revision,
                Err(error) => return Err(store_status(&error)),
            };
            tracing::warn!(?key, revision, "an object that cannot be read is deleted");
            let op = Op::Delete { last: shape.body(&shape.remains(key))? };
            let write = Write { key: key.clone(), precondition: Precondition::At(revision), op };
            match self.commit(permit, vec![write]).await {
                Ok(_) => return Ok(Deleted::Gone { uid: String::new(), name: key.name.to_string() }),
                Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(store_status(&error)),
            }
        }
        Err(Status::conflict(&resource, &key.name, "it changes too often; please try again").retry_after(1))
    }
}

/// What can be read is deleted as everything else is.
fn readable(shape: &Shape, key: &Key) -> Status {
    let path = Path::new("ignoreStoreReadErrorWithClusterBreakingPotential");
    let why = "is exclusively used to delete corrupt object(s), try again by removing this option";
    let resource = shape.definition.group_resource();
    let who = GroupVersionKind::new(&resource.group, "", &resource.resource);
    Status::invalid(&who, &key.name, &vec![FieldError::invalid(&path, true, why)])
}

/// Row G5; the details name the Kind.
fn check_preconditions(shape: &Shape, object: &Object, record: &Record, options: &DeleteOptions) -> Result<(), Status> {
    let kind = GroupResource::new(&shape.definition.group, &shape.definition.names.kind);
    if let Some(uid) = options.uid.as_deref()
        && uid != object.uid()
    {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then \
             recreated",
            object.uid()
        );
        return Err(Status::conflict(&kind, object.name(), &why));
    }
    if let Some(version) = options.resource_version.as_deref()
        && version != record.revision.to_string()
    {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might \
             have been modified",
            record.revision
        );
        return Err(Status::conflict(&kind, object.name(), &why));
    }
    Ok(())
}

fn plan(
    shape: &Shape,
    record: &Record,
    object: &Object,
    options: &DeleteOptions,
    now: Timestamp,
) -> Result<Plan, Status> {
    let mut next = object.clone();
    shape.kind.prepare_delete(&mut next, &shape.definition.group_resource(), &now.to_string())?;
    set_policy(&mut next, options.propagation_policy.as_deref());
    let write = |op| Write { key: record.key.clone(), precondition: Precondition::At(record.revision), op };
    if next.finalizers().is_empty() && shape.kind.is_finished(&next) {
        return Ok(Plan::Remove { write: write(Op::Delete { last: shape.body(object)? }) });
    }
    if object.is_terminating() && next.finalizers() == object.finalizers() {
        return Ok(Plan::Leave);
    }
    if !object.is_terminating() {
        let generation = object.generation();
        let metadata = next.metadata_mut();
        metadata.insert("deletionTimestamp".into(), now.to_string().into());
        if shape.kind.has_grace_period() {
            metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
            if generation > 0 {
                metadata.insert("generation".into(), (generation + 1).into());
            }
        }
    }
    let body = shape.body(&next)?;
    Ok(Plan::Mark { object: next, write: write(Op::Put(body)) })
}

/// Row G6: a policy replaces the finalizer of another one; no policy leaves them as they are.
fn set_policy(object: &mut Object, policy: Option<&str>) {
    let wanted = match policy {
        Some("Foreground") => Some(FOREGROUND),
        Some("Orphan") => Some(ORPHAN),
        Some(_) => None,
        None => return,
    };
    let mut finalizers: Vec<Value> =
        object.finalizers().into_iter().filter(|f| *f != FOREGROUND && *f != ORPHAN).map(Value::from).collect();
    finalizers.extend(wanted.map(Value::from));
    if finalizers.is_empty() {
        object.metadata_mut().shift_remove("finalizers");
    } else {
        object.metadata_mut().insert("finalizers".into(), finalizers.into());
    }
}

impl Target {
    /// An object of a kind, by its place: for the server's own tasks.
    pub(crate) fn object(
        definition: &std::sync::Arc<otternauts_schema::Definition>,
        namespace: &str,
        name: &str,
    ) -> Self {
        Self {
            definition: std::sync::Arc::clone(definition),
            version: definition.storage_version().name.clone(),
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
            name: (!name.is_empty()).then(|| name.to_owned()),
            subresource: Subresource::None,
        }
    }
}
