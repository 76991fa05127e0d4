//! CREATE (section 1.7).

use crate::registry::{Registry, store_status};
use crate::request::{Body, Caller, Target, WriteOptions};
use crate::writing::{Origin, Writing, name_and_namespace};
use crate::{Served, facts};
use otternauts_auth::Attributes;
use otternauts_meta::{Cause, GroupResource, Object, Status, names};
use otternauts_store::{Error, Op, Precondition, Write};

/// Row C7.
const NAME_ATTEMPTS: usize = 8;

impl Registry {
    pub async fn create(
        &self,
        caller: &Caller,
        target: &Target,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Served, Status> {
        let writing = Writing::new(self, caller, target, options);
        let mut object = writing.take_in(body.object, &Origin::Body { duplicates: &body.duplicates })?;
        name_and_namespace(&mut object, target.namespace.as_deref())?;
        if object.resource_version().parse::<u64>().is_ok_and(|version| version > 0) {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        self.insert(&writing, object, options.dry_run, false).await
    }

    /// Stores a new object that has been taken in. `owned`: its managedFields are final (an apply).
    pub(crate) async fn insert(
        &self,
        writing: &Writing<'_>,
        object: Object,
        dry_run: bool,
        owned: bool,
    ) -> Result<Served, Status> {
        let generate = object.name().is_empty() && !object.meta_str("generateName").is_empty();
        let attempts = if generate { NAME_ATTEMPTS } else { 1 };
        let mut last = String::new();
        for _ in 0..attempts {
            let mut object = object.clone();
            if generate {
                let random = otternauts_auth::random_bytes().map_err(|_| Status::internal("no random bytes"))?;
                object.set_meta_str("name", &names::generated(object.meta_str("generateName"), random));
            }
            last = object.name().to_owned();
            let permit = self.enter(&writing.shape.resource, true).await;
            writing.may_be_created(&object)?;
            let prepared = writing.prepare_create(object)?;
            let mut object = if owned { prepared } else { writing.own(None, prepared)? };
            if !dry_run {
                writing.stamp(&mut object, None);
            }
            let key = writing.shape.key(writing.target, object.name());
            if dry_run {
                if let Some(record) = self.inner.store.get(&key).await.map_err(|e| store_status(&e))? {
                    let existing = writing.shape.read(&record)?;
                    return Err(already_exists(&writing.resource, object.name(), existing.is_terminating()));
                }
                return Ok(Served { bytes: writing.shape.bytes(&object, None), created: true });
            }
            let put = Op::Put(writing.shape.body(&object)?);
            let mut writes = vec![Write { key: key.clone(), precondition: Precondition::Absent, op: put }];
            writes.extend(self.companions(writing, &object)?);
            match self.commit(permit, writes).await {
                Ok(committed) => {
                    let bytes = match committed.records.first() {
                        Some(record) if writing.shape.is_exact(record) => record.body.clone(),
                        _ => writing.shape.bytes(&object, Some(committed.revision)),
                    };
                    return Ok(Served { bytes, created: true });
                }
                Err(Error::Conflict { key: lost, .. }) if lost == key && generate => {}
                Err(Error::Conflict { .. }) => return Err(self.exists(writing, &key).await),
                Err(error) => return Err(store_status(&error)),
            }
        }
        let mut status = Status::already_exists(&writing.resource, &last);
        status.message.push_str(", the server was not able to generate a unique name for the object");
        Err(status.retry_after(1))
    }

    /// Row E6.
    async fn exists(&self, writing: &Writing<'_>, key: &otternauts_store::Key) -> Status {
        let record = self.inner.store.get(key).await.ok().flatten();
        let terminating =
            record.and_then(|r| writing.shape.read(&r).ok()).is_some_and(|object| object.is_terminating());
        already_exists(&writing.resource, &key.name, terminating)
    }
}

impl Writing<'_> {
    /// The namespace exists and is not on its way out (rows B3, B5), nor is the kind (row X6).
    fn may_be_created(&self, object: &Object) -> Result<(), Status> {
        let name = object.name();
        let definitions = self.registry.definitions();
        let definition = &self.shape.definition;
        if definitions.resource(&definition.group, &definition.names.plural).is_none() {
            // The kind went between the routing of the request and now.
            return Err(Status::no_such_resource());
        }
        if definitions.is_terminating(definition) {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Status::forbidden(&self.resource, name, why));
        }
        let namespace = object.namespace();
        if !self.shape.definition.is_namespaced() {
            return Ok(());
        }
        if namespace.is_empty() {
            return Err(Status::bad_request("an empty namespace may not be set during creation"));
        }
        match self.registry.facts().namespace(namespace) {
            None => Err(Status::not_found(&GroupResource::new("", facts::NAMESPACES), namespace)),
            Some(found) if found.terminating => {
                let why =
                    format!("unable to create new content in namespace {namespace} because it is being terminated");
                let mut status = Status::forbidden(&self.resource, name, &why);
                status.details.get_or_insert_default().causes.push(Cause {
                    reason: "NamespaceTerminating".into(),
                    message: format!("namespace {namespace} is being terminated"),
                    field: "metadata.namespace".into(),
                });
                Err(status)
            }
            Some(_) => Ok(()),
        }
    }

    /// Row I15: a PUT or PATCH that creates needs the verb create too.
    pub(crate) fn may_create_by_update(&self) -> Result<(), Status> {
        let definition = &self.shape.definition;
        let namespace = self.target.namespace.clone().unwrap_or_default();
        let asked = Attributes {
            verb: "create".into(),
            group: definition.group.clone(),
            version: self.target.version.clone(),
            resource: definition.names.plural.clone(),
            namespace: namespace.clone(),
            name: self.target.name.clone().unwrap_or_default(),
            ..Attributes::default()
        };
        if self.registry.roles().authorize(&self.caller.user, &asked).is_allowed() {
            return Ok(());
        }
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {namespace:?}")
        };
        let why = format!(
            "User {:?} cannot create resource {:?} in API group {:?} {place}",
            self.caller.user.name, definition.names.plural, definition.group
        );
        Err(Status::forbidden(&self.resource, &asked.name, &why))
    }
}

fn already_exists(resource: &GroupResource, name: &str, terminating: bool) -> Status {
    let mut status = Status::already_exists(resource, name);
    if terminating {
        status.message.insert_str(0, "object is being deleted: ");
    }
    status
}
