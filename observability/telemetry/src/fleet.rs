//! SSH, Docker, onboarding and deployments. But for changed host keys no label carries a server's name here: the families stay
//! small however large the fleet.

use crate::series::{Registrar, Series};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

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
struct Server {
    server: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    operation: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Step {
    step: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Deployed {
    trigger: &'static str,
    strategy: &'static str,
    result: &'static str,
}

const SECONDS: &[f64] = &[0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];
const CALLS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
const DEPLOYMENTS: &[f64] = &[1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 450.0, 600.0, 900.0, 1800.0];

#[derive(Clone)]
pub struct FleetMetrics {
    /// Open SSH connections.
    pub ssh_sessions: Gauge,
    connects: Series<Outcome, Histogram>,
    commands: Series<Command, Histogram>,
    mismatches: Series<Server, Counter>,
    calls: Series<Call, Histogram>,
    steps: Series<Step, Histogram>,
    deployments: Series<Deployed, Counter>,
    deployment_seconds: Series<Deployed, Histogram>,
}

impl FleetMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            ssh_sessions: registrar.gauge("otternauts_ssh_sessions"),
            connects: registrar.histograms("otternauts_ssh_connect_seconds", SECONDS),
            commands: registrar.histograms("otternauts_ssh_command_seconds", SECONDS),
            mismatches: registrar.counters("otternauts_ssh_host_key_mismatch_total"),
            calls: registrar.histograms("otternauts_docker_request_seconds", CALLS),
            steps: registrar.histograms("otternauts_onboarding_step_seconds", SECONDS),
            deployments: registrar.counters("otternauts_deployments_total"),
            deployment_seconds: registrar.histograms("otternauts_deployment_seconds", DEPLOYMENTS),
        }
    }

    /// `success`, or the class of the failure: `unreachable`, `host_key`, `authentication`, `timeout`, `other`.
    pub fn connected(&self, result: &'static str, seconds: f64) {
        self.connects.get_or_create(&Outcome { result }).observe(seconds);
    }

    /// A server showed another key than the pinned one.
    pub fn host_key_mismatch(&self, server: &str) {
        self.mismatches.get_or_create(&Server { server: server.to_owned() }).inc();
    }

    /// `command` is the name of a fixed command, `result` is `success` or `failure`.
    pub fn command(&self, command: &'static str, result: &'static str, seconds: f64) {
        self.commands.get_or_create(&Command { command, result }).observe(seconds);
    }

    /// One call of an engine. `operation` is one of a closed set (`containers list`), `code` the class of the answer's code
    /// (`2xx`), or `error` when there was none.
    pub fn docker(&self, operation: &'static str, code: &'static str, seconds: f64) {
        self.calls.get_or_create(&Call { operation, code }).observe(seconds);
    }

    /// One step of an onboarding.
    pub fn onboarding_step(&self, step: &'static str, result: &'static str, seconds: f64) {
        self.steps.get_or_create(&Step { step, result }).observe(seconds);
    }

    /// One ended deployment. `trigger`: `manual`, `automatic`, `rollback`, `heal`; `result`: `succeeded`, `failed`,
    /// `rolled_back`, `superseded`.
    pub fn deployed(&self, trigger: &'static str, result: &'static str, seconds: f64) {
        let deployed = Deployed { trigger, strategy: "rolling", result };
        self.deployments.get_or_create(&deployed).inc();
        self.deployment_seconds.get_or_create(&deployed).observe(seconds);
    }
}
