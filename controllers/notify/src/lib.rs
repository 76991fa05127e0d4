//! From what happens to who is told. See README.md.

mod act;
pub mod backoff;
mod context;
pub mod decide;
mod error;
pub mod formats;
mod observe;
pub mod observed;
pub mod plan;
mod reconcile;
pub mod select;
pub mod settings;
pub mod standing;
pub mod status;

pub use error::{DeliveryError, Error, Result};

use context::Context;
use futures::{FutureExt as _, StreamExt as _};
use kube::runtime::controller::Action;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use observe::Board;
use otternauts_reconciler::Controller;
use otternauts_telemetry::Metrics;
use otternauts_types::Notifier;
use std::sync::Arc;
use std::time::Duration;

/// Runs the controller until `shutdown` resolves. Each Notifier is a key of its own, with no bound on how many are at work: a receiver
/// that is slow delays nobody else.
pub async fn run(
    client: Client,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) -> Result<()> {
    let reporter = Reporter { controller: "otternauts-notify".into(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    let board = Board::new();
    // What comes together is looked at together.
    let changes = board.follow(&client).ready_chunks(1024).map(|_| ());
    let stopping = shutdown.boxed().shared();
    let notifiers =
        Controller::new("notify", &metrics, Api::<Notifier>::all(client.clone()), watcher::Config::default());
    let context = Arc::new(Context::new(client, metrics, board, stopping.clone(), recorder));
    let mut results = notifiers
        .reconcile_all_on(changes)
        .graceful_shutdown_on(stopping)
        .run(reconcile::reconcile, retry, context)
        .boxed();
    while let Some(result) = results.next().await {
        if let Err(error) = result {
            tracing::debug!(%error, "reconcile ended with an error");
        }
    }
    Ok(())
}

#[allow(clippy::needless_pass_by_value, reason = "the signature is kube-rs's")]
fn retry(notifier: Arc<Notifier>, error: &Error, _: Arc<Context>) -> Action {
    let (name, namespace) = (notifier.name_any(), notifier.namespace().unwrap_or_default());
    tracing::warn!(notifier = name, namespace, error = error.chain(), "will try again");
    Action::requeue(Duration::from_secs(5))
}
