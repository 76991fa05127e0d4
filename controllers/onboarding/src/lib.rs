//! Makes bare servers members of a swarm, and lets them go again. See README.md.

mod act;
mod cluster;
mod context;
mod decide;
mod facts;
mod observe;
mod observed;
mod plan;
mod reconcile;
mod removal;
mod status;
mod text;

use context::{Context, cluster_name};
use futures::{FutureExt as _, StreamExt as _};
use kube::api::Api;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, ResourceExt as _};
use otternauts_fleet::{Fleet, News};
use otternauts_reconciler::{Controller, Standing};
use otternauts_types::server::ServerStatus;
use otternauts_types::{Cluster, ConditionStatus, Server, Stack};
use std::future::Future;
use std::sync::Arc;

/// Servers under work at once; most of the time goes by waiting for them.
const CONCURRENCY: u16 = 32;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a controller ended before it was told to")]
    Ended,
}

/// Runs the controllers of Server and Cluster until `shutdown`; steps under way are finished first.
pub async fn run(
    client: Client,
    fleet: Fleet,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let shutdown = shutdown.shared();
    let servers: Api<Server> = Api::all(client.clone());
    let clusters: Api<Cluster> = Api::all(client.clone());
    let by_server = Controller::new("onboarding", fleet.metrics(), servers.clone(), watcher::Config::default());
    let store = by_server.store();
    let reporter = Reporter { controller: "otternauts-onboarding".to_owned(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    let ctx = Arc::new(Context::new(client, fleet, recorder, store.clone()));

    let lost = Arc::clone(&ctx);
    let silent = ctx.fleet.notices().filter_map(|notice| async move {
        // Its engine is gone, whether or not the connection is.
        matches!(notice.news, News::Lost(_) | News::Doubted).then_some(notice.server)
    });
    let losses = futures::stream::select(ctx.fleet.losses(), silent).map(move |name| lost.mark_lost(name));
    let nodes = ctx.fleet.notices().filter_map(|notice| async move {
        let counts = match notice.news {
            News::Event(event) => event.kind == "node",
            News::Followed | News::Lost(_) | News::Missed => true,
            News::Ended(_) | News::Doubted => false,
        };
        counts.then_some(())
    });
    let of_cluster = move |cluster: Cluster| {
        let name = cluster.name_any();
        let all = store.state().into_iter().filter(|s| cluster_name(s) == name).map(|s| ObjectRef::from_obj(&*s));
        all.collect::<Vec<_>>()
    };
    let onboarding = by_server
        .concurrency(CONCURRENCY)
        .converging(standing)
        .watches(clusters.clone(), watcher::Config::default(), of_cluster)
        .reconcile_all_on(losses)
        .graceful_shutdown_on(shutdown.clone())
        .run(reconcile::reconcile, reconcile::on_error, Arc::clone(&ctx))
        .for_each(|result| async {
            if let Err(e) = result {
                tracing::debug!(error = %e, "the queue of Servers");
            }
        });
    let stacks: Api<Stack> = Api::all(ctx.client.clone());
    let counting = Controller::new("cluster", ctx.fleet.metrics(), clusters, watcher::Config::default());
    let going = counting.store();
    let waited_for = move |stack: Stack| {
        // Stacks change often; only a Cluster on its way out wants to know.
        let cluster = ObjectRef::<Cluster>::new(cluster::removal::of_stack(&stack));
        going.get(&cluster).filter(|c| context::is_going(&c.metadata)).map(|_| cluster)
    };
    let counting = counting
        .concurrency(CONCURRENCY)
        .watches(servers, watcher::Config::default(), |server| [cluster::of(&server)])
        .watches(stacks, watcher::Config::default(), waited_for)
        .reconcile_all_on(nodes)
        .graceful_shutdown_on(shutdown.clone())
        .run(cluster::reconcile, cluster::on_error, ctx)
        .for_each(|result| async {
            if let Err(e) = result {
                tracing::debug!(error = %e, "the queue of Clusters");
            }
        });
    futures::join!(onboarding, counting);
    if shutdown.peek().is_some() { Ok(()) } else { Err(Error::Ended) }
}

fn standing(server: &Server) -> Standing {
    let ready = |status: &ServerStatus| {
        status.conditions.iter().any(|c| c.r#type == "Ready" && c.status == ConditionStatus::True)
    };
    let status = server.status.as_ref();
    Standing { observed: status.and_then(|s| s.observed_generation), ready: status.is_some_and(ready) }
}
