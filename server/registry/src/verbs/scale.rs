//! The `/scale` subresource of custom kinds (row S7).

use super::change::{Change, Missing};
use crate::registry::Registry;
use crate::request::{Body, Caller, PatchType, Target, WriteOptions};
use crate::shape::{Shape, as_object};
use crate::writing::Writing;
use crate::{Served, json};
use bytes::Bytes;
use otternauts_meta::{FieldError, GroupVersionKind, Object, Path, Status};
use otternauts_patch::{decode, json_patch, merge_patch};
use otternauts_schema::Scale;
use otternauts_store::Record;
use serde_json::{Map, Value, json};

impl Registry {
    pub(super) fn scale_of(&self, shape: &Shape, record: &Record) -> Result<Bytes, Status> {
        let object = shape.read(record)?;
        Ok(encode(&view(shape, &object)?))
    }

    pub(super) async fn update_scale(
        &self,
        caller: &Caller,
        target: &Target,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Served, Status> {
        self.change_scale(caller, target, options, &|_| Ok(Value::Object(body.object.0.clone()))).await
    }

    pub(super) async fn patch_scale(
        &self,
        caller: &Caller,
        target: &Target,
        kind: PatchType,
        patch: &Bytes,
        options: &WriteOptions,
    ) -> Result<Served, Status> {
        if !matches!(kind, PatchType::Json | PatchType::Merge) {
            return Err(Status::unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
                 application/merge-patch+json",
            ));
        }
        let patch = decode(patch)?;
        let modify = |scale: Value| match kind {
            PatchType::Json => Ok(json_patch(scale, patch.clone())?),
            _ => Ok(merge_patch(scale, patch.clone())),
        };
        self.change_scale(caller, target, options, &modify).await
    }

    async fn change_scale(
        &self,
        caller: &Caller,
        target: &Target,
        options: &WriteOptions,
        modify: &(dyn Fn(Value) -> Result<Value, Status> + Sync),
    ) -> Result<Served, Status> {
        let mut writing = Writing::new(self, caller, target, options);
        writing.is_patch = true;
        let scale = scale(&writing.shape, target.name.as_deref().unwrap_or_default())?.clone();
        let change = |old: &Object| {
            let wanted = as_object(modify(view(&writing.shape, old)?)?);
            let replicas = wanted.at(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or_default();
            if replicas < 0 {
                let path = Path::new("spec.replicas");
                let error = FieldError::invalid(&path, replicas, "must be greater than or equal to 0");
                let gvk = GroupVersionKind::new("autoscaling", "v1", "Scale");
                return Err(Status::invalid(&gvk, old.name(), &vec![error]));
            }
            let mut object = old.clone();
            set(&mut object, &scale.spec_replicas_path, replicas.into());
            object.set_meta_str("resourceVersion", wanted.resource_version());
            Ok(Change { object, owned: false })
        };
        let key = writing.shape.key(target, target.name.as_deref().unwrap_or_default());
        let _turn = self.lane(&key).await;
        let served = self.change(&writing, options.dry_run, Missing::NotFound, &change).await?;
        let value =
            serde_json::from_slice(&served.bytes).map_err(|_| Status::internal("the object could not be read"))?;
        let bytes = encode(&view(&writing.shape, &as_object(value))?);
        Ok(Served { bytes, created: false })
    }
}

/// Row S9 for kinds without the subresource.
fn scale<'s>(shape: &'s Shape, name: &str) -> Result<&'s Scale, Status> {
    let missing = || Status::not_found(&shape.definition.group_resource(), name);
    shape.served().scale.as_ref().ok_or_else(missing)
}

fn view(shape: &Shape, object: &Object) -> Result<Value, Status> {
    let scale = scale(shape, object.name())?;
    let Some(replicas) = at(object, &scale.spec_replicas_path).filter(|v| v.is_i64()) else {
        let path = &scale.spec_replicas_path;
        return Err(Status::internal(&format!("the spec replicas field {path:?} does not exist")));
    };
    let mut metadata = Map::new();
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.metadata().and_then(|m| m.get(key)) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let mut status = Map::new();
    let current = at(object, &scale.status_replicas_path).filter(|v| v.is_i64()).cloned();
    status.insert("replicas".into(), current.unwrap_or_else(|| 0.into()));
    if let Some(selector) = scale.label_selector_path.as_deref().and_then(|path| at(object, path)) {
        status.insert("selector".into(), selector.clone());
    }
    Ok(json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": {"replicas": replicas}, "status": status,
    }))
}

fn encode(scale: &Value) -> Bytes {
    let mut out = Vec::new();
    json::write(&mut out, scale);
    Bytes::from(out)
}

fn keys(path: &str) -> Vec<&str> {
    path.trim_start_matches('.').split('.').collect()
}

fn at<'o>(object: &'o Object, path: &str) -> Option<&'o Value> {
    object.at(&keys(path))
}

fn set(object: &mut Object, path: &str, value: Value) {
    let keys = keys(path);
    let Some((last, parents)) = keys.split_last() else { return };
    let mut map = &mut object.0;
    for key in parents {
        let slot = map.entry((*key).to_owned()).or_insert_with(|| Value::Object(Map::new()));
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        let Some(next) = slot.as_object_mut() else { return };
        map = next;
    }
    map.insert((*last).to_owned(), value);
}
