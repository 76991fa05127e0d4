//! The health checks that Stacks declare (`x-otternauts.health`): one task a service asks each of its containers, from its own
//! server, as often as the author says. Stacks without any cost nothing.

use crate::context::Context;
use crate::error::{Error, Result};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use otternauts_compose::{Check, Level, Mask, Policy, Probe, Values};
use otternauts_fleet::{Host, tail};
use otternauts_types::stack::StackPhase;
use otternauts_types::{Deployment, Stack};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// An engine that does not answer by then is not asked in this round.
const PATIENCE: Duration = Duration::from_secs(4);
/// Of what a command printed.
const SHOWN: usize = 512;

/// The probes of one stack, as of one of its Deployments; they end with it.
pub struct Probing {
    revision: String,
    services: Vec<String>,
    tasks: Vec<AbortHandle>,
}

impl Probing {
    /// The services that declare one.
    pub fn services(&self) -> &[String] {
        &self.services
    }

    pub fn is_of(&self, errand: &Errand) -> bool {
        self.revision == errand.revision
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// One service that is asked.
pub struct Errand {
    /// Its stack's name in the swarm.
    pub stack: String,
    /// The compose file's name.
    pub service: String,
    revision: String,
    cluster: String,
    probe: Probe,
    mask: Arc<Mask>,
}

/// Makes what is probed be what the Stack's current Deployment declares.
pub async fn keep(ctx: &Arc<Context>, stack: &Stack, swarm_stack: &str) -> Result<()> {
    let status = stack.status.clone().unwrap_or_default();
    let gone = stack.metadata.deletion_timestamp.is_some() || status.phase == StackPhase::Stopped;
    let Some(revision) = status.current_revision.filter(|_| !gone) else {
        ctx.probing(|all| all.remove(swarm_stack));
        only(ctx, swarm_stack, |_| false);
        return Ok(());
    };
    if ctx.probing(|all| all.get(swarm_stack).is_some_and(|p| p.revision == revision)) {
        return Ok(());
    }
    let Some(Declared { probes, mask }) = declared(ctx, stack, &revision).await? else { return Ok(()) };
    let cluster = stack.spec.cluster_ref.as_ref().map_or("default", |r| r.name.as_str());
    let services: Vec<String> = probes.keys().cloned().collect();
    for service in status.services.iter().filter(|s| services.contains(&s.name)) {
        ctx.service(swarm_stack, &service.name, |s| s.remember(service.probe_failures.unwrap_or_default()));
    }
    let start = |(service, probe): (String, Probe)| {
        let (revision, cluster, mask) = (revision.clone(), cluster.to_owned(), Arc::clone(&mask));
        let errand = Errand { stack: swarm_stack.to_owned(), service, revision, cluster, probe, mask };
        let ctx = Arc::clone(ctx);
        tokio::spawn(async move { run(&ctx, &errand).await }).abort_handle()
    };
    let tasks = probes.into_iter().map(start).collect();
    ctx.probing(|all| all.insert(swarm_stack.to_owned(), Probing { revision, services: services.clone(), tasks }));
    // After the earlier ones have lost their say: they cannot bring back what is cleared here.
    only(ctx, swarm_stack, |service| services.iter().any(|n| n == service));
    Ok(())
}

/// What probes have found of these services stays, as containers may have; of others it goes.
fn only(ctx: &Context, swarm_stack: &str, declared: impl Fn(&str) -> bool) {
    ctx.wards(|wards| {
        for (name, service) in wards.get_mut(swarm_stack).into_iter().flat_map(|w| &mut w.0) {
            if declared(name) { service.probed_anew() } else { service.not_probed() }
        }
    });
}

struct Declared {
    /// By service.
    probes: BTreeMap<String, Probe>,
    /// Hides the values of the Deployment.
    mask: Arc<Mask>,
}

impl Declared {
    fn nothing() -> Self {
        Self { probes: BTreeMap::new(), mask: Arc::new(Mask::of(&Values::default())) }
    }
}

/// What a Deployment declares; `None` while its snapshot cannot be read.
async fn declared(ctx: &Context, stack: &Stack, revision: &str) -> Result<Option<Declared>> {
    let namespace = stack.namespace().unwrap_or_default();
    let deployments: Api<Deployment> = Api::namespaced(ctx.client.clone(), &namespace);
    let deployment = deployments.get_opt(revision).await.map_err(Error::api("read a Deployment"))?;
    let Some(snapshot) = deployment.and_then(|d| d.spec.snapshot) else { return Ok(None) };
    // Most stacks declare none: their values need not be read.
    if !snapshot.compose.contains("x-otternauts") {
        return Ok(Some(Declared::nothing()));
    }
    let mut values = Values::default();
    if let Some(at) = &snapshot.env_secret_ref {
        let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &namespace);
        let Some(secret) = secrets.get_opt(&at.name).await.map_err(Error::api("read the values of a Deployment"))?
        else {
            return Ok(None);
        };
        secret.data.into_iter().flatten().for_each(|(key, value)| values.insert(key, value.0));
    }
    // It was judged before it was deployed.
    let Ok(compiled) = otternauts_compose::compile(&snapshot.compose, &values, &Policy::of(Level::Privileged)) else {
        return Ok(Some(Declared::nothing()));
    };
    let services = compiled.project.services.into_iter();
    let probes = services.filter_map(|s| Some((s.name, s.ingress.probe?))).collect();
    Ok(Some(Declared { probes, mask: Arc::new(Mask::of(&values)) }))
}

/// Asks all containers of a service, again and again. Servers are asked side by side; what one says is taken in when it says it.
async fn run(ctx: &Context, errand: &Errand) {
    let mut ticks = tokio::time::interval(errand.probe.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What has just been started is asked after one interval.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let hosts = ctx.hosts_of(&errand.cluster);
        let mut rounds: FuturesUnordered<_> = hosts.into_iter().map(|host| round(host, errand)).collect();
        while let Some((host, answers)) = rounds.next().await {
            let Some(answers) = answers else { continue };
            if take_in(ctx, errand, host.name(), answers) {
                ctx.tell(&errand.stack).await;
            }
        }
    }
}

type Answer = std::result::Result<(), String>;

/// The answers of a server's containers. Answers whether there is something new to say.
fn take_in(ctx: &Context, errand: &Errand, server: &str, answers: Vec<(String, Option<Answer>)>) -> bool {
    let changed = ctx.probed(errand, |service| {
        let there: Vec<String> = answers.iter().map(|(id, _)| id.clone()).collect();
        let mut changed = service.probed_only(server, &there);
        let answered = answers.iter().any(|(_, answer)| answer.is_some());
        for (id, answer) in answers {
            let Some(answer) = answer else { continue };
            changed |= service.answered(server, &id, answer, errand.probe.retries);
        }
        if answered {
            service.asked();
        }
        changed
    });
    changed == Some(true)
}

/// The running containers of the service on one server, each with its answer; no answer says nothing about it. `None`: the server
/// could not be asked.
async fn round(host: Host, errand: &Errand) -> (Host, Option<Vec<(String, Option<Answer>)>>) {
    let name = format!("{}_{}", errand.stack, errand.service);
    let listed = async { host.docker().await?.containers_of(&name).await };
    let Ok(Ok(ids)) = tokio::time::timeout(PATIENCE, listed).await else { return (host, None) };
    let asked = ids.into_iter().map(|id| {
        let host = &host;
        async move {
            let answer = ask(host, &id, errand).await;
            (id, answer)
        }
    });
    let answers = futures::future::join_all(asked).await;
    (host, Some(answers))
}

/// `None`: it could not be asked, which says nothing about it.
async fn ask(host: &Host, container: &str, errand: &Errand) -> Option<Answer> {
    let probe = &errand.probe;
    let asked = async {
        match &probe.check {
            Check::Http { path, port, .. } => host.check_http(container, *port, path).await,
            Check::Tcp { port } => host.check_tcp(container, *port).await,
            Check::Command(words) => host.check_command(container, words).await,
        }
    };
    let why = match tokio::time::timeout(probe.timeout, asked).await {
        // A server that hangs says nothing about what runs on it.
        Err(_) if answers(host).await => format!("no answer within {:?}", probe.timeout),
        Err(_) => return None,
        Ok(Ok(())) => return Some(Ok(())),
        Ok(Err(otternauts_fleet::Error::CheckFailed { why })) => why,
        Ok(Err(error)) => {
            tracing::debug!(server = host.name(), %error, "a container could not be asked");
            return None;
        }
    };
    Some(Err(sentence(&probe.check, &why, &errand.mask)))
}

async fn answers(host: &Host) -> bool {
    let asked = async { host.docker().await?.info().await };
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(_)))
}

/// What everybody may read of a check that failed: no query, no value of a variable (R24).
fn sentence(check: &Check, why: &str, mask: &Mask) -> String {
    match check {
        Check::Http { shown, port, .. } => format!("GET {shown} on port {port}: {why}"),
        Check::Tcp { port } => format!("port {port}: {why}"),
        // Masked while it is whole: half a value would not be found.
        Check::Command(_) => tail(mask.text(why).trim(), SHOWN).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_check_says_no_query_and_no_value_r24() {
        let mut values = Values::default();
        values.insert("TOKEN", "hunter2secret");
        let mask = Mask::of(&values);
        let http = Check::Http { path: "/h?token=hunter2secret".into(), shown: "/h".into(), port: 80 };
        assert_eq!(sentence(&http, "answered 404", &mask), "GET /h on port 80: answered 404");
        assert_eq!(sentence(&Check::Tcp { port: 5432 }, "refused", &mask), "port 5432: refused");
        let command = Check::Command(vec!["check".into(), "hunter2secret".into()]);
        let printed = format!("exit code 1: no user hunter2secret{}", " ".repeat(3));
        assert_eq!(sentence(&command, &printed, &mask), "exit code 1: no user ${TOKEN}");
        // Cut in the middle of a value, it would show what is left of it.
        for more in SHOWN - 20..SHOWN + 20 {
            let said = sentence(&command, &format!("x hunter2secret{}", "y".repeat(more)), &mask);
            assert!(!said.contains("secret") && said.len() <= SHOWN, "{more}: {said}");
        }
    }
}
