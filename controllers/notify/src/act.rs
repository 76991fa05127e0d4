//! One attempt to deliver one parcel. No choices are left here; whether and when to try again is decided elsewhere.

mod http;
mod mail;
mod target;
mod tls;

use crate::error::DeliveryError;
use crate::plan::Parcel;
use otternauts_types::NotifierSpec;
use otternauts_types::notifier::Channel;
use std::time::Duration;

/// From the first question to a name server to the answer.
const HTTP_LIMIT: Duration = Duration::from_secs(10);
/// Mail servers like to think before they greet.
const MAIL_LIMIT: Duration = Duration::from_secs(30);

/// What of a spec can be known to be unusable before anything is sent.
pub fn check(spec: &NotifierSpec) -> Result<(), DeliveryError> {
    tls::config(spec.ca_bundle.as_deref())?;
    match &spec.channel {
        Channel::Webhook(webhook) => target::HttpTarget::parse(&webhook.url).map(drop),
        Channel::Ntfy(ntfy) => target::HttpTarget::parse(&ntfy.server).map(drop),
        Channel::Email(email) => mail::check(email),
        // Their addresses are in Secrets, which come and go.
        Channel::Slack(_) | Channel::Discord(_) => Ok(()),
    }
}

/// Sends it. `trusted`: see [`crate::address::refusal`]. Answers what the receiver said, in a few words.
pub async fn deliver(parcel: &Parcel, spec: &NotifierSpec, trusted: bool) -> Result<String, DeliveryError> {
    let authorities = spec.ca_bundle.as_deref();
    let timeout = |host: &str, after| DeliveryError::Timeout { host: host.to_owned(), after };
    match (parcel, &spec.channel) {
        (Parcel::Http(parcel), _) => {
            let target = target::HttpTarget::parse(parcel.url.expose())?;
            let exchange = http::post(parcel, &target, authorities, trusted);
            tokio::time::timeout(HTTP_LIMIT, exchange).await.map_err(|_| timeout(&target.host, HTTP_LIMIT))?
        }
        (Parcel::Mail(parcel), Channel::Email(email)) => {
            let exchange = mail::send(parcel, email, authorities, trusted);
            tokio::time::timeout(MAIL_LIMIT, exchange).await.map_err(|_| timeout(&email.host, MAIL_LIMIT))?
        }
        (Parcel::Mail(_), _) => Err(DeliveryError::Unusable("only the channel email takes mail".to_owned())),
    }
}
