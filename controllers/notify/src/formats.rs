//! A message in the form of each channel: pure, and golden-tested to the byte.

mod chat;
mod email;
pub mod text;
mod webhook;

use crate::plan::{MailParcel, Parcel};
use otternauts_courier::HttpParcel;
use otternauts_meta::Secret;
use otternauts_types::notifier::{Channel, Outbox};
use serde_json::Value;

/// Who sends, and when by our clock: receivers refuse webhooks that are old.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub unix_seconds: i64,
}

/// Why a message cannot be put into the form of its channel: something of the spec or its Secret.
pub type Unusable = String;

/// `secret` is the value that the channel's `secretRef` names, where it has one.
pub fn parcel(
    channel: &Channel,
    secret: Option<Secret<String>>,
    sender: Sender<'_>,
    outbox: &Outbox,
) -> Result<Parcel, Unusable> {
    let needed = |secret: Option<Secret<String>>| secret.ok_or_else(|| "the channel needs a secretRef".to_owned());
    match channel {
        Channel::Webhook(webhook) => Ok(webhook::parcel(webhook, &needed(secret)?, sender, outbox)),
        Channel::Slack(_) => Ok(chat::post(needed(secret)?, outbox, &chat::slack(outbox))),
        Channel::Discord(_) => Ok(chat::post(needed(secret)?, outbox, &chat::discord(outbox))),
        Channel::Ntfy(ntfy) => Ok(chat::ntfy(ntfy, secret.as_ref(), outbox)),
        Channel::Email(_) => Ok(Parcel::Mail(MailParcel {
            id: outbox.id.clone(),
            subject: email::subject(outbox),
            text: email::body(sender, outbox),
            password: secret,
        })),
    }
}

/// JSON by POST, with the id by which a receiver can tell that it has seen the message.
fn json(url: Secret<String>, mut headers: Vec<(&'static str, Secret<String>)>, id: &str, body: &Value) -> Parcel {
    headers.push(("idempotency-key", Secret::new(id.to_owned())));
    Parcel::Http(HttpParcel { url, headers, body: body.to_string().into_bytes() })
}

#[cfg(test)]
mod tests;
