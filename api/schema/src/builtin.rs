//! The kinds that are served with Kubernetes' own semantics, whatever CRDs say.

use crate::definition::{Definition, Names, Origin, Scope, Version};
use crate::schema::Schema;
use serde_json::Value;
use std::sync::Arc;

struct Builtin {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    categories: &'static [&'static str],
    scope: Scope,
    has_status: bool,
    schema: &'static str,
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// In discovery order: groups as the reference lists them, kinds by plural.
const ALL: [Builtin; 12] = [
    namespaced("", "ConfigMap", "configmaps", &["cm"], include_str!("builtin/configmap.json")),
    namespaced("", "Event", "events", &["ev"], include_str!("builtin/event.json")),
    Builtin {
        scope: Scope::Cluster,
        has_status: true,
        ..namespaced("", "Namespace", "namespaces", &["ns"], include_str!("builtin/namespace.json"))
    },
    namespaced("", "Secret", "secrets", &[], include_str!("builtin/secret.json")),
    namespaced("", "ServiceAccount", "serviceaccounts", &["sa"], include_str!("builtin/serviceaccount.json")),
    namespaced("events.k8s.io", "Event", "events", &["ev"], include_str!("builtin/events.k8s.io-event.json")),
    Builtin {
        scope: Scope::Cluster,
        ..namespaced(
            RBAC,
            "ClusterRoleBinding",
            "clusterrolebindings",
            &[],
            include_str!("builtin/clusterrolebinding.json"),
        )
    },
    Builtin {
        scope: Scope::Cluster,
        ..namespaced(RBAC, "ClusterRole", "clusterroles", &[], include_str!("builtin/clusterrole.json"))
    },
    namespaced(RBAC, "RoleBinding", "rolebindings", &[], include_str!("builtin/rolebinding.json")),
    namespaced(RBAC, "Role", "roles", &[], include_str!("builtin/role.json")),
    Builtin {
        scope: Scope::Cluster,
        has_status: true,
        categories: &["api-extensions"],
        ..namespaced(
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            &["crd", "crds"],
            include_str!("builtin/customresourcedefinition.json"),
        )
    },
    namespaced("coordination.k8s.io", "Lease", "leases", &[], include_str!("builtin/lease.json")),
];

const fn namespaced(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    schema: &'static str,
) -> Builtin {
    Builtin { group, kind, plural, short, categories: &[], scope: Scope::Namespaced, has_status: false, schema }
}

/// All built-in kinds, in discovery order; each has the one version `v1`.
pub fn definitions() -> Vec<Definition> {
    ALL.iter().map(definition).collect()
}

fn definition(kind: &Builtin) -> Definition {
    let document: Value = serde_json::from_str(kind.schema).expect("a document of this crate, read by a test");
    let schema = Schema::trusted(&document).expect("a document of this crate, read by a test");
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    let version = Version {
        name: "v1".to_owned(),
        served: true,
        storage: true,
        schema: Arc::new(schema),
        schema_json: Arc::new(document),
        has_status: kind.has_status,
        scale: None,
        columns: Vec::new(),
        selectable_fields: Vec::new(),
        deprecation: None,
    };
    Definition {
        group: kind.group.to_owned(),
        names: Names {
            plural: kind.plural.to_owned(),
            singular: kind.kind.to_lowercase(),
            kind: kind.kind.to_owned(),
            list_kind: format!("{}List", kind.kind),
            short_names: owned(kind.short),
            categories: owned(kind.categories),
        },
        scope: kind.scope,
        origin: Origin::BuiltIn,
        versions: vec![version],
        hash: crate::hash::of(&[kind.group, kind.kind, kind.schema]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ListType, order_keys, prune, validate};
    use otternauts_meta::Path;
    use serde_json::json;

    fn find(group: &str, plural: &str) -> Definition {
        definitions().into_iter().find(|d| d.group == group && d.names.plural == plural).expect("a built-in kind")
    }

    #[test]
    fn every_document_of_ours_is_read_and_no_hash_is_shared() {
        let all = definitions();
        let mut hashes: Vec<u64> = all.iter().map(|d| d.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), ALL.len());
        assert!(all.iter().all(|d| d.versions.len() == 1 && d.is_builtin()));
    }

    #[test]
    fn objects_of_real_clients_pass_unchanged() {
        let check = |group: &str, plural: &str, object: Value| {
            let definition = find(group, plural);
            let schema = &definition.storage_version().schema;
            let mut value = object.clone();
            assert!(prune(schema, &mut value).is_empty(), "{plural}");
            assert_eq!(validate(schema, &value, None, &Path::root()), [], "{plural}");
            order_keys(schema, &mut value);
            assert_eq!(value.to_string(), object.to_string(), "{plural}: our order is the served order");
        };
        check(
            "",
            "configmaps",
            json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "immutable": true, "data": {"a": "b"}}),
        );
        check(
            "",
            "secrets",
            json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"a": "YQ=="}, "type": "Opaque"}),
        );
        check(
            "",
            "namespaces",
            json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "a", "creationTimestamp": null},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}),
        );
        check(
            "",
            "events",
            json!({"kind": "Event", "apiVersion": "v1", "metadata": {"name": "a"}, "involvedObject": {"kind": "Stack", "name": "a"},
                "reason": "R", "message": "m", "source": {}, "firstTimestamp": null, "lastTimestamp": null, "type": "Normal",
                "eventTime": "2026-01-02T03:04:05.000006Z", "reportingComponent": "c", "reportingInstance": "i"}),
        );
        check(
            "coordination.k8s.io",
            "leases",
            json!({"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": {"name": "a"},
                "spec": {"holderIdentity": "h", "leaseDurationSeconds": 15, "acquireTime": "2026-01-02T03:04:05.000006Z",
                    "renewTime": "2026-01-02T03:04:05.000006Z", "leaseTransitions": 0}}),
        );
        check(
            RBAC,
            "rolebindings",
            json!({"kind": "RoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "a"},
                "subjects": [{"kind": "User", "apiGroup": RBAC, "name": "bob"}],
                "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "r"}}),
        );
        check(
            RBAC,
            "clusterroles",
            json!({"kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "a"}, "rules": null,
                "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}),
        );
    }

    #[test]
    fn a_crd_keeps_its_schemas_whole() {
        let definition = find("apiextensions.k8s.io", "customresourcedefinitions");
        let mut value = json!({"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1", "metadata": {"name": "a.b"},
            "spec": {"zz": 1, "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"x": 1}}}}}]}});
        assert_eq!(prune(&definition.storage_version().schema, &mut value), ["spec.zz"]);
        assert_eq!(value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["a"]["x"], 1);
    }

    #[test]
    fn lists_with_keys_know_them() {
        let definition = find("", "serviceaccounts");
        let secrets = definition.storage_version().schema.property("secrets").expect("declared").clone();
        assert_eq!(secrets.list_type, ListType::Map(vec!["name".to_owned()]));
        assert_eq!(secrets.patch_merge_key.as_deref(), Some("name"));
    }
}
