//! CustomResourceDefinition: rules of the definition itself, stored versions, the cleanup finalizer (rows X2, X5, X6, X15, X19).

use super::Kind;
use crate::crds::{CLEANUP_FINALIZER, set_condition};
use crate::request::Subresource;
use otternauts_meta::{ErrorList, GroupResource, Object, Status, Timestamp};
use otternauts_schema::crd;
use serde_json::{Value, json};

pub(super) struct Crd;

impl Kind for Crd {
    fn has_generation(&self) -> bool {
        true
    }

    fn unconditional_update(&self) -> bool {
        false
    }

    fn prepare_create(&self, object: &mut Object) {
        crd::default_names(object);
        let stored: Vec<Value> = storage_version(object).into_iter().map(Value::from).collect();
        let status = json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored});
        object.0.insert("status".into(), status);
    }

    fn prepare_update(&self, object: &mut Object, _old: &Object, subresource: Subresource) {
        crd::default_names(object);
        if subresource == Subresource::Status {
            return;
        }
        let Some(storage) = storage_version(object) else { return };
        let stored = object.0.get_mut("status").and_then(|s| s.get_mut("storedVersions")).and_then(Value::as_array_mut);
        if let Some(stored) = stored
            && !stored.iter().any(|v| v.as_str() == Some(&storage))
        {
            stored.push(storage.into());
        }
    }

    fn prune(&self, object: &mut Object) -> Vec<String> {
        crd::prune_schemas(object)
    }

    fn validate(&self, object: &Object, old: Option<&Object>, _subresource: Subresource) -> ErrorList {
        let mut errors = ErrorList::new();
        // What is stored and has not changed is not judged again: a stricter server never blocks finalizers or labels.
        let same = old.is_some_and(|old| {
            old.at(&["spec"]) == object.at(&["spec"])
                && old.at(&["status", "storedVersions"]) == object.at(&["status", "storedVersions"])
        });
        if !same {
            errors.extend(crd::validate(object));
        }
        if let Some(old) = old {
            errors.extend(crd::validate_update(object, old));
        }
        errors
    }

    fn has_grace_period(&self) -> bool {
        false
    }

    fn prepare_delete(&self, object: &mut Object, _resource: &GroupResource, now: &str) -> Result<(), Status> {
        if object.is_terminating() {
            return Ok(());
        }
        if !object.finalizers().contains(&CLEANUP_FINALIZER) {
            let slot = object.metadata_mut().entry("finalizers").or_insert_with(|| json!([]));
            if let Some(list) = slot.as_array_mut() {
                list.push(CLEANUP_FINALIZER.into());
            }
        }
        if let Some(now) = Timestamp::parse(now) {
            let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
            set_condition(object, "Terminating", true, "InstanceDeletionPending", message, now);
        }
        Ok(())
    }
}

fn storage_version(object: &Object) -> Option<String> {
    let versions = object.at(&["spec", "versions"])?.as_array()?;
    let storage = versions.iter().find(|v| v.get("storage") == Some(&Value::Bool(true)))?;
    Some(storage.get("name")?.as_str()?.to_owned())
}
