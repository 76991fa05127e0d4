//! From a Stack to what runs on the Swarm. See README.md.

mod cleanup;
mod context;
pub mod converge;
pub mod decide;
mod error;
mod history;
mod ingress;
mod inputs;
pub mod logs;
pub mod observed;
pub mod plan;
mod reconcile;
mod rollout;
mod spans;
mod status;
mod swarm;

pub use error::{Error, Result};

use context::Context;
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::runtime::controller::Action;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use otternauts_fleet::{Fleet, News};
use otternauts_reconciler::{Controller, Standing};
use otternauts_types::stack::StackStatus;
use otternauts_types::{Cluster, ConditionStatus, Deployment, RegistryCredential, Server, Stack};
use std::sync::Arc;
use std::time::Duration;

/// Stacks reconciled at once: each may hold a channel of a manager's connection.
const CONCURRENCY: u16 = 8;

/// What happens to a stack comes in bursts: one look a burst.
const BURST: Duration = Duration::from_millis(100);

/// Runs the controller until `shutdown` resolves. Reconciles under way are finished; none is needed for correctness.
pub async fn run(
    client: Client,
    fleet: Fleet,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) -> Result<()> {
    let reporter = Reporter { controller: "otternauts-deploy".into(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    let context = Arc::new(Context::new(client.clone(), fleet.clone(), recorder));
    let any = watcher::Config::default;
    let stacks = Controller::new("deploy", fleet.metrics(), Api::<Stack>::all(client.clone()), any());
    let store = stacks.store();
    let (secrets, maps, names) = (store.clone(), store.clone(), store.clone());
    let (credentials, deployments) = (store.clone(), store.clone());
    let (servers, clusters) = (store.clone(), store.clone());
    let happened = fleet_news(&fleet, store);
    let results = stacks
        .watches(Api::<Deployment>::all(client.clone()), any(), move |d: Deployment| {
            // Not by owner: a Deployment that a person makes has none yet.
            matching(&deployments, d.namespace().as_deref(), |stack| stack.name_any() == d.spec.stack_ref.name)
        })
        .watches(Api::<Secret>::all(client.clone()), any(), move |s: Secret| {
            // Passwords of registries are Secrets too; which ones, only their RegistryCredentials know.
            let concerns =
                |stack: &Stack| uses_secret(stack, &s.name_any()) || !stack.spec.registry_credential_refs.is_empty();
            matching(&secrets, s.namespace().as_deref(), concerns)
        })
        .watches(Api::<ConfigMap>::all(client.clone()), any(), move |m: ConfigMap| {
            matching(&maps, m.namespace().as_deref(), |stack| uses_config_map(stack, &m.name_any()))
        })
        .watches(Api::<RegistryCredential>::all(client.clone()), any(), move |c: RegistryCredential| {
            matching(&credentials, c.namespace().as_deref(), |s| {
                s.spec.registry_credential_refs.iter().any(|r| r.name == c.name_any())
            })
        })
        .watches(Api::<Namespace>::all(client.clone()), any(), move |n: Namespace| {
            matching(&names, Some(&n.name_any()), |_| true)
        })
        .watches(Api::<Server>::all(client.clone()), any(), move |s: Server| {
            let cluster = s.spec.cluster_ref.as_ref().map_or("default", |r| r.name.as_str()).to_owned();
            matching(&servers, None, |stack| inputs::cluster_of(stack) == cluster)
        })
        .watches(Api::<Cluster>::all(client), any(), move |c: Cluster| {
            matching(&clusters, None, |stack| inputs::cluster_of(stack) == c.name_any())
        })
        .reconcile_on(happened)
        .converging(standing)
        .concurrency(CONCURRENCY)
        .debounce(BURST)
        .graceful_shutdown_on(shutdown)
        .run(reconcile::reconcile, retry, context);
    report(results).await;
    Ok(())
}

fn standing(stack: &Stack) -> Standing {
    let ready = |status: &StackStatus| {
        status.conditions.iter().any(|c| c.r#type == "Ready" && c.status == ConditionStatus::True)
    };
    let status = stack.status.as_ref();
    Standing { observed: status.and_then(|s| s.observed_generation), ready: status.is_some_and(ready) }
}

/// Errors of single reconciles go to the log; the controller goes on.
async fn report<E: std::fmt::Display>(results: impl Stream<Item = std::result::Result<(ObjectRef<Stack>, Action), E>>) {
    let mut results = std::pin::pin!(results);
    while let Some(result) = results.next().await {
        if let Err(error) = result {
            tracing::debug!(error = %error, "reconcile ended with an error");
        }
    }
}

/// A conflict is read again at once; what else fails is tried again soon, with the reason in the log.
#[allow(clippy::needless_pass_by_value, reason = "the signature is kube-rs's")]
fn retry(stack: Arc<Stack>, error: &Error, _: Arc<Context>) -> Action {
    if let Error::Api { source, .. } = error
        && error::is_conflict(source)
    {
        return Action::requeue(Duration::from_millis(200));
    }
    let (name, namespace) = (stack.name_any(), stack.namespace().unwrap_or_default());
    tracing::warn!(stack = name, namespace, error = error.chain(), "will try again");
    Action::requeue(Duration::from_secs(5))
}

/// The Stacks of a namespace (or of all) that something concerns.
fn matching(store: &Store<Stack>, namespace: Option<&str>, concerns: impl Fn(&Stack) -> bool) -> Vec<ObjectRef<Stack>> {
    let here = |s: &Arc<Stack>| namespace.is_none_or(|n| s.metadata.namespace.as_deref() == Some(n));
    store.state().iter().filter(|s| here(s) && concerns(s)).map(|s| ObjectRef::from_obj(s.as_ref())).collect()
}

/// The Stacks that what happens on servers concerns, as it happens.
fn fleet_news(fleet: &Fleet, store: Store<Stack>) -> impl Stream<Item = ObjectRef<Stack>> + Send + 'static + use<> {
    fleet.notices().flat_map(move |notice| {
        let concerned = match &notice.news {
            News::Event(event) if event.kind != "node" => {
                matching(&store, None, |stack| swarm_stack(stack).is_some_and(|name| happened_to(event, name)))
            }
            News::Event(_) | News::Followed | News::Missed => matching(&store, None, |_| true),
            // What runs there is not known now; its swarm will tell of the node. An end was an event before.
            News::Lost(_) | News::Ended(_) | News::Doubted => Vec::new(),
        };
        futures::stream::iter(concerned)
    })
}

fn swarm_stack(stack: &Stack) -> Option<&str> {
    stack.status.as_ref()?.swarm_stack.as_deref()
}

/// Whether an event is about a container or a service of this stack of the swarm.
fn happened_to(event: &otternauts_fleet::docker::Event, stack: &str) -> bool {
    let attribute = |name: &str| event.attributes.get(name).map(String::as_str);
    match event.kind.as_str() {
        "container" => attribute("com.docker.stack.namespace") == Some(stack),
        "service" => attribute("name").and_then(|n| n.strip_prefix(stack)).is_some_and(|rest| rest.starts_with('_')),
        _ => false,
    }
}

fn uses_secret(stack: &Stack, name: &str) -> bool {
    stack.spec.env.iter().any(|e| e.secret_ref.as_ref().is_some_and(|r| r.name == name))
}

fn uses_config_map(stack: &Stack, name: &str) -> bool {
    stack.spec.compose.config_map_ref.as_ref().is_some_and(|r| r.name == name)
        || stack.spec.env.iter().any(|e| e.config_map_ref.as_ref().is_some_and(|r| r.name == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use otternauts_fleet::docker::Event;

    #[test]
    fn an_event_concerns_the_stack_it_names_and_no_other() {
        let check = |kind: &str, attribute: (&str, &str), expected: bool| {
            let attributes = [(attribute.0.to_owned(), attribute.1.to_owned())].into();
            let (action, id) = ("die".to_owned(), "1".to_owned());
            let event = Event { kind: kind.to_owned(), action, id, attributes, time_nanos: 0 };
            assert_eq!(happened_to(&event, "shop-01234567"), expected, "{kind} {attribute:?}");
        };
        check("container", ("com.docker.stack.namespace", "shop-01234567"), true);
        check("container", ("com.docker.stack.namespace", "shop-0123456"), false);
        check("container", ("name", "shop-01234567_web.1"), false);
        check("service", ("name", "shop-01234567_web"), true);
        check("service", ("name", "shop-01234567"), false);
        check("service", ("name", "shop-01234567x_web"), false);
        check("node", ("name", "shop-01234567_web"), false);
    }
}
