//! `otter deploy`: from a compose file to a Stack, or a Stack once more.

mod again;
mod file;
mod judge;
mod travel;

use crate::args::{Deploy, Global};
use crate::connect::{self, Session};
use crate::exit::Code;
use crate::follow::{self, Ended};
use crate::{output, ready};
use kube::Api;
use otternauts_types::{Deployment, Stack};
use std::path::PathBuf;
use std::time::Duration;

pub async fn run(global: &Global, args: &Deploy) -> anyhow::Result<Code> {
    let session = connect::open(global).await?;
    let path = PathBuf::from(&args.target);
    let is_path = args.target == "-" || args.target.contains('/');
    let named_so = args.target.ends_with(".yml") || args.target.ends_with(".yaml");
    if is_path || named_so || path.is_file() {
        file::run(&session, args, &path).await
    } else {
        again::run(&session, args).await
    }
}

fn stacks(session: &Session) -> Api<Stack> {
    Api::namespaced(session.client.clone(), &session.namespace)
}

/// Follows a Stack until what was applied as `generation` runs.
async fn follow_stack(session: &Session, name: &str, generation: i64, timeout: Duration) -> anyhow::Result<Ended> {
    let resume = format!("otter status -n {} --wait stack/{name}", session.namespace);
    let look = |stack: &Stack| ready::stack(stack, generation);
    let api = stacks(session);
    follow::until(&api, name, timeout, &resume, |object| ready::or_gone("stack", name, object, look)).await
}

/// Follows one Deployment until it ends.
async fn follow_deployment(session: &Session, name: &str, timeout: Duration) -> anyhow::Result<Ended> {
    let api: Api<Deployment> = Api::namespaced(session.client.clone(), &session.namespace);
    let look = |object: Option<&Deployment>| ready::or_gone("deployment", name, object, ready::deployment);
    follow::until(&api, name, timeout, "otter status", look).await
}

/// The last line of a wait: how it ended and how long it took.
fn outcome(ended: &Ended) {
    output::note(&format!("{} (after {})", ended.text, output::took(ended.took)));
}
