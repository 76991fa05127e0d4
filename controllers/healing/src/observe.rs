//! What engines tell, one look at each when it is followed anew, and what is measured while a rule needs it.

use crate::context::Context;
use futures::StreamExt as _;
use otternauts_fleet::docker::Event;
use otternauts_fleet::{End, News, Notice};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::task::AbortHandle;

const STACK: &str = "com.docker.stack.namespace";
const SERVICE: &str = "com.docker.swarm.service.name";

/// An engine that does not answer by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes in what is told, for ever. A host that hangs delays what is told of itself alone.
pub async fn listen(ctx: Arc<Context>, notices: impl futures::Stream<Item = Notice> + Send) {
    // Some may be followed already; what they told before is not told to us.
    let followed = ctx.fleet.all_followed().into_iter();
    let before = followed.map(|server| Notice { server, news: News::Followed });
    let hear = |notice: Notice| {
        let ctx = Arc::clone(&ctx);
        async move {
            hear(&ctx, notice).await;
            ctx.wake.notify_one();
        }
    };
    ctx.fleet.listen(futures::stream::iter(before).chain(notices), hear).await;
}

async fn hear(ctx: &Context, notice: Notice) {
    match notice.news {
        News::Followed | News::Missed => look(ctx, &notice.server).await,
        News::Event(event) => checked(ctx, &notice.server, &event),
        News::Ended(end) => ended(ctx, &end),
        News::Lost(_) => ctx.board(|board| board.lost(&notice.server, ctx.now())),
        // Whoever judges servers looks at it; its containers are what they were.
        News::Doubted => {}
    }
}

/// The stack and the compose file's name of the service that a container is of.
fn place(attributes: &BTreeMap<String, String>) -> Option<(&str, &str)> {
    let stack = attributes.get(STACK)?;
    let service = attributes.get(SERVICE)?.strip_prefix(stack.as_str())?.strip_prefix('_')?;
    Some((stack, service))
}

fn checked(ctx: &Context, server: &str, event: &Event) {
    let unhealthy = match event.action.as_str() {
        "health_status: unhealthy" => true,
        "health_status: healthy" => false,
        _ => return,
    };
    let Some((stack, service)) = place(&event.attributes) else { return };
    ctx.board(|board| board.checked(server, stack, service, &event.id, unhealthy, ctx.now()));
}

fn ended(ctx: &Context, end: &End) {
    let Some((stack, service)) = place(&end.attributes) else { return };
    ctx.board(|board| board.ended(stack, service, end, ctx.now()));
}

/// The containers of a server whose health check fails now. One that does not answer is not known.
async fn look(ctx: &Context, server: &str) {
    let Some(host) = ctx.fleet.followed(server) else { return };
    let asked = async { host.docker().await?.swarm_containers().await };
    let containers = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(containers)) => containers,
        Ok(Err(error)) => {
            tracing::debug!(server, %error, "the containers of an engine are not known");
            return ctx.board(|board| board.lost(server, ctx.now()));
        }
        Err(_) => {
            tracing::debug!(server, "an engine did not name its containers in time");
            return ctx.board(|board| board.lost(server, ctx.now()));
        }
    };
    ctx.board(|board| {
        board.heard(server, ctx.now());
        for container in containers.iter().filter(|c| c.unhealthy) {
            let Some((stack, service)) = place(&container.labels) else { continue };
            board.checked(server, stack, service, &container.id, true, ctx.now());
        }
    });
}

/// The servers that are measured because a rule needs it.
#[derive(Default)]
pub struct Measured {
    servers: BTreeMap<String, AbortHandle>,
    /// How far back rules look, in milliseconds.
    keep: Arc<AtomicI64>,
}

impl Measured {
    /// Measures these servers from now on, and no others.
    pub fn only(&mut self, ctx: &Arc<Context>, wanted: &BTreeSet<String>, keep: i64) {
        self.keep.store(keep, Ordering::Relaxed);
        self.servers.retain(|name, task| {
            let stays = wanted.contains(name);
            if !stays {
                task.abort();
            }
            stays
        });
        for name in wanted {
            if !self.servers.contains_key(name) {
                let task = tokio::spawn(measure(Arc::clone(ctx), name.clone(), Arc::clone(&self.keep)));
                self.servers.insert(name.clone(), task.abort_handle());
            }
        }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.servers.values().for_each(AbortHandle::abort);
    }
}

async fn measure(ctx: Arc<Context>, server: String, keep: Arc<AtomicI64>) {
    let mut samples = ctx.fleet.samples(&server);
    loop {
        let round = samples.next().await;
        ctx.board(|board| board.measured(&server, &round, keep.load(Ordering::Relaxed)));
        ctx.wake.notify_one();
    }
}
