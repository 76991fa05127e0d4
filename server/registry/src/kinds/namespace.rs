//! Namespace: the label, the `kubernetes` finalizer in its spec, and a phase (rows B1, B2, B4, B6).

use super::{Kind, text_at};
use crate::request::Subresource;
use otternauts_meta::names::NameRule;
use otternauts_meta::{ErrorList, FieldError, GroupResource, Object, Path, Status};
use serde_json::{Map, Value, json};

/// Every namespace carries its own name under this label.
pub(crate) const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Row B1, and the namespace that holds the fleet's SSH keys and the controllers' accounts.
pub(crate) const UNDELETABLE: [&str; 4] = ["default", "kube-system", "kube-public", otternauts_types::SYSTEM_NAMESPACE];

pub(super) struct Namespace;

impl Kind for Namespace {
    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }

    fn never_owned(&self) -> &'static [&'static str] {
        &["spec"]
    }

    fn prepare_create(&self, object: &mut Object) {
        object.0.insert("spec".into(), json!({"finalizers": ["kubernetes"]}));
        object.0.insert("status".into(), json!({"phase": "Active"}));
        label(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object, subresource: Subresource) {
        label(object);
        if subresource == Subresource::Finalize {
            return;
        }
        if subresource == Subresource::Status
            && text_at(object, &["status", "phase"]).is_empty()
            && let Some(status) = section(object, "status")
        {
            status.insert("phase".into(), "Active".into());
        }
        // Its finalizers change on /finalize only.
        let keep = old.at(&["spec", "finalizers"]).cloned();
        if let Some(spec) = section(object, "spec") {
            match keep {
                Some(finalizers) => spec.insert("finalizers".into(), finalizers),
                None => spec.shift_remove("finalizers"),
            };
        }
    }

    fn prepare_delete(&self, object: &mut Object, resource: &GroupResource, _now: &str) -> Result<(), Status> {
        if UNDELETABLE.contains(&object.name()) {
            return Err(Status::forbidden(resource, object.name(), "this namespace may not be deleted"));
        }
        if let Some(status) = section(object, "status") {
            status.insert("phase".into(), "Terminating".into());
        }
        Ok(())
    }

    fn validate(&self, object: &Object, _old: Option<&Object>, subresource: Subresource) -> ErrorList {
        match subresource {
            Subresource::Finalize => {}
            Subresource::Status => return phase(object).into_iter().collect(),
            _ => return ErrorList::new(),
        }
        let list = object.at(&["spec", "finalizers"]).and_then(Value::as_array).cloned().unwrap_or_default();
        let path = Path::new("spec.finalizers");
        let text = "name is neither a standard finalizer name nor is it fully qualified";
        let bare = |f: &str| f != "kubernetes" && !f.contains('/');
        list.iter()
            .filter_map(Value::as_str)
            .enumerate()
            .filter(|(_, f)| bare(f))
            .map(|(i, f)| FieldError::invalid(&path.index(i), f, text))
            .collect()
    }

    fn has_grace_period(&self) -> bool {
        false
    }

    fn is_finished(&self, object: &Object) -> bool {
        object.at(&["spec", "finalizers"]).and_then(Value::as_array).is_none_or(Vec::is_empty)
    }

    fn delete_collection(&self) -> bool {
        false
    }

    fn field_labels(&self) -> &'static [&'static str] {
        &["status.phase"]
    }
}

/// The phase follows from the deletion timestamp: nobody may say otherwise.
fn phase(object: &Object) -> Option<FieldError> {
    let (only, when) = match object.is_terminating() {
        true => ("Terminating", "not empty"),
        false => ("Active", "empty"),
    };
    let phase = text_at(object, &["status", "phase"]);
    let detail = format!("may only be '{only}' if `deletionTimestamp` is {when}");
    (phase != only).then(|| FieldError::invalid(&Path::new("status.Phase"), phase, detail))
}

fn section<'a>(object: &'a mut Object, name: &str) -> Option<&'a mut Map<String, Value>> {
    let slot = object.0.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

fn label(object: &mut Object) {
    let name = object.name().to_owned();
    if name.is_empty() {
        return;
    }
    let labels = object.metadata_mut().entry("labels").or_insert_with(|| Value::Object(Map::new()));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(NAME_LABEL.into(), name.into());
    }
}
