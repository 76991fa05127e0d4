//! Deployment: what was deployed is history, and history does not change (design sections 3 and 9).

use super::{Kind, immutable};
use crate::request::Subresource;
use otternauts_meta::{ErrorList, FieldError, Object, Path};
use serde_json::Value;

pub(super) struct Deployment;

impl Kind for Deployment {
    fn has_generation(&self) -> bool {
        true
    }

    fn unconditional_update(&self) -> bool {
        false
    }

    fn strict_finalizers(&self) -> bool {
        false
    }

    /// The stack is fixed from the start, a version and what it rolls back to once they are given. Everything is fixed as soon
    /// as there is a snapshot: the controller fills it once.
    fn validate(&self, object: &Object, old: Option<&Object>, subresource: Subresource) -> ErrorList {
        let mut errors = ErrorList::new();
        let Some(old) = old.filter(|_| subresource == Subresource::None) else { return errors };
        let spec = Path::new("spec");
        let filled = set(old, "snapshot").is_some();
        immutable(&mut errors, &spec.child("stackRef"), set(object, "stackRef"), set(old, "stackRef"));
        for field in ["version", "trigger", "rollbackTo"] {
            // Until then the trigger is only what a default made it.
            let fixed = filled || (field != "trigger" && set(old, field).is_some());
            if fixed {
                immutable(&mut errors, &spec.child(field), set(object, field), set(old, field));
            }
        }
        if filled && set(object, "snapshot") != set(old, "snapshot") {
            // Not the value: it is a whole compose file.
            errors.push(FieldError::invalid(&spec.child("snapshot"), "object", "field is immutable"));
        }
        errors
    }
}

fn set<'a>(object: &'a Object, field: &str) -> Option<&'a Value> {
    object.at(&["spec", field]).filter(|value| !value.is_null())
}
