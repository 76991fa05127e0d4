//! A Cluster that is being deleted stays until no Server and no Stack refers to it: they would have nowhere to be.

use crate::context::{Context, cluster_name};
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use otternauts_types::{
    CLEANUP_FINALIZER, Cluster, Condition, ConditionStatus, FORCE_DELETE_ANNOTATION, Server, Stack, set_condition,
};
use serde_json::json;

/// Names told of each kind; the rest is a number.
const MOST: usize = 10;

/// The Cluster a Stack runs on.
pub fn of_stack(stack: &Stack) -> &str {
    stack.spec.cluster_ref.as_ref().map_or("default", |r| r.name.as_str())
}

/// The finalizer comes before anything can refer to the Cluster for long.
pub async fn guard(ctx: &Context, cluster: &Cluster) -> Result<(), kube::Error> {
    if cluster.finalizers().iter().any(|f| f == CLEANUP_FINALIZER) {
        return Ok(());
    }
    let mut list = cluster.finalizers().to_vec();
    list.push(CLEANUP_FINALIZER.to_owned());
    set_finalizers(ctx, cluster, &list).await
}

pub async fn remove(ctx: &Context, cluster: &Cluster) -> Result<Action, crate::reconcile::Error> {
    if !cluster.finalizers().iter().any(|f| f == CLEANUP_FINALIZER) {
        return Ok(Action::await_change());
    }
    let name = cluster.name_any();
    let forced = cluster.annotations().contains_key(FORCE_DELETE_ANNOTATION);
    if !forced && let Some(message) = referrers(ctx, &name).await? {
        tell(ctx, cluster, message).await?;
        return Ok(Action::await_change());
    }
    let rest: Vec<String> = cluster.finalizers().iter().filter(|f| *f != CLEANUP_FINALIZER).cloned().collect();
    set_finalizers(ctx, cluster, &rest).await?;
    tracing::info!(cluster = name, "the Cluster is gone");
    Ok(Action::await_change())
}

/// Asked of the API, not of a cache: what a cache has not seen yet would keep the Cluster for ever.
async fn referrers(ctx: &Context, name: &str) -> Result<Option<String>, kube::Error> {
    let all = ListParams::default();
    let servers = ctx.servers.list(&all).await?.items;
    let stacks = Api::<Stack>::all(ctx.client.clone()).list(&all).await?.items;
    Ok(waits_for(name, &servers, &stacks))
}

/// Who still refers to the Cluster, for people; `None`: nobody.
fn waits_for(name: &str, servers: &[Server], stacks: &[Stack]) -> Option<String> {
    let servers = servers.iter().filter(|s| cluster_name(s) == name).map(ResourceExt::name_any).collect();
    let stacks = stacks.iter().filter(|s| of_stack(s) == name);
    let stacks = stacks.map(|s| format!("{}/{}", s.namespace().unwrap_or_default(), s.name_any())).collect();
    let lists: Vec<String> =
        [listed("Servers", servers), listed("Stacks", stacks)].into_iter().filter(|list| !list.is_empty()).collect();
    let text = "The Cluster goes when nothing refers to it any more. Still there:";
    (!lists.is_empty()).then(|| format!("{text} {}.", lists.join("; ")))
}

fn listed(kind: &str, mut names: Vec<String>) -> String {
    if names.is_empty() {
        return String::new();
    }
    names.sort();
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{kind} {}{more}", names.join(", "))
}

async fn tell(ctx: &Context, cluster: &Cluster, message: String) -> Result<(), kube::Error> {
    let before = cluster.status.clone().unwrap_or_default();
    let mut conditions = before.conditions.clone();
    let condition = Condition {
        r#type: "Ready".to_owned(),
        status: ConditionStatus::False,
        reason: "InUse".to_owned(),
        message,
        last_transition_time: None,
        observed_generation: cluster.metadata.generation,
    };
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    set_condition(&mut conditions, condition, &now);
    if conditions != before.conditions {
        let patch = Patch::Merge(json!({ "status": { "conditions": conditions } }));
        ctx.clusters.patch_status(&cluster.name_any(), &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

async fn set_finalizers(ctx: &Context, cluster: &Cluster, list: &[String]) -> Result<(), kube::Error> {
    let meta = json!({ "resourceVersion": cluster.resource_version(), "finalizers": list });
    let patch = Patch::Merge(json!({ "metadata": meta }));
    ctx.clusters.patch(&cluster.name_any(), &PatchParams::default(), &patch).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use otternauts_types::{LocalRef, ServerSpec, StackSpec};

    #[test]
    fn a_cluster_waits_for_all_that_refer_to_it_and_names_them() {
        let to = |name: Option<&str>| name.map(|name| LocalRef { name: name.to_owned() });
        let server = |name: &str, of: Option<&str>| {
            Server::new(name, ServerSpec { cluster_ref: to(of), ..ServerSpec::default() })
        };
        let stack = |name: &str, of: Option<&str>| {
            let mut stack = Stack::new(name, StackSpec { cluster_ref: to(of), ..StackSpec::default() });
            stack.metadata.namespace = Some("team".to_owned());
            stack
        };
        let servers = [server("two", None), server("one", Some("default")), server("far", Some("other"))];
        let stacks = [stack("shop", None)];
        let text = "The Cluster goes when nothing refers to it any more. Still there:";
        assert_eq!(
            waits_for("default", &servers, &stacks),
            Some(format!("{text} Servers one, two; Stacks team/shop."))
        );
        assert_eq!(waits_for("other", &servers, &stacks), Some(format!("{text} Servers far.")));
        assert_eq!(waits_for("third", &servers, &stacks), None);
        let many: Vec<Server> = (0..13).map(|i| server(&format!("s{i:02}"), None)).collect();
        assert!(waits_for("default", &many, &[]).is_some_and(|t| t.ends_with("s08, s09 and 3 more.")));
    }
}
