//! Where nobody shares the store nobody is elected: the server says once that the controllers are its own, and renews nothing.

use super::Times;
use super::lease::named;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::PostParams;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Who holds a Lease that is not renewed.
const HOLDER: &str = "otter serve";
/// After an error, before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Returns when the Lease is this server's for good (`own`), so that whoever runs controllers apart waits (P11), and when who held it has
/// stopped; or else when it is not. It is the same after a crash, and a start that finds it so writes nothing. Until `stop`.
pub async fn claim(client: kube::Client, name: &'static str, own: bool, stop: &CancellationToken) {
    let leases = kube::Api::default_namespaced(client);
    let settle = async {
        loop {
            match once(&leases, name, own).await {
                Ok(false) => return,
                Ok(true) => {
                    tracing::info!(lease = name, "controllers that run apart are given the time to stop");
                    return tokio::time::sleep(Times::default().lease).await;
                }
                // Its holder renewed it.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => {
                    tracing::warn!(lease = name, %error, "the lease cannot be read or written");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(settle).await;
}

/// Answers whether somebody else held it until now.
async fn once(leases: &kube::Api<Lease>, name: &str, own: bool) -> Result<bool, kube::Error> {
    let found = leases.get_opt(name).await?;
    let before = found.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let holder = before.holder_identity.unwrap_or_default();
    if own == (holder == HOLDER) {
        return Ok(false);
    }
    let (to, seconds) = if own { (HOLDER, i32::MAX) } else { ("", 1) };
    let spec = LeaseSpec {
        holder_identity: Some(to.to_owned()),
        lease_duration_seconds: Some(seconds),
        lease_transitions: before.lease_transitions,
        ..LeaseSpec::default()
    };
    let written = match &found {
        Some(lease) => leases.replace(name, &PostParams::default(), &Lease { spec: Some(spec), ..lease.clone() }).await,
        None => leases.create(&PostParams::default(), &named(name, spec)).await,
    };
    match written {
        Ok(_) => Ok(own && !holder.is_empty()),
        Err(kube::Error::Api(status)) if status.code == 507 && found.is_none() => {
            // A nearly full disk takes no new object, from nobody: what makes room does not wait for it.
            tracing::warn!(lease = name, error = %status, "the lease is not written, and others may take it once there is space");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
