//! What to do when something is not well.

use crate::condition::Condition;
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
    /// A glob over container names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
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

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealRuleStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_evaluation: Option<String>,
    #[serde(default)]
    pub firing: bool,
    #[serde(default)]
    pub actions_taken: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
