//! What ails the services of a Stack, as it happens. See README.md.

mod context;
pub mod decide;
mod error;
mod observe;
mod probes;
mod reconcile;
pub mod status;
pub mod ward;

pub use error::{Error, Result};

use context::Context;
use futures::StreamExt as _;
use kube::runtime::controller::Action;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use otternauts_fleet::Fleet;
use otternauts_reconciler::Controller;
use otternauts_types::Stack;
use std::sync::Arc;
use std::time::Duration;

/// Runs the controller until `shutdown` resolves.
pub async fn run(
    client: Client,
    fleet: Fleet,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) -> Result<()> {
    let reporter = Reporter { controller: "otternauts-health".into(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    // Listened to before anything else: what is told meanwhile waits here.
    let notices = fleet.notices();
    let controller =
        Controller::new("health", fleet.metrics(), Api::<Stack>::all(client.clone()), watcher::Config::default());
    let stacks = controller.store();
    let (news, probed) = tokio::sync::mpsc::channel::<String>(1024);
    let context = Arc::new(Context::new(client, fleet, recorder, stacks.clone(), news));
    let heard = Arc::clone(&context);
    let ailing = notices
        .then(move |notice| {
            let heard = Arc::clone(&heard);
            async move { observe::hear(&heard, notice).await }
        })
        .boxed();
    let probed = futures::stream::unfold(probed, |mut probed| async { Some((vec![probed.recv().await?], probed)) });
    let ailing = futures::stream::select(ailing, probed.boxed())
        .flat_map(move |concerned| futures::stream::iter(named(&stacks, &concerned)));
    let mut results = controller
        .reconcile_on(ailing)
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

/// The Stacks that have these names in the swarm.
fn named(stacks: &Store<Stack>, names: &[String]) -> Vec<ObjectRef<Stack>> {
    let is = |stack: &Stack| swarm_stack(stack).is_some_and(|name| names.iter().any(|n| n == name));
    stacks.state().iter().filter(|s| is(s)).map(|s| ObjectRef::from_obj(s.as_ref())).collect()
}

fn swarm_stack(stack: &Stack) -> Option<&str> {
    stack.status.as_ref()?.swarm_stack.as_deref()
}

#[allow(clippy::needless_pass_by_value, reason = "the signature is kube-rs's")]
fn retry(stack: Arc<Stack>, error: &Error, _: Arc<Context>) -> Action {
    let (name, namespace) = (stack.name_any(), stack.namespace().unwrap_or_default());
    tracing::warn!(stack = name, namespace, error = error.chain(), "will try again");
    Action::requeue(Duration::from_secs(5))
}
