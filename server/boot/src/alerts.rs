//! Alerts become Events: what Alertmanager posts is written down beside the object it is about, once for each change, and so reaches
//! who watches Events, the notifications among them.

#![allow(clippy::result_large_err, reason = "a Status is the answer itself, made once a post")]

#[cfg(test)]
mod tests;

use hyper::body::Bytes;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client};
use otternauts_http::AlertSink;
use otternauts_meta::Status;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::OnceLock;

/// Alertmanager's payload is of this version since 2015.
const VERSION: &str = "4";
/// One post holds no more than this; Alertmanager groups.
const MOST: usize = 500;
/// An Event's note must be shorter than 1 KiB.
const NOTE: usize = 1000;
const GROUP: &str = "otternauts.dev";

/// Writes alerts down. The client comes later: it is made from the API that asks here.
#[derive(Default)]
pub struct Alerts(OnceLock<Client>);

impl Alerts {
    /// The client that reads what an alert is about and makes the Event. Set once.
    pub fn connect(&self, client: Client) {
        // A second client would be as good as the first.
        let _ = self.0.set(client);
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    version: String,
    #[serde(default)]
    alerts: Vec<Alert>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    /// `firing` or `resolved`.
    status: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: String,
    fingerprint: String,
}

impl Alert {
    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn is_firing(&self) -> bool {
        self.status == "firing"
    }

    /// Kind, namespace and name of what it is about, read from its labels; `None`: about us as a whole.
    fn about(&self) -> Option<(&'static str, &str, &str)> {
        if !self.label("stack").is_empty() && !self.label("namespace").is_empty() {
            return Some(("Stack", self.label("namespace"), self.label("stack")));
        }
        if !self.label("server").is_empty() {
            return Some(("Server", "", self.label("server")));
        }
        (!self.label("cluster").is_empty()).then(|| ("Cluster", "", self.label("cluster")))
    }

    /// The same alert from the same start has the same name: told twice, it is written once.
    fn event_name(&self) -> Option<String> {
        let hex = |text: &str| (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        let began = self.starts_at.parse::<jiff::Timestamp>().ok()?.as_millisecond();
        let what = if self.is_firing() { "firing" } else { "resolved" };
        hex(&self.fingerprint).then(|| format!("alert-{}-{began:x}-{what}", self.fingerprint.to_ascii_lowercase()))
    }

    /// With its state and its beginning: the end of an alert, and the next one, are news to whoever was told of this one.
    fn note(&self) -> String {
        let text = |name: &str| self.annotations.get(name).map_or("", |t| t.trim());
        let mut note = [text("summary"), text("description")].join(": ").trim_matches([':', ' ']).to_owned();
        if note.is_empty() {
            note.push_str("an alert without a summary");
        }
        let state = if self.is_firing() { "firing" } else { "resolved" };
        let since = format!(" ({state}; began {})", self.starts_at);
        let mut end = note.len().min(NOTE.saturating_sub(since.len()));
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        note.truncate(end);
        note + &since
    }

    /// CamelCase as Kubernetes wants reasons; what no alert is named like becomes `Alert`.
    fn reason(&self) -> &str {
        let name = self.label("alertname");
        let fits = (1..=128).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if fits { name } else { "Alert" }
    }
}

/// An Event about `regarding`; `None` for an alert without a time or a fingerprint.
fn event(alert: &Alert, regarding: &Value, now: &str) -> Option<Value> {
    let severe = matches!(alert.label("severity"), "critical" | "warning");
    let namespace = regarding["namespace"].as_str().unwrap_or("default");
    Some(json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": alert.event_name()?, "namespace": namespace},
        "eventTime": now, "type": if alert.is_firing() && severe { "Warning" } else { "Normal" },
        "reason": alert.reason(), "action": if alert.is_firing() { "Firing" } else { "Resolved" },
        "note": alert.note(), "regarding": regarding,
        "reportingController": "otternauts.dev/alerts", "reportingInstance": "alertmanager",
    }))
}

/// A reference to what an alert is about, with its uid when it is there.
async fn regarding(client: &Client, alert: &Alert) -> Value {
    let ourselves = json!({"apiVersion": "v1", "kind": "Namespace", "name": "otternauts-system"});
    let Some((kind, namespace, name)) = alert.about() else { return ourselves };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1", kind));
    let api: Api<DynamicObject> = match namespace {
        "" => Api::all_with(client.clone(), &resource),
        namespace => Api::namespaced_with(client.clone(), namespace, &resource),
    };
    let found = api.get_opt(name).await.ok().flatten();
    let Some(uid) = found.and_then(|object| object.metadata.uid) else { return ourselves };
    let mut reference = json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "name": name, "uid": uid});
    if !namespace.is_empty() {
        reference["namespace"] = namespace.into();
    }
    reference
}

/// True when it was not there yet.
async fn write(client: &Client, event: Value) -> Result<bool, Status> {
    let namespace = event["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
    let event: Event = serde_json::from_value(event).map_err(|_| Status::internal("an alert makes no Event"))?;
    let made = Api::<Event>::namespaced(client.clone(), &namespace).create(&PostParams::default(), &event).await;
    match made {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => {
            tracing::warn!(%error, "an alert could not be written down");
            Err(Status::unavailable("an alert could not be written down; send it again"))
        }
    }
}

fn read(body: &[u8]) -> Result<Vec<Alert>, Status> {
    let post: Post = serde_json::from_slice(body)
        .map_err(|error| Status::bad_request(format!("this is no payload of Alertmanager: {error}")))?;
    if post.version != VERSION {
        return Err(Status::bad_request("only version 4 of Alertmanager's payload is understood"));
    }
    if post.alerts.len() > MOST {
        return Err(Status::bad_request(format!("more than {MOST} alerts at once; group them")));
    }
    Ok(post.alerts)
}

impl AlertSink for Alerts {
    fn receive(&self, body: Bytes) -> Pin<Box<dyn Future<Output = Result<usize, Status>> + Send + '_>> {
        Box::pin(async move {
            let alerts = read(&body)?;
            let client = self.0.get().ok_or_else(|| Status::unavailable("the server is starting"))?;
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
            let mut new = 0;
            for alert in &alerts {
                let about = regarding(client, alert).await;
                let Some(event) = event(alert, &about, &now) else {
                    return Err(Status::bad_request("an alert has no fingerprint or no time of its start"));
                };
                new += usize::from(write(client, event).await?);
            }
            Ok(new)
        })
    }
}
