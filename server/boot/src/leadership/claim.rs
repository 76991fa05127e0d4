//! Where nobody shares the store nobody is elected: the server says once that the controllers are its own, and renews nothing.

use super::Times;
use super::lease::named;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use kube::api::PostParams;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Who holds a Lease that is not renewed.
const HOLDER: &str = "otter serve";
/// How long it is held: for good; or for good too, but whoever held it before may not have stopped yet.
const SETTLED: i32 = i32::MAX;
const SETTLING: i32 = i32::MAX - 1;
/// After an error, before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Returns when the Lease is this server's for good (`own`), so that whoever runs controllers apart waits (P11), and when who held it has
/// stopped; or else when it is not. It is the same after a crash, and a start that finds it so writes nothing. Until `stop`.
///
/// A nearly full disk takes no new object, from nobody. What makes room does not wait for it: then it is tried again beside that.
pub async fn claim(client: kube::Client, name: &'static str, own: bool, stop: &CancellationToken) {
    let leases = Api::default_namespaced(client);
    if stop.run_until_cancelled(settle(&leases, name, own, false)).await == Some(false) {
        let stop = stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(settle(&leases, name, own, true)).await });
    }
}

/// What is to be done about the Lease as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing.
    Done,
    /// Who held it before is given the time to stop.
    Wait,
    /// It gets this holder, for so many seconds; then it is looked at again.
    Write(&'static str, i32),
    /// There was no space to write it, and nobody else acts who would have to be waited for.
    Full,
}

fn step(found: &LeaseSpec, own: bool, waited: bool) -> Step {
    let holder = found.holder_identity.as_deref().unwrap_or_default();
    match (own, holder == HOLDER) {
        (false, false) => Step::Done,
        (false, true) => Step::Write("", 1),
        (true, true) if found.lease_duration_seconds != Some(SETTLING) => Step::Done,
        (true, true) if waited => Step::Write(HOLDER, SETTLED),
        (true, true) => Step::Wait,
        (true, false) if holder.is_empty() => Step::Write(HOLDER, SETTLED),
        (true, false) => Step::Write(HOLDER, SETTLING),
    }
}

/// Answers `false` where there is no space for it, unless told to wait for that.
async fn settle(leases: &Api<Lease>, name: &str, own: bool, patient: bool) -> bool {
    let mut waited = false;
    loop {
        match once(leases, name, own, waited).await {
            Ok(Step::Done) => return true,
            Ok(Step::Wait) => {
                tracing::info!(lease = name, "controllers that run apart are given the time to stop");
                tokio::time::sleep(Times::default().lease).await;
                waited = true;
            }
            Ok(Step::Write(..)) => waited = false,
            Ok(Step::Full) if !patient => return false,
            Ok(Step::Full) => tokio::time::sleep(PAUSE).await,
            // Its holder renewed it.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => {
                tracing::warn!(lease = name, %error, "the lease cannot be read or written");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Takes one step, and answers which.
async fn once(leases: &Api<Lease>, name: &str, own: bool, waited: bool) -> Result<Step, kube::Error> {
    let found = leases.get_opt(name).await?;
    let before = found.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let step = step(&before, own, waited);
    if let Step::Write(holder, seconds) = step {
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(seconds),
            lease_transitions: before.lease_transitions,
            ..LeaseSpec::default()
        };
        let written = match found {
            Some(lease) => leases.replace(name, &PostParams::default(), &Lease { spec: Some(spec), ..lease }).await,
            None => leases.create(&PostParams::default(), &named(name, spec)).await,
        };
        match written {
            Err(kube::Error::Api(status)) if status.code == 507 && seconds != SETTLING => {
                tracing::warn!(lease = name, error = %status, "the lease is not written yet, and others may take it");
                return Ok(Step::Full);
            }
            written => drop(written?),
        }
    }
    Ok(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(holder: &str, seconds: i32) -> LeaseSpec {
        let holder_identity = Some(holder.to_owned());
        LeaseSpec { holder_identity, lease_duration_seconds: Some(seconds), ..LeaseSpec::default() }
    }

    /// P11: killed between the claim and the end of the wait, the next start waits again.
    #[test]
    fn who_held_it_before_has_the_time_to_stop_also_after_a_crash_in_it() {
        assert_eq!(step(&held("apart-1", 10), true, false), Step::Write(HOLDER, SETTLING));
        for waited in [false, true] {
            let then = if waited { Step::Write(HOLDER, SETTLED) } else { Step::Wait };
            assert_eq!(step(&held(HOLDER, SETTLING), true, waited), then);
        }
        assert_eq!(step(&held(HOLDER, SETTLED), true, false), Step::Done);
        for nobody in [LeaseSpec::default(), held("", 1)] {
            assert_eq!(step(&nobody, true, false), Step::Write(HOLDER, SETTLED));
        }
    }

    #[test]
    fn a_server_without_controllers_gives_back_what_is_its_own_and_nothing_else() {
        for seconds in [SETTLED, SETTLING] {
            assert_eq!(step(&held(HOLDER, seconds), false, false), Step::Write("", 1));
        }
        for other in [LeaseSpec::default(), held("", 1), held("apart-1", 10)] {
            assert_eq!(step(&other, false, false), Step::Done);
        }
    }
}
