//! One Deployment on its way: observe, decide, record, act, and look again. After a crash at any point the same code goes
//! on from what the Swarm shows; a step that was `Started` is observed, never blindly repeated (R15).

use crate::context::Context;
use crate::converge::{self, Outcome, Problem, ServiceProgress, reason};
use crate::error::{Error, Result};
use crate::history::{self, phase};
use crate::inputs::{self, Checked, Login};
use crate::observed::{Observed, ObservedTask};
use crate::status::{finish, step, step_state};
use crate::swarm::{Autopsy, Swarm, stack_name};
use crate::{decide, spans, status};
use kube::{Api, ResourceExt as _};
use otternauts_compose::Identity;
use otternauts_fleet::StackName;
use otternauts_types::deployment::{DeploymentPhase, DeploymentStatus, Snapshot, StepState, Trigger};
use otternauts_types::stack::{ServiceStatus, TaskFailure};
use otternauts_types::{Deployment, Stack};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long all tasks must be seen running before a rollout counts as done: a container that starts and falls over is not.
const SETTLED: Duration = Duration::from_secs(3);
/// How long a task may be without a node before it is told: in a rolling update the old one may hold its port for a while.
const PASSING: Duration = Duration::from_secs(8);
/// How long an update stays paused that is resumed.
const RESUME: Duration = Duration::from_secs(5);
/// How often a rollout in progress is looked at. Nothing is looked at when none is.
const RECHECK: Duration = Duration::from_millis(700);
/// When tasks take longer, their servers are looked at too, and again after as long.
const SLOW: Duration = Duration::from_secs(20);
/// How often tasks on their way are looked at, once no rollout is.
const RECHECK_MOVING: Duration = Duration::from_secs(2);
/// How often a failed rollout is looked at: a registry or a node may come back.
const RECHECK_FAILED: Duration = Duration::from_secs(30);

/// What is known about a Deployment after one look.
pub struct Standing {
    pub phase: DeploymentPhase,
    pub problem: Option<Problem>,
    pub services: Option<Vec<ServiceStatus>>,
    pub available: bool,
    pub drift: Option<String>,
    pub recheck: Option<Duration>,
}

impl Standing {
    fn new(phase: DeploymentPhase) -> Self {
        Self { phase, problem: None, services: None, available: false, drift: None, recheck: None }
    }
}

/// One look at a Deployment, and the next step of it.
pub async fn advance(ctx: &Context, stack: &Stack, deployment: &Deployment) -> Result<Standing> {
    let Some(snapshot) = &deployment.spec.snapshot else {
        return Err(Error::Broken(format!("Deployment {} has no snapshot", deployment.name_any())));
    };
    let api: Api<Deployment> = Api::namespaced(ctx.client.clone(), &stack.namespace().unwrap_or_default());
    let old = deployment.status.clone().unwrap_or_default();
    let mut rollout = Rollout { ctx, stack, deployment, snapshot, api, status: old.clone(), written: old };
    rollout.status.observed_generation = deployment.metadata.generation;
    let result = rollout.look().await;
    if let Err(error) = &result {
        rollout.status.last_error = Some(error.chain());
    }
    rollout.record().await?;
    result
}

/// Counts a Deployment when it comes to its end, and not what becomes of it later.
pub fn measured(ctx: &Context, deployment: &Deployment, before: DeploymentPhase, after: DeploymentPhase) {
    let result = match after {
        DeploymentPhase::Pending | DeploymentPhase::Running => return,
        DeploymentPhase::Succeeded => "succeeded",
        DeploymentPhase::Failed => "failed",
        DeploymentPhase::RolledBack => "rolled_back",
        DeploymentPhase::Superseded => "superseded",
    };
    if history::is_terminal(before) {
        return;
    }
    let trigger = match deployment.spec.trigger {
        Trigger::Manual => "manual",
        Trigger::Automatic => "automatic",
        Trigger::Rollback => "rollback",
        Trigger::Heal => "heal",
    };
    let now = jiff::Timestamp::now();
    let seconds = deployment.creation_timestamp().map_or(0.0, |made| now.duration_since(made.0).as_secs_f64());
    ctx.fleet.metrics().fleet.deployed(trigger, result, seconds.max(0.0));
}

struct Rollout<'a> {
    ctx: &'a Context,
    stack: &'a Stack,
    deployment: &'a Deployment,
    snapshot: &'a Snapshot,
    api: Api<Deployment>,
    status: DeploymentStatus,
    /// As the API has it.
    written: DeploymentStatus,
}

impl Rollout<'_> {
    /// Writes the status if it differs. What was acted upon must have been recorded before.
    async fn record(&mut self) -> Result<()> {
        if status::write(&self.api, &self.deployment.name_any(), None, &self.written, &self.status).await? {
            measured(self.ctx, self.deployment, self.written.phase, self.status.phase);
            if history::is_terminal(self.status.phase) && !history::is_terminal(self.written.phase) {
                spans::ended(self.stack, self.deployment, &self.status);
            }
            self.written = self.status.clone();
        }
        Ok(())
    }

    fn now(&self) -> String {
        self.ctx.now()
    }

    fn step(&mut self, name: &str, state: StepState, message: Option<String>) {
        let now = self.now();
        step(&mut self.status, name, state, message, &now);
    }

    async fn look(&mut self) -> Result<Standing> {
        let checked = match self.check().await? {
            Ok(checked) => checked,
            Err(problem) => return Ok(self.fail(DeploymentPhase::Failed, problem, None)),
        };
        let name = stack_name(&checked.rendered.stack_name)?;
        let cluster = inputs::cluster_of(self.stack);
        let swarm = Swarm::of(&self.ctx.client, &self.ctx.fleet, cluster).await?;
        match phase(self.deployment) {
            DeploymentPhase::Pending | DeploymentPhase::Running if !self.sent() => {
                self.deploy(&swarm, &name, &checked).await
            }
            DeploymentPhase::Pending | DeploymentPhase::Running | DeploymentPhase::Failed => {
                self.converge(&swarm, &name, &checked).await
            }
            ended => self.watch(&swarm, &name, &checked, ended).await,
        }
    }

    /// Whether the command of this rollout has ended: from then on only convergence is looked at.
    fn sent(&self) -> bool {
        step_state(&self.status, "deploy") == StepState::Done
    }

    async fn check(&mut self) -> Result<std::result::Result<Checked, Problem>> {
        let namespace = self.stack.namespace().unwrap_or_default();
        let policy = match inputs::policy(&self.ctx.client, &namespace, inputs::cluster_of(self.stack)).await? {
            Ok(policy) => policy,
            Err(problem) => return Ok(Err(problem)),
        };
        let values = history::values_of(&self.ctx.client, &namespace, self.snapshot).await?;
        let (stack, deployment) = (self.stack.name_any(), self.deployment.name_any());
        let ingress = crate::ingress::place(&self.ctx.client, self.stack).await?;
        let who = Identity { namespace, stack, deployment, logins: self.snapshot.registry_logins.clone(), ingress };
        let checked = inputs::check(&self.snapshot.compose, &values, &policy, &who);
        if checked.is_ok() && step_state(&self.status, "render") != StepState::Done {
            self.step("render", StepState::Started, None);
            self.step("render", StepState::Done, None);
        }
        Ok(checked)
    }

    /// Observe, plan, record, act. An empty plan runs no command.
    async fn deploy(&mut self, swarm: &Swarm, name: &StackName, checked: &Checked) -> Result<Standing> {
        let observed = swarm.observe(name).await?;
        let plan = decide::plan(&checked.rendered, &observed);
        self.status.phase = DeploymentPhase::Running;
        if !plan.is_empty() {
            let unusable = decide::unusable(&checked.rendered, &observed, checked.level);
            if !unusable.is_empty() {
                let sentence = format!("Configuration error: {}", unusable.join("; "));
                let problem = Problem::new(reason::CONFIGURATION, sentence, "");
                return Ok(self.fail(DeploymentPhase::Failed, problem, None));
            }
            let logins = match self.logins().await? {
                Ok(logins) => logins,
                Err(problem) => return Ok(self.fail(DeploymentPhase::Failed, problem, None)),
            };
            let config = inputs::registry_config(&logins);
            let text = plan.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            self.step("deploy", StepState::Started, Some(text.clone()));
            self.record().await?;
            self.ctx.say(self.stack, false, "Deploying", &format!("{}: {text}", self.deployment.name_any())).await;
            if let Err(error) = swarm.act(&plan, &checked.rendered, config.as_ref()).await {
                return self.refused(error);
            }
        } else {
            self.step("deploy", StepState::Started, None);
        }
        self.step("deploy", StepState::Done, (plan.is_empty()).then(|| "nothing to change".to_owned()));
        self.status.last_error = None;
        self.record().await?;
        self.converge(swarm, name, checked).await
    }

    async fn logins(&self) -> Result<std::result::Result<Vec<Login>, Problem>> {
        let namespace = self.stack.namespace().unwrap_or_default();
        inputs::logins(&self.ctx.client, &namespace, &self.snapshot.registry_credential_refs).await
    }

    /// The command failed. What cannot be reached now is tried again; what Docker refuses is told, and tried again until the
    /// deadline: a port may become free, a leader may be elected.
    fn refused(&mut self, error: Error) -> Result<Standing> {
        let refusal = match &error {
            Error::Swarm { source: otternauts_fleet::Error::CommandFailed { stderr, .. }, .. } => {
                stderr.trim().to_owned()
            }
            Error::Swarm { source: otternauts_fleet::Error::Docker { message, .. }, .. } => message.trim().to_owned(),
            _ => return Err(error),
        };
        let problem = Problem::new(reason::DEPLOY_FAILED, format!("Deployment failed: {refusal}"), "");
        if self.overdue() {
            return Ok(self.fail(DeploymentPhase::Failed, problem, None));
        }
        self.step("deploy", StepState::Started, Some(refusal));
        self.status.last_error = Some(problem.sentence.clone());
        let recheck = Some(Duration::from_secs(5));
        Ok(Standing { problem: Some(problem), recheck, ..Standing::new(DeploymentPhase::Running) })
    }

    async fn converge(&mut self, swarm: &Swarm, name: &StackName, checked: &Checked) -> Result<Standing> {
        if step_state(&self.status, "converge") == StepState::Pending {
            self.step("converge", StepState::Started, None);
        }
        let observed = swarm.running(name).await?;
        let mut progress = converge::progress(&checked.rendered, &observed);
        self.explain(swarm, &mut progress).await?;
        let failures = self.failures(swarm, &progress).await;
        self.status.services = status::services(&progress, &failures);
        let key = self.deployment.uid().unwrap_or_default();
        match converge::outcome(&checked.rendered, &observed, &progress) {
            Outcome::Converged => {
                if self.ctx.settled_for(&key) < SETTLED {
                    return Ok(self.waiting(&progress));
                }
                self.succeed(swarm, name, checked).await
            }
            outcome => {
                self.ctx.unsettle(&key);
                match outcome {
                    Outcome::RolledBack(problem) => {
                        Ok(self.fail(DeploymentPhase::RolledBack, problem, Some(&observed)))
                    }
                    Outcome::Stuck(_) if self.resumes(swarm, &observed).await? => Ok(self.waiting(&progress)),
                    Outcome::Stuck(problem) => Ok(self.fail(DeploymentPhase::Failed, problem, Some(&observed))),
                    _ if phase(self.deployment) == DeploymentPhase::Failed || self.overdue() => {
                        let seconds = self.stack.spec.progress_deadline_seconds;
                        let late = format!("Deployment did not finish within {seconds} seconds");
                        let told = progress.iter().find_map(|p| p.problem.clone());
                        let problem = told.unwrap_or_else(|| Problem::new(reason::DEADLINE, late, ""));
                        Ok(self.fail(DeploymentPhase::Failed, problem, Some(&observed)))
                    }
                    _ => {
                        self.doubt_slow(swarm, &observed);
                        Ok(self.waiting(&progress))
                    }
                }
            }
        }
    }

    /// Whether the update was paused for what passes by itself, until the deadline; it is resumed from time to time.
    async fn resumes(&self, swarm: &Swarm, observed: &Observed) -> Result<bool> {
        let paused = converge::paused_by_a_server(observed);
        if paused.is_empty() || self.overdue() || phase(self.deployment) == DeploymentPhase::Failed {
            return Ok(false);
        }
        let key = format!("{}/paused", self.deployment.uid().unwrap_or_default());
        if self.ctx.settled_for(&key) >= RESUME {
            self.ctx.unsettle(&key);
            for service in paused {
                swarm.resume(service).await?;
            }
        }
        Ok(true)
    }

    /// Tasks that neither run nor fail may wait for what their server lacks, room on its disk for one.
    fn doubt_slow(&self, swarm: &Swarm, observed: &Observed) {
        let key = format!("{}/slow", self.deployment.uid().unwrap_or_default());
        if self.ctx.settled_for(&key) < SLOW {
            return;
        }
        self.ctx.unsettle(&key);
        let moving = observed.services.iter().flat_map(|s| &s.tasks).filter(|t| t.wanted && t.state.is_moving());
        moving.map(|t| t.node.as_str()).collect::<BTreeSet<_>>().into_iter().for_each(|node| swarm.doubt(node));
    }

    fn waiting(&mut self, progress: &[ServiceProgress]) -> Standing {
        let problem = progress.iter().find_map(|p| p.problem.clone());
        self.status.last_error = problem.as_ref().map(|p| p.sentence.clone());
        Standing {
            problem,
            services: Some(self.status.services.clone()),
            recheck: Some(RECHECK),
            ..Standing::new(DeploymentPhase::Running)
        }
    }

    async fn succeed(&mut self, swarm: &Swarm, name: &StackName, checked: &Checked) -> Result<Standing> {
        let observed = swarm.observe(name).await?;
        swarm.act(&decide::garbage(&checked.rendered, &observed), &checked.rendered, None).await?;
        self.ctx.unsettle(&self.deployment.uid().unwrap_or_default());
        for what in ["slow", "paused"] {
            self.ctx.unsettle(&format!("{}/{what}", self.deployment.uid().unwrap_or_default()));
        }
        self.step("converge", StepState::Done, None);
        let now = self.now();
        finish(&mut self.status, DeploymentPhase::Succeeded, None, &now);
        let services = Some(self.status.services.clone());
        Ok(Standing { services, available: true, ..Standing::new(DeploymentPhase::Succeeded) })
    }

    fn fail(&mut self, phase: DeploymentPhase, problem: Problem, observed: Option<&Observed>) -> Standing {
        let at = if self.sent() { "converge" } else { "deploy" };
        self.step(at, StepState::Failed, Some(problem.message()));
        let now = self.now();
        finish(&mut self.status, phase, Some(&problem), &now);
        // What Swarm may still bring to an end is looked at again; what a person has to mend is not.
        let may_pass = phase == DeploymentPhase::Failed && observed.is_some();
        let recheck = may_pass.then_some(RECHECK_FAILED);
        let services = observed.map(|_| self.status.services.clone());
        Standing { problem: Some(problem), services, recheck, ..Standing::new(phase) }
    }

    /// An ended rollout: how its services do now, and whether somebody else was here.
    async fn watch(
        &mut self,
        swarm: &Swarm,
        name: &StackName,
        checked: &Checked,
        phase: DeploymentPhase,
    ) -> Result<Standing> {
        let observed = swarm.running(name).await?;
        let mut progress = converge::progress(&checked.rendered, &observed);
        self.explain(swarm, &mut progress).await?;
        let failures = self.failures(swarm, &progress).await;
        let services = status::services(&progress, &failures);
        let available = progress.iter().all(|p| p.done);
        let plan = decide::plan(&checked.rendered, &observed);
        let changed = plan.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let drift = (phase == DeploymentPhase::Succeeded && !plan.is_empty())
            .then(|| format!("the swarm was changed outside Otternauts; to undo: {changed}"));
        let problem = match phase {
            DeploymentPhase::Succeeded => progress.iter().find_map(|p| p.problem.clone()),
            _ => self.status.last_error.clone().map(|text| Problem::new(reason::ROLLED_BACK, text, "")),
        };
        // The end of a container is told, a task on its way is not; what stands still may be mended where nobody tells.
        let moving = observed.services.iter().flat_map(|s| &s.tasks).any(|t| t.wanted && t.state.is_moving());
        let recheck = (!available).then_some(if moving { RECHECK_MOVING } else { RECHECK_FAILED });
        Ok(Standing { problem, services: Some(services), available, drift, recheck, ..Standing::new(phase) })
    }

    /// Leaves out what passes by itself within seconds (a port that the old task still holds), and asks the registry why an
    /// image cannot be pulled: Swarm only knows that it is not there (OT-F10).
    async fn explain(&self, swarm: &Swarm, progress: &mut [ServiceProgress]) -> Result<()> {
        let deployment = self.deployment.uid().unwrap_or_default();
        for service in progress {
            let key = format!("{deployment}/{}/unplaced", service.name);
            match service.problem.as_ref() {
                Some(p) if p.reason == reason::NO_NODE => {
                    let told = self.written.last_error.as_ref() == Some(&p.sentence);
                    if !told && self.ctx.settled_for(&key) < PASSING {
                        service.problem = None;
                    }
                }
                _ => self.ctx.unsettle(&key),
            }
            let (Some(problem), Some(task)) = (&mut service.problem, &service.failed_task) else { continue };
            if problem.reason == reason::TASK_FAILED {
                let found = self.autopsy(swarm, task).await;
                if let Some(said) = found.unhealthy {
                    *problem = converge::unhealthy(&service.name, &said);
                } else if found.failure.oom_killed {
                    *problem = converge::out_of_memory(&service.name, &task.error);
                }
                continue;
            }
            if problem.reason != reason::IMAGE_PULL || !task.error.contains("No such image") {
                continue;
            }
            let answer = match self.ctx.registry_answer(&task.id) {
                Some(answer) => answer,
                None => {
                    let logins = self.logins().await?.unwrap_or_default();
                    let answer = swarm.registry_error(&service.image, &logins).await.unwrap_or_default();
                    self.ctx.remember_answer(&task.id, answer.clone());
                    answer
                }
            };
            if !answer.is_empty() {
                let detail = std::mem::take(&mut problem.detail);
                *problem = Problem::new(reason::IMAGE_PULL, converge::pull_sentence(&service.image, &answer), detail);
            }
        }
        Ok(())
    }

    /// Asked for once per task.
    async fn autopsy(&self, swarm: &Swarm, task: &ObservedTask) -> Autopsy {
        if let Some(known) = self.ctx.autopsy(&task.id) {
            return known;
        }
        let found = swarm.autopsy(task).await;
        if task.error.contains("no space left on device") {
            swarm.doubt(&task.node);
        }
        self.ctx.remember(&task.id, found.clone());
        found
    }

    /// Exit code and log of each service's last failed task.
    async fn failures(&self, swarm: &Swarm, progress: &[ServiceProgress]) -> BTreeMap<String, TaskFailure> {
        let mut out = BTreeMap::new();
        for (service, task) in progress.iter().filter_map(|p| Some((&p.name, p.failed_task.as_ref()?))) {
            out.insert(service.clone(), self.autopsy(swarm, task).await.failure);
        }
        out
    }

    /// Whether the deadline has passed since the command was first sent.
    fn overdue(&self) -> bool {
        let started = self.status.steps.iter().find(|s| s.name == "deploy").and_then(|s| s.started_at.as_deref());
        let Some(started) = started.and_then(|t| t.parse::<jiff::Timestamp>().ok()) else { return false };
        let limit = i64::from(self.stack.spec.progress_deadline_seconds);
        jiff::Timestamp::now().as_second() - started.as_second() > limit
    }
}
