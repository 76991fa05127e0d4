//! Which of several replicas does what only one may do: a Lease (coordination.k8s.io), held and renewed as client-go does it.
//!
//! Nobody's wall clock counts: a Lease is free when it has not changed for its duration as measured here (so clocks may differ), and
//! whoever holds it stops when it could not renew it for a shorter time, measured here too. The replica that stops has those seconds
//! to stop in; what it may still send to servers carries the term's number, and a server that knows a higher one refuses (R19).

mod claim;
mod lease;
#[cfg(test)]
mod tests;

pub use claim::claim;
use lease::{Observed, Wanted, next};
use otternauts_telemetry::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Shorter than kube-controller-manager's 15, 10 and 2 seconds, so that another replica leads within 15 seconds also when the last
/// renewal was just before the end.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub lease: Duration,
    pub renew: Duration,
    pub retry: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { lease: Duration::from_secs(10), renew: Duration::from_secs(6), retry: Duration::from_secs(2) }
    }
}

/// One time of leading.
#[derive(Clone, Debug)]
pub struct Term {
    /// Rises with every term, whoever leads: the revision of the store at which the Lease was taken.
    pub number: u64,
    until: Arc<AtomicU64>,
    epoch: Instant,
}

impl Term {
    fn new(number: u64) -> Self {
        Self { number, until: Arc::default(), epoch: Instant::now() }
    }

    /// Whether it lasts, by this machine's monotonic clock: also right after a pause of the whole process.
    pub fn lasts(&self) -> bool {
        let now = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        now < self.until.load(Ordering::SeqCst)
    }

    fn lasts_until(&self, until: Instant) {
        let until = until.saturating_duration_since(self.epoch).as_millis();
        self.until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    fn end(&self) {
        self.until.store(0, Ordering::SeqCst);
    }
}

/// Stands for election.
pub struct Elector {
    leases: kube::Api<k8s_openapi::api::coordination::v1::Lease>,
    name: &'static str,
    identity: String,
    times: Times,
    metrics: Arc<Metrics>,
}

impl Elector {
    /// `name` is the Lease's, in the client's default namespace; `identity` is like no other's.
    pub fn new(client: kube::Client, name: &'static str, identity: String, metrics: Arc<Metrics>) -> Self {
        let leases = kube::Api::default_namespaced(client);
        Self { leases, name, identity, times: Times::default(), metrics }
    }

    /// Runs `work` whenever this replica leads, until `stop`. Its token ends with the term; it has as long to end as the Lease is
    /// still ours in the eyes of others, and is dropped then. A clean stop gives the Lease back, and so does work that ends by itself,
    /// in a panic or without: what nobody does any more another replica may do.
    pub async fn run<F>(self, stop: CancellationToken, work: impl Fn(Term, CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut observed = Observed::default();
        self.metrics.leadership.leads(self.name, false);
        while !stop.is_cancelled() {
            let Some((term, renewed)) = self.acquire(&mut observed, &stop).await else { break };
            tracing::info!(lease = self.name, identity = self.identity, term = term.number, "this replica leads");
            self.metrics.leadership.leads(self.name, true);
            let ended = stop.child_token();
            let (work, over) = (work(term.clone(), ended.clone()), ended.clone().drop_guard());
            let mut working = tokio::spawn(async move {
                // Also when it panics: then nobody renews the Lease for it.
                let _over = over;
                work.await;
            });
            let last = self.keep(&mut observed, &term, renewed, &ended).await;
            let ours = ended.is_cancelled();
            term.end_unless(stop.is_cancelled());
            ended.cancel();
            let left = (last + self.times.lease).saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, &mut working).await.is_err() {
                tracing::warn!(lease = self.name, "work that only a leader may do did not end in time, and is dropped");
                working.abort();
            }
            term.end();
            self.metrics.leadership.leads(self.name, false);
            tracing::info!(lease = self.name, "this replica leads no more");
            if ours {
                self.release(&mut observed).await;
            }
            if ours && !stop.is_cancelled() {
                tracing::error!(lease = self.name, "work that only a leader may do has ended by itself");
                // Whoever is free to do it better is first.
                stop.run_until_cancelled(tokio::time::sleep(self.times.lease)).await;
            }
        }
    }

    /// Waits for the Lease; `None` when it is time to stop. Answers when the renewal that counts was begun.
    async fn acquire(&self, observed: &mut Observed, stop: &CancellationToken) -> Option<(Term, Instant)> {
        loop {
            let begun = Instant::now();
            if let Some(revision) = self.attempt(observed, begun + self.times.renew).await {
                let term = Term::new(revision);
                term.lasts_until(begun + self.times.renew);
                return Some((term, begun));
            }
            // Not all replicas at the same moment.
            let jitter = self.times.retry.mul_f64(f64::from(lease::small_random()) / 255.0 * 0.2);
            // When it runs out it is free, not up to a pause later.
            let left = observed.left(self.times.lease, Instant::now()).filter(|left| *left < self.times.retry);
            stop.run_until_cancelled(tokio::time::sleep(left.unwrap_or(self.times.retry) + jitter)).await?;
        }
    }

    /// Renews until it could not for too long, or until `stop`. Answers when the last renewal was begun.
    async fn keep(
        &self,
        observed: &mut Observed,
        term: &Term,
        mut renewed: Instant,
        stop: &CancellationToken,
    ) -> Instant {
        loop {
            if stop.run_until_cancelled(tokio::time::sleep(self.times.retry)).await.is_none() {
                return renewed;
            }
            let deadline = renewed + self.times.renew;
            let begun = Instant::now();
            if begun >= deadline {
                return renewed;
            }
            if self.attempt(observed, deadline).await.is_some() {
                renewed = begun;
                term.lasts_until(renewed + self.times.renew);
            } else if observed.is_anothers(&self.identity) || Instant::now() >= deadline {
                return renewed;
            }
        }
    }

    /// Takes or renews the Lease if it may. Answers its new version.
    async fn attempt(&self, observed: &mut Observed, deadline: Instant) -> Option<u64> {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, self.take(observed)).await {
            Ok(Ok(revision)) => revision,
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => None,
            Ok(Err(error)) => {
                tracing::warn!(lease = self.name, %error, "the lease cannot be read or written");
                self.metrics.leadership.slow(self.name);
                None
            }
            Err(_) => {
                self.metrics.leadership.slow(self.name);
                None
            }
        }
    }

    async fn take(&self, observed: &mut Observed) -> Result<Option<u64>, kube::Error> {
        let found = self.leases.get_opt(self.name).await?;
        observed.see(found.as_ref(), Instant::now());
        let now = k8s_openapi::jiff::Timestamp::now();
        let wanted = next(observed, &self.identity, self.times.lease, Instant::now(), now);
        let post = kube::api::PostParams::default();
        let written = match wanted {
            Wanted::Wait => return Ok(None),
            Wanted::Create(spec) => self.leases.create(&post, &lease::named(self.name, spec)).await?,
            Wanted::Replace(lease) => self.leases.replace(self.name, &post, &lease).await?,
        };
        observed.see(Some(&written), Instant::now());
        Ok(lease::version(&written))
    }

    /// Gives it back, so that nobody has to wait for its end.
    async fn release(&self, observed: &mut Observed) {
        let Some(lease) = observed.released(&self.identity) else { return };
        let post = kube::api::PostParams::default();
        let work = self.leases.replace(self.name, &post, &lease);
        match tokio::time::timeout(self.times.retry, work).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::info!(lease = self.name, %error, "the lease is not given back, and runs out"),
            Err(_) => tracing::info!(lease = self.name, "the lease is not given back in time, and runs out"),
        }
    }
}

impl Term {
    /// A clean stop lets the work end its step as leader; a lost lease does not.
    fn end_unless(&self, clean: bool) {
        if !clean {
            self.end();
        }
    }
}
