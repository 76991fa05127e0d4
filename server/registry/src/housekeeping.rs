//! What the server does by itself: level-triggered tasks on store watches. Nothing polls and nothing writes while nothing happens.

mod collect;
mod collect_graph;
mod event_expiry;
mod follow;
mod kinds_going;
mod namespaces;
mod replicas;

use crate::registry::Registry;
use crate::request::{Caller, Target};
use crate::verbs::amend::Amended;
use otternauts_auth::User;
use otternauts_meta::{Object, Status};
use otternauts_schema::Definition;
use std::sync::Arc;

impl Registry {
    /// Garbage collection, emptying of namespaces and of kinds that go, expiry of events: until `shutdown` resolves.
    pub async fn run_housekeeping(&self, shutdown: impl Future<Output = ()> + Send) {
        let work = async {
            tokio::join!(
                collect::run(self.clone()),
                namespaces::run(self.clone()),
                namespaces::keep_accounts(self.clone()),
                kinds_going::run(self.clone()),
                event_expiry::run(self.clone()),
            );
        };
        tokio::select! {
            () = shutdown => {}
            () = work => {}
        }
    }

    /// Notes what other replicas write, until `shutdown` resolves; nothing to do where there are none. Every replica runs it; of
    /// [`Registry::run_housekeeping`] one does.
    pub async fn run_noting(&self, shutdown: impl Future<Output = ()> + Send) {
        if !self.store().is_shared() {
            return;
        }
        tokio::select! {
            () = shutdown => {}
            () = replicas::run(self.clone()) => {}
        }
    }

    /// Deletes an object for a task of the server; one that is gone already is fine. `true` when it is still there, waiting for
    /// finalizers.
    async fn remove(&self, definition: &Arc<Definition>, object: &Object, policy: &str) -> Result<bool, Status> {
        let target = Target::object(definition, object.namespace(), object.name());
        let options = crate::DeleteOptions {
            propagation_policy: (!policy.is_empty()).then(|| policy.to_owned()),
            uid: Some(object.uid().to_owned()),
            ..crate::DeleteOptions::default()
        };
        match self.delete(&system(), &target, &options).await {
            Ok(crate::Deleted::Waiting(_)) => Ok(true),
            Ok(crate::Deleted::Gone { .. }) => Ok(false),
            Err(status) if status.code == 404 || status.code == 409 => Ok(false),
            Err(status) => Err(status),
        }
    }

    /// Changes an object in a task of the server; `change` says whether there is anything to change.
    async fn amend_object(
        &self,
        definition: &Arc<Definition>,
        namespace: &str,
        name: &str,
        change: impl Fn(&mut Object) -> bool + Send + Sync,
    ) -> Result<Amended, Status> {
        let target = Target::object(definition, namespace, name);
        self.amend(&system(), &target, &change).await
    }
}

/// Who the tasks of the server are.
pub(crate) fn system() -> Caller {
    let groups = ["system:masters".to_owned(), "system:authenticated".to_owned()];
    let user = User { name: "system:apiserver".to_owned(), groups: groups.to_vec(), ..User::default() };
    Caller::new(user, "otternauts")
}

/// Takes one finalizer off; `false` when it was not there.
fn drop_finalizer(object: &mut Object, finalizer: &str) -> bool {
    let before = object.finalizers().len();
    let left: Vec<serde_json::Value> =
        object.finalizers().into_iter().filter(|f| *f != finalizer).map(serde_json::Value::from).collect();
    let changed = left.len() != before;
    if left.is_empty() {
        object.metadata_mut().shift_remove("finalizers");
    } else {
        object.metadata_mut().insert("finalizers".into(), left.into());
    }
    changed
}
