//! A signed POST, tried a few times under one id.

use crate::error::ActionError;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::{Api, Client};
use otternauts_courier::{DeliveryError, HttpParcel, post, signature};
use otternauts_meta::Secret;
use otternauts_types::SYSTEM_NAMESPACE;
use otternauts_types::heal_rule::HealWebhook;
use std::time::Duration;

/// Waits between the attempts.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

pub async fn send(
    client: &Client,
    namespace: &str,
    hook: &HealWebhook,
    id: &str,
    body: &str,
) -> Result<String, ActionError> {
    let key = key(client, namespace, hook).await?;
    let mut pauses = PAUSES.into_iter();
    loop {
        let seconds = jiff::Timestamp::now().as_second();
        let parcel = parcel(hook, &key, id, seconds, body);
        // Rules of the system may reach this machine; others' may not.
        match post(&parcel, None, namespace == SYSTEM_NAMESPACE).await {
            Ok(answer) => return Ok(format!("delivered: {answer}")),
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => match pauses.next() {
                Some(pause) => tokio::time::sleep(error.retry_after().map_or(pause, |asked| asked.min(pause))).await,
                None => return Err(error.into()),
            },
        }
    }
}

fn parcel(hook: &HealWebhook, key: &Secret<String>, id: &str, seconds: i64, body: &str) -> HttpParcel {
    let signed = signature::sign(key.expose(), id, seconds, body.as_bytes());
    let headers = vec![
        ("content-type", Secret::new("application/cloudevents+json".to_owned())),
        ("idempotency-key", Secret::new(id.to_owned())),
        ("webhook-id", Secret::new(id.to_owned())),
        ("webhook-timestamp", Secret::new(seconds.to_string())),
        ("webhook-signature", Secret::new(signed)),
    ];
    HttpParcel { url: Secret::new(hook.url.clone()), headers, body: body.as_bytes().to_vec() }
}

async fn key(client: &Client, namespace: &str, hook: &HealWebhook) -> Result<Secret<String>, ActionError> {
    let wrong = |why| DeliveryError::Secret { name: hook.secret_ref.name.clone(), why };
    let api: Api<KubeSecret> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt(&hook.secret_ref.name).await.map_err(|_| wrong("cannot be read"))?;
    let mut data = found.ok_or_else(|| wrong("does not exist"))?.data.unwrap_or_default();
    let bytes = match (&hook.secret_ref.key, data.len()) {
        (Some(key), _) => data.remove(key).ok_or_else(|| wrong("does not have the key that is asked for"))?,
        (None, 1) => data.pop_first().map(|(_, value)| value).ok_or_else(|| wrong("is empty"))?,
        (None, _) => return Err(wrong("has several keys: name one in secretRef.key").into()),
    };
    let text = String::from_utf8(bytes.0).map_err(|_| wrong("is not text"))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
