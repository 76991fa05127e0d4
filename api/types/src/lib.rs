//! The kinds of `otternauts.dev/v1` as Rust structs. See README.md.
//!
//! Each struct derives its CRD; [`crds`] hands all of them out as the JSON that is applied at start-up, so a kind of ours is served
//! by the same code as anybody's. Field names and meanings are fixed by sections 3 and 9 of the design.
//!
//! With `kube` a Rust program needs nothing else. It finds the server by `KUBECONFIG`:
//!
//! ```no_run
//! use futures::TryStreamExt as _;
//! use kube::api::{Patch, PatchParams};
//! use kube::runtime::{WatchStreamExt as _, watcher};
//! use kube::{Api, Client, ResourceExt as _};
//! use otternauts_types::{Stack, StackSpec};
//!
//! # async fn program() -> Result<(), Box<dyn std::error::Error>> {
//! let stacks: Api<Stack> = Api::default_namespaced(Client::try_default().await?);
//!
//! // Server-side apply: creates it, or changes what differs.
//! // Read from JSON a spec has the same defaults as on the server.
//! let spec: StackSpec = serde_json::from_value(serde_json::json!({
//!     "compose": {"inline": "services: {web: {image: nginx}}"},
//! }))?;
//! let shop = Stack::new("shop", spec);
//! stacks.patch("shop", &PatchParams::apply("my-program"), &Patch::Apply(&shop)).await?;
//!
//! // Every change from now on; breaks and forgotten places are gone over.
//! let changes = watcher(stacks, watcher::Config::default()).default_backoff().applied_objects();
//! let mut changes = std::pin::pin!(changes);
//! while let Some(stack) = changes.try_next().await? {
//!     let phase = stack.status.as_ref().map(|status| status.phase);
//!     println!("{} {phase:?}", stack.name_any());
//! }
//! # Ok(())
//! # }
//! ```

pub mod cluster;
pub mod condition;
pub mod deployment;
pub mod heal_rule;
pub mod notifier;
pub mod reference;
pub mod registry_credential;
pub mod server;
pub mod stack;

pub use cluster::{Cluster, ClusterSpec, ClusterStatus};
pub use condition::{Condition, ConditionStatus, set_condition};
pub use deployment::{Deployment, DeploymentSpec, DeploymentStatus};
pub use heal_rule::{HealAction, HealActionRecord, HealActionState, HealRule, HealRuleSpec, HealRuleStatus};
pub use notifier::{Notifier, NotifierSpec, NotifierStatus};
pub use reference::{ConfigMapKeyRef, LocalRef, SecretKeyRef};
pub use registry_credential::{RegistryCredential, RegistryCredentialSpec, RegistryCredentialStatus};
pub use server::{Server, ServerSpec, ServerStatus};
pub use stack::{Stack, StackSpec, StackStatus};

use kube_core::CustomResourceExt as _;
use serde_json::Value;

/// The API group of every kind here.
pub const GROUP: &str = "otternauts.dev";
/// The only version so far.
pub const VERSION: &str = "v1";
/// The namespace of the system's own objects, and of SSH keys unless a reference says otherwise.
pub const SYSTEM_NAMESPACE: &str = "otternauts-system";
/// Kept on Servers and Stacks until what they stand for is gone from the fleet.
pub const CLEANUP_FINALIZER: &str = "otternauts.dev/cleanup";
/// Set to any value: delete the object although its host cannot be reached any more.
pub const FORCE_DELETE_ANNOTATION: &str = "otternauts.dev/force-delete";
/// On a Notifier: its controller sends a test message for each new value and writes `status.test`.
pub const NOTIFY_TEST_ANNOTATION: &str = "otternauts.dev/notify-test";
/// Namespace label that picks the compose policy: `privileged`, `baseline` (default) or `restricted`.
pub const POLICY_LABEL: &str = "otternauts.dev/policy";

/// The CustomResourceDefinitions of all kinds, in the order they are listed to people.
pub fn crds() -> Vec<Value> {
    let kinds = [
        Cluster::crd(),
        Server::crd(),
        Stack::crd(),
        Deployment::crd(),
        HealRule::crd(),
        RegistryCredential::crd(),
        Notifier::crd(),
    ];
    kinds
        .into_iter()
        .map(|crd| {
            let mut crd = serde_json::to_value(crd).expect("a CRD holds strings, numbers and maps with string keys");
            tidy(&mut crd);
            describe_root(&mut crd);
            crd
        })
        .collect()
}

/// Takes out what the derive writes and Kubernetes would not: `nullable` (an absent field says the same and null is dropped, row X10),
/// nulls among enum values, unsigned formats that no client knows, whole numbers as floats.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("nullable");
            if let Some(Value::String(format)) = map.get("format")
                && format.starts_with("uint")
            {
                let wide = format == "uint64" || format == "uint32";
                map.insert("format".into(), if wide { "int64" } else { "int32" }.into());
            }
            if let Some(Value::Array(values)) = map.get_mut("enum") {
                values.retain(|v| !v.is_null());
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        Value::Number(n) => {
            if let Some(f) = n.as_f64()
                && !n.is_i64()
                && f.fract() == 0.0
                && f.abs() < 1e15
            {
                #[allow(clippy::cast_possible_truncation, reason = "a whole number below 1e15")]
                let whole = f as i64;
                *value = whole.into();
            }
        }
        _ => {}
    }
}

/// The derive describes the root with a text about itself; the spec's own description says what the kind is.
fn describe_root(crd: &mut Value) {
    for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
        let root = &mut version["schema"]["openAPIV3Schema"];
        let text = root["properties"]["spec"]["description"].clone();
        root["description"] = text;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_subresource_short_name_and_columns() {
        let crds = crds();
        assert_eq!(crds.len(), 7);
        for crd in crds {
            let name = crd["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let version = &crd["spec"]["versions"][0];
            assert!(version["subresources"]["status"].is_object(), "{name}");
            assert!(crd["spec"]["names"]["shortNames"][0].is_string(), "{name}");
            assert!(version["additionalPrinterColumns"][0].is_object(), "{name}");
        }
    }

    #[test]
    fn conditions_are_a_list_map_by_type_in_every_status() {
        for crd in crds() {
            let status = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
            let conditions = &status["properties"]["conditions"];
            assert_eq!(conditions["x-kubernetes-list-type"], "map", "{}", crd["metadata"]["name"]);
            assert_eq!(conditions["x-kubernetes-list-map-keys"][0], "type");
        }
    }

    #[test]
    fn no_format_is_unknown_to_kubernetes_clients() {
        let text = serde_json::to_string(&crds()).expect("serialisable");
        assert!(!text.contains("\"uint"), "an unsigned format is left");
    }
}
