//! As much of an API as the tests here need: it keeps statuses of rules and Servers, takes Events, and never answers who asks for a
//! signing key, so that a webhook stays on its way.

use crate::audit::Audit;
use crate::context::Context;
use http::{Method, Request, Response};
use kube::client::Body;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector;
use kube::runtime::watcher::Event;
use kube::{Client, ResourceExt as _};
use otternauts_fleet::Fleet;
use otternauts_telemetry::Metrics;
use otternauts_types::{HealRule, Server, Stack};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

#[derive(Default)]
pub struct Memory {
    /// What was written last, by the rule's name.
    pub statuses: BTreeMap<String, Value>,
    /// Statuses that were written.
    pub writes: usize,
    /// Statuses in which an action is done are refused.
    pub refuses: bool,
    /// How often somebody asked for a signing key.
    pub keys: usize,
    pub servers: BTreeMap<String, Server>,
}

pub type Shared = Arc<Mutex<Memory>>;

/// What the watches know, an API that begins with the same Servers, and nobody at the other end of the fleet.
pub fn context(
    rules: &[HealRule],
    stacks: reflector::Store<Stack>,
    servers: &[Server],
    audit: Audit,
) -> (Arc<Context>, Shared) {
    let memory = Shared::default();
    memory.lock().servers = servers.iter().map(|s| (s.name_any(), s.clone())).collect();
    let client = client(&memory);
    let reporter = Reporter { controller: "otternauts-healing".into(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    let stores = (kept(rules), stacks, kept(servers));
    let context = Context::new(client, Fleet::new(Metrics::new("1")), stores, Arc::default(), recorder, audit);
    (Arc::new(context), memory)
}

fn kept<K>(objects: &[K]) -> reflector::Store<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    let (store, mut writer) = reflector::store();
    objects.iter().for_each(|object| writer.apply_watcher_event(&Event::Apply(object.clone())));
    store
}

fn client(memory: &Shared) -> Client {
    let memory = Arc::clone(memory);
    let service = tower::service_fn(move |request: Request<Body>| {
        let memory = Arc::clone(&memory);
        async move {
            let (parts, body) = request.into_parts();
            let sent = body.collect_bytes().await.expect("a whole body");
            let path: Vec<&str> = parts.uri.path().trim_start_matches('/').split('/').collect();
            if path.contains(&"secrets") {
                memory.lock().keys += 1;
                std::future::pending::<()>().await;
            }
            let sent = serde_json::from_slice(&sent).unwrap_or_default();
            let (code, answer) = answer(&mut memory.lock(), &parts.method, &path, sent);
            let response = Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
            Ok::<_, Infallible>(response.expect("a response"))
        }
    });
    Client::new(service, "default")
}

fn answer(memory: &mut Memory, method: &Method, path: &[&str], sent: Value) -> (u16, Value) {
    match (method, path) {
        (&Method::PATCH, [.., "healrules", name, "status"]) => {
            let status = sent[1]["value"].clone();
            if memory.refuses && status.to_string().contains("\"Done\"") {
                return refusal(500);
            }
            memory.writes += 1;
            memory.statuses.insert((*name).to_owned(), status);
            let spec = json!({"target": {}, "condition": "unhealthy", "action": "alert"});
            (
                200,
                json!({"apiVersion": "otternauts.dev/v1", "kind": "HealRule", "metadata": {"name": name}, "spec": spec}),
            )
        }
        (&Method::GET, [.., "servers"]) => {
            let items: Vec<&Server> = memory.servers.values().collect();
            let metadata = json!({"resourceVersion": "1"});
            (
                200,
                json!({"apiVersion": "otternauts.dev/v1", "kind": "ServerList", "metadata": metadata, "items": items}),
            )
        }
        (&Method::PATCH, [.., "servers", name]) => {
            let Some(server) = memory.servers.get_mut(*name) else { return refusal(404) };
            if sent["metadata"]["uid"] != json!(server.metadata.uid) {
                return refusal(409);
            }
            server.spec.availability = serde_json::from_value(sent["spec"]["availability"].clone()).expect("a word");
            (200, json!(server))
        }
        (&Method::POST, [.., "events"]) => (201, sent),
        _ => refusal(404),
    }
}

fn refusal(code: u16) -> (u16, Value) {
    (
        code,
        json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "Planned", "message": "as planned", "code": code}),
    )
}
