//! A Server is taken out of service, unless too few would be left (R42).

#[cfg(test)]
mod tests;

use super::{Record, api, cluster_of};
use crate::context::Context;
use crate::error::ActionError;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use otternauts_types::server::{Availability, ServerPhase};
use otternauts_types::{ConditionStatus, Server};
use serde_json::json;

/// Through the Server: its spec says what it is for, and onboarding sees to it. One after the other, each with what the API says now:
/// what the watch knows may be older than the drain before.
pub async fn drain(ctx: &Context, name: &str, record: &Record<'_>) -> Result<String, ActionError> {
    let _alone = ctx.drains.lock().await;
    let servers: Api<Server> = Api::all(ctx.client.clone());
    let all = servers.list(&ListParams::default()).await.map_err(api("list Servers"))?.items;
    let server = spare(&all, name)?;
    if server.spec.availability == Availability::Drain {
        return Ok("it is drained already".to_owned());
    }
    record(None).await?;
    let patch = json!({"metadata": {"uid": server.metadata.uid}, "spec": {"availability": Availability::Drain}});
    servers.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map_err(api("drain a Server"))?;
    Ok("drained".to_owned())
}

/// The Server of this name, when more than half of its cluster works without it.
fn spare<'a>(all: &'a [Server], name: &str) -> Result<&'a Server, ActionError> {
    let found = all.iter().find(|s| s.name_any() == name);
    let server = found.ok_or_else(|| ActionError::Impossible(format!("Server {name} does not exist")))?;
    if server.spec.availability == Availability::Drain {
        return Ok(server);
    }
    let cluster = || all.iter().filter(|s| cluster_of(s) == cluster_of(server));
    let (of, left) = (cluster().count(), cluster().filter(|s| s.name_any() != name && works(s)).count());
    match left {
        0 => Err(ActionError::Impossible("it is the last active Server of its cluster".to_owned())),
        _ if left * 2 <= of => Err(ActionError::Impossible(format!(
            "only {left} of the {of} Servers of its cluster would be left active and ready, which is no majority"
        ))),
        _ => Ok(server),
    }
}

/// It takes tasks, and is there to take them.
fn works(server: &Server) -> bool {
    let Some(status) = &server.status else { return false };
    let ready = |c: &otternauts_types::Condition| c.r#type == "Ready" && c.status == ConditionStatus::True;
    server.metadata.deletion_timestamp.is_none()
        && server.spec.availability == Availability::Active
        && status.phase == ServerPhase::Ready
        && status.conditions.iter().any(ready)
}
