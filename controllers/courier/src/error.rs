//! What can go wrong on a message's way.

use std::time::Duration;

/// One attempt failed. The texts are for a status: they name no secret, and nothing of what a receiver answered but its code.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("{0}")]
    Unusable(String),
    #[error("the Secret {name} {why}")]
    Secret { name: String, why: &'static str },
    #[error("the name {host} cannot be resolved")]
    Resolve { host: String },
    #[error("nothing is sent to {host}: {why}")]
    Refused { host: String, why: &'static str },
    #[error("cannot connect to {host}: {why}")]
    Connect { host: String, why: String },
    #[error("the TLS connection to {host} failed: {why}")]
    Tls { host: String, why: String },
    #[error("{host} ended the exchange early")]
    Exchange { host: String },
    #[error("{host} answered {code}")]
    Answer { host: String, code: u16, retry_after: Option<Duration> },
    #[error("{host} answered {code}: redirects are not followed")]
    Redirect { host: String, code: u16 },
    #[error("no answer from {host} within {} seconds", after.as_secs())]
    Timeout { host: String, after: Duration },
    #[error("the mail server {host} refused: {why}")]
    MailRefused { host: String, why: String, is_final: bool },
}

impl DeliveryError {
    /// The same message will never be taken.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Answer { code, .. } => (400..500).contains(code) && !matches!(code, 408 | 425 | 429),
            Self::MailRefused { is_final, .. } => *is_final,
            _ => false,
        }
    }

    /// What the receiver asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
