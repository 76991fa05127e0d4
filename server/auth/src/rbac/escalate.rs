//! Does somebody hold what they want to give away (row I12)?

use super::rule::{PolicyRule, has_or_star, url_covers};
use crate::User;
use std::collections::BTreeSet;

/// `Ok` when the held rules together allow everything the wanted ones do; else what is missing, one verb on one resource
/// (and one name) a rule. A wildcard that is wanted must be held as a wildcard.
pub fn covers(held: &[PolicyRule], wanted: &[PolicyRule]) -> Result<(), Vec<PolicyRule>> {
    let missing: Vec<PolicyRule> =
        wanted.iter().flat_map(atoms).filter(|atom| !held.iter().any(|rule| covers_atom(rule, atom))).collect();
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// A rule as the smallest rules it is the sum of.
fn atoms(rule: &PolicyRule) -> Vec<PolicyRule> {
    let one = |text: &String| vec![text.clone()];
    let mut found = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let atom = PolicyRule {
                    verbs: one(verb),
                    api_groups: one(group),
                    resources: one(resource),
                    ..PolicyRule::default()
                };
                if rule.resource_names.is_empty() {
                    found.push(atom.clone());
                }
                for name in &rule.resource_names {
                    found.push(PolicyRule { resource_names: one(name), ..atom.clone() });
                }
            }
        }
    }
    for url in &rule.non_resource_urls {
        for verb in &rule.verbs {
            found.push(PolicyRule { verbs: one(verb), non_resource_urls: one(url), ..PolicyRule::default() });
        }
    }
    found
}

fn covers_atom(held: &PolicyRule, atom: &PolicyRule) -> bool {
    let all = |list: &[String], test: &dyn Fn(&str) -> bool| list.iter().all(|item| test(item));
    all(&atom.verbs, &|verb| has_or_star(&held.verbs, verb))
        && all(&atom.api_groups, &|group| has_or_star(&held.api_groups, group))
        && all(&atom.resources, &|resource| holds_resource(&held.resources, resource))
        && all(&atom.non_resource_urls, &|url| held.non_resource_urls.iter().any(|h| url_covers(h, url)))
        && (held.resource_names.is_empty()
            || !atom.resource_names.is_empty()
                && all(&atom.resource_names, &|n| held.resource_names.iter().any(|h| h == n)))
}

/// `*/status` is held by `*`, and holds `stacks/status`.
fn holds_resource(held: &[String], wanted: &str) -> bool {
    has_or_star(held, wanted)
        || wanted.split_once('/').is_some_and(|(_, sub)| held.iter().any(|h| h.strip_prefix("*/") == Some(sub)))
}

/// What Kubernetes says after `is forbidden: `.
pub(super) fn refusal(user: &User, missing: &[PolicyRule]) -> String {
    let lines: BTreeSet<String> = merged(missing).iter().map(describe).collect();
    let lines: Vec<String> = lines.into_iter().collect();
    format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        quoted(&user.groups),
        lines.join("\n")
    )
}

/// Atoms on the same resource (and name) as one rule with all their verbs, in the order they came.
fn merged(atoms: &[PolicyRule]) -> Vec<PolicyRule> {
    let mut rules: Vec<PolicyRule> = Vec::new();
    for atom in atoms {
        let same = |rule: &&mut PolicyRule| {
            !atom.resources.is_empty()
                && rule.api_groups == atom.api_groups
                && rule.resources == atom.resources
                && rule.resource_names == atom.resource_names
        };
        match rules.iter_mut().find(same) {
            Some(rule) => {
                for verb in &atom.verbs {
                    if !rule.verbs.contains(verb) {
                        rule.verbs.push(verb.clone());
                    }
                }
            }
            None => rules.push(atom.clone()),
        }
    }
    rules
}

/// A rule on one line, as Kubernetes prints it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
pub fn describe(rule: &PolicyRule) -> String {
    let parts = [
        ("APIGroups", &rule.api_groups),
        ("Resources", &rule.resources),
        ("NonResourceURLs", &rule.non_resource_urls),
        ("ResourceNames", &rule.resource_names),
        ("Verbs", &rule.verbs),
    ];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| format!("{name}:{}", quoted(list)))
        .collect();
    format!("{{{}}}", shown.join(", "))
}

fn quoted(list: &[String]) -> String {
    let items: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", items.join(" "))
}
