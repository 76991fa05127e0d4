//! SSH, Docker and onboarding. No label carries a server's name here: the families stay small however large the fleet.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Command {
    command: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Step {
    step: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Deployed {
    trigger: &'static str,
    result: &'static str,
}

const SECONDS: [f64; 12] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Clone)]
pub struct FleetMetrics {
    /// Open SSH connections.
    pub ssh_sessions: Gauge,
    connects: Histograms<Outcome>,
    commands: Histograms<Command>,
    /// Servers that showed another key than the pinned one.
    pub host_key_mismatches: Counter,
    steps: Histograms<Step>,
    deployments: Family<Deployed, Counter>,
    deployment_seconds: Histograms<Deployed>,
}

impl FleetMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let new = Self {
            ssh_sessions: Gauge::default(),
            connects: Family::new_with_constructor(seconds),
            commands: Family::new_with_constructor(seconds),
            host_key_mismatches: Counter::default(),
            steps: Family::new_with_constructor(seconds),
            deployments: Family::default(),
            deployment_seconds: Family::new_with_constructor(seconds),
        };
        registry.register("otternauts_ssh_sessions", "Open SSH connections", new.ssh_sessions.clone());
        registry.register("otternauts_ssh_connect_seconds", "Time to connect and log in", new.connects.clone());
        registry.register("otternauts_ssh_command_seconds", "Time of a remote command", new.commands.clone());
        registry.register(
            "otternauts_ssh_host_key_mismatch",
            "Connections refused because the host key had changed",
            new.host_key_mismatches.clone(),
        );
        registry.register("otternauts_onboarding_step_seconds", "Time of an onboarding step", new.steps.clone());
        registry.register("otternauts_deployments", "Ended deployments", new.deployments.clone());
        registry.register("otternauts_deployment_seconds", "Time of a deployment", new.deployment_seconds.clone());
        new
    }

    /// `success`, or the class of the failure: `unreachable`, `host_key`, `authentication`, `timeout`, `other`.
    pub fn connected(&self, result: &'static str, seconds: f64) {
        self.connects.get_or_create(&Outcome { result }).observe(seconds);
    }

    /// `command` is the name of a fixed command, `result` is `success` or `failure`.
    pub fn command(&self, command: &'static str, result: &'static str, seconds: f64) {
        self.commands.get_or_create(&Command { command, result }).observe(seconds);
    }

    /// One step of an onboarding.
    pub fn onboarding_step(&self, step: &'static str, result: &'static str, seconds: f64) {
        self.steps.get_or_create(&Step { step, result }).observe(seconds);
    }

    /// One ended deployment: `result` is `succeeded`, `failed` or `superseded`.
    pub fn deployed(&self, trigger: &'static str, result: &'static str, seconds: f64) {
        self.deployments.get_or_create(&Deployed { trigger, result }).inc();
        self.deployment_seconds.get_or_create(&Deployed { trigger, result }).observe(seconds);
    }
}
