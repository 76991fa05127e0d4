//! What to do when something is not well.

use crate::condition::Condition;
use crate::notifier::NotifierSecretRef;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A condition over a target, and the action that should mend it. One in `otternauts-system` selects in all namespaces.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "otternauts.dev",
    version = "v1",
    kind = "HealRule",
    plural = "healrules",
    singular = "healrule",
    namespaced,
    status = "HealRuleStatus",
    shortname = "hrule",
    category = "otternauts",
    derive = "PartialEq",
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    ),
    printcolumn = r#"{"name":"Condition","type":"string","jsonPath":".spec.condition"}"#,
    printcolumn = r#"{"name":"Action","type":"string","jsonPath":".spec.action"}"#,
    printcolumn = r#"{"name":"Firing","type":"boolean","jsonPath":".status.firing"}"#,
    printcolumn = r#"{"name":"Actions","type":"integer","jsonPath":".status.actionsTaken"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct HealRuleSpec {
    pub target: HealTarget,
    /// `cpu > 90% for 5m`, `memory > 1GB`, `restarts > 5 in 1h`.
    #[schemars(length(min = 1, max = 1024))]
    pub condition: String,
    pub action: HealAction,
    /// How far `action: scale` goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<HealScale>,
    /// Where `action: webhook` goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<HealWebhook>,
    /// The least time between two actions on one target, e.g. `5m`.
    #[serde(default = "default_cooldown")]
    pub cooldown: String,
    /// The most actions in an hour; 0: none.
    #[serde(default = "default_budget")]
    #[schemars(range(min = 0))]
    pub budget_per_hour: i32,
    /// True: say what would be done, do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

fn default_cooldown() -> String {
    "5m".to_owned()
}

fn default_budget() -> i32 {
    6
}

/// All given parts must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealTarget {
    /// Labels of Stacks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// A glob (`*`, `?`) over container names: `STACK_SERVICE.SLOT.ID` as the swarm has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub container: Option<String>,
    /// A glob (`*`, `?`) over the names of Servers, instead of all of the above. In `otternauts-system` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server: Option<String>,
}

/// More replicas, up to a bound. The next deployment that changes the service sets what the compose file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealScale {
    #[serde(default = "default_by")]
    #[schemars(range(min = 1, max = 100))]
    pub by: i32,
    /// The most replicas.
    #[schemars(range(min = 1, max = 1000))]
    pub max: i32,
}

fn default_by() -> i32 {
    1
}

/// A signed POST, as of a Notifier's webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealWebhook {
    /// `https://` or `http://`, without user and password.
    #[schemars(length(min = 8, max = 2048))]
    pub url: String,
    /// The signing key, in the rule's namespace.
    pub secret_ref: NotifierSecretRef,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HealAction {
    Restart,
    Rollback,
    Scale,
    Drain,
    PruneImages,
    Alert,
    Webhook,
}

impl HealAction {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Rollback => "rollback",
            Self::Scale => "scale",
            Self::Drain => "drain",
            Self::PruneImages => "prune-images",
            Self::Alert => "alert",
            Self::Webhook => "webhook",
        }
    }

    /// It changes something, as opposed to telling somebody.
    pub fn changes(self) -> bool {
        !matches!(self, Self::Alert | Self::Webhook)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealRuleStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_evaluation: Option<String>,
    #[serde(default)]
    pub firing: bool,
    /// Since the rule was made; what was only said is not counted.
    #[serde(default)]
    pub actions_taken: i64,
    /// The last actions, the newest last: what cooldown and budget are counted from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub recent_actions: Vec<HealActionRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One action, written before it is begun (R15).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealActionRecord {
    pub id: String,
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    pub action: HealAction,
    /// `Stack/NAMESPACE/NAME`, `Stack/NAMESPACE/NAME/SERVICE` or `Server/NAME`.
    pub target: String,
    /// The condition with the values that made it true.
    pub cause: String,
    pub state: HealActionState,
    /// The version of what is changed, as it was before: the change is refused when it was made already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub finished_at: Option<String>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The trace of what was done, where traces are kept.
    #[serde(default, rename = "traceID", skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HealActionState {
    /// Decided; nothing has been changed yet.
    Intended,
    /// It may have been done: after a crash it is looked at, never blindly repeated.
    Started,
    Done,
    Failed,
    /// Nothing was done: `dryRun`.
    DryRun,
}
