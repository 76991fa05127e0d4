//! Where several replicas share a store: what the others commit of namespaces, kinds and roles is noted here too.
//!
//! Our own commits were noted before they were answered (see `Registry::commit`) and are noted again, which changes nothing: what is
//! noted is never the event but the newest state seen, under the gate, so that a late event cannot bring back an older one.

use super::follow::{Follower, Seen};
use crate::facts;
use crate::registry::Registry;
use crate::shape::as_object;
use otternauts_store::{Key, Range, Record};
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn run(registry: Registry) {
    let follow = facts::KEPT.map(|resource| follow(registry.clone(), resource));
    futures::future::join_all(follow).await;
}

async fn follow(registry: Registry, resource: &'static str) {
    let mut follower = Follower::new(registry.store(), Range::resource(resource));
    let mut known: BTreeMap<Key, Record> = BTreeMap::new();
    while let Some(seen) = follower.next().await {
        let mut changed: BTreeSet<Key> = BTreeSet::new();
        for one in seen {
            match one {
                // What is not repeated is gone.
                Seen::Start => changed.extend(known.keys().cloned()),
                Seen::Object(record) | Seen::Gone(record) => {
                    changed.insert(record.key.clone());
                    known.insert(record.key.clone(), record);
                }
            }
        }
        let permit = registry.enter(resource, true).await;
        for key in changed {
            let Some(last) = known.get(&key) else { continue };
            match registry.store().get_seen(&key).await {
                Ok(Some(record)) => {
                    registry.note(&record, false).await;
                    known.insert(key, record);
                }
                Ok(None) => {
                    registry.note(last, true).await;
                    known.remove(&key);
                }
                // It is read again when the follower starts over.
                Err(error) => tracing::error!(?key, %error, "what another replica wrote cannot be read"),
            }
        }
        drop(permit);
    }
}

impl Registry {
    /// Keeps what is derived from objects in step with one of them; the caller holds the gate.
    pub(crate) async fn note(&self, record: &Record, gone: bool) {
        let Ok(value) = serde_json::from_slice(&record.body) else { return };
        let (object, key) = (as_object(value), &record.key);
        self.facts().observe(&key.resource, &key.namespace, &key.name, (!gone).then_some(&object));
        if &*key.resource == facts::CRDS {
            self.crd_changed(&object, record, gone).await;
        }
        if &*key.resource == facts::CLUSTER_ROLES {
            self.refresh_aggregates().await;
        }
    }
}
