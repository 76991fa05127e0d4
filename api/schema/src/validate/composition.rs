//! allOf, anyOf, oneOf, not.

use super::node;
use crate::schema::Schema;
use otternauts_meta::{ErrorList, FieldError, Path};
use serde_json::Value;

fn judge(schema: &Schema, value: &Value, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    node(schema, value, None, path, &mut errors);
    errors
}

/// Upstream reports these without a field, beside what is wrong with one branch.
fn summary(path: &Path, text: &str, errors: &mut ErrorList) {
    errors.push(FieldError::invalid(&Path::root(), "", format!("\"{}\" {text}", path.as_str())));
}

pub(super) fn check(schema: &Schema, value: &Value, path: &Path, errors: &mut ErrorList) {
    let rules = &schema.rules;
    if !rules.any_of.is_empty() {
        let mut results = rules.any_of.iter().map(|s| judge(s, value, path));
        let first = results.next().unwrap_or_default();
        if !first.is_empty() && !results.any(|r| r.is_empty()) {
            summary(path, "must validate at least one schema (anyOf)", errors);
            errors.extend(first);
        }
    }
    if !rules.one_of.is_empty() {
        let results: Vec<ErrorList> = rules.one_of.iter().map(|s| judge(s, value, path)).collect();
        match results.iter().filter(|r| r.is_empty()).count() {
            1 => {}
            0 => {
                summary(path, "must validate one and only one schema (oneOf). Found none valid", errors);
                errors.extend(results.into_iter().next().unwrap_or_default());
            }
            n => {
                summary(
                    path,
                    &format!("must validate one and only one schema (oneOf). Found {n} valid alternatives"),
                    errors,
                );
            }
        }
    }
    if !rules.all_of.is_empty() {
        let results: Vec<ErrorList> = rules.all_of.iter().map(|s| judge(s, value, path)).collect();
        let failed = results.iter().filter(|r| !r.is_empty()).count();
        if failed > 0 {
            let none = if failed == results.len() { ". None validated" } else { "" };
            errors.extend(results.into_iter().flatten());
            summary(path, &format!("must validate all the schemas (allOf){none}"), errors);
        }
    }
    if let Some(not) = &rules.not
        && judge(not, value, path).is_empty()
    {
        summary(path, "must not validate the schema (not)", errors);
    }
}
