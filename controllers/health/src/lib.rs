//! What ails the services of a Stack, as it happens. See README.md.

mod away;
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
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use otternauts_fleet::Fleet;
use otternauts_reconciler::{Controller, watch};
use otternauts_types::{Server, Stack};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

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
    let (servers, writer) = reflector::store();
    let follow = watch(Api::<Server>::all(client.clone()), watcher::Config::default());
    let (news, told) = tokio::sync::mpsc::channel::<String>(1024);
    let context = Arc::new(Context::new(client, fleet, recorder, (stacks.clone(), servers), news));
    let mut background = JoinSet::new();
    background.spawn(observe::listen(Arc::clone(&context), notices));
    background.spawn(observe::follow_servers(Arc::clone(&context), follow.default_backoff().reflect(writer)));
    let told = futures::stream::unfold(told, |mut told| async { Some((told.recv().await?, told)) });
    let mut results = controller
        .reconcile_on(told.flat_map(move |name| futures::stream::iter(named(&stacks, &name))))
        .graceful_shutdown_on(shutdown)
        .run(reconcile::reconcile, retry, Arc::clone(&context))
        .boxed();
    let _ending = Ending(Arc::clone(&context));
    loop {
        tokio::select! {
            result = results.next() => match result {
                Some(Ok(_)) => {}
                Some(Err(error)) => tracing::debug!(%error, "reconcile ended with an error"),
                None => return Ok(()),
            },
            // Neither ends by itself: the controller is started again.
            _ = background.join_next() => return Err(Error::Watch),
        }
    }
}

/// Ends what goes on in the background also when the controller is not asked but dropped: its probes hold the context themselves.
struct Ending(Arc<Context>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The Stack that has this name in the swarm.
fn named(stacks: &Store<Stack>, name: &str) -> Vec<ObjectRef<Stack>> {
    let is = |stack: &Stack| swarm_stack(stack) == Some(name);
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
