//! HealRule: a rule that cannot be read is refused where it is written, with the place in its text (OT-36).

use super::Kind;
use crate::request::Subresource;
use otternauts_meta::{ErrorList, FieldError, Object, Path};
use otternauts_rules::{Span, parse};
use serde_json::Value;

pub(super) struct HealRule;

impl Kind for HealRule {
    fn has_generation(&self) -> bool {
        true
    }

    fn unconditional_update(&self) -> bool {
        false
    }

    fn strict_finalizers(&self) -> bool {
        false
    }

    /// What has not changed is not judged again, so a newer grammar never blocks metadata.
    fn validate(&self, object: &Object, old: Option<&Object>, subresource: Subresource) -> ErrorList {
        let mut errors = ErrorList::new();
        if subresource != Subresource::None {
            return errors;
        }
        let changed = |field: &str| {
            let new = object.at(&["spec", field]);
            let same = old.is_some_and(|old| old.at(&["spec", field]) == new);
            new.and_then(Value::as_str).filter(|_| !same)
        };
        let spec = Path::new("spec");
        if let Some(condition) = changed("condition")
            && let Err(error) = parse(condition)
        {
            errors.push(FieldError::invalid(&spec.child("condition"), condition, error.to_string()));
        }
        if let Some(cooldown) = changed("cooldown")
            && Span::parse(cooldown).is_none()
        {
            let detail = "must be a time such as 30s, 5m or 1h30m";
            errors.push(FieldError::invalid(&spec.child("cooldown"), cooldown, detail));
        }
        errors
    }
}
