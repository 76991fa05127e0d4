//! CloudEvents 1.0, structured mode, signed.

use super::{Sender, json, text};
use crate::plan::Parcel;
use otternauts_courier::{HttpParcel, signature};
use otternauts_meta::Secret;
use otternauts_types::notifier::{Outbox, WebhookChannel};
use serde_json::{Value, json};

pub fn parcel(channel: &WebhookChannel, key: &Secret<String>, sender: Sender<'_>, outbox: &Outbox) -> Parcel {
    let url = Secret::new(channel.url.clone());
    let plain = |text: String| Secret::new(text);
    let parcel = json(url, Vec::new(), &outbox.id, &event(sender, outbox));
    let Parcel::Http(HttpParcel { url, mut headers, body }) = parcel else { return parcel };
    let signed = signature::sign(key.expose(), &outbox.id, sender.unix_seconds, &body);
    headers.push(("content-type", plain("application/cloudevents+json".to_owned())));
    headers.push(("webhook-id", plain(outbox.id.clone())));
    headers.push(("webhook-timestamp", plain(sender.unix_seconds.to_string())));
    headers.push(("webhook-signature", plain(signed)));
    Parcel::Http(HttpParcel { url, headers, body })
}

fn event(sender: Sender<'_>, outbox: &Outbox) -> Value {
    json!({
        "specversion": "1.0",
        "id": outbox.id,
        "source": format!("/apis/otternauts.dev/v1/namespaces/{}/notifiers/{}", sender.namespace, sender.name),
        "type": "dev.otternauts.notification.v1",
        "time": outbox.time,
        "datacontenttype": "application/json",
        "data": {"summary": text::title(outbox), "notices": outbox.notices, "omitted": outbox.omitted},
    })
}
