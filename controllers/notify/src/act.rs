//! One attempt to deliver one parcel. No choices are left here; whether and when to try again is decided elsewhere.

mod mail;

use crate::error::DeliveryError;
use crate::plan::Parcel;
use otternauts_courier::HttpTarget;
use otternauts_types::NotifierSpec;
use otternauts_types::notifier::Channel;
use std::time::Duration;

/// Mail servers like to think before they greet.
const MAIL_LIMIT: Duration = Duration::from_secs(30);

/// What of a spec can be known to be unusable before anything is sent.
pub fn check(spec: &NotifierSpec) -> Result<(), DeliveryError> {
    otternauts_courier::tls_config(spec.ca_bundle.as_deref())?;
    match &spec.channel {
        Channel::Webhook(webhook) => HttpTarget::parse(&webhook.url).map(drop),
        Channel::Ntfy(ntfy) => HttpTarget::parse(&ntfy.server).map(drop),
        Channel::Email(email) => mail::check(email),
        // Their addresses are in Secrets, which come and go.
        Channel::Slack(_) | Channel::Discord(_) => Ok(()),
    }
}

/// Sends it. `trusted`: see [`otternauts_courier::address::refusal`]. Answers what the receiver said, in a few words.
pub async fn deliver(parcel: &Parcel, spec: &NotifierSpec, trusted: bool) -> Result<String, DeliveryError> {
    let authorities = spec.ca_bundle.as_deref();
    let timeout = |host: &str, after| DeliveryError::Timeout { host: host.to_owned(), after };
    match (parcel, &spec.channel) {
        (Parcel::Http(parcel), _) => otternauts_courier::post(parcel, authorities, trusted).await,
        (Parcel::Mail(parcel), Channel::Email(email)) => {
            let exchange = mail::send(parcel, email, authorities, trusted);
            tokio::time::timeout(MAIL_LIMIT, exchange).await.map_err(|_| timeout(&email.host, MAIL_LIMIT))?
        }
        (Parcel::Mail(_), _) => Err(DeliveryError::Unusable("only the channel email takes mail".to_owned())),
    }
}
