//! What the server does by itself, beside answering: housekeeping and controllers. Alone at once; of several replicas, whoever leads.

use crate::config::Controllers;
use crate::controllers;
use crate::leadership::{self, Elector, Term};
use crate::scheduled::Scheduled;
use crate::{inside, process};
use otternauts_fleet::Fleet;
use otternauts_fleet::fence::{self, Right};
use otternauts_healing::Audit;
use otternauts_http::Api;
use otternauts_registry::Registry;
use otternauts_telemetry::Metrics;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The Leases, in the system namespace. Two, because a replica may run without controllers.
const HOUSEKEEPING: &str = "otternauts-housekeeping";
pub const CONTROLLERS: &str = "otternauts-controllers";

#[derive(Clone)]
pub struct Duties {
    pub registry: Registry,
    pub api: Api,
    pub fleet: Fleet,
    pub controllers: Controllers,
    pub metrics: Arc<Metrics>,
    /// Where the deeds of rules are noted.
    pub deeds: Audit,
    /// Backups on a schedule, if there is one: one replica makes them.
    pub scheduled: Option<Arc<Scheduled>>,
}

impl Duties {
    /// Until `stop`; then every step that was begun is ended.
    pub async fn run(self, stop: CancellationToken) {
        if !self.registry.store().is_shared() {
            let keep = Box::pin(self.clone().keep_house(stop.clone()));
            let control = async {
                self.claim(!self.controllers.0.is_empty(), &stop).await;
                self.clone().control(stop.clone()).await;
            };
            tokio::join!(keep, control);
            return;
        }
        self.fleet.set_right(Right::None);
        let noting = self.registry.clone();
        let noting = tokio::spawn({
            let stop = stop.clone();
            async move { noting.run_noting(stop.cancelled_owned()).await }
        });
        let identity = identity();
        let housekeeping = self.elector(HOUSEKEEPING, &identity).run(stop.clone(), |_, ended| {
            let duties = self.clone();
            async move { Box::pin(duties.keep_house(ended)).await }
        });
        let controlling = async {
            // It may be as a server left it that had the store for itself.
            self.claim(false, &stop).await;
            if self.controllers.0.is_empty() {
                return;
            }
            let elector = self.elector(CONTROLLERS, &identity);
            elector.run(stop.clone(), |term, ended| lead(self.fleet.clone(), term, self.clone().control(ended))).await;
        };
        tokio::join!(housekeeping, controlling);
        // A panic in it has been told by now.
        let _ended = noting.await;
    }

    async fn claim(&self, own: bool, stop: &CancellationToken) {
        leadership::claim(inside::own_client(self.api.clone()), CONTROLLERS, own, stop).await;
    }

    fn elector(&self, lease: &'static str, identity: &str) -> Elector {
        Elector::new(inside::own_client(self.api.clone()), lease, identity.to_owned(), Arc::clone(&self.metrics))
    }

    async fn keep_house(self, stop: CancellationToken) {
        let house = Box::pin(self.registry.run_housekeeping(stop.clone().cancelled_owned()));
        let backups = Box::pin(async {
            if let Some(scheduled) = &self.scheduled {
                scheduled.run(stop).await;
            }
        });
        tokio::join!(house, backups);
    }

    async fn control(self, stop: CancellationToken) {
        let running = controllers::spawn(&self.controllers, &self.api, &self.fleet, &self.deeds, &stop);
        stop.cancelled().await;
        running.finish().await;
    }
}

/// Controllers that may change servers for this term, and no longer (R19).
pub async fn lead(fleet: Fleet, term: Term, control: impl Future<Output = ()>) {
    let (number, lasts) = (term.number, Arc::new(move || term.lasts()));
    fleet.set_right(Right::Leader(fence::Term { number, lasts }));
    // Also when this is dropped in the middle.
    let _closes = Closes(fleet);
    control.await;
}

/// Takes the right to change servers away.
struct Closes(Fleet);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.set_right(Right::None);
    }
}

/// The host's name for people, and what makes it like no other: a process that starts again is another candidate.
pub fn identity() -> String {
    let random: [u8; 8] = otternauts_auth::random_bytes().unwrap_or_default();
    let host = process::hostname().unwrap_or_else(|| "otter".to_owned());
    format!("{host}_{:016x}", u64::from_be_bytes(random) ^ u64::from(std::process::id()))
}
