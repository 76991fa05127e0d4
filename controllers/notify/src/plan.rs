//! Steps as data: what a Notifier does next, and what goes over the wire.

use otternauts_courier::HttpParcel;
use otternauts_meta::Secret;
use otternauts_types::notifier::{OpenIncident, Outbox};
use std::time::Duration;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing now; look again after a while, or when something changes.
    Rest(Option<Duration>),
    /// These were told by an Event already: remember them, so that their recovery is told.
    Adopt(Vec<OpenIncident>),
    /// Tell this.
    Send(Outbox),
}

/// A message in the form of its channel, with the credentials it needs.
#[derive(Clone, Debug)]
pub enum Parcel {
    Http(HttpParcel),
    Mail(MailParcel),
}

#[derive(Clone, Debug)]
pub struct MailParcel {
    pub id: String,
    pub subject: String,
    pub text: String,
    pub password: Option<Secret<String>>,
}
