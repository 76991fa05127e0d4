//! Names that another kind of the group already has (row X3).

use crate::definition::Names;
use std::collections::HashSet;

/// Why `NamesAccepted` is `False`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameConflict {
    pub reason: &'static str,
    pub message: String,
}

/// The names a CRD may have: those it asks for, or its present one where another kind of its group has the name.
/// `others` are the accepted names of the other kinds. With several conflicts the last one is reported.
pub fn accept_names(requested: &Names, present: &Names, others: &[Names]) -> (Names, Option<NameConflict>) {
    let mut resources: HashSet<&str> = HashSet::new();
    let mut kinds: HashSet<&str> = HashSet::new();
    for other in others {
        resources.extend([other.plural.as_str(), other.singular.as_str()]);
        resources.extend(other.short_names.iter().map(String::as_str));
        kinds.extend([other.kind.as_str(), other.list_kind.as_str()]);
    }
    resources.remove("");
    kinds.remove("");
    let mut accepted = requested.clone();
    let mut conflict = None;
    let mut taken = |set: &HashSet<&str>, name: &str, reason: &'static str| {
        let is = set.contains(name);
        if is {
            conflict = Some(NameConflict { reason, message: format!("\"{name}\" is already in use") });
        }
        is
    };
    if taken(&resources, &requested.plural, "PluralConflict") {
        accepted.plural.clone_from(&present.plural);
    }
    if taken(&resources, &requested.singular, "SingularConflict") {
        accepted.singular.clone_from(&present.singular);
    }
    if requested.short_names.iter().any(|name| taken(&resources, name, "ShortNamesConflict")) {
        accepted.short_names.clone_from(&present.short_names);
    }
    if taken(&kinds, &requested.kind, "KindConflict") {
        accepted.kind.clone_from(&present.kind);
    }
    if taken(&kinds, &requested.list_kind, "ListKindConflict") {
        accepted.list_kind.clone_from(&present.list_kind);
    }
    (accepted, conflict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(plural: &str, kind: &str, short: &[&str]) -> Names {
        Names {
            plural: plural.into(),
            singular: kind.to_lowercase(),
            kind: kind.into(),
            list_kind: format!("{kind}List"),
            short_names: short.iter().map(|s| (*s).to_owned()).collect(),
            categories: vec![],
        }
    }

    #[test]
    fn a_taken_name_is_refused_and_the_last_conflict_named() {
        let stack = names("stacks", "Stack", &["stk"]);
        let none = Names::default();
        assert_eq!(accept_names(&stack, &none, &[names("widgets", "Widget", &[])]), (stack.clone(), None));
        let (accepted, conflict) = accept_names(&stack, &none, &[names("others", "Stack", &["stk"])]);
        assert_eq!(accepted.plural, "stacks");
        assert_eq!((accepted.kind.as_str(), accepted.list_kind.as_str(), accepted.short_names.len()), ("", "", 0));
        let conflict = conflict.expect("names are taken");
        assert_eq!(
            (conflict.reason, conflict.message.as_str()),
            ("ListKindConflict", "\"StackList\" is already in use")
        );
    }
}
