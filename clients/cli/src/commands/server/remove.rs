//! `otter server remove`: out of the swarm and out of the fleet (OT-25).

use super::servers;
use crate::args::{Global, Remove};
use crate::connect::{self, FIELD_MANAGER};
use crate::exit::{Code, Failure};
use crate::follow;
use crate::{output, ready};
use anyhow::Context as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use otternauts_types::{FORCE_DELETE_ANNOTATION, Server};
use serde_json::json;

pub async fn run(global: &Global, args: &Remove) -> anyhow::Result<Code> {
    let session = connect::open(global).await?;
    let api = servers(&session);
    let name = args.name.as_str();
    let cannot = || format!("cannot remove server {name:?}");
    let server = api.get(name).await.with_context(cannot)?;
    if !args.yes {
        agree(name, &server, args.force).await?;
    }
    if args.force {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {FORCE_DELETE_ANNOTATION: "true"}}}));
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        api.patch(name, &params, &patch).await.with_context(cannot)?;
    }
    api.delete(name, &DeleteParams::default()).await.with_context(cannot)?;
    if !args.wait {
        output::note(&format!("server {name} is being removed"));
        return Ok(Code::Ok);
    }
    let look = |object: Option<&Server>| ready::leaving(name, object);
    let ended = follow::until(&api, name, args.timeout, "otter server list", look).await?;
    output::note(&format!("{} (after {})", ended.text, output::took(ended.took)));
    Ok(Code::Ok)
}

async fn agree(name: &str, server: &Server, force: bool) -> anyhow::Result<()> {
    let in_swarm = server.status.as_ref().is_some_and(|s| s.swarm_node_id.is_some());
    let what = match (force, in_swarm) {
        (true, _) => "It is not contacted: what runs there goes on running, and its data stays there.",
        (false, true) => "Its tasks move elsewhere and it leaves the swarm; volumes stay on it.",
        (false, false) => "It is in no swarm.",
    };
    output::complain(&format!("server {name} is going to be removed. {what}"));
    if !output::can_ask() {
        let step = format!("otter server remove {name} --yes");
        return Err(Failure::new(Code::Usage, "there is no terminal to ask on").next(step).into());
    }
    match output::ask("Go on?").await? {
        true => Ok(()),
        false => Err(Failure::new(Code::Error, "not removed").into()),
    }
}
