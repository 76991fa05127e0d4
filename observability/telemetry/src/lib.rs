//! Metrics and logs: the names, the encoders, and one struct of instruments per room. See README.md.

pub mod backups;
pub mod controllers;
pub mod exposition;
pub mod fleet;
pub mod heal;
pub mod health;
pub mod healthchecks;
pub mod leadership;
mod logs;
pub mod names;
pub mod notifications;
pub mod page;
pub mod process;
pub mod requests;
mod runtime;
pub mod series;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod traces;
pub mod watches;

pub use backups::BackupMetrics;
pub use controllers::ControllerMetrics;
pub use exposition::Format;
pub use fleet::FleetMetrics;
pub use heal::HealMetrics;
pub use health::HealthMetrics;
pub use logs::{LogFormat, init as init_logs};
pub use notifications::NotificationMetrics;
pub use page::Scraped;
pub use requests::RequestMetrics;
pub use storage::StorageMetrics;
pub use watches::WatchMetrics;

use names::Kind;
use parking_lot::Mutex;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use series::{Dropped, Registrar};
use std::sync::Arc;

type Refresh = Box<dyn Fn(&Metrics) + Send>;

/// Every instrument of the process, made once by whoever wires it and handed to the rooms as `Arc<Metrics>`.
pub struct Metrics {
    registry: Mutex<Registry>,
    refresh: Mutex<Vec<Refresh>>,
    dropped: Dropped,
    registered: Vec<&'static str>,
    runtime: runtime::RuntimeMetrics,
    pub requests: RequestMetrics,
    pub watches: WatchMetrics,
    pub storage: StorageMetrics,
    pub controllers: ControllerMetrics,
    pub fleet: FleetMetrics,
    pub heal: HealMetrics,
    pub healthchecks: healthchecks::Healthchecks,
    pub health: HealthMetrics,
    pub notifications: NotificationMetrics,
    pub leadership: leadership::LeadershipMetrics,
    pub backups: BackupMetrics,
    pub spans: traces::SpanMetrics,
}

impl Metrics {
    /// `version` is what `otter version` says.
    pub fn new(version: &str) -> Arc<Self> {
        Self::of_build(version, "", "")
    }

    /// The same, with the commit and the compiler that the program was made from and with.
    pub fn of_build(version: &str, revision: &str, rustc: &str) -> Arc<Self> {
        let mut registry = Registry::default();
        let mut registrar = Registrar::new(&mut registry);
        let requests = RequestMetrics::register(&mut registrar);
        let watches = WatchMetrics::register(&mut registrar);
        let storage = StorageMetrics::register(&mut registrar);
        let controllers = ControllerMetrics::register(&mut registrar);
        let fleet = FleetMetrics::register(&mut registrar);
        let heal = HealMetrics::register(&mut registrar);
        let health = HealthMetrics::register(&mut registrar);
        let notifications = NotificationMetrics::register(&mut registrar);
        let leadership = leadership::LeadershipMetrics::register(&mut registrar);
        let backups = BackupMetrics::register(&mut registrar);
        let spans = traces::SpanMetrics::register(&mut registrar);
        let runtime = runtime::RuntimeMetrics::register(&mut registrar);
        let build = [("version", version), ("revision", revision), ("rustc", rustc)];
        let build = Info::new(build.map(|(label, value)| (label, value.to_owned())).to_vec());
        registrar.add("otternauts_build_info", Kind::Info, build);
        registrar.collected(process::NAMES);
        let (dropped, registered) = registrar.finish();
        registry.register_collector(Box::new(process::Process::new()));
        Arc::new(Self {
            registry: Mutex::new(registry),
            refresh: Mutex::default(),
            dropped,
            registered,
            runtime,
            requests,
            watches,
            storage,
            controllers,
            fleet,
            heal,
            healthchecks: healthchecks::Healthchecks::default(),
            health,
            notifications,
            leadership,
            backups,
            spans,
        })
    }

    /// Lets the wiring set gauges just before a scrape reads them, instead of on a timer.
    pub fn before_scrape(&self, refresh: impl Fn(&Metrics) + Send + 'static) {
        self.refresh.lock().push(Box::new(refresh));
    }

    /// The names of the table that this process can show on its main page.
    pub fn registered(&self) -> &[&'static str] {
        &self.registered
    }

    /// A page of its own, to be filled from what is there when somebody asks.
    pub fn page(&self) -> Scraped {
        Scraped::new(self.dropped.clone())
    }

    /// The main page. Cannot fail but for a bug in an encoder, which shows as a comment line.
    pub fn encode(&self, format: Format) -> String {
        self.refresh.lock().iter().for_each(|refresh| refresh(self));
        self.controllers.refresh();
        self.runtime.refresh();
        let mut text = String::with_capacity(64 * 1024);
        if let Err(e) = prometheus_client::encoding::text::encode(&mut text, &self.registry.lock()) {
            return format!("# encoding failed: {e}\n");
        }
        match format {
            Format::OpenMetrics => text,
            Format::Classic => exposition::classic(&text),
        }
    }
}
