//! `otter status`: the fleet at a glance, or a wait for one object.

use crate::args::{Global, Object, ObjectKind, Status};
use crate::connect::{self, Session};
use crate::exit::{Code, is_forbidden};
use crate::follow::{self, Ended};
use crate::output::{self, Format};
use crate::ready::{self, word};
use crate::voice;
use anyhow::Context as _;
use kube::api::ListParams;
use kube::{Api, Resource, ResourceExt as _};
use otternauts_types::{Cluster, Server, Stack};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

pub async fn run(global: &Global, args: &Status) -> anyhow::Result<Code> {
    let session = connect::open(global).await?;
    if let Some(object) = &args.wait {
        return wait(&session, object, args.timeout).await;
    }
    let client = &session.client;
    // Clusters and servers belong to the fleet's people; others see their stacks only.
    let clusters = visible::<Cluster>(&Api::all(client.clone()), "clusters").await?.unwrap_or_default();
    let servers = visible::<Server>(&Api::all(client.clone()), "servers").await?.unwrap_or_default();
    let stacks = stacks(&session).await?;
    match args.output.format {
        Format::Table if servers.is_empty() && stacks.is_empty() => output::note(voice::EMPTY),
        Format::Table => output::data(overview(&clusters, &servers, &stacks).as_bytes())?,
        Format::Name => {
            names("cluster.otternauts.dev", &clusters)?;
            names("server.otternauts.dev", &servers)?;
            names("stack.otternauts.dev", &stacks)?;
        }
        format => output::document(format, &json!({"clusters": clusters, "servers": servers, "stacks": stacks}))?,
    }
    Ok(Code::Ok)
}

/// Those of the namespace that was named, else of all that the caller may see.
pub async fn stacks(session: &Session) -> anyhow::Result<Vec<Stack>> {
    if !session.namespace_given
        && let Some(all) = visible(&Api::all(session.client.clone()), "stacks").await?
    {
        return Ok(all);
    }
    let api: Api<Stack> = Api::namespaced(session.client.clone(), &session.namespace);
    let list = api.list(&ListParams::default()).await;
    Ok(list.with_context(|| format!("cannot list stacks in namespace {}", session.namespace))?.items)
}

/// `None`: the caller may not list them.
pub async fn visible<K>(api: &Api<K>, plural: &str) -> anyhow::Result<Option<Vec<K>>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(Some(list.items)),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot list {plural}")),
    }
}

async fn wait(session: &Session, object: &Object, timeout: std::time::Duration) -> anyhow::Result<Code> {
    let client = session.client.clone();
    let name = object.name.as_str();
    let Ended { text, took } = match object.kind {
        ObjectKind::Cluster => {
            let api = Api::all(client);
            exists::<Cluster>(&api, "cluster", name).await?;
            let resume = format!("otter status --wait cluster/{name}");
            follow::until(&api, name, timeout, &resume, |o| ready::or_gone("cluster", name, o, ready::cluster)).await?
        }
        ObjectKind::Server => {
            let api = Api::all(client);
            exists::<Server>(&api, "server", name).await?;
            let resume = format!("otter status --wait server/{name}");
            follow::until(&api, name, timeout, &resume, |o| ready::or_gone("server", name, o, ready::server)).await?
        }
        ObjectKind::Stack => {
            let api = Api::namespaced(client, &session.namespace);
            exists::<Stack>(&api, "stack", name).await?;
            let resume = format!("otter status -n {} --wait stack/{name}", session.namespace);
            let look = |stack: &Stack| ready::stack(stack, stack.metadata.generation.unwrap_or_default());
            follow::until(&api, name, timeout, &resume, |o| ready::or_gone("stack", name, o, look)).await?
        }
    };
    output::note(&format!("{text} (after {})", output::took(took)));
    Ok(Code::Ok)
}

/// Waiting for what was never made is a typing error more often than not.
async fn exists<K>(api: &Api<K>, kind: &str, name: &str) -> anyhow::Result<()>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    api.get_metadata(name).await.map(drop).with_context(|| format!("cannot wait for {kind} {name:?}"))
}

/// One name a line, as kubectl writes them.
pub fn names<K: Resource>(kind: &str, objects: &[K]) -> anyhow::Result<()> {
    let names: String = objects.iter().map(|o| format!("{kind}/{}\n", o.name_any())).collect();
    output::data(names.as_bytes())
}

/// Objects as kubectl lists them.
pub fn list<K: Serialize>(format: Format, objects: &[K]) -> anyhow::Result<()> {
    output::document(format, &json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects}))
}

fn overview(clusters: &[Cluster], servers: &[Server], stacks: &[Stack]) -> String {
    let mut parts = Vec::new();
    if !clusters.is_empty() {
        parts.push(cluster_table(clusters));
    }
    if !servers.is_empty() {
        parts.push(server_table(servers));
    }
    parts.push(if stacks.is_empty() { format!("{}\n", voice::EMPTY) } else { stack_table(stacks) });
    parts.join("\n")
}

fn cluster_table(clusters: &[Cluster]) -> String {
    let count = |n: Option<i32>| n.map(|n| n.to_string()).unwrap_or_default();
    let row = |c: &Cluster| {
        let status = c.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|c| c.r#type == "Ready").map(|c| word(&c.status));
        let ingress = status.ingress.map(|i| i.phase).unwrap_or_default();
        vec![c.name_any(), ready.unwrap_or_default(), count(status.managers), count(status.nodes), ingress, age(c)]
    };
    let rows: Vec<Vec<String>> = clusters.iter().map(row).collect();
    output::table(&["CLUSTER", "READY", "MANAGERS", "NODES", "INGRESS", "AGE"], &rows)
}

pub fn server_table(servers: &[Server]) -> String {
    let row = |s: &Server| {
        let status = s.status.clone().unwrap_or_default();
        let address = match s.spec.address.as_str() {
            "" => word(&s.spec.connection),
            address => address.to_owned(),
        };
        vec![
            s.name_any(),
            if s.metadata.deletion_timestamp.is_some() { "removing".to_owned() } else { word(&status.phase) },
            word(&status.swarm_role.unwrap_or(s.spec.role)),
            output::clean(&address),
            output::clean(&status.docker_version.unwrap_or_default()),
            output::clean(&status.os.unwrap_or_default()),
            age(s),
            output::clean(&ready::removal(s).or(status.last_error).unwrap_or_default()),
        ]
    };
    let rows: Vec<Vec<String>> = servers.iter().map(row).collect();
    output::table(&["SERVER", "PHASE", "ROLE", "ADDRESS", "DOCKER", "OS", "AGE", "MESSAGE"], &rows)
}

/// A line for each stack and, below it, one for each of its services.
fn stack_table(stacks: &[Stack]) -> String {
    let mut rows = Vec::new();
    for stack in stacks {
        let status = stack.status.clone().unwrap_or_default();
        let (running, desired) =
            status.services.iter().fold((0, 0), |(r, d), s| (r + i64::from(s.running), d + i64::from(s.desired)));
        rows.push(vec![
            stack.namespace().unwrap_or_default(),
            stack.name_any(),
            word(&status.phase),
            status.current_version.map(|v| v.to_string()).unwrap_or_default(),
            format!("{running}/{desired}"),
            age(stack),
            output::clean(&status.last_error.or(status.drift).unwrap_or_default()),
        ]);
        for service in &status.services {
            let failure = service.last_failure.as_ref().map(|f| f.reason.clone()).unwrap_or_default();
            let image = output::clean(service.image.as_deref().unwrap_or_default());
            let note = if failure.is_empty() { image } else { format!("{image}: {}", output::clean(&failure)) };
            let count = format!("{}/{}", service.running, service.desired);
            let blank = String::new;
            rows.push(vec![blank(), format!("  {}", service.name), blank(), blank(), count, blank(), note]);
        }
    }
    output::table(&["NAMESPACE", "STACK", "PHASE", "VERSION", "RUNNING", "AGE", "MESSAGE"], &rows)
}

fn age<K: Resource>(object: &K) -> String {
    let made = object.meta().creation_timestamp.as_ref();
    made.map(|t| output::age(jiff::Timestamp::now().as_second() - t.0.as_second())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overview_shows_servers_stacks_and_their_services() {
        let server: Server = serde_json::from_value(json!({"apiVersion": "otternauts.dev/v1", "kind": "Server",
            "metadata": {"name": "harbour"}, "spec": {"address": "10.0.0.1", "user": "u"},
            "status": {"phase": "failed", "lastError": "No.\u{1b}[2J"}}))
        .expect("a Server");
        let stack: Stack = serde_json::from_value(json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack",
            "metadata": {"name": "shop", "namespace": "bay"}, "spec": {"compose": {}},
            "status": {"phase": "running", "currentVersion": 2, "services": [
                {"name": "web", "desired": 2, "running": 2, "image": "nginx:1"},
                {"name": "db", "desired": 1, "running": 0, "image": "pg", "lastFailure": {"reason": "OOMKilled"}}]}}))
        .expect("a Stack");
        let expected = "\
SERVER    PHASE    ROLE      ADDRESS    DOCKER   OS   AGE   MESSAGE
harbour   failed   manager   10.0.0.1                       No.\u{fffd}[2J

NAMESPACE   STACK   PHASE     VERSION   RUNNING   AGE   MESSAGE
bay         shop    running   2         2/3
              web                       2/2             nginx:1
              db                        0/1             pg: OOMKilled
";
        assert_eq!(overview(&[], &[server], &[stack]), expected);
    }
}
