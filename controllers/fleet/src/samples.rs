//! What servers and their containers use, measured while somebody wants to know: one sampler a server, shared by all who ask.
//! While nobody asks, nothing is asked of any server.

mod measure;
#[cfg(test)]
mod tests;

pub use measure::{ContainerSample, ServerSample};

use crate::docker::Docker;
use crate::fleet::Fleet;
use measure::Memory;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The usual distance of two rounds.
const EVERY: Duration = Duration::from_secs(15);
/// The second round comes early: a share of a core needs two readings, and somebody waits for the first.
const SECOND: Duration = Duration::from_secs(2);
/// A round that is not done by then goes without what is missing.
const LIMIT: Duration = Duration::from_secs(12);

/// What was measured of one server and its containers in one go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// Milliseconds since 1970, by our clock.
    pub at: i64,
    pub server: ServerSample,
    /// By name. A container that did not answer in time is not there.
    pub containers: Vec<ContainerSample>,
    /// Running containers that are not in `containers`: over the bound, or too slow.
    pub missing: usize,
    /// Why nothing, or not everything, could be measured.
    pub error: Option<String>,
}

/// A share of a server's sampler. The server is measured until the last share is dropped.
pub struct Samples {
    rounds: watch::Receiver<Newest>,
    _lease: Arc<Lease>,
}

impl Samples {
    /// The newest round; none before the first.
    pub fn latest(&self) -> Option<Arc<Round>> {
        self.rounds.borrow().clone()
    }

    /// The next round that this share has not seen; at once when there is one. A reader that is late sees the newest only.
    pub async fn next(&mut self) -> Arc<Round> {
        loop {
            // The sampler lives as long as this share: if it is gone all the same, the process is stopping.
            if self.rounds.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(round) = self.rounds.borrow_and_update().clone() {
                return round;
            }
        }
    }
}

/// Held by all shares of a sampler; the last one ends it.
struct Lease(AbortHandle);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Nothing before the first round.
type Newest = Option<Arc<Round>>;

/// Who is measured, by server.
#[derive(Default)]
pub(crate) struct Samplers(HashMap<String, (Weak<Lease>, watch::Receiver<Newest>)>);

impl Samplers {
    #[cfg(test)]
    fn running(&self) -> usize {
        self.0.values().filter(|(lease, _)| lease.strong_count() > 0).count()
    }
}

impl Fleet {
    /// A share of what is measured of the server called `name`, every 15 s from now on until the share is dropped. A server
    /// that is not followed ([`Fleet::follow`]), or cannot be reached, has rounds with an error, and is tried again with each.
    pub fn samples(&self, name: &str) -> Samples {
        let mut samplers = self.samplers();
        if let Some((lease, rounds)) = samplers.0.get(name)
            && let Some(lease) = lease.upgrade()
        {
            // A share starts with the newest round, as if it had just come.
            let mut rounds = rounds.clone();
            rounds.mark_changed();
            return Samples { rounds, _lease: lease };
        }
        samplers.0.retain(|_, (lease, _)| lease.strong_count() > 0);
        let (sender, rounds) = watch::channel(None);
        let task = tokio::spawn(keep_sampling(self.clone(), name.to_owned(), sender));
        let lease = Arc::new(Lease(task.abort_handle()));
        samplers.0.insert(name.to_owned(), (Arc::downgrade(&lease), rounds.clone()));
        Samples { rounds, _lease: lease }
    }
}

async fn keep_sampling(fleet: Fleet, name: String, sender: watch::Sender<Newest>) {
    let mut memory = Memory::default();
    let mut engine = None;
    let mut pause = SECOND;
    loop {
        let started = Instant::now();
        let round = sample(&fleet, &name, &mut engine, &mut memory).await;
        sender.send_replace(Some(Arc::new(round)));
        tokio::time::sleep_until(started + pause).await;
        pause = EVERY;
    }
}

/// One round. The client of the engine is kept between rounds, and made anew after a failure or for another connection.
async fn sample(fleet: &Fleet, name: &str, engine: &mut Option<Engine>, memory: &mut Memory) -> Round {
    let at = jiff::Timestamp::now().as_millisecond();
    let failed = |error: String| Round { at, error: Some(error), ..Round::default() };
    let Some(host) = fleet.followed(name) else {
        *engine = None;
        return failed("the server is not followed".to_owned());
    };
    let deadline = Instant::now() + LIMIT;
    if !engine.as_ref().is_some_and(|known| known.host.is(&host)) {
        *memory = Memory::default();
        *engine = match tokio::time::timeout_at(deadline, Engine::of(host)).await {
            Ok(Ok(known)) => Some(known),
            Ok(Err(e)) => return failed(e.to_string()),
            Err(_) => return failed(format!("the engine did not answer within {} s", LIMIT.as_secs())),
        };
    }
    let Some(known) = engine.as_ref() else { return failed("the engine is not known".to_owned()) };
    let measured = measure::round(known, memory, deadline).await;
    match measured {
        Ok(round) => Round { at, ..round },
        Err(e) => {
            *engine = None;
            failed(e.to_string())
        }
    }
}

/// The engine of a server, and what does not change while it is followed.
struct Engine {
    host: crate::host::Host,
    docker: Docker,
    cpus: i64,
    memory_bytes: i64,
}

impl Engine {
    async fn of(host: crate::host::Host) -> crate::Result<Self> {
        let docker = host.docker().await?;
        let info = docker.info().await?;
        Ok(Self { host, docker, cpus: info.cpus, memory_bytes: info.memory_bytes })
    }
}
