//! What admission needs to know of other objects, kept in memory and in step with every commit (design section 4, row C15).

use otternauts_auth::rbac::rules_of;
use otternauts_auth::{PolicyRule, RoleSnapshot};
use otternauts_meta::Object;
use parking_lot::RwLock;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(crate) const NAMESPACES: &str = "namespaces";
pub(crate) const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";
pub(crate) const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
const CLUSTERS: &str = "clusters.otternauts.dev";
/// The resources a fact is kept of. Their writes are serialised; all others run side by side.
pub(crate) const KEPT: [&str; 7] = [
    NAMESPACES,
    CRDS,
    CLUSTERS,
    CLUSTER_ROLES,
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
];

pub(crate) fn is_kept(resource: &str) -> bool {
    KEPT.contains(&resource)
}

/// What a create in a namespace asks of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NamespaceFacts {
    pub terminating: bool,
    /// The label `otternauts.dev/policy`.
    pub policy: Option<String>,
}

/// `Cluster.spec.policy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterPolicy {
    pub host_ports: Vec<u16>,
    pub bind_mounts: Vec<String>,
    pub registries: Vec<String>,
    pub volume_drivers: Vec<String>,
    pub logging_drivers: Vec<String>,
}

/// Resource, namespace, name.
type Place = (String, String, String);

#[derive(Default)]
pub(crate) struct Facts {
    namespaces: RwLock<HashMap<String, NamespaceFacts>>,
    clusters: RwLock<HashMap<String, ClusterPolicy>>,
    rbac: RwLock<BTreeMap<Place, Object>>,
    roles: arc_swap::ArcSwap<RoleSnapshot>,
}

impl Facts {
    /// Takes note of a committed change; `None` is a deletion. Calls come in commit order.
    pub fn observe(&self, resource: &str, namespace: &str, name: &str, object: Option<&Object>) {
        self.note(resource, namespace, name, object);
        if resource.ends_with(".rbac.authorization.k8s.io") {
            self.rebuild_roles();
        }
    }

    /// [`Facts::observe`] without rebuilding the roles: for the start.
    pub fn note(&self, resource: &str, namespace: &str, name: &str, object: Option<&Object>) {
        match resource {
            NAMESPACES => put(&self.namespaces, name, object.map(namespace_facts)),
            CLUSTERS => put(&self.clusters, name, object.map(cluster_policy)),
            _ if resource.ends_with(".rbac.authorization.k8s.io") => {
                let place = (resource.to_owned(), namespace.to_owned(), name.to_owned());
                let mut rbac = self.rbac.write();
                match object {
                    Some(object) => drop(rbac.insert(place, object.clone())),
                    None => drop(rbac.remove(&place)),
                }
            }
            _ => {}
        }
    }

    pub fn rebuild_roles(&self) {
        let rbac = self.rbac.read();
        self.roles.store(Arc::new(RoleSnapshot::from_objects(rbac.values())));
    }

    pub fn namespace(&self, name: &str) -> Option<NamespaceFacts> {
        self.namespaces.read().get(name).cloned()
    }

    /// Those that are not on their way out.
    pub fn active_namespaces(&self) -> Vec<String> {
        let namespaces = self.namespaces.read();
        namespaces.iter().filter(|(_, facts)| !facts.terminating).map(|(name, _)| name.clone()).collect()
    }

    pub fn cluster(&self, name: &str) -> Option<ClusterPolicy> {
        self.clusters.read().get(name).cloned()
    }

    pub fn roles(&self) -> Arc<RoleSnapshot> {
        self.roles.load_full()
    }

    /// The rules of a role, aggregated ones included; `resource` is `roles` or `clusterroles`.
    pub fn role(&self, resource: &str, namespace: &str, name: &str) -> Option<Vec<PolicyRule>> {
        let resource = format!("{resource}.rbac.authorization.k8s.io");
        self.rbac.read().get(&(resource, namespace.to_owned(), name.to_owned())).map(rules_of)
    }

    /// The ClusterRoles whose `rules` are not what their `aggregationRule` makes them (row I12).
    pub fn stale_aggregates(&self) -> Vec<(String, Value)> {
        let rbac = self.rbac.read();
        let roles = rbac.iter().filter(|((resource, _, _), _)| resource == CLUSTER_ROLES).map(|(_, role)| role);
        let wanted = otternauts_auth::rbac::aggregated_rules(roles);
        wanted
            .into_iter()
            .filter(|(name, rules)| {
                let place = (CLUSTER_ROLES.to_owned(), String::new(), name.clone());
                rbac.get(&place).is_some_and(|role| rules_of(role) != *rules)
            })
            .filter_map(|(name, rules)| Some((name, serde_json::to_value(rules).ok()?)))
            .collect()
    }
}

fn put<T>(map: &RwLock<HashMap<String, T>>, name: &str, value: Option<T>) {
    match value {
        Some(value) => drop(map.write().insert(name.to_owned(), value)),
        None => drop(map.write().remove(name)),
    }
}

fn namespace_facts(object: &Object) -> NamespaceFacts {
    NamespaceFacts {
        terminating: object.is_terminating(),
        policy: object.label(otternauts_types::POLICY_LABEL).map(str::to_owned),
    }
}

fn cluster_policy(object: &Object) -> ClusterPolicy {
    let items = |key: &str| object.at(&["spec", "policy", key]).and_then(Value::as_array).into_iter().flatten();
    let texts = |key: &str| items(key).filter_map(Value::as_str).map(str::to_owned).collect();
    let port = |v: &Value| v.as_u64().and_then(|port| u16::try_from(port).ok());
    ClusterPolicy {
        host_ports: items("hostPorts").filter_map(port).collect(),
        bind_mounts: texts("bindMounts"),
        registries: texts("registries"),
        volume_drivers: texts("volumeDrivers"),
        logging_drivers: texts("loggingDrivers"),
    }
}
