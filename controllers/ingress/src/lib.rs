//! From the domains of services to HTTPS: one proxy a cluster, its routes, its certificates. See README.md.

mod act;
pub mod budget;
pub mod caddy;
mod certificate;
pub mod complaints;
mod context;
pub mod decide;
mod error;
mod observe;
pub mod observed;
pub mod plan;
mod preflight;
pub mod proxy;
mod reconcile;
pub mod routes;
pub mod status;
pub mod traefik;
pub mod verdict;

pub use error::{Error, Result};

use context::{Context, cluster_of, cluster_of_server};
use futures::{FutureExt as _, StreamExt as _};
use kube::runtime::controller::Action;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, reflector, store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use otternauts_fleet::{Fleet, News, Notice};
use otternauts_reconciler::{Controller, watch};
use otternauts_types::{Cluster, Server, Stack};
use std::sync::Arc;
use std::time::Duration;

/// Clusters reconciled at once.
const CONCURRENCY: u16 = 8;
/// A rollout changes many things at once: one look a burst.
const BURST: Duration = Duration::from_millis(300);

/// Runs the controller until `shutdown` resolves. None of its steps is needed for correctness: all are found again.
pub async fn run(
    client: Client,
    fleet: Fleet,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) -> Result<()> {
    let shutdown = shutdown.shared();
    let reporter = Reporter { controller: "otternauts-ingress".into(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    let any = watcher::Config::default;
    let (stacks, stack_writer) = store::<Stack>();
    let (servers, server_writer) = store::<Server>();
    // The stores are filled by the same watches that wake the controller: what woke it is in them.
    let stack_events = reflector(stack_writer, watch(Api::<Stack>::all(client.clone()), any()).default_backoff());
    let server_events = reflector(server_writer, watch(Api::<Server>::all(client.clone()), any()).default_backoff());
    let by_stack = stack_events.touched_objects().filter_map(|s| async move { s.ok() });
    let by_server = server_events.touched_objects().filter_map(|s| async move { s.ok() });
    let woken = futures::stream::select(
        by_stack.map(|stack| ObjectRef::<Cluster>::new(cluster_of(&stack))),
        by_server.map(|server| ObjectRef::<Cluster>::new(cluster_of_server(&server))),
    );
    let happened = fleet.notices().filter_map(|notice| async move { concerns(&notice).then_some(()) });
    let controller = Controller::new("ingress", fleet.metrics(), Api::<Cluster>::all(client.clone()), any());
    let context = Arc::new(Context::new(client, fleet, recorder, stacks, servers));
    let mut results = controller
        .concurrency(CONCURRENCY)
        .debounce(BURST)
        .reconcile_on(woken)
        .reconcile_all_on(happened)
        .graceful_shutdown_on(shutdown)
        .run(reconcile::reconcile, retry, context)
        .boxed();
    while let Some(result) = results.next().await {
        if let Err(error) = result {
            tracing::debug!(%error, "reconcile ended with an error");
        }
    }
    Ok(())
}

/// Services come, change and go; the tasks of the proxy itself do too.
fn concerns(notice: &Notice) -> bool {
    match &notice.news {
        News::Event(event) => match event.kind.as_str() {
            "service" => true,
            "container" => event.attributes.get("com.docker.stack.namespace").is_some_and(|s| s == proxy::STACK),
            _ => false,
        },
        News::Followed | News::Missed => true,
        _ => false,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the signature is kube-rs's")]
fn retry(cluster: Arc<Cluster>, error: &Error, _: Arc<Context>) -> Action {
    tracing::warn!(cluster = cluster.name_any(), error = error.chain(), "will try again");
    Action::requeue(Duration::from_secs(5))
}
