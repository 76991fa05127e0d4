//! How far a domain's certificate is, from what was looked at. Pure: the time comes in.

use crate::complaints::Complaint;
use jiff::Timestamp;
use otternauts_types::stack::{CertificateState, DomainStatus};
use std::net::IpAddr;

/// Reasons of the condition and of Events (design section 9).
pub mod reason {
    pub const DNS: &str = "DNSMismatch";
    pub const CHALLENGE: &str = "HTTPChallengeFailed";
    pub const RATE_LIMITED: &str = "RateLimited";
    pub const CERTIFICATE: &str = "CertificateFailed";
    pub const CONFLICT: &str = "DomainConflict";
}

/// OT-F14.
pub const CHALLENGE_FAILED: &str =
    "Cannot obtain certificate: HTTP challenge failed. Ensure port 80 is accessible from the internet.";

/// What is wrong is looked at again after this long, in seconds (OT-F13).
const MINUTE: i64 = 60;
/// A certificate that is on its way is looked for this often, in seconds: soon at first.
const SOON: i64 = 2;
const LATER: i64 = 10;

/// How a domain looks from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preflight {
    Fine,
    /// None of the addresses it resolves to is the cluster's.
    Dns(Vec<IpAddr>),
    /// Nothing answers on port 80.
    Port80(String),
}

/// One look at a domain; what was not looked at is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The end of the certificate for it that is served, in Unix seconds.
    pub served_until: Option<i64>,
    pub preflight: Option<Preflight>,
    pub complaint: Option<Complaint>,
}

/// What is known of a domain, and what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub certificate: CertificateState,
    pub not_after: Option<i64>,
    pub reason: Option<&'static str>,
    /// The PRD's sentence, and nothing else.
    pub message: Option<String>,
    /// For the condition and the Event.
    pub detail: String,
    pub retry_at: Option<i64>,
    /// Since when a certificate is being asked for; none: it is not.
    pub asked_since: Option<i64>,
    /// When to look again.
    pub again: i64,
}

impl Verdict {
    /// Whether the proxy shall have a certificate for it.
    pub fn gate(&self) -> bool {
        self.certificate == CertificateState::Issued || self.asked_since.is_some()
    }

    /// The same, as long as we have not looked since we started: `None` leaves the proxy as it is.
    pub fn settled_gate(&self) -> Option<bool> {
        let looked = self.again != 0 || self.asked_since.is_some() || self.retry_at.is_some();
        looked.then(|| self.gate())
    }

    /// What a status of before knows.
    pub fn recall(status: &DomainStatus) -> Self {
        let seconds = |text: &Option<String>| text.as_ref()?.parse::<Timestamp>().ok().map(Timestamp::as_second);
        let issued = status.certificate == CertificateState::Issued;
        Self {
            certificate: status.certificate,
            not_after: seconds(&status.not_after),
            retry_at: seconds(&status.retry_at),
            // The proxy keeps what it was told: a certificate that was there is not given up before it is looked at.
            asked_since: issued.then_some(0),
            ..Self::default()
        }
    }

    /// Whether a rate limit forbids asking.
    pub fn is_held(&self, now: i64) -> bool {
        self.retry_at.is_some_and(|at| at > now)
    }
}

/// What a look makes of what was known.
pub fn judge(host: &str, before: &Verdict, look: &Look, now: i64) -> Verdict {
    if let Some(until) = look.served_until {
        // Two thirds of what is left: proxies renew in the last third.
        let again = now + ((until - now) * 2 / 3).max(MINUTE);
        return Verdict {
            certificate: CertificateState::Issued,
            not_after: Some(until),
            asked_since: before.asked_since.or(Some(now)),
            again,
            ..Verdict::default()
        };
    }
    let failed = |reason, message: String, detail: String| Verdict {
        certificate: CertificateState::Failed,
        reason: Some(reason),
        message: Some(message),
        detail,
        again: now + MINUTE,
        ..Verdict::default()
    };
    if before.is_held(now) {
        let again = before.retry_at.unwrap_or(now).max(now + 1);
        return match before.message {
            Some(_) => Verdict { again, asked_since: None, ..before.clone() },
            None => limited(again, String::new()),
        };
    }
    match &look.preflight {
        Some(Preflight::Dns(found)) => {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            let detail = match found.as_slice() {
                [] => "it does not resolve at all".to_owned(),
                some => format!("it resolves to {}", some.join(", ")),
            };
            let sentence = format!("Cannot obtain certificate for {host}: DNS does not resolve to a cluster node");
            return failed(reason::DNS, sentence, detail);
        }
        Some(Preflight::Port80(why)) => return failed(reason::CHALLENGE, CHALLENGE_FAILED.to_owned(), why.clone()),
        Some(Preflight::Fine) | None => {}
    }
    let asked = before.asked_since.or(before.retry_at).unwrap_or(now);
    let verdict = match &look.complaint {
        Some(Complaint::RateLimited { until, detail }) if *until > now => return limited(*until, detail.clone()),
        Some(Complaint::Challenge { detail }) => failed(reason::CHALLENGE, CHALLENGE_FAILED.to_owned(), detail.clone()),
        Some(Complaint::Other { detail }) => {
            failed(reason::CERTIFICATE, format!("Cannot obtain certificate for {host}: {detail}"), String::new())
        }
        Some(Complaint::RateLimited { .. }) | None => Verdict::default(),
    };
    let pause = match &verdict.message {
        // The proxy tries again by itself, with pauses that grow.
        Some(_) => MINUTE,
        None if now - asked < MINUTE => SOON,
        None => LATER,
    };
    let again = now + pause;
    Verdict { asked_since: Some(asked), again, ..verdict }
}

/// OT-F15.
pub fn limited(until: i64, detail: String) -> Verdict {
    Verdict {
        certificate: CertificateState::Failed,
        reason: Some(reason::RATE_LIMITED),
        message: Some(format!("Let's Encrypt rate limit reached. Try again in {}.", time(until))),
        detail,
        retry_at: Some(until),
        again: until + 1,
        ..Verdict::default()
    }
}

/// RFC 3339, whole seconds.
pub fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests;
