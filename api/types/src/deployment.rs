//! One rollout of a Stack: an immutable snapshot with a number.

use crate::condition::Condition;
use crate::reference::LocalRef;
use crate::stack::ServiceStatus;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Named `<stack>-<version>`. Once its snapshot is filled in, its spec never changes.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "otternauts.dev",
    version = "v1",
    kind = "Deployment",
    namespaced,
    status = "DeploymentStatus",
    shortname = "dpl",
    category = "otternauts",
    derive = "PartialEq",
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    ),
    printcolumn = r#"{"name":"Stack","type":"string","jsonPath":".spec.stackRef.name"}"#,
    printcolumn = r#"{"name":"Version","type":"integer","jsonPath":".spec.version"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Trigger","type":"string","jsonPath":".spec.trigger"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.lastError"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentSpec {
    pub stack_ref: LocalRef,
    /// Given by the controller; a person may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub version: Option<i64>,
    #[serde(default)]
    pub trigger: Trigger,
    /// The version whose snapshot is deployed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub rollback_to: Option<i64>,
    /// Filled in once by the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    #[default]
    Manual,
    Automatic,
    Rollback,
    Heal,
}

/// What is deployed. `${VAR}` stays as written; the values are in the Secret `envSecretRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    pub compose: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_secret_ref: Option<LocalRef>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registry_credential_refs: Vec<LocalRef>,
    /// Registry -> a mark of the login that was sent to the swarm: another mark is sent again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registry_logins: BTreeMap<String, String>,
    /// Of the rendered compose file with its values; equal hashes mean nothing to do.
    #[serde(default)]
    pub spec_sha256: String,
    /// The generation of the Stack it was taken from.
    #[serde(default)]
    pub stack_generation: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeploymentPhase {
    #[default]
    Pending,
    Running,
    Succeeded,
    Failed,
    RolledBack,
    Superseded,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStatus {
    #[serde(default)]
    pub phase: DeploymentPhase,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub services: Vec<ServiceStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StepState {
    #[default]
    Pending,
    /// Recorded before acting; after a crash it is observed, never blindly repeated (R15).
    Started,
    Done,
    Failed,
}

/// One step of the rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// `render`, `deploy`, `converge`.
    pub name: String,
    #[serde(default)]
    pub state: StepState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub started_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub finished_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
