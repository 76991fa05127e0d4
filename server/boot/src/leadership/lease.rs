//! What becomes of a Lease: pure, from what was seen of it and when.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use std::time::{Duration, Instant};

/// The Lease as it was last seen, and since when it is as it is.
#[derive(Debug, Default)]
pub struct Observed(Option<(Lease, Instant)>);

/// What to do now.
#[derive(Debug, PartialEq)]
pub enum Wanted {
    /// Somebody holds it.
    Wait,
    Create(LeaseSpec),
    Replace(Box<Lease>),
}

impl Observed {
    /// A Lease that has not changed keeps the time it was first seen at.
    pub fn see(&mut self, lease: Option<&Lease>, now: Instant) {
        match (lease, &self.0) {
            (None, _) => self.0 = None,
            (Some(lease), Some((before, _))) if before.spec == lease.spec => {
                // Its version may be another: somebody labelled it.
                let at = self.0.as_ref().map_or(now, |(_, at)| *at);
                self.0 = Some((lease.clone(), at));
            }
            (Some(lease), _) => self.0 = Some((lease.clone(), now)),
        }
    }

    pub fn is_anothers(&self, identity: &str) -> bool {
        self.holder().is_some_and(|holder| !holder.is_empty() && holder != identity)
    }

    fn holder(&self) -> Option<&str> {
        self.0.as_ref()?.0.spec.as_ref()?.holder_identity.as_deref()
    }

    /// How long somebody still holds it who does not renew it; `None`: nobody holds it, or not any more.
    pub fn left(&self, lease: Duration, now: Instant) -> Option<Duration> {
        let (found, since) = self.0.as_ref().filter(|_| self.holder().is_some_and(|holder| !holder.is_empty()))?;
        let said = found.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
        // The holder says how long it may be silent; what it says is not taken below what we would say.
        let said = Duration::from_secs(u64::try_from(said).unwrap_or(0)).max(lease);
        said.checked_sub(now.saturating_duration_since(*since)).filter(|left| !left.is_zero())
    }

    /// The Lease without a holder, if it is ours.
    pub fn released(&self, identity: &str) -> Option<Lease> {
        let (lease, _) = self.0.as_ref().filter(|_| self.holder() == Some(identity))?;
        let mut lease = lease.clone();
        let spec = lease.spec.as_mut()?;
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        Some(lease)
    }
}

/// `wall` is only written down, for people to read.
pub fn next(observed: &Observed, identity: &str, lease: Duration, now: Instant, wall: Timestamp) -> Wanted {
    let seconds = i32::try_from(lease.as_secs().max(1)).unwrap_or(i32::MAX);
    let fresh = LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(seconds),
        acquire_time: Some(MicroTime(wall)),
        renew_time: Some(MicroTime(wall)),
        lease_transitions: Some(0),
        ..LeaseSpec::default()
    };
    let Some((found, _)) = &observed.0 else { return Wanted::Create(fresh) };
    let old = found.spec.clone().unwrap_or_default();
    let holder = old.holder_identity.as_deref().unwrap_or_default();
    if holder != identity && observed.left(lease, now).is_some() {
        return Wanted::Wait;
    }
    let mut spec = fresh;
    spec.lease_transitions = old.lease_transitions.or(Some(0));
    if holder == identity {
        spec.acquire_time = old.acquire_time;
    } else {
        spec.lease_transitions = spec.lease_transitions.map(|count| count.saturating_add(1));
    }
    Wanted::Replace(Box::new(Lease { metadata: found.metadata.clone(), spec: Some(spec) }))
}

pub fn named(name: &str, spec: LeaseSpec) -> Lease {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    Lease { metadata, spec: Some(spec) }
}

/// The revision it was written at.
pub fn version(lease: &Lease) -> Option<u64> {
    lease.metadata.resource_version.as_deref()?.parse().ok()
}

/// Enough for not being in step.
pub fn small_random() -> u8 {
    otternauts_auth::random_bytes::<1>().map_or(0, |[byte]| byte)
}
