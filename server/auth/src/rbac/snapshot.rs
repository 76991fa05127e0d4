//! All roles and bindings at one moment, arranged by who they are for.

use super::aggregate;
use super::escalate::{covers, refusal};
use super::rule::{PolicyRule, rules_of};
use super::{Attributes, Decision};
use crate::user::{MASTERS, User, service_account_name};
use otternauts_meta::Object;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Who may do what, looked up by user and group. Build one per change of a role or binding; share it by `Arc`.
#[derive(Debug, Default)]
pub struct RoleSnapshot {
    users: HashMap<String, Grants>,
    groups: HashMap<String, Grants>,
}

/// What a user may do in a namespace, as a self review lists it (row I9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRules {
    pub resource: Vec<PolicyRule>,
    pub non_resource: Vec<PolicyRule>,
}

#[derive(Debug, Default)]
struct Grants {
    everywhere: Vec<Grant>,
    namespaced: HashMap<String, Vec<Grant>>,
}

#[derive(Debug)]
struct Grant {
    rules: Arc<[PolicyRule]>,
    /// The binding in Kubernetes' words, as reviews and the audit log show it.
    reason: String,
}

type Rules<'a> = HashMap<(&'a str, &'a str), Arc<[PolicyRule]>>;

impl RoleSnapshot {
    /// Takes Role, RoleBinding, ClusterRole and ClusterRoleBinding objects in any order; other kinds are left alone.
    pub fn from_objects<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Self {
        let mut cluster_roles = HashMap::new();
        let mut rules = Rules::new();
        let mut bindings = Vec::new();
        for object in objects {
            match object.kind() {
                "ClusterRole" => {
                    cluster_roles.insert(object.name(), object);
                }
                "Role" => {
                    rules.insert((object.namespace(), object.name()), rules_of(object).into());
                }
                "ClusterRoleBinding" | "RoleBinding" => bindings.push(object),
                _ => {}
            }
        }
        for (name, resolved) in aggregate::resolve(&cluster_roles) {
            rules.insert(("", cluster_roles[name].name()), resolved.into());
        }
        bindings.sort_by_key(|binding| (binding.namespace(), binding.name()));
        let mut snapshot = Self::default();
        for binding in bindings {
            snapshot.bind(binding, &rules);
        }
        snapshot
    }

    /// A binding whose role is missing grants nothing until the role is there.
    fn bind(&mut self, binding: &Object, rules: &Rules<'_>) {
        let namespace = if binding.kind() == "RoleBinding" { binding.namespace() } else { "" };
        let text = |key: &str| binding.at(&["roleRef", key]).and_then(Value::as_str).unwrap_or_default();
        let home = if text("kind") == "Role" { namespace } else { "" };
        if binding.kind() == "RoleBinding" && namespace.is_empty() || text("kind") == "Role" && home.is_empty() {
            return;
        }
        let Some(rules) = rules.get(&(home, text("name"))) else { return };
        let subjects = binding.at(&["subjects"]).and_then(Value::as_array);
        for subject in subjects.into_iter().flatten() {
            let Some((index, key, described)) = self.subject(subject, namespace) else { continue };
            let place = if namespace.is_empty() {
                binding.name().to_owned()
            } else {
                format!("{}/{namespace}", binding.name())
            };
            let reason = format!(
                "RBAC: allowed by {} {place:?} of {} {:?} to {described}",
                binding.kind(),
                text("kind"),
                text("name"),
            );
            let grant = Grant { rules: Arc::clone(rules), reason };
            let grants = index.entry(key).or_default();
            if namespace.is_empty() {
                grants.everywhere.push(grant);
            } else {
                grants.namespaced.entry(namespace.to_owned()).or_default().push(grant);
            }
        }
    }

    fn subject(
        &mut self,
        subject: &Value,
        binding_namespace: &str,
    ) -> Option<(&mut HashMap<String, Grants>, String, String)> {
        let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = text("name");
        match text("kind") {
            "User" => Some((&mut self.users, name.to_owned(), format!("User {name:?}"))),
            "Group" => Some((&mut self.groups, name.to_owned(), format!("Group {name:?}"))),
            "ServiceAccount" => {
                let namespace = if text("namespace").is_empty() { binding_namespace } else { text("namespace") };
                if namespace.is_empty() {
                    return None;
                }
                let described = format!("ServiceAccount {:?}", format!("{name}/{namespace}"));
                Some((&mut self.users, service_account_name(namespace, name), described))
            }
            _ => None,
        }
    }

    /// The grants that count for a user in a namespace (empty: at cluster scope), those of the whole cluster first.
    fn grants<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = &'a Grant> {
        let of_user = move || {
            let groups = user.groups.iter().filter_map(|group| self.groups.get(group));
            self.users.get(&user.name).into_iter().chain(groups)
        };
        let everywhere = of_user().flat_map(|grants| &grants.everywhere);
        let here = of_user().filter_map(move |grants| grants.namespaced.get(namespace)).flatten();
        everywhere.chain(here)
    }

    /// The union of what every binding of the user allows (row I13).
    pub fn authorize(&self, user: &User, attributes: &Attributes) -> Decision {
        if user.in_group(MASTERS) {
            return Decision::Allow { reason: String::new() };
        }
        self.grants(user, &attributes.namespace)
            .find(|grant| grant.rules.iter().any(|rule| rule.allows(attributes)))
            .map_or(Decision::NoOpinion, |grant| Decision::Allow { reason: grant.reason.clone() })
    }

    /// Every rule that counts for a user in a namespace (row I9).
    pub fn rules_for(&self, user: &User, namespace: &str) -> UserRules {
        let mut found = UserRules::default();
        if user.in_group(MASTERS) {
            let all = || vec!["*".to_owned()];
            found.resource.push(PolicyRule {
                verbs: all(),
                api_groups: all(),
                resources: all(),
                ..PolicyRule::default()
            });
            found.non_resource.push(PolicyRule { verbs: all(), non_resource_urls: all(), ..PolicyRule::default() });
        }
        for rule in self.grants(user, namespace).flat_map(|grant| grant.rules.iter()) {
            let resource = PolicyRule { non_resource_urls: Vec::new(), ..rule.clone() };
            if !resource.resources.is_empty() && !found.resource.contains(&resource) {
                found.resource.push(resource);
            }
            let urls = &rule.non_resource_urls;
            if !urls.is_empty() {
                let verbs = rule.verbs.clone();
                let path = PolicyRule { verbs, non_resource_urls: urls.clone(), ..PolicyRule::default() };
                if !found.non_resource.contains(&path) {
                    found.non_resource.push(path);
                }
            }
        }
        found
    }

    /// Nobody hands out more than they hold (row I12): `Err` carries the text that follows `is forbidden: `.
    /// Whether the user holds `escalate` or `bind` is for the caller to ask first.
    pub fn may_grant(&self, user: &User, namespace: &str, wanted: &[PolicyRule]) -> Result<(), String> {
        if user.in_group(MASTERS) {
            return Ok(());
        }
        let held: Vec<PolicyRule> = self.grants(user, namespace).flat_map(|g| g.rules.iter().cloned()).collect();
        covers(&held, wanted).map_err(|missing| refusal(user, &missing))
    }
}
