//! One look at a Cluster's ingress: the proxy, its routes, the certificates, and what there is to tell.

use crate::complaints;
use crate::context::{Context, Standing, is_asked_for, key};
use crate::error::{Error, Result};
use crate::observe::{self, NoSwarm, Swarm};
use crate::observed::Observed;
use crate::proxy::{self, Desired};
use crate::routes::{self, Table};
use crate::status::{self, DEPLOYED, FAILED, INGRESS_DEPLOY_FAILED, PENDING};
use crate::verdict::{self, Look, Verdict, judge};
use crate::{act, budget, caddy, certificate, decide, preflight};
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use otternauts_fleet::Host;
use otternauts_types::Cluster;
use otternauts_types::cluster::{IngressProvider, IngressStatus};
use otternauts_types::stack::{CertificateState, DomainStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often a proxy on its way is looked at. Nothing is looked at when none is.
const MOVING: Duration = Duration::from_secs(1);
/// How often what failed is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// The watch tells what overtook us before that.
const OVERTAKEN: Duration = Duration::from_millis(500);
/// Domains looked at once.
const LOOKS: usize = 16;

pub async fn reconcile(cluster: Arc<Cluster>, ctx: Arc<Context>) -> Result<Action> {
    run(&cluster, &ctx).await
}

async fn run(cluster: &Cluster, ctx: &Context) -> Result<Action> {
    if cluster.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    // Who is older must be known of all before anything is settled.
    let (stacks, servers) = (ctx.stacks.wait_until_ready().await, ctx.servers.wait_until_ready().await);
    if stacks.is_err() || servers.is_err() {
        return Err(Error::Broken("the watches of Stacks and Servers have ended".to_owned()));
    }
    let name = cluster.name_any();
    let swarm = match Swarm::of(ctx, &name).await? {
        Ok(swarm) => swarm,
        // A manager that becomes one changes its Server.
        Err(NoSwarm::NoManager) => return Ok(Action::await_change()),
        Err(NoSwarm::Unreachable(why)) => {
            tracing::debug!(cluster = name, error = ?why, "no manager can be reached");
            return Ok(Action::requeue(AGAIN));
        }
    };
    let mut observed = swarm.observe(cluster).await?;
    let created = |stack: &routes::StackKey| {
        let stacks = ctx.stacks_of(&name);
        let stack = stacks.iter().find(|s| key(s) == *stack)?;
        Some(stack.metadata.creation_timestamp.as_ref().map_or(0, |t| t.0.as_second()))
    };
    let table = routes::settle(&observed.claims, created);
    let (desired, mut refused) = match proxy::desired(&cluster.spec) {
        Ok(desired) => (desired.filter(|_| is_asked_for(cluster) || !table.owned.is_empty()), None),
        Err(why) => (None, Some(why)),
    };
    // What cannot be deployed leaves what runs alone.
    if refused.is_none() {
        let plan = decide::plan(desired.as_ref(), &observed, &ctx.managers(&name));
        if !plan.is_empty() {
            refused = act::run(ctx, &swarm, &name, desired.as_ref(), &plan).await.err().map(|e| e.chain());
            observed = swarm.observe(cluster).await?;
        }
    }
    let look = Round { ctx, cluster, swarm: &swarm, observed: &observed, table: &table };
    let (verdicts, again) = look.round(desired.as_ref(), refused).await?;
    let overtaken = look.tell_stacks(&verdicts).await?.then_some(OVERTAKEN);
    Ok(again.into_iter().chain(overtaken).min().map_or_else(Action::await_change, Action::requeue))
}

/// Everything one look works with.
struct Round<'a> {
    ctx: &'a Context,
    cluster: &'a Cluster,
    swarm: &'a Swarm,
    observed: &'a Observed,
    table: &'a Table,
}

type Verdicts = BTreeMap<String, Verdict>;

impl Round<'_> {
    /// The domains of a proxy that runs; and when to look again.
    async fn round(
        &self,
        desired: Option<&Desired>,
        mut refused: Option<String>,
    ) -> Result<(Verdicts, Option<Duration>)> {
        let Some(desired) = desired else {
            let failed = refused.map(|why| IngressStatus {
                phase: FAILED.to_owned(),
                reason: Some(INGRESS_DEPLOY_FAILED.to_owned()),
                last_error: Some(format!("{} {why}", status::DEPLOY_FAILED)),
                ..IngressStatus::default()
            });
            let overtaken = self.tell_cluster(failed).await?;
            return Ok((Verdicts::new(), overtaken.then_some(OVERTAKEN)));
        };
        let server = self.observed.proxy.as_ref().and_then(|p| self.swarm.server_of(p.running_on.as_deref()?));
        let server_name = server.map(|s| s.name_any());
        let standing = status::ingress(desired, self.observed, server_name.as_deref(), refused.as_deref());
        if standing.phase == DEPLOYED {
            self.forget_if_moved(server_name.as_deref());
        }
        let mut verdicts = self.recall();
        let mut again = match standing.phase.as_str() {
            DEPLOYED => None,
            PENDING => Some(MOVING),
            _ => Some(AGAIN),
        };
        if let (DEPLOYED, Some(server)) = (standing.phase.as_str(), server)
            && let Some(host) = observe::host(self.ctx, server).await?
        {
            let addresses = observe::reachable_at(server).await;
            match self.domains(desired, &host, &addresses, &mut verdicts).await {
                Ok(next) => again = next,
                Err(Error::Swarm { source: source @ otternauts_fleet::Error::Ingress { .. }, .. }) => {
                    refused = Some(source.to_string());
                    again = Some(AGAIN);
                }
                // The proxy may not listen yet, or its server is going: the swarm tells.
                Err(error) => {
                    tracing::info!(
                        cluster = self.cluster.name_any(),
                        error = error.chain(),
                        "the ingress does not answer"
                    );
                    again = Some(MOVING * 2);
                }
            }
        }
        let standing = status::ingress(desired, self.observed, server_name.as_deref(), refused.as_deref());
        let overtaken = self.tell_cluster(Some(standing)).await?.then_some(OVERTAKEN);
        Ok((verdicts, again.into_iter().chain(overtaken).min()))
    }

    /// Routes first, so that port 80 answers; then the domains; then the certificates that may be asked for now.
    async fn domains(
        &self,
        desired: &Desired,
        host: &Host,
        proxy: &BTreeSet<IpAddr>,
        verdicts: &mut Verdicts,
    ) -> Result<Option<Duration>> {
        self.configure(desired, host, verdicts).await?;
        let now = Timestamp::now().as_second();
        let due = |v: &&Verdict| v.again <= now;
        let hosts: Vec<String> = verdicts.iter().filter(|(_, v)| due(v)).map(|(host, _)| host.clone()).collect();
        let asking = hosts.iter().filter_map(|h| verdicts.get(h)).any(|v| v.asked_since.is_some());
        let log = match self.observed.proxy.as_ref().and_then(|p| p.task.as_deref()).filter(|_| asking) {
            Some(task) => self.swarm.log(task).await,
            None => String::new(),
        };
        let mut looks = Vec::with_capacity(hosts.len());
        for host in hosts {
            let before = verdicts.get(&host).cloned().unwrap_or_default();
            looks.push(self.judged(host, before, proxy, &log, now).boxed());
        }
        let found: Vec<(String, Verdict)> = futures::stream::iter(looks).buffer_unordered(LOOKS).collect().await;
        for (host, verdict) in found {
            let verdict = self.within_budget(&host, verdict, verdicts, now);
            self.ctx.remember(&self.cluster.name_any(), &host, verdict.clone());
            verdicts.insert(host, verdict);
        }
        self.configure(desired, host, verdicts).await?;
        let next = verdicts.values().map(|v| v.again).min();
        Ok(next.map(|at| Duration::from_secs(u64::try_from((at - now).max(1)).unwrap_or(1))))
    }

    /// OT-37: what the authority would refuse is not asked for.
    fn within_budget(&self, host: &str, verdict: Verdict, verdicts: &Verdicts, now: i64) -> Verdict {
        let begins = verdict.asked_since == Some(now) && verdict.certificate != CertificateState::Issued;
        if !begins || !budget::applies(self.cluster.spec.acme.as_ref()) {
            return verdict;
        }
        match budget::held_until(host, verdicts, now) {
            Some(until) => verdict::limited(until, "50 certificates of its registered domain in a week".to_owned()),
            None => verdict,
        }
    }

    async fn judged(
        &self,
        host: String,
        before: Verdict,
        proxy: &BTreeSet<IpAddr>,
        log: &str,
        now: i64,
    ) -> (String, Verdict) {
        let look = self.look(&host, &before, proxy, log, now).await;
        let verdict = judge(&host, &before, &look, now);
        (host, verdict)
    }

    async fn look(&self, host: &str, before: &Verdict, proxy: &BTreeSet<IpAddr>, log: &str, now: i64) -> Look {
        for address in proxy {
            if let Some(until) = certificate::served_until(*address, host, now).await {
                return Look { served_until: Some(until), ..Look::default() };
            }
        }
        if before.is_held(now) {
            return Look::default();
        }
        let preflight = Some(preflight::look(host, &self.observed.addresses).await);
        let since = before.asked_since.or(before.retry_at);
        let complaint = since.and_then(|since| complaints::newest(log, host, since));
        Look { served_until: None, preflight, complaint }
    }

    /// Tells the proxy what to route and for what to ask certificates: Caddy by its configuration, Traefik by the services' labels.
    async fn configure(&self, desired: &Desired, host: &Host, verdicts: &Verdicts) -> Result<()> {
        if desired.provider != IngressProvider::Caddy {
            let gate = |host: &str| verdicts.get(host).and_then(Verdict::settled_gate);
            return act::label(self.swarm, &self.observed.claims, self.table, gate).await;
        }
        let acme = self.cluster.spec.acme.as_ref();
        let wanted = |now: &BTreeSet<String>| {
            let open = |(host, v): &(&String, &Verdict)| v.settled_gate().unwrap_or_else(|| now.contains(*host));
            let automate = verdicts.iter().filter(open).map(|(host, _)| host.clone()).collect();
            caddy::configuration(self.table, &automate, acme)
        };
        if act::configure(host, wanted).await? {
            tracing::info!(cluster = self.cluster.name_any(), domains = verdicts.len(), "the ingress has new routes");
        }
        Ok(())
    }

    /// A proxy keeps its certificates on its server: elsewhere, each domain is looked at anew before one is asked for. The name may
    /// still point at the server that died, and an authority counts challenges that fail.
    fn forget_if_moved(&self, server: Option<&str>) {
        let shown = || self.cluster.status.as_ref().and_then(|s| s.ingress.as_ref()?.server.clone());
        let before = self.ctx.standing(self.cluster).server.or_else(shown);
        if before.is_some() && server.is_some() && before.as_deref() != server {
            let now = Timestamp::now().as_second();
            for (host, _) in self.recall().into_iter().filter(|(_, verdict)| !verdict.is_held(now)) {
                self.ctx.remember(&self.cluster.name_any(), &host, Verdict::default());
            }
        }
    }

    /// What is known of each host: from memory, else from the status that was written last.
    fn recall(&self) -> Verdicts {
        let cluster = self.cluster.name_any();
        let stacks = self.ctx.stacks_of(&cluster);
        let written = |host: &str| {
            let mut all = stacks.iter().filter_map(|s| s.status.as_ref()).flat_map(|s| &s.domains);
            all.find(|d| d.host == host).map(Verdict::recall)
        };
        let one = |host: String| {
            let known = self.ctx.verdict(&cluster, &host).or_else(|| written(&host)).unwrap_or_default();
            (host, known)
        };
        self.table.hosts().into_iter().map(one).collect()
    }

    /// Answers whether the Cluster is to be read again: it has changed since.
    async fn tell_cluster(&self, new: Option<IngressStatus>) -> Result<bool> {
        let (ctx, cluster) = (self.ctx, self.cluster);
        let old = cluster.status.as_ref().and_then(|s| s.ingress.clone());
        let running = self.observed.proxy.as_ref().filter(|p| p.running_on.is_some()).and_then(|p| p.task.clone());
        let Standing { task, server } = ctx.standing(cluster);
        let restarted = task.is_some() && running.is_some() && task != running;
        if old != new && !status::write_cluster(&ctx.client, cluster, new.as_ref()).await? {
            return Ok(true);
        }
        let server = new.as_ref().and_then(|s| s.server.clone()).or(server);
        ctx.set_standing(cluster, Standing { task: running.or(task), server });
        if old == new && !restarted {
            return Ok(false);
        }
        let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
        for (warning, reason, note) in status::changes(&old, &new, restarted) {
            ctx.say(cluster, warning, reason, &note).await;
        }
        let name = cluster.name_any();
        tracing::info!(cluster = name, phase = new.phase, error = new.last_error, "ingress changed");
        Ok(false)
    }

    /// Answers whether a Stack is to be read again: it has changed since.
    async fn tell_stacks(&self, verdicts: &Verdicts) -> Result<bool> {
        let mut overtaken = false;
        let now = super::verdict::time(Timestamp::now().as_second());
        let wanted = status::domains(&self.observed.claims, self.table, verdicts);
        let none = status::Domains::default();
        for stack in self.ctx.stacks_of(&self.cluster.name_any()) {
            if stack.status.is_none() || stack.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let wanted = wanted.get(&key(&stack)).unwrap_or(&none);
            let Some(next) = status::next(&stack, wanted, &now) else { continue };
            if !status::write_stack(&self.ctx.client, &stack, &next).await? {
                overtaken = true;
                continue;
            }
            let old: &[DomainStatus] = stack.status.as_ref().map(|s| s.domains.as_slice()).unwrap_or_default();
            let detail = |host: &str| match verdicts.get(host).map(|v| v.detail.as_str()) {
                None | Some("") => String::new(),
                Some(detail) => format!(" ({detail})"),
            };
            for (warning, reason, note) in status::news(old, &next.list, detail) {
                self.ctx.say(stack.as_ref(), warning, &reason, &note).await;
            }
        }
        Ok(overtaken)
    }
}
