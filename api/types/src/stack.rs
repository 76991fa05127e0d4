//! A compose application on a swarm.

use crate::condition::Condition;
use crate::reference::{ConfigMapKeyRef, LocalRef};
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A compose file and what it is deployed with.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "otternauts.dev",
    version = "v1",
    kind = "Stack",
    namespaced,
    status = "StackStatus",
    shortname = "stk",
    category = "otternauts",
    category = "all",
    derive = "PartialEq",
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    ),
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Version","type":"integer","jsonPath":".status.currentVersion"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Domains","type":"string","priority":1,"jsonPath":".status.domains[*].host"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.lastError"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct StackSpec {
    /// The Cluster it runs on; `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_ref: Option<LocalRef>,
    pub compose: ComposeSource,
    /// Values for `${VAR}`; the last one of a name wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvSource>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registry_credential_refs: Vec<LocalRef>,
    #[serde(default)]
    pub deploy_policy: DeployPolicy,
    /// A rollout that is not done by then has failed.
    #[serde(default = "default_progress_deadline")]
    #[schemars(range(min = 1))]
    pub progress_deadline_seconds: i32,
    /// How many finished Deployments are kept.
    #[serde(default = "default_history_limit")]
    #[schemars(range(min = 0))]
    pub revision_history_limit: i32,
    /// True: nothing is deployed and nothing runs.
    #[serde(default)]
    pub suspend: bool,
}

fn default_progress_deadline() -> i32 {
    600
}

fn default_history_limit() -> i32 {
    10
}

/// Where the compose file comes from: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComposeSource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapKeyRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_source_ref: Option<LocalRef>,
}

/// One layer of values: a single one, or all keys of a ConfigMap or Secret of the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvSource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<LocalRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeployPolicy {
    #[default]
    Automatic,
    Manual,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StackPhase {
    #[default]
    Pending,
    Deploying,
    Running,
    Failed,
    Stopped,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackStatus {
    #[serde(default)]
    pub phase: StackPhase,
    /// The Deployment that is, or is becoming, what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<i64>,
    /// The stack's name in the swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swarm_stack: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub services: Vec<ServiceStatus>,
    /// Its domains, each with its certificate.
    #[serde(default, deserialize_with = "domains", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<DomainStatus>")]
    pub domains: Vec<DomainStatus>,
    /// What runs differs from what was deployed: who was here besides us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<String>,
    /// One of the PRD's sentences, word for word (OT-F9 to OT-F15); absent when nothing is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How far the certificate of a domain is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CertificateState {
    /// It is being asked for.
    #[default]
    Pending,
    Issued,
    /// It is not asked for, or was refused: the message says why, and it is tried again.
    Failed,
    /// Another Stack has this domain, or nobody of ours serves it.
    None,
}

/// A domain of a Stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainStatus {
    pub host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default)]
    pub certificate: CertificateState,
    /// When the certificate that is served ends, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// `DNSMismatch`, `HTTPChallengeFailed`, `RateLimited` or `DomainConflict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// One of the PRD's sentences (OT-F13 to OT-F15), or who has the domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Before then the certificate is not asked for again (OT-F15), RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<String>,
}

/// Until 0.1 domains were names alone: what was stored then can still be read.
fn domains<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<DomainStatus>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Name(String),
        Whole(DomainStatus),
    }
    let all = Vec::<Either>::deserialize(deserializer)?.into_iter();
    Ok(all
        .map(|either| match either {
            Either::Name(host) => DomainStatus { host, ..DomainStatus::default() },
            Either::Whole(domain) => domain,
        })
        .collect())
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default)]
    pub desired: i32,
    #[serde(default)]
    pub running: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<TaskFailure>,
    /// Whether a health check of one of its containers fails: the container's own, or one that the Stack declares. Absent while
    /// nobody has said; the health controller writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy: Option<bool>,
    /// How often in a row the check that the Stack declares has failed, of the container where it failed most; counted up to 20.
    /// Absent where none is declared, or none was asked yet; the health controller writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 20))]
    pub probe_failures: Option<i32>,
}

/// Failures of a declared check in a row that are counted: one that fails for ever is not written down for ever.
pub const MAX_PROBE_FAILURES: i32 = 20;

/// Why a task of a service died last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskFailure {
    #[serde(default)]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(default)]
    pub oom_killed: bool,
    /// The last lines it wrote, at most 8 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_tail: Option<String>,
}
