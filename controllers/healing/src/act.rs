//! One step, done. No choices are left here but one: what was begun before a crash is not done twice.

mod drain;
mod webhook;

use crate::context::Context;
use crate::error::ActionError;
use crate::plan::{Place, Step, message_id};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt as _};
use otternauts_fleet::docker::{Changed, Service, ServiceMode};
use otternauts_fleet::{Docker, News, StackName};
use otternauts_types::deployment::{DeploymentPhase, StepState, Trigger};
use otternauts_types::heal_rule::HealScale;
use otternauts_types::server::SwarmRole;
use otternauts_types::{Deployment, DeploymentSpec, LocalRef, Server, Stack};
use std::time::Duration;

/// For all of one action.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a manager is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// A service that is being changed by somebody else is read again this often.
const TRIES: usize = 3;

/// Writes down what is about to be changed, and at which version. Nothing is changed unless that has succeeded.
pub type Record<'a> = dyn Fn(Option<i64>) -> BoxFuture<'static, Result<(), ActionError>> + Send + Sync + 'a;

/// An action, as it was decided.
pub struct Order<'a> {
    pub id: &'a str,
    pub step: &'a Step,
    /// It was begun before, at this version.
    pub begun: Option<i64>,
}

/// Does it. Answers what was done, in a few words.
pub async fn run(ctx: &Context, order: &Order<'_>, record: &Record<'_>) -> Result<String, ActionError> {
    let done = async {
        match order.step {
            Step::Restart(place) => restart(ctx, place, order.begun, record).await,
            Step::Scale(place, scale) => grow(ctx, place, scale, order.begun, record).await,
            Step::Rollback(stack) => roll_back(ctx, stack, order.id, record).await,
            Step::Drain { server } => drain::drain(ctx, server, record).await,
            Step::PruneImages { server } => prune(ctx, server, record).await,
            Step::Alert => Ok("told".to_owned()),
            Step::Webhook { hook, namespace, body } => {
                record(None).await?;
                webhook::send(&ctx.client, namespace, hook, &message_id(order.id), body).await
            }
        }
    };
    tokio::time::timeout(LIMIT, done).await.map_err(|_| ActionError::Timeout(LIMIT.as_secs()))?
}

fn engine(what: &'static str) -> impl FnOnce(otternauts_fleet::Error) -> ActionError {
    move |source| ActionError::Engine { what, source }
}

fn api(what: &'static str) -> impl FnOnce(kube::Error) -> ActionError {
    move |source| ActionError::Api { what, source }
}

async fn restart(ctx: &Context, at: &Place, begun: Option<i64>, record: &Record<'_>) -> Result<String, ActionError> {
    let docker = manager(ctx, &at.cluster).await?;
    if let Some(version) = begun {
        let service = service(&docker, at).await?;
        return Ok(match docker.service_restart(&service.id, unsigned(version)).await.map_err(engine("restart"))? {
            Changed::Now => "restarted".to_owned(),
            Changed::Before => "it was changed before we were interrupted: not repeated".to_owned(),
        });
    }
    for _ in 0..TRIES {
        let service = service(&docker, at).await?;
        record(i64::try_from(service.version).ok()).await?;
        let changed = docker.service_restart(&service.id, service.version).await.map_err(engine("restart"))?;
        if changed == Changed::Now {
            return Ok("restarted".to_owned());
        }
    }
    Err(ActionError::Impossible("somebody else is changing the service".to_owned()))
}

async fn grow(
    ctx: &Context,
    at: &Place,
    scale: &HealScale,
    begun: Option<i64>,
    record: &Record<'_>,
) -> Result<String, ActionError> {
    let docker = manager(ctx, &at.cluster).await?;
    for _ in 0..TRIES {
        let service = service(&docker, at).await?;
        let ServiceMode::Replicated(now) = service.mode else {
            return Err(ActionError::Impossible("only replicated services can be scaled".to_owned()));
        };
        let most = unsigned(i64::from(scale.max));
        let wanted = now.saturating_add(unsigned(i64::from(scale.by))).min(most);
        if wanted <= now {
            return Err(ActionError::Impossible(format!("it has {now} replicas, and {most} is the most")));
        }
        let version = match begun {
            Some(version) => unsigned(version),
            None => {
                record(i64::try_from(service.version).ok()).await?;
                service.version
            }
        };
        match docker.service_scale(&service.id, version, wanted).await.map_err(engine("scale"))? {
            Changed::Now => return Ok(format!("scaled from {now} to {wanted} replicas")),
            Changed::Before if begun.is_some() => {
                return Ok("it was changed before we were interrupted: not repeated".to_owned());
            }
            Changed::Before => {}
        }
    }
    Err(ActionError::Impossible("somebody else is changing the service".to_owned()))
}

/// A Deployment of this action's own name: made once, whoever asks again.
async fn roll_back(ctx: &Context, stack: &Stack, id: &str, record: &Record<'_>) -> Result<String, ActionError> {
    let deployments: Api<Deployment> = Api::namespaced(ctx.client.clone(), &stack.namespace().unwrap_or_default());
    let name = format!("{}-heal-{id}", stack.name_any());
    if deployments.get_opt(&name).await.map_err(api("read Deployments"))?.is_some() {
        return Ok("it was begun before we were interrupted: not repeated".to_owned());
    }
    let all = deployments.list(&ListParams::default()).await.map_err(api("list Deployments"))?;
    let version = previous(stack, &all.items)
        .ok_or_else(|| ActionError::Impossible("there is no earlier version that ran".to_owned()))?;
    record(Some(version)).await?;
    let spec = DeploymentSpec {
        stack_ref: LocalRef { name: stack.name_any() },
        trigger: Trigger::Heal,
        rollback_to: Some(version),
        ..DeploymentSpec::default()
    };
    match deployments.create(&PostParams::default(), &Deployment::new(&name, spec)).await {
        Ok(_) => Ok(format!("Deployment {name} goes back to version {version}")),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(format!("Deployment {name} exists already")),
        Err(e) => Err(api("create a Deployment")(e)),
    }
}

/// The last version before the present one that ran. After a rollback, the one before that: what was left is not gone back to.
fn previous(stack: &Stack, all: &[Deployment]) -> Option<i64> {
    let own = || all.iter().filter(|d| d.spec.stack_ref.name == stack.name_any() && d.spec.snapshot.is_some());
    let current = stack.status.as_ref()?.current_version?;
    let before = own().find(|d| d.spec.version == Some(current)).and_then(|d| d.spec.rollback_to).unwrap_or(current);
    let ran = |d: &&Deployment| {
        let Some(status) = &d.status else { return false };
        let converged = status.steps.iter().any(|s| s.name == "converge" && s.state == StepState::Done);
        match status.phase {
            DeploymentPhase::Succeeded => true,
            DeploymentPhase::Superseded => converged,
            _ => false,
        }
    };
    // A rollback's own number says nothing: what it went back to has one.
    own()
        .filter(ran)
        .filter(|d| d.spec.rollback_to.is_none())
        .filter_map(|d| d.spec.version)
        .filter(|v| *v < before)
        .max()
}

async fn prune(ctx: &Context, name: &str, record: &Record<'_>) -> Result<String, ActionError> {
    let host = ctx.fleet.followed(name);
    let host = host.ok_or_else(|| ActionError::Impossible(format!("Server {name} is not reached")))?;
    let docker = host.docker().await.map_err(engine("reach the engine"))?;
    record(None).await?;
    let freed = docker.images_prune().await.map_err(engine("remove unused images"))?;
    Ok(format!("unused images removed: {freed} bytes are free again"))
}

/// The Cluster that a Server belongs to.
pub fn cluster_of(server: &Server) -> &str {
    server.spec.cluster_ref.as_ref().map_or("default", |r| r.name.as_str())
}

/// The servers of a cluster that are heard.
pub fn heard(ctx: &Context, cluster: &str) -> Vec<String> {
    let servers = ctx.servers.state();
    let of = servers.iter().filter(|s| cluster_of(s) == cluster).map(|s| s.name_any());
    of.filter(|name| ctx.fleet.followed(name).is_some()).collect()
}

/// The engine of a manager that takes part in decisions. When we have just started none may be followed yet: it is waited for.
async fn manager(ctx: &Context, cluster: &str) -> Result<Docker, ActionError> {
    let mut notices = std::pin::pin!(ctx.fleet.notices().filter(|n| {
        let followed = matches!(n.news, News::Followed | News::Missed);
        async move { followed }
    }));
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let none = match any_manager(ctx, cluster).await {
            Ok(docker) => return Ok(docker),
            Err(none) => none,
        };
        if tokio::time::timeout_at(end, notices.next()).await.is_err() {
            return Err(none);
        }
    }
}

async fn any_manager(ctx: &Context, cluster: &str) -> Result<Docker, ActionError> {
    let mut last = None;
    for server in ctx.servers.state() {
        let is_manager = server.status.as_ref().is_some_and(|s| s.swarm_role == Some(SwarmRole::Manager));
        if cluster_of(&server) != cluster || !is_manager {
            continue;
        }
        let Some(host) = ctx.fleet.followed(&server.name_any()) else { continue };
        let asked = async {
            let docker = host.docker().await?;
            let info = docker.info().await?;
            Ok(info.swarm.control_available.then_some(docker))
        };
        match asked.await {
            Ok(Some(docker)) => return Ok(docker),
            Ok(None) => {}
            Err(e) => last = Some(e),
        }
    }
    Err(ActionError::Managers { cluster: cluster.to_owned(), source: last })
}

async fn service(docker: &Docker, at: &Place) -> Result<Service, ActionError> {
    let stack = StackName::new(&at.swarm_stack).map_err(engine("name the stack"))?;
    let all = docker.services(Some(&stack)).await.map_err(engine("list services"))?;
    let name = format!("{}_{}", at.swarm_stack, at.service);
    let found = all.into_iter().find(|s| s.name == name);
    found.ok_or_else(|| ActionError::Impossible(format!("the swarm has no service {name}")))
}

/// Versions and counts are never negative.
fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use otternauts_types::deployment::{DeploymentStatus, Snapshot, Step as DeployStep};
    use otternauts_types::stack::StackStatus;

    fn deployment(version: i64, phase: DeploymentPhase, converged: bool, rollback_to: Option<i64>) -> Deployment {
        let spec = DeploymentSpec {
            stack_ref: LocalRef { name: "shop".into() },
            version: Some(version),
            rollback_to,
            snapshot: Some(Snapshot::default()),
            ..DeploymentSpec::default()
        };
        let mut made = Deployment::new(&format!("shop-{version}"), spec);
        let state = if converged { StepState::Done } else { StepState::Failed };
        let steps = vec![DeployStep { name: "converge".into(), state, ..DeployStep::default() }];
        made.status = Some(DeploymentStatus { phase, steps, ..DeploymentStatus::default() });
        made
    }

    #[test]
    fn a_rollback_goes_to_the_last_version_that_ran_and_never_to_what_it_came_from() {
        use DeploymentPhase::{Failed, Running, Succeeded, Superseded};
        let rows: [(&str, Vec<Deployment>, Option<i64>); 5] = [
            ("the only one", vec![deployment(1, Succeeded, true, None)], None),
            (
                "one that never ran is passed over",
                vec![
                    deployment(1, Superseded, true, None),
                    deployment(2, Superseded, false, None),
                    deployment(3, Succeeded, true, None),
                ],
                Some(1),
            ),
            (
                "the present one failed",
                vec![deployment(1, Superseded, true, None), deployment(2, Failed, false, None)],
                Some(1),
            ),
            (
                "after a rollback from 3 to 2",
                vec![
                    deployment(1, Superseded, true, None),
                    deployment(2, Superseded, true, None),
                    deployment(3, Superseded, true, None),
                    deployment(4, Succeeded, true, Some(2)),
                ],
                Some(1),
            ),
            (
                "still on its way",
                vec![deployment(1, Superseded, true, None), deployment(2, Running, false, Some(1))],
                None,
            ),
        ];
        for (name, all, expected) in rows {
            let mut stack = Stack::new("shop", otternauts_types::StackSpec::default());
            let current_version = all.iter().filter_map(|d| d.spec.version).max();
            stack.status = Some(StackStatus { current_version, ..StackStatus::default() });
            assert_eq!(previous(&stack, &all), expected, "{name}");
        }
    }
}
