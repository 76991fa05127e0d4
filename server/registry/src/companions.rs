//! Objects that follow from others: the default ServiceAccount of a namespace (row B7), the rules of aggregating roles (row I12).

use crate::facts;
use crate::metadata;
use crate::registry::Registry;
use crate::shape::Shape;
use crate::writing::Writing;
use otternauts_meta::{Object, Status};
use otternauts_store::{Key, Op, Precondition, Write};
use serde_json::json;

impl Registry {
    /// What is made in the same transaction as a new object.
    pub(crate) fn companions(&self, writing: &Writing<'_>, object: &Object) -> Result<Vec<Write>, Status> {
        if &*writing.shape.resource != facts::NAMESPACES {
            return Ok(Vec::new());
        }
        Ok(self.default_account(object.name())?.into_iter().collect())
    }

    /// Row B7.
    fn default_account(&self, namespace: &str) -> Result<Option<Write>, Status> {
        let definitions = self.definitions();
        let Some(definition) = definitions.resource("", "serviceaccounts") else { return Ok(None) };
        let shape = Shape::new(&definitions, &self.inner.vault, definition, "v1");
        let account = json!({
            "kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default", "namespace": namespace},
        });
        let mut account = crate::shape::as_object(account);
        metadata::begin(&mut account, &uuid::Uuid::new_v4().to_string(), self.now(), false);
        let key = Key { resource: shape.resource.clone(), namespace: namespace.into(), name: "default".into() };
        Ok(Some(Write { key, precondition: Precondition::None, op: Op::Put(shape.body(&account)?) }))
    }

    /// Writes the rules of aggregating ClusterRoles that are out of date; under the gate.
    pub(crate) async fn refresh_aggregates(&self) {
        let definitions = self.definitions();
        let Some(definition) = definitions.resource("rbac.authorization.k8s.io", "clusterroles") else { return };
        let shape = Shape::new(&definitions, &self.inner.vault, definition, "v1");
        // One pass changes only aggregating roles; a second one follows roles that aggregate those.
        for _ in 0..8 {
            let stale = self.facts().stale_aggregates();
            if stale.is_empty() {
                return;
            }
            for (name, rules) in stale {
                let key = Key { resource: shape.resource.clone(), namespace: "".into(), name: name.as_str().into() };
                let Ok(Some(record)) = self.inner.store.get(&key).await else { continue };
                let Ok(mut role) = shape.read(&record) else { continue };
                role.0.insert("rules".into(), rules);
                let Ok(body) = shape.body(&role) else { continue };
                let write = Write { key, precondition: Precondition::At(record.revision), op: Op::Put(body) };
                if let Err(error) = self.inner.store.commit(vec![write]).await {
                    tracing::error!(name, %error, "the rules of an aggregating ClusterRole cannot be written");
                    return;
                }
                self.facts().observe(facts::CLUSTER_ROLES, "", &name, Some(&role));
            }
        }
    }
}
