//! One rule and what it allows.

use super::Attributes;
use otternauts_meta::Object;

/// A policy rule of a Role or ClusterRole.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyRule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
}

impl PolicyRule {
    /// True when this rule alone allows what is asked (row I13).
    pub fn allows(&self, asked: &Attributes) -> bool {
        if !has_or_star(&self.verbs, &asked.verb) {
            return false;
        }
        if asked.resource.is_empty() {
            return self.non_resource_urls.iter().any(|url| url_covers(url, &asked.path));
        }
        has_or_star(&self.api_groups, &asked.group)
            && self.resources.iter().any(|r| resource_covers(r, &asked.resource, &asked.subresource))
            && (self.resource_names.is_empty() || self.resource_names.contains(&asked.name))
    }
}

/// The rules of a Role or ClusterRole as written. A rule that cannot be read grants nothing.
pub fn rules_of(role: &Object) -> Vec<PolicyRule> {
    let Some(rules) = role.at(&["rules"]).and_then(|r| r.as_array()) else { return Vec::new() };
    rules.iter().filter_map(|rule| serde::Deserialize::deserialize(rule).ok()).collect()
}

pub(super) fn has_or_star(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

/// `pattern` is `*`, `stacks`, `stacks/status` or `*/status`.
fn resource_covers(pattern: &str, resource: &str, subresource: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match pattern.split_once('/') {
        None => subresource.is_empty() && pattern == resource,
        Some((parent, sub)) => !subresource.is_empty() && sub == subresource && (parent == "*" || parent == resource),
    }
}

/// `pattern` is a path, or a prefix that ends with `*`.
pub(super) fn url_covers(pattern: &str, path: &str) -> bool {
    pattern == path || pattern.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix))
}
