//! The verbs on a memory store, row by row; the harness here, the rows in one file per section.

mod access;
mod crds;
mod deletion;
mod housekeeping;
mod keys;
mod lists;
mod namespaces;
mod ours;
mod patches;
mod secrets;
mod sqlite;
mod watches;
mod writes;

use crate::{
    Body, Caller, DeleteOptions, Deleted, ListOptions, PatchType, Registry, Served, ServedList, Subresource, Target,
    WatchEvent, WatchOptions, WatchSession, WriteOptions,
};
use bytes::Bytes;
use otternauts_auth::User;
use otternauts_meta::{FieldSelector, LabelSelector, Object, Status, Timestamp};
use otternauts_store::Store;
use otternauts_vault::{Identity, Vault};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A registry with a clock that stands still until it is moved.
struct World {
    registry: Registry,
    now: Arc<AtomicI64>,
    caller: Caller,
}

const START: i64 = 1_790_000_000;

async fn world() -> World {
    world_on(Store::memory()).await
}

async fn world_on(store: Store) -> World {
    let (vault, _) = Vault::open(&Identity::generate(), None).expect("a new keyring");
    world_with(store, Arc::new(vault)).await
}

async fn world_with(store: Store, vault: Arc<Vault>) -> World {
    let now = Arc::new(AtomicI64::new(START));
    let clock = {
        let now = Arc::clone(&now);
        Arc::new(move || Timestamp::from_micros(now.load(Ordering::SeqCst) * 1_000_000).expect("in range"))
    };
    let registry = Registry::new(store, vault, clock).await.expect("an empty store can be used");
    World { registry, now, caller: admin() }
}

fn admin() -> Caller {
    let groups = ["system:masters".to_owned()];
    Caller::new(User::authenticated("admin", groups), "probe/1.0")
}

fn person(name: &str) -> Caller {
    Caller::new(User::authenticated(name, []), "probe/1.0")
}

impl World {
    fn target(&self, path: &str) -> Target {
        target(&self.registry, path)
    }

    async fn create(&self, path: &str, object: Value) -> Result<Value, Status> {
        self.create_as(&self.caller, path, object, &WriteOptions::default()).await
    }

    async fn create_as(
        &self,
        caller: &Caller,
        path: &str,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Value, Status> {
        let body = Body { object: Object::from_value(object).expect("an object"), duplicates: Vec::new() };
        let served = self.registry.create(caller, &self.target(path), body, options).await?;
        assert!(served.created);
        Ok(value(&served))
    }

    async fn get(&self, path: &str) -> Result<Value, Status> {
        Ok(value(&self.registry.get(&self.caller, &self.target(path), "").await?))
    }

    async fn update(&self, path: &str, object: Value) -> Result<Value, Status> {
        let body = Body { object: Object::from_value(object).expect("an object"), duplicates: Vec::new() };
        let served = self.registry.update(&self.caller, &self.target(path), body, &WriteOptions::default()).await?;
        Ok(value(&served))
    }

    async fn patch(&self, path: &str, kind: PatchType, patch: Value) -> Result<Value, Status> {
        let bytes = Bytes::from(patch.to_string());
        let options = WriteOptions::default();
        Ok(value(&self.registry.patch(&self.caller, &self.target(path), kind, bytes, &options).await?))
    }

    async fn merge(&self, path: &str, patch: Value) -> Result<Value, Status> {
        self.patch(path, PatchType::Merge, patch).await
    }

    async fn apply(&self, path: &str, manager: &str, force: bool, object: Value) -> Result<Served, Status> {
        let options = WriteOptions { field_manager: manager.to_owned(), force: Some(force), ..WriteOptions::default() };
        let bytes = Bytes::from(object.to_string());
        self.registry.patch(&self.caller, &self.target(path), PatchType::Apply, bytes, &options).await
    }

    async fn delete(&self, path: &str) -> Result<Deleted, Status> {
        self.registry.delete(&self.caller, &self.target(path), &DeleteOptions::default()).await
    }

    async fn delete_with(&self, path: &str, policy: &str) -> Result<Deleted, Status> {
        let options = DeleteOptions { propagation_policy: Some(policy.to_owned()), ..DeleteOptions::default() };
        self.registry.delete(&self.caller, &self.target(path), &options).await
    }

    async fn list(&self, path: &str, options: &ListOptions) -> Result<ServedList, Status> {
        self.registry.list(&self.caller, &self.target(path), options).await
    }

    async fn watch(&self, path: &str, options: WatchOptions) -> WatchSession {
        self.registry.watch(&self.caller, &self.target(path), &options).await.expect("a watch")
    }

    /// A CRD `widgets.test.dev` with status and scale; answers once it is served.
    async fn widgets(&self) {
        self.create("customresourcedefinitions", widget_crd()).await.expect("a good CRD");
    }

    /// Runs the tasks of the server until the test drops the handle.
    fn housekeeping(&self) -> Tasks {
        let registry = self.registry.clone();
        Tasks(tokio::spawn(async move { Box::pin(registry.run_housekeeping(std::future::pending())).await }))
    }

    /// Waits until the object is gone.
    async fn until_gone(&self, path: &str) {
        let mut session = self.watch(collection(path), WatchOptions::default()).await;
        while self.get(path).await.is_ok() {
            let _event = soon(session.next()).await.expect("the watch goes on");
        }
    }

    /// Waits until the object is as the test wants it.
    async fn until(&self, path: &str, good: impl Fn(&Value) -> bool) -> Value {
        let mut session = self.watch(collection(path), WatchOptions::default()).await;
        loop {
            if let Ok(object) = self.get(path).await
                && good(&object)
            {
                return object;
            }
            let _event = soon(session.next()).await.expect("the watch goes on");
        }
    }
}

struct Tasks(tokio::task::JoinHandle<()>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn collection(path: &str) -> &str {
    (path.split_once(' ').map_or(path, |(head, _)| head)) as _
}

/// A bound on waiting, so that a broken promise fails instead of hanging.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(180), work).await.expect("within three minutes")
}

/// `configmaps@default NAME status`: plural, namespace, name, subresource.
fn target(registry: &Registry, path: &str) -> Target {
    let mut words = path.split(' ');
    let place = words.next().unwrap_or_default();
    let (resource, namespace) = place.split_once('@').map_or((place, None), |(r, n)| (r, Some(n.to_owned())));
    let (resource, version) = resource.split_once('#').map_or((resource, None), |(r, v)| (r, Some(v)));
    let definitions = registry.definitions();
    let definition = definitions
        .all()
        .iter()
        .find(|d| d.names.plural == resource || d.group_resource().to_string() == resource)
        .unwrap_or_else(|| panic!("{resource} is not served"));
    Target {
        definition: Arc::clone(definition),
        version: version.unwrap_or(&definition.storage_version().name).to_owned(),
        namespace: namespace.filter(|n| !n.is_empty()),
        name: words.next().map(str::to_owned),
        subresource: match words.next() {
            Some("status") => Subresource::Status,
            Some("scale") => Subresource::Scale,
            Some("finalize") => Subresource::Finalize,
            _ => Subresource::None,
        },
    }
}

fn value(served: &Served) -> Value {
    serde_json::from_slice(&served.bytes).expect("JSON")
}

fn items(list: &ServedList) -> Vec<Value> {
    list.items.iter().map(|item| serde_json::from_slice(item).expect("JSON")).collect()
}

fn names(list: &ServedList) -> Vec<String> {
    items(list).iter().map(|item| item["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

fn config_map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"a": "b"}})
}

fn widget(name: &str) -> Value {
    json!({"apiVersion": "test.dev/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"replicas": 1}})
}

fn widget_crd() -> Value {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["replicas"], "properties": {
            "replicas": {"type": "integer", "minimum": 0, "maximum": 10},
            "img": {"type": "string", "default": "nginx"},
            "color": {"type": "string", "enum": ["red", "blue"]},
            "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}}},
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.test.dev"},
        "spec": {
            "group": "test.dev", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "selectableFields": [{"jsonPath": ".spec.color"}],
            }],
        },
    })
}
