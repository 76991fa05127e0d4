//! What a change of a CRD may not do (row X5).

use super::{has_condition, requested_names, spec_of, text};
use otternauts_meta::{ErrorList, FieldError, Object, Path};

/// Group and plural never change; scope and kind not once the CRD was established. Its content is [`super::validate`]'s matter.
pub fn validate_update(new: &Object, old: &Object) -> ErrorList {
    let mut errors = ErrorList::new();
    let (new_spec, old_spec) = (spec_of(new), spec_of(old));
    let (new_names, old_names) = (requested_names(new), requested_names(old));
    let mut fixed = |path: &str, new: &str, old: &str| {
        if new != old {
            errors.push(FieldError::invalid(&Path::new(path), new, "field is immutable"));
        }
    };
    fixed("spec.group", text(&new_spec, "group"), text(&old_spec, "group"));
    fixed("spec.names.plural", &new_names.plural, &old_names.plural);
    if has_condition(old, "Established") {
        fixed("spec.scope", text(&new_spec, "scope"), text(&old_spec, "scope"));
        fixed("spec.names.kind", &new_names.kind, &old_names.kind);
    }
    errors
}
