//! A Linux server reached over SSH.

use crate::condition::Condition;
use crate::reference::{LocalRef, SecretKeyRef};
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One server of the fleet. There is no password field: keys only (OT-11).
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "otternauts.dev",
    version = "v1",
    kind = "Server",
    status = "ServerStatus",
    shortname = "srv",
    category = "otternauts",
    derive = "PartialEq",
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    ),
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Role","type":"string","jsonPath":".status.swarmRole"}"#,
    printcolumn = r#"{"name":"Address","type":"string","jsonPath":".spec.address"}"#,
    printcolumn = r#"{"name":"Docker","type":"string","jsonPath":".status.dockerVersion"}"#,
    printcolumn = r#"{"name":"OS","type":"string","priority":1,"jsonPath":".status.os"}"#,
    printcolumn = r#"{"name":"Node","type":"string","priority":1,"jsonPath":".status.swarmNodeID"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.lastError"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ServerSpec {
    /// The Cluster it belongs to; `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_ref: Option<LocalRef>,
    /// Host name or IP address; not needed with `connection: local`.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub address: String,
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// The SSH user; not needed with `connection: local`.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key_secret_ref: Option<SecretKeyRef>,
    #[serde(default)]
    pub role: SwarmRole,
    #[serde(default)]
    pub connection: Connection,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<HostKeyConfirmation>,
    #[serde(default)]
    pub availability: Availability,
    /// What to do with a server that is in a swarm already; without it we wait (OT-24).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt_swarm: Option<AdoptSwarm>,
}

fn default_port() -> u16 {
    22
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SwarmRole {
    #[default]
    Manager,
    Worker,
}

/// `local`: the Docker engine of the machine the control plane runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    #[default]
    Ssh,
    Local,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    #[default]
    Active,
    Pause,
    Drain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdoptSwarm {
    /// Leave nothing, join ours: only when the swarm it is in is ours.
    Join,
    /// Take the swarm it is in as this Cluster's.
    Adopt,
    /// Leave the swarm it is in, then go on as a fresh server.
    Leave,
}

/// A person's word that this is the server's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostKeyConfirmation {
    /// `SHA256:...`, as `ssh-keygen -lf` prints it.
    #[schemars(regex(pattern = r"^SHA256:[A-Za-z0-9+/]{43}$"))]
    pub fingerprint: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServerPhase {
    #[default]
    Pending,
    Provisioning,
    Ready,
    Failed,
    Unreachable,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    #[serde(default)]
    pub phase: ServerPhase,
    /// The key the server showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<ObservedHostKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_version: Option<String>,
    #[serde(rename = "swarmNodeID", default, skip_serializing_if = "Option::is_none")]
    pub swarm_node_id: Option<String>,
    /// `manager` or `worker`, as the swarm says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swarm_role: Option<SwarmRole>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// One of the PRD's sentences, word for word (OT-F1 to OT-F7); absent when nothing is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// RFC 3339; written on a phase change and at most hourly. The live value is a metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_seen: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObservedHostKey {
    pub algorithm: String,
    pub fingerprint: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    #[serde(default)]
    pub cpus: i32,
    #[serde(default)]
    pub memory_bytes: i64,
    #[serde(default)]
    pub disk_free_bytes: i64,
}
