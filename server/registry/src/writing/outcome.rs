//! What is to be done once an update is known: nothing, a write, or a deletion (rows C13, G3).

use super::Writing;
use crate::request::Subresource;
use otternauts_meta::{Object, Status};
use otternauts_store::{Op, Precondition, Record, Write};
use serde_json::Value;

pub(crate) enum Outcome {
    /// Stored as it is already.
    Same,
    Put {
        object: Object,
        write: Write,
    },
    /// The last finalizer of a terminating object went.
    Gone {
        object: Object,
        write: Write,
    },
}

impl Writing<'_> {
    /// `old` is what `record` holds; `new` is prepared and owned.
    pub fn outcome(&self, record: &Record, old: &Object, object: Object) -> Result<Outcome, Status> {
        let terminating = object.is_terminating();
        let finished = terminating && object.finalizers().is_empty() && self.shape.kind.is_finished(&object);
        if finished && (self.target.subresource != Subresource::Status) {
            let last = self.shape.body(old)?;
            let write = self.write(record, Op::Delete { last });
            return Ok(Outcome::Gone { object, write });
        }
        if self.is_stored_already(record, old, &object)? {
            return Ok(Outcome::Same);
        }
        let body = self.shape.body(&object)?;
        let write = self.write(record, Op::Put(body));
        Ok(Outcome::Put { object, write })
    }

    fn write(&self, record: &Record, op: Op) -> Write {
        Write { key: record.key.clone(), precondition: Precondition::At(record.revision), op }
    }

    /// Row C13: newly defaulted or pruned content counts as a change, times in managedFields alone do not.
    fn is_stored_already(&self, record: &Record, old: &Object, new: &Object) -> Result<bool, Status> {
        if !same_but_times(old, new) {
            return Ok(false);
        }
        if record.schema == self.shape.stored_hash() {
            return Ok(true);
        }
        // The schema has changed since: what is stored may differ from what was read.
        let stored = self.shape.parse(record)?;
        let again = self.shape.storable(new);
        Ok(same_but_times(&stored, &again))
    }
}

/// Equal but for `resourceVersion` and the times of managedFields.
pub(crate) fn same_but_times(a: &Object, b: &Object) -> bool {
    if a.0.len() != b.0.len() || a.0.iter().any(|(key, value)| key != "metadata" && b.0.get(key) != Some(value)) {
        return false;
    }
    let (Some(a), Some(b)) = (a.metadata(), b.metadata()) else { return false };
    let counts = |key: &str| key != "resourceVersion";
    let same = |key: &str, value: &Value| match (key, b.get(key)) {
        ("managedFields", Some(other)) => without_times(value) == without_times(other),
        (_, other) => other == Some(value),
    };
    a.iter().all(|(key, value)| !counts(key) || same(key, value))
        && b.keys().all(|key| !counts(key) || a.contains_key(key))
}

fn without_times(managed: &Value) -> Value {
    let mut managed = managed.clone();
    for entry in managed.as_array_mut().into_iter().flatten() {
        if let Some(entry) = entry.as_object_mut() {
            entry.shift_remove("time");
        }
    }
    managed
}
