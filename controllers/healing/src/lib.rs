//! Rules that are watched and acted upon. See README.md.

mod act;
mod audit;
pub mod board;
mod context;
pub mod decide;
mod error;
#[cfg(test)]
mod fake;
mod observe;
pub mod plan;
pub mod select;
pub mod stack;
pub mod status;
mod turn;
mod views;

pub use audit::{Acted, Audit};
pub use error::{ActionError, Error, Result};

use context::{Context, keep};
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use otternauts_fleet::Fleet;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Runs the controller until `shutdown` resolves; `audit` is told of each action. Rules are looked at one after the other, the older first, so that no two decide
/// about one target at once; that is why there is no queue of keys.
pub async fn run(
    client: Client,
    fleet: Fleet,
    audit: Audit,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) -> Result<()> {
    // Listened to before anything else: what is told meanwhile waits here.
    let notices = fleet.notices();
    let reporter = Reporter { controller: "otternauts-healing".into(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    let wake = Arc::new(Notify::new());
    let (rules, follow_rules) = keep(&client, &wake);
    let (stacks, follow_stacks) = keep(&client, &wake);
    let (servers, follow_servers) = keep(&client, &wake);
    let context = Arc::new(Context::new(client, fleet, (rules, stacks, servers), wake, recorder, audit));
    let mut background = JoinSet::new();
    background.spawn(follow_rules);
    background.spawn(follow_stacks);
    background.spawn(follow_servers);
    background.spawn(observe::listen(Arc::clone(&context), notices));
    let mut shutdown = Box::pin(shutdown);
    tokio::select! {
        known = context.until_known() => known?,
        () = &mut shutdown => return Ok(()),
    }
    tokio::select! {
        () = turn::Keeper::new(context).run(shutdown) => Ok(()),
        // None of them ends by itself: the controller is started again.
        _ = background.join_next() => Err(Error::Watch),
    }
}
