//! `otter health`: is everything well? The exit code says it.

use super::status::{stacks, visible};
use crate::args::{Global, Health};
use crate::connect::{self, Session};
use crate::exit::{Code, Failure};
use crate::output::{self, Format};
use crate::vitals::{self, Vital};
use anyhow::Context as _;
use futures::stream::{BoxStream, StreamExt as _};
use kube::api::ListParams;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use otternauts_types::{Server, Stack};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long to wait before a broken watch is made again.
const PAUSE: Duration = Duration::from_secs(1);

pub async fn run(global: &Global, args: &Health) -> anyhow::Result<Code> {
    let session = connect::open(global).await?;
    if args.watch {
        return watch(&session, args).await;
    }
    let servers = visible::<Server>(&Api::all(session.client.clone()), "servers").await?.unwrap_or_default();
    let found: Vec<Vital> =
        servers.iter().map(vitals::server).chain(stacks(&session).await?.iter().flat_map(vitals::stack)).collect();
    let shown: Vec<Vital> = found.into_iter().filter(|v| wanted(args, v)).collect();
    if shown.is_empty()
        && let Some(name) = &args.service
    {
        return Err(Failure::new(Code::NotFound, format!("no service {name:?} is known")).next("otter status").into());
    }
    #[derive(Serialize)]
    struct Answer<'a> {
        healthy: bool,
        items: &'a [Vital],
    }
    let healthy = shown.iter().all(|v| v.healthy);
    match args.output.format {
        Format::Table => output::data(table(&shown).as_bytes())?,
        Format::Name => {
            let names: String =
                shown.iter().filter(|v| !v.healthy).map(|v| format!("{}/{}\n", v.kind, v.path())).collect();
            output::data(names.as_bytes())?;
        }
        format => output::document(format, &Answer { healthy, items: &shown })?,
    }
    Ok(if healthy { Code::Ok } else { Code::Error })
}

/// `SERVICE` or `STACK/SERVICE`; nothing named: everything.
fn wanted(args: &Health, vital: &Vital) -> bool {
    let Some(named) = &args.service else { return true };
    if vital.kind != "service" {
        return false;
    }
    match named.split_once('/') {
        Some((stack, service)) => vital.stack.as_deref() == Some(stack) && vital.name == service,
        None => vital.name == *named,
    }
}

fn table(vitals: &[Vital]) -> String {
    let row = |v: &Vital| {
        let name = if v.kind == "service" { format!("  {}", v.name) } else { v.name.clone() };
        let word = if v.healthy { "yes" } else { "NO" };
        let namespace = v.namespace.clone().unwrap_or_default();
        vec![v.kind.to_owned(), namespace, name, word.to_owned(), v.running.clone(), output::clean(&v.message)]
    };
    output::table(
        &["KIND", "NAMESPACE", "NAME", "HEALTHY", "RUNNING", "MESSAGE"],
        &vitals.iter().map(row).collect::<Vec<_>>(),
    )
}

/// Says how everything stands, then a line for each change, until it is interrupted.
async fn watch(session: &Session, args: &Health) -> anyhow::Result<Code> {
    let client = session.client.clone();
    let servers = Api::<Server>::all(client.clone());
    let all = !session.namespace_given
        && Api::<Stack>::all(client.clone()).list(&ListParams::default().limit(1)).await.is_ok();
    let stacks = if all { Api::all(client) } else { Api::<Stack>::namespaced(client, &session.namespace) };
    stacks.list(&ListParams::default().limit(1)).await.context("cannot list stacks")?;
    let mut changes: Vec<BoxStream<'static, Vec<Vital>>> = vec![follow(stacks, vitals::stack)];
    if servers.list(&ListParams::default().limit(1)).await.is_ok() {
        changes.push(follow(servers, |s| vec![vitals::server(s)]));
    }
    let mut changes = futures::stream::select_all(changes);
    let mut told: BTreeMap<String, Vital> = BTreeMap::new();
    while let Some(vitals) = changes.next().await {
        for vital in vitals.into_iter().filter(|v| wanted(args, v)) {
            let key = format!("{}/{}", vital.kind, vital.path());
            if told.get(&key) == Some(&vital) {
                continue;
            }
            say(args.output.format, &vital)?;
            told.insert(key, vital);
        }
    }
    Ok(Code::Ok)
}

fn say(format: Format, vital: &Vital) -> anyhow::Result<()> {
    if matches!(format, Format::Json) {
        return output::data(format!("{}\n", serde_json::to_string(vital)?).as_bytes());
    }
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let word = if vital.healthy { "healthy" } else { "UNHEALTHY" };
    let line = format!("{now}  {word:<9}  {} {}  {}  {}", vital.kind, vital.path(), vital.running, vital.message);
    output::data(format!("{}\n", output::clean(line.trim_end())).as_bytes())
}

/// What ails each object of a kind whenever it changes. What was deleted is told as gone.
fn follow<K>(api: Api<K>, look: impl Fn(&K) -> Vec<Vital> + Send + 'static) -> BoxStream<'static, Vec<Vital>>
where
    K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let events = watcher::watcher(api, watcher::Config::default());
    events
        .then(move |event| {
            let vitals = match &event {
                Ok(Event::InitApply(object) | Event::Apply(object)) => look(object),
                Ok(Event::Delete(object)) => {
                    output::note(&format!("{} was deleted", output::clean(&object.name_any())));
                    Vec::new()
                }
                _ => Vec::new(),
            };
            let failed = event.is_err();
            async move {
                if failed {
                    tokio::time::sleep(PAUSE).await;
                }
                vitals
            }
        })
        .boxed()
}
