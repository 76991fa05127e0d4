//! Who is told what happens, and by which way.

use crate::condition::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A way to tell people and programs what happens. It sees its own namespace; one in `otternauts-system` sees all namespaces, and
/// Clusters and Servers. One message for each change of state, one for the recovery.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "otternauts.dev",
    version = "v1",
    kind = "Notifier",
    namespaced,
    status = "NotifierStatus",
    shortname = "ntf",
    category = "otternauts",
    derive = "PartialEq",
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    ),
    printcolumn = r#"{"name":"Delivered","type":"string","jsonPath":".status.conditions[?(@.type=='Delivered')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Delivered')].reason"}"#,
    printcolumn = r#"{"name":"Sent","type":"integer","jsonPath":".status.delivered"}"#,
    printcolumn = r#"{"name":"Failed","type":"integer","jsonPath":".status.failed"}"#,
    printcolumn = r#"{"name":"Last","type":"date","jsonPath":".status.lastDelivery"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct NotifierSpec {
    pub channel: Channel,
    #[serde(default)]
    pub selector: NotifierSelector,
    /// How long the first change waits for others to go with it in one message. What mends itself meanwhile is not told.
    #[serde(default = "default_group_wait")]
    #[schemars(length(min = 1, max = 16))]
    pub group_wait: String,
    /// While something told is not well: the least time between two messages about changes.
    #[serde(default = "default_group_interval")]
    #[schemars(length(min = 1, max = 16))]
    pub group_interval: String,
    /// What is still not well after this time is told again; `0s`: never.
    #[serde(default = "default_repeat_interval")]
    #[schemars(length(min = 1, max = 16))]
    pub repeat_interval: String,
    /// Attempts to deliver one message before it becomes a dead letter. The wait between two doubles from 1 s up to 10 min.
    #[serde(default = "default_max_attempts")]
    #[schemars(range(min = 1, max = 200))]
    pub max_attempts: i32,
    /// Certificates (PEM) to trust besides the system's, for receivers with an authority of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub ca_bundle: Option<String>,
    /// True: nothing is sent. Of what happens meanwhile only what is still not well is told later.
    #[serde(default)]
    pub suspend: bool,
}

fn default_group_wait() -> String {
    "10s".to_owned()
}

fn default_group_interval() -> String {
    "1m".to_owned()
}

fn default_repeat_interval() -> String {
    "4h".to_owned()
}

fn default_max_attempts() -> i32 {
    12
}

/// Exactly one way. Credentials, and addresses that are credentials, are in Secrets of the Notifier's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Channel {
    Webhook(WebhookChannel),
    Email(EmailChannel),
    Slack(SecretUrlChannel),
    Discord(SecretUrlChannel),
    Ntfy(NtfyChannel),
}

impl Channel {
    /// As in metrics: `webhook`, `email`, `slack`, `discord`, `ntfy`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Email(_) => "email",
            Self::Slack(_) => "slack",
            Self::Discord(_) => "discord",
            Self::Ntfy(_) => "ntfy",
        }
    }
}

/// One key of a Secret in the Notifier's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotifierSecretRef {
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The Secret's only key when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// CloudEvents by POST, signed with HMAC-SHA256 (headers `webhook-id`, `webhook-timestamp`, `webhook-signature`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookChannel {
    /// `https://` or `http://`, without user and password.
    #[schemars(length(min = 8, max = 2048))]
    pub url: String,
    /// The signing key.
    pub secret_ref: NotifierSecretRef,
}

/// A chat's incoming webhook. Its address is a credential, so it is in a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretUrlChannel {
    pub secret_ref: NotifierSecretRef,
}

/// A topic of an ntfy server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NtfyChannel {
    /// The server's root, `https://ntfy.sh`.
    #[schemars(length(min = 8, max = 2048))]
    pub server: String,
    #[schemars(length(min = 1, max = 64))]
    pub topic: String,
    /// An access token, where the topic needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<NotifierSecretRef>,
}

/// Mail through an SMTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmailChannel {
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// 465 for `tls`, 587 for `startTls`, 25 for `none` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<u16>,
    #[serde(default)]
    pub security: EmailSecurity,
    #[schemars(length(min = 3, max = 320))]
    pub from: String,
    #[schemars(length(min = 1, max = 50))]
    pub to: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub username: Option<String>,
    /// The password of `username`. Never sent without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<NotifierSecretRef>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EmailSecurity {
    /// STARTTLS, and no mail where the server has none.
    #[default]
    StartTls,
    Tls,
    None,
}

/// All given parts must match; a part that is left out matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotifierSelector {
    /// Kinds of objects: `Stack`, `Server`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub kinds: Vec<String>,
    /// Only for a Notifier in `otternauts-system`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub namespaces: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub severities: Vec<Severity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub reasons: Vec<String>,
    /// Another severity than its own for a reason, before `severities` is looked at.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reason_severities: BTreeMap<String, Severity>,
}

/// As Events have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Severity {
    Normal,
    Warning,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotifierStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_delivery: Option<String>,
    /// Messages taken by the receiver.
    #[serde(default)]
    pub delivered: i64,
    /// Messages given up.
    #[serde(default)]
    pub failed: i64,
    /// The message under way, written before the first attempt: after a restart it is sent again under the same id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<Outbox>,
    /// What was told as not well and has not recovered; at most 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenIncident>,
    /// The newest Events told, so that none is told twice; at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
    /// Events up to this resourceVersion have been looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_through: Option<String>,
    /// Messages given up, the newest last; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_letters: Vec<DeadLetter>,
    /// What came of the last `otter notify test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestResult>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One message, as it will be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outbox {
    /// The same at every attempt: receivers that remember it see each message once.
    pub id: String,
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    pub notices: Vec<Notice>,
    /// Notices that found no room in the message.
    #[serde(default)]
    pub omitted: i64,
    /// What `eventsThrough` becomes when this message has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_through: Option<String>,
}

/// One thing told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    pub state: NoticeState,
    pub severity: Severity,
    pub object: NoticeObject,
    /// Of a Stack: the version that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    pub reason: String,
    #[serde(default)]
    pub message: String,
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NoticeState {
    /// Not well since now, or not well for another reason than before.
    Problem,
    /// Still not well.
    Repeated,
    /// Well again.
    Recovered,
    /// An Event: something happened.
    Event,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoticeObject {
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// Something told as not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenIncident {
    pub object: NoticeObject,
    /// Of a Stack: the version that failed. Another version that fails is another change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    pub reason: String,
    pub severity: Severity,
    /// When it was last told.
    #[schemars(extend("format" = "date-time"))]
    pub told: String,
}

/// An Event that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    pub uid: String,
    pub reason: String,
    /// The same reason with another text is another Event.
    pub text_sha256: String,
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
}

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    pub id: String,
    /// What it said, in a line.
    pub summary: String,
    pub attempts: i64,
    pub error: String,
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// The value of the annotation `otternauts.dev/notify-test` that asked for it.
    pub id: String,
    pub delivered: bool,
    /// What the receiver answered, or why it could not be asked.
    pub answer: String,
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
}
