//! Our own convergence check: are the tasks of the new spec what runs? Jobs count as done when they have completed.

use crate::observed::{Observed, ObservedService, ObservedTask, TaskState, Update};
use otternauts_compose::Rendered;

/// Reasons of conditions and Events (design, section 9).
pub mod reason {
    pub const CONFIGURATION: &str = "ConfigurationError";
    pub const IMAGE_PULL: &str = "ImagePullFailed";
    pub const NO_NODE: &str = "NoMatchingNode";
    pub const UNHEALTHY: &str = "Unhealthy";
    pub const OUT_OF_MEMORY: &str = "OutOfMemory";
    pub const TASK_FAILED: &str = "TaskFailed";
    pub const ROLLED_BACK: &str = "RolledBack";
    pub const DEADLINE: &str = "ProgressDeadlineExceeded";
    pub const DEPLOY_FAILED: &str = "DeployFailed";
    /// The swarm's managers choose a leader: the Cluster tells when that takes too long.
    pub const ELECTING: &str = "ElectingLeader";
    pub const MANAGERS: &str = "ManagersUnreachable";
}

/// What Docker says while a server's overlay networks are not there yet, or a network is being remade (row F3, F4).
const SERVER_NOT_READY: [&str; 2] = ["network sandbox join failed", "could not find network"];

/// One thing that is wrong. `sentence` is the PRD's, word for word; `detail` is what Docker said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub reason: &'static str,
    pub sentence: String,
    pub detail: String,
}

impl Problem {
    pub fn new(reason: &'static str, sentence: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason, sentence: sentence.into(), detail: detail.into() }
    }

    /// Sentence and detail, for a condition.
    pub fn message(&self) -> String {
        if self.detail.is_empty() || self.sentence.contains(&self.detail) {
            return self.sentence.clone();
        }
        format!("{} ({})", self.sentence, self.detail)
    }
}

/// One service on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceProgress {
    pub name: String,
    pub image: String,
    pub desired: u64,
    pub running: u64,
    pub done: bool,
    pub problem: Option<Problem>,
    /// The task that failed last, for its exit code and log.
    pub failed_task: Option<ObservedTask>,
}

/// Where a rollout stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Converged,
    Waiting,
    /// Swarm gave up: it paused the update.
    Stuck(Problem),
    /// Swarm went back to the spec before.
    RolledBack(Problem),
}

pub fn progress(rendered: &Rendered, observed: &Observed) -> Vec<ServiceProgress> {
    let one = |wanted: &otternauts_compose::RenderedService| match observed.service(&wanted.name) {
        Some(service) if is_as_wanted(wanted, service) => service_progress(&wanted.image, service),
        other => ServiceProgress {
            name: wanted.name.clone(),
            image: wanted.image.clone(),
            desired: other.map_or(0, |s| s.desired),
            running: 0,
            done: false,
            problem: None,
            failed_task: None,
        },
    };
    rendered.services.iter().map(one).collect()
}

fn is_as_wanted(wanted: &otternauts_compose::RenderedService, service: &ObservedService) -> bool {
    service.spec_sha256.as_deref() == Some(wanted.spec_sha256.as_str())
}

/// Asked only after the command of this rollout has ended: what Swarm said of an earlier update is over by then.
pub fn outcome(rendered: &Rendered, observed: &Observed, progress: &[ServiceProgress]) -> Outcome {
    for wanted in &rendered.services {
        let Some(service) = observed.service(&wanted.name) else { continue };
        let told = progress.iter().find(|p| p.name == service.name).and_then(|p| p.problem.clone());
        let name = &service.name;
        let problem = |reason, text| told.unwrap_or_else(|| Problem::new(reason, text, service.update_message.clone()));
        match (service.update, is_as_wanted(wanted, service)) {
            // A rollback brings the old spec back, our label with it.
            (Update::RolledBack, false) => {
                let text = format!("Service {name} was rolled back by the swarm");
                return Outcome::RolledBack(Problem::new(reason::ROLLED_BACK, text, why_rolled_back(service)));
            }
            (Update::Paused, _) => {
                return Outcome::Stuck(problem(
                    reason::DEPLOY_FAILED,
                    format!("The update of service {name} was paused by the swarm"),
                ));
            }
            _ => {}
        }
    }
    if progress.iter().all(|p| p.done) { Outcome::Converged } else { Outcome::Waiting }
}

/// The services whose update the swarm has paused because a server was not ready for a task, as one that has just joined may
/// not be: nothing is wrong with what was asked for, and it may be asked for again.
pub fn paused_by_a_server(observed: &Observed) -> Vec<&ObservedService> {
    let by_server = |s: &&ObservedService| {
        let not_ready = |t: &ObservedTask| SERVER_NOT_READY.iter().any(|sign| t.error.contains(sign));
        s.update == Update::Paused && last_failure(s).is_some_and(not_ready)
    };
    observed.services.iter().filter(by_server).collect()
}

/// The error of the task that made Swarm go back: it is of no present spec any more.
fn why_rolled_back(service: &ObservedService) -> String {
    let failed =
        service.tasks.iter().filter(|t| !t.current && matches!(t.state, TaskState::Failed | TaskState::Rejected));
    let last = failed.max_by(|a, b| a.timestamp.cmp(&b.timestamp));
    last.map_or_else(|| service.update_message.clone(), |t| t.error.clone())
}

fn service_progress(image: &str, service: &ObservedService) -> ServiceProgress {
    let of_new = |t: &&ObservedTask| t.current && t.wanted;
    let running = service.tasks.iter().filter(of_new).filter(|t| t.state == TaskState::Running).count() as u64;
    let old_ones = service.tasks.iter().any(|t| !t.current && t.wanted && t.state == TaskState::Running);
    // "Rolled back" stays on a service until its next update: it matters only where what runs is not what is wanted.
    let settled = matches!(service.update, Update::Settled | Update::RolledBack);
    let done = if service.job {
        service.completed >= service.desired
    } else {
        settled && !old_ones && running >= service.desired
    };
    let failed_task = last_failure(service).cloned();
    let problem = if done { None } else { problem(image, service, failed_task.as_ref()) };
    ServiceProgress {
        name: service.name.clone(),
        image: image.to_owned(),
        desired: service.desired,
        running: if service.job { service.completed } else { running },
        done,
        problem,
        failed_task,
    }
}

fn last_failure(service: &ObservedService) -> Option<&ObservedTask> {
    // A container that ends well, also one that Swarm stopped for its health, is "complete": no end at all for a service.
    let ended = |t: &ObservedTask| t.state == TaskState::Complete && !service.job;
    let failed =
        |t: &&ObservedTask| t.current && (matches!(t.state, TaskState::Failed | TaskState::Rejected) || ended(t));
    service.tasks.iter().filter(failed).max_by(|a, b| a.timestamp.cmp(&b.timestamp))
}

fn problem(image: &str, service: &ObservedService, failed: Option<&ObservedTask>) -> Option<Problem> {
    let waiting = service.tasks.iter().find(|t| t.current && t.wanted && t.state == TaskState::Pending);
    if let Some(task) = waiting
        && task.error.contains("no suitable node")
    {
        let sentence = format!("Service {} cannot start: no nodes match constraints", service.name);
        let detail = match service.constraints.is_empty() {
            true => task.error.clone(),
            false => format!("constraints: {}; {}", service.constraints.join(", "), task.error),
        };
        return Some(Problem::new(reason::NO_NODE, sentence, detail));
    }
    let task = failed?;
    let error = task.error.trim();
    if is_pull_error(error) {
        return Some(Problem::new(reason::IMAGE_PULL, pull_sentence(image, error), error));
    }
    if error.contains("unhealthy") {
        return Some(unhealthy(&service.name, error));
    }
    if task.state == TaskState::Complete {
        return Some(Problem::new(
            reason::TASK_FAILED,
            format!("Service {} ended: its container exited", service.name),
            error,
        ));
    }
    Some(Problem::new(reason::TASK_FAILED, format!("Service {} failed: {error}", service.name), error))
}

/// OT-F12; the detail is what the health check said last.
pub fn unhealthy(service: &str, detail: &str) -> Problem {
    Problem::new(reason::UNHEALTHY, format!("Service {service} is unhealthy"), detail)
}

/// The kernel killed it: its own limit, or the server's memory, was too small.
pub fn out_of_memory(service: &str, detail: &str) -> Problem {
    let sentence = format!("Service {service} ran out of memory: a container of it was killed");
    Problem::new(reason::OUT_OF_MEMORY, sentence, detail)
}

/// OT-F10, with the registry's own words where we have them.
pub fn pull_sentence(image: &str, error: &str) -> String {
    format!("Failed to pull image {image}: {error}")
}

fn is_pull_error(error: &str) -> bool {
    const SIGNS: [&str; 7] = [
        "No such image",
        "pull access denied",
        "manifest unknown",
        "manifest for ",
        "unauthorized",
        "failed to resolve reference",
        "repository does not exist",
    ];
    SIGNS.iter().any(|sign| error.contains(sign)) || (error.contains("pull") && error.contains("denied"))
}

#[cfg(test)]
mod tests;
