//! PATCH in its four forms (sections 1.10 and 1.11).

use super::change::{Change, Missing};
use crate::Served;
use crate::registry::Registry;
use crate::request::{Caller, FieldValidation, PatchType, Subresource, Target, WriteOptions};
use crate::shape::as_object;
use crate::writing::{Origin, Writing, options_error};
use crate::yaml;
use bytes::Bytes;
use otternauts_meta::{FieldError, Object, Path, Status};
use otternauts_patch::{decode, json_patch, merge_patch, strategic_merge};
use serde_json::Value;

impl Registry {
    /// `patch` is the body as sent: JSON, or YAML for [`PatchType::Apply`].
    pub async fn patch(
        &self,
        caller: &Caller,
        target: &Target,
        kind: PatchType,
        patch: Bytes,
        options: &WriteOptions,
    ) -> Result<Served, Status> {
        if target.subresource == Subresource::Scale {
            return self.patch_scale(caller, target, kind, &patch, options).await;
        }
        let mut writing = Writing::new(self, caller, target, options);
        writing.is_patch = true;
        let key = writing.shape.key(target, target.name.as_deref().unwrap_or_default());
        if kind == PatchType::Apply {
            let applied = read_apply(&writing, &patch, options)?;
            let _turn = self.lane(&key).await;
            return self.apply(&writing, &applied, options).await;
        }
        if options.force.is_some() {
            let error = FieldError::forbidden(&Path::new("force"), "may not be specified for non-apply patch");
            return Err(options_error("PatchOptions", error));
        }
        writing.is_plain_patch = true;
        let patch = decode(&patch)?;
        if kind != PatchType::Json && !patch.is_object() {
            let found = match patch {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                _ => "number",
            };
            return Err(Status::bad_request(format!(
                "error decoding patch: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
            )));
        }
        let modify = |old: &Object| {
            let before = Value::Object(old.0.clone());
            let after = match kind {
                PatchType::Json => json_patch(before, patch.clone())?,
                PatchType::Strategic => strategic_merge(before, patch.clone(), &writing.shape.served().schema)?,
                PatchType::Merge | PatchType::Apply => merge_patch(before, patch.clone()),
            };
            let mut object = writing.take_in(as_object(after), &Origin::Patch)?;
            writing.check_place(&mut object)?;
            Ok(Change { object, owned: false })
        };
        let _turn = self.lane(&key).await;
        self.change(&writing, options.dry_run, Missing::NotFound, &modify).await
    }

    async fn apply(&self, writing: &Writing<'_>, applied: &Object, options: &WriteOptions) -> Result<Served, Status> {
        let force = options.force.unwrap_or_default();
        let finish = |live: Option<&Object>| {
            let mut applied = applied.clone();
            let asked = applied.resource_version().to_owned();
            applied.set_meta_str("resourceVersion", "");
            let object = writing.apply(live, &applied, force)?;
            // What stands in the live object beside the applied fields was taken in before.
            let mut object = writing.take_in(object, &Origin::Apply)?;
            writing.check_place(&mut object)?;
            if let Some(live) = live {
                let version = if asked.is_empty() { live.resource_version() } else { &asked };
                object.set_meta_str("resourceVersion", version);
            }
            Ok(object)
        };
        let make = || {
            let uid = applied.uid();
            if !uid.is_empty() {
                let why =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                return Err(Status::conflict(&writing.resource, applied.name(), &why));
            }
            finish(None)
        };
        let modify = |old: &Object| finish(Some(old)).map(|object| Change { object, owned: true });
        // Row A19: a subresource never creates.
        let missing = match writing.target.subresource {
            Subresource::None => Missing::Apply(&make),
            _ => Missing::NotFound,
        };
        self.change(writing, options.dry_run, missing, &modify).await
    }
}

/// Rows A1, A3, F5.
fn read_apply(writing: &Writing<'_>, patch: &[u8], options: &WriteOptions) -> Result<Object, Status> {
    if options.field_manager.is_empty() {
        let error = FieldError::required(&Path::new("fieldManager"), "is required for apply patch");
        return Err(options_error("PatchOptions", error));
    }
    let document = yaml::read(patch).map_err(|why| Status::bad_request(format!("error decoding YAML: {why}")))?;
    if let Some(duplicate) = document.duplicate {
        match options.field_validation {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => writing.caller.warn(duplicate),
            FieldValidation::Strict => {
                return Err(Status::bad_request(format!(
                    "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {duplicate}"
                )));
            }
        }
    }
    let Ok(mut applied) = Object::from_value(document.value) else {
        return Err(Status::bad_request("error decoding YAML: the applied configuration must be an object"));
    };
    let found = format!("{}, Kind={}", applied.api_version(), applied.kind());
    if found != writing.gvk.to_string() {
        return Err(Status::bad_request(format!("invalid object type: {found}")));
    }
    if applied.name().is_empty() {
        applied.set_meta_str("name", writing.target.name.as_deref().unwrap_or_default());
    }
    for key in ["creationTimestamp", "generation", "selfLink"] {
        applied.metadata_mut().shift_remove(key);
    }
    Ok(applied)
}
