//! ClusterRoles that are made of others: `aggregationRule`.

use super::rule::{PolicyRule, rules_of};
use otternauts_meta::Object;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// The rules of every ClusterRole, by name; an aggregating one has those of the roles its selectors choose, in the order
/// of their names and without duplicates, whatever its own `rules` say. Cycles end where they close.
pub(super) fn resolve<'a>(cluster_roles: &'a HashMap<&'a str, &'a Object>) -> BTreeMap<&'a str, Vec<PolicyRule>> {
    let mut names: Vec<&str> = cluster_roles.keys().copied().collect();
    names.sort_unstable();
    let mut resolved = BTreeMap::new();
    for name in &names {
        let mut rules = Vec::new();
        collect(name, cluster_roles, &names, &mut Vec::new(), &mut rules);
        resolved.insert(*name, rules);
    }
    resolved
}

/// What the `rules` of each aggregating ClusterRole should read, by name: for writing them into the objects.
pub fn aggregated_rules<'a>(cluster_roles: impl IntoIterator<Item = &'a Object>) -> BTreeMap<String, Vec<PolicyRule>> {
    let by_name: HashMap<&str, &Object> = cluster_roles.into_iter().map(|role| (role.name(), role)).collect();
    let resolved = resolve(&by_name);
    resolved
        .into_iter()
        .filter(|(name, _)| by_name.get(name).is_some_and(|role| selectors(role).is_some()))
        .map(|(name, rules)| (name.to_owned(), rules))
        .collect()
}

fn collect<'a>(
    name: &'a str,
    roles: &HashMap<&'a str, &'a Object>,
    names: &[&'a str],
    path: &mut Vec<&'a str>,
    rules: &mut Vec<PolicyRule>,
) {
    let Some(role) = roles.get(name) else { return };
    let Some(selectors) = selectors(role) else {
        for rule in rules_of(role) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        return;
    };
    if path.contains(&name) {
        return;
    }
    path.push(name);
    for other in names.iter().filter(|other| **other != name) {
        if selectors.iter().any(|selector| selects(selector, roles[other])) {
            collect(other, roles, names, path, rules);
        }
    }
    path.pop();
}

fn selectors(role: &Object) -> Option<&Vec<Value>> {
    role.at(&["aggregationRule", "clusterRoleSelectors"]).and_then(Value::as_array)
}

/// A `LabelSelector` of the API as Kubernetes reads it: an empty one selects everything, an unknown operator nothing.
fn selects(selector: &Value, role: &Object) -> bool {
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    labels.into_iter().flatten().all(|(key, value)| role.label(key) == value.as_str())
        && expressions.into_iter().flatten().all(|expression| expression_holds(expression, role))
}

fn expression_holds(expression: &Value, role: &Object) -> bool {
    let text = |key: &str| expression.get(key).and_then(Value::as_str).unwrap_or_default();
    let label = role.label(text("key"));
    let listed = || {
        let values = expression.get("values").and_then(Value::as_array);
        values.is_some_and(|values| label.is_some_and(|label| values.iter().any(|v| v == label)))
    };
    match text("operator") {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        _ => false,
    }
}
