//! The status in the making: findings are laid over what was written before, then one verdict closes it.

use crate::plan::Step;
use crate::text::reason;
use otternauts_fleet::ObservedHostKey;
use otternauts_fleet::docker::Node;
use otternauts_types::ConditionStatus;
use otternauts_types::server::{Resources, ServerPhase, ServerStatus, SwarmRole};
use std::ops::ControlFlow;

/// One condition as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: &'static str,
    pub status: ConditionStatus,
    pub reason: String,
    pub message: String,
}

/// When to look again, if nothing happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A change of an object or the loss of the connection will tell us.
    OnChange,
    /// Nobody will tell us: try again after a growing pause.
    Backoff,
}

/// What `decide` answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Everything but the conditions.
    pub status: ServerStatus,
    pub findings: Vec<Finding>,
    pub step: Option<Step>,
    pub retry: Retry,
}

pub(super) struct Verdict {
    phase: ServerPhase,
    reason: &'static str,
    message: String,
    last_error: Option<String>,
    step: Option<Step>,
    retry: Retry,
}

pub(super) struct Draft {
    status: ServerStatus,
    before: Vec<otternauts_types::Condition>,
    findings: Vec<Finding>,
    /// Ready, but something is to be looked at again until it is mended.
    again: bool,
}

type Flow = ControlFlow<Verdict>;

impl Draft {
    pub(super) fn new(before: &ServerStatus) -> Self {
        let mut status = before.clone();
        let conditions = std::mem::take(&mut status.conditions);
        Self { status, before: conditions, findings: Vec::new(), again: false }
    }

    fn put(&mut self, kind: &'static str, status: ConditionStatus, reason: &str, message: String) {
        self.findings.retain(|f| f.kind != kind);
        self.findings.push(Finding { kind, status, reason: reason.to_owned(), message });
    }

    pub(super) fn good(&mut self, kind: &'static str, reason: &str, message: &str) {
        self.put(kind, ConditionStatus::True, reason, message.to_owned());
    }

    /// Keeps the text of an earlier True: for texts with numbers that move by themselves.
    pub(super) fn keep_good(&mut self, kind: &'static str, reason: &str, message: &str) {
        if self.findings.iter().any(|f| f.kind == kind) {
            return;
        }
        let earlier = self.before.iter().find(|c| c.r#type == kind && c.status == ConditionStatus::True);
        let message = earlier.map_or(message, |c| &c.message).to_owned();
        self.put(kind, ConditionStatus::True, reason, message);
    }

    pub(super) fn bad(&mut self, kind: &'static str, reason: &str, message: String) {
        self.put(kind, ConditionStatus::False, reason, message);
    }

    /// For conditions where True is the bad state.
    pub(super) fn put_true(&mut self, kind: &'static str, reason: &str, message: String) {
        self.put(kind, ConditionStatus::True, reason, message);
    }

    pub(super) fn put_unknown(&mut self, kind: &'static str, reason: &str, message: &str) {
        self.put(kind, ConditionStatus::Unknown, reason, message.to_owned());
    }

    pub(super) fn host_key(&mut self, key: &ObservedHostKey) {
        self.status.host_key = Some(key.clone());
    }

    pub(super) fn os(&mut self, name: &str) {
        self.status.os = Some(name.to_owned()).filter(|n| !n.is_empty());
    }

    pub(super) fn docker(&mut self, version: &str) {
        self.status.docker_version = Some(version.to_owned());
    }

    /// Free space moves all the time: it is written anew only when it moved by more than a tenth or a gigabyte.
    pub(super) fn resources(&mut self, machine: Option<(i64, i64)>, free: i64) {
        let old = self.status.resources.clone().unwrap_or_default();
        let (cpus, memory) = machine.unwrap_or((i64::from(old.cpus), old.memory_bytes));
        let moved = (old.disk_free_bytes - free).abs() > (old.disk_free_bytes / 10).max(1_000_000_000);
        self.status.resources = Some(Resources {
            cpus: i32::try_from(cpus).unwrap_or(i32::MAX),
            memory_bytes: memory,
            disk_free_bytes: if moved { free } else { old.disk_free_bytes },
        });
    }

    pub(super) fn node(&mut self, node: &Node) {
        self.status.swarm_node_id = Some(node.id.clone());
        self.status.swarm_role = Some(match node.role {
            otternauts_fleet::docker::NodeRole::Manager => SwarmRole::Manager,
            otternauts_fleet::docker::NodeRole::Worker => SwarmRole::Worker,
        });
    }

    pub(super) fn no_node(&mut self) {
        self.status.swarm_node_id = None;
        self.status.swarm_role = None;
    }

    /// Nothing to do until an object changes.
    pub(super) fn wait(&self, reason: &'static str, message: String) -> Flow {
        let phase = ServerPhase::Pending;
        ControlFlow::Break(Verdict { phase, reason, message, last_error: None, step: None, retry: Retry::OnChange })
    }

    /// Nothing to do now, and nobody will tell us when there is.
    pub(super) fn poll(&self, reason: &'static str, message: String) -> Flow {
        let phase = ServerPhase::Pending;
        ControlFlow::Break(Verdict { phase, reason, message, last_error: None, step: None, retry: Retry::Backoff })
    }

    /// `sentence` is what people read first, `detail` what they read next.
    pub(super) fn fail(&self, phase: ServerPhase, reason: &'static str, sentence: String, detail: &str) -> Flow {
        let message = if detail.is_empty() { sentence.clone() } else { format!("{sentence} {detail}") };
        let last_error = Some(sentence);
        ControlFlow::Break(Verdict { phase, reason, message, last_error, step: None, retry: Retry::Backoff })
    }

    pub(super) fn act(&self, step: Step) -> Flow {
        ControlFlow::Break(Verdict {
            phase: ServerPhase::Provisioning,
            reason: reason::WORKING,
            message: step.doing().to_owned(),
            last_error: None,
            step: Some(step),
            retry: Retry::Backoff,
        })
    }

    /// A step that failed before and is tried again: people keep seeing what is wrong until it is not any more.
    fn is_retry(&self, verdict: &Verdict) -> bool {
        let failure = match &verdict.step {
            Some(Step::InstallDocker(_)) => reason::DOCKER_INSTALL_FAILED,
            Some(Step::StartDocker) => reason::DOCKER_UNAVAILABLE,
            Some(Step::InitSwarm) => reason::SWARM_INIT_FAILED,
            Some(Step::ProbePorts | Step::JoinSwarm { .. }) => reason::SWARM_JOIN_FAILED,
            _ => return false,
        };
        let ready = self.before.iter().find(|c| c.r#type == "Ready");
        self.status.phase == ServerPhase::Failed && ready.is_some_and(|c| c.reason == failure)
    }

    pub(super) fn finish(mut self, verdict: Verdict) -> Decision {
        if self.is_retry(&verdict) {
            // Only what was found good is new.
            self.findings.retain(|f| f.status == ConditionStatus::True || f.kind == "SwarmConflict");
            return Decision { status: self.status, findings: self.findings, step: verdict.step, retry: verdict.retry };
        }
        self.bad("Ready", verdict.reason, verdict.message);
        self.status.phase = verdict.phase;
        self.status.last_error = verdict.last_error;
        Decision { status: self.status, findings: self.findings, step: verdict.step, retry: verdict.retry }
    }

    pub(super) fn ready(mut self) -> Decision {
        self.good("Ready", reason::READY, "The server is part of the swarm and takes work.");
        self.status.phase = ServerPhase::Ready;
        self.status.last_error = None;
        let retry = if self.again { Retry::Backoff } else { Retry::OnChange };
        Decision { status: self.status, findings: self.findings, step: None, retry }
    }

    /// Nobody will tell when what is wrong is mended.
    pub(super) fn look_again(&mut self) {
        self.again = true;
    }
}
