//! Metrics and logs: the names, the encoders, and one struct of instruments per room. See README.md.

pub mod controllers;
pub mod exposition;
pub mod fleet;
pub mod heal;
pub mod health;
pub mod logs;
pub mod notifications;
pub mod process;
pub mod requests;
pub mod storage;
pub mod traces;

pub use controllers::ControllerMetrics;
pub use exposition::Format;
pub use fleet::FleetMetrics;
pub use heal::HealMetrics;
pub use health::HealthMetrics;
pub use logs::{LogFormat, init as init_logs};
pub use notifications::NotificationMetrics;
pub use requests::RequestMetrics;
pub use storage::StorageMetrics;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::sync::Arc;

type Refresh = Box<dyn Fn(&Metrics) + Send>;

/// Every instrument of the process, made once by whoever wires it and handed to the rooms as `Arc<Metrics>`.
pub struct Metrics {
    registry: Mutex<Registry>,
    refresh: Mutex<Vec<Refresh>>,
    pub requests: RequestMetrics,
    pub storage: StorageMetrics,
    pub controllers: ControllerMetrics,
    pub fleet: FleetMetrics,
    pub heal: HealMetrics,
    pub health: HealthMetrics,
    pub notifications: NotificationMetrics,
}

impl Metrics {
    /// `version` is what `otter version` says.
    pub fn new(version: &str) -> Arc<Self> {
        let mut registry = Registry::default();
        let requests = RequestMetrics::register(&mut registry);
        let storage = StorageMetrics::register(&mut registry);
        let controllers = ControllerMetrics::register(&mut registry);
        let fleet = FleetMetrics::register(&mut registry);
        let heal = HealMetrics::register(&mut registry);
        let health = HealthMetrics::register(&mut registry);
        let notifications = NotificationMetrics::register(&mut registry);
        registry.register(
            "otternauts_build",
            "The version that runs",
            Info::new(vec![("version", version.to_owned())]),
        );
        registry.register_collector(Box::new(process::Process::new()));
        Arc::new(Self {
            registry: Mutex::new(registry),
            refresh: Mutex::default(),
            requests,
            storage,
            controllers,
            fleet,
            heal,
            health,
            notifications,
        })
    }

    /// Lets the wiring add a gauge that is read when scraped, e.g. the number of stored objects by resource.
    pub fn register_collector(&self, collector: Box<dyn prometheus_client::collector::Collector>) {
        self.registry.lock().register_collector(collector);
    }

    /// Lets the wiring set gauges just before a scrape reads them, instead of on a timer.
    pub fn before_scrape(&self, refresh: impl Fn(&Metrics) + Send + 'static) {
        self.refresh.lock().push(Box::new(refresh));
    }

    /// Adds a counter that its owner counts up.
    pub fn register_counter(&self, name: &str, help: &str, counter: prometheus_client::metrics::counter::Counter) {
        self.registry.lock().register(name, help, counter);
    }

    /// Adds a plain gauge that its owner sets.
    pub fn register_gauge(&self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.registry.lock().register(name, help, gauge.clone());
        gauge
    }

    /// The whole exposition. Cannot fail but for a bug in an encoder, which shows as a comment line.
    pub fn encode(&self, format: Format) -> String {
        self.refresh.lock().iter().for_each(|refresh| refresh(self));
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
