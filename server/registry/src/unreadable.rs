//! Objects that are stored and cannot be read: damaged, or sealed under a key that is gone (P16, A11, R31; KEP-3926).
//!
//! Such an object harms only itself. Reading it is an error that says so; a list it belongs to fails and names it, because
//! a list without it would tell every client that it was deleted. A person may delete it unread.

use crate::shape::Shape;
use bytes::Bytes;
use otternauts_meta::{Cause, Details, Object, Status};
use otternauts_store::{Key, Record, Revision, Unreadable};
use serde_json::json;

/// How the message of such an error goes on behind Kubernetes' "Internal error occurred: ".
const CORRUPT: &str = "StorageError: corrupt object";
/// A list names so many at most.
const MOST: usize = 100;

/// The error of one object, asked for by name.
pub(crate) fn one(key: &Key, revision: Revision) -> Status {
    Status::internal(&format!("{CORRUPT}, Key: {}, ResourceVersion: {revision}", path(key)))
}

/// Whether a status says that an object cannot be read.
pub(crate) fn is_unreadable(status: &Status) -> bool {
    let prefix = "Internal error occurred: ";
    status.message.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(CORRUPT)) || status.reason == REASON
}

const REASON: &str = "StoreReadError";

/// The error of a list: every object in it that cannot be read.
pub(crate) fn some(objects: &[Unreadable]) -> Status {
    let cause = |object: &Unreadable| Cause {
        reason: "UnexpectedServerResponse".into(),
        message: format!("{CORRUPT}, Key: {}, ResourceVersion: {}", path(&object.key), object.revision),
        field: path(&object.key),
    };
    let mut causes: Vec<Cause> = objects.iter().take(MOST).map(cause).collect();
    if objects.len() > MOST {
        let message = format!("and {} more", objects.len() - MOST);
        causes.push(Cause { reason: "FieldValueTooMany".into(), message, field: String::new() });
    }
    let resource = objects.first().map_or("", |object| &object.key.resource);
    let (kind, group) = resource.split_once('.').unwrap_or((resource, ""));
    let message = format!("failed to read one or more {resource} from the storage");
    Status::new(500, REASON, message).with_details(Details {
        group: group.to_owned(),
        kind: kind.to_owned(),
        causes,
        ..Details::default()
    })
}

fn path(key: &Key) -> String {
    let parts = [&*key.resource, &*key.namespace, &*key.name];
    parts.into_iter().filter(|part| !part.is_empty()).flat_map(|part| ["/", part]).collect()
}

impl Shape {
    /// The items of a list; the error names all of them that cannot be read.
    pub(crate) fn serve_all(&self, records: &[Record]) -> Result<Vec<Bytes>, Status> {
        let mut items = Vec::with_capacity(records.len());
        let mut unreadable = Vec::new();
        for record in records {
            match self.serve(record) {
                Ok(bytes) => items.push(bytes),
                Err(status) if is_unreadable(&status) => {
                    unreadable.push(Unreadable { key: record.key.clone(), revision: record.revision });
                }
                Err(status) => return Err(status),
            }
        }
        if unreadable.is_empty() { Ok(items) } else { Err(some(&unreadable)) }
    }

    /// What watchers are told of an object that is deleted unread: where it was.
    pub(crate) fn remains(&self, key: &Key) -> Object {
        let gvk = self.definition.gvk(&self.version);
        let mut metadata = json!({"name": &*key.name});
        if !key.namespace.is_empty() {
            metadata["namespace"] = json!(&*key.namespace);
        }
        let value = json!({"apiVersion": gvk.api_version(), "kind": gvk.kind, "metadata": metadata});
        crate::shape::as_object(value)
    }
}
