//! Lease: what leader election stands on (row B11).

use super::{Kind, typed};
use crate::request::Subresource;
use otternauts_meta::{ErrorList, FieldError, Object, Path};
use serde_json::Value;

pub(super) struct Lease;

impl Kind for Lease {
    fn create_on_update(&self) -> bool {
        true
    }

    fn unconditional_update(&self) -> bool {
        false
    }

    fn read(&self, object: &mut Object) -> Result<(), String> {
        typed::micro_time(object, &["spec", "acquireTime"])?;
        typed::micro_time(object, &["spec", "renewTime"])
    }

    fn validate(&self, object: &Object, _old: Option<&Object>, _subresource: Subresource) -> ErrorList {
        let mut errors = ErrorList::new();
        for (field, detail) in [
            ("leaseDurationSeconds", "must be greater than 0"),
            ("leaseTransitions", "must be greater than or equal to 0"),
        ] {
            let least = if field == "leaseDurationSeconds" { 1 } else { 0 };
            if let Some(value) = object.at(&["spec", field]).and_then(Value::as_i64)
                && value < least
            {
                errors.push(FieldError::invalid(&Path::new("spec").child(field), value, detail));
            }
        }
        errors
    }
}
