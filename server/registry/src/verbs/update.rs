//! PUT (rows C4 to C13, S2, S3).

use super::change::{Change, Missing};
use crate::Served;
use crate::registry::Registry;
use crate::request::{Body, Caller, Subresource, Target, WriteOptions};
use crate::writing::{Origin, Writing};
use otternauts_meta::{FieldError, GroupVersionKind, Object, Path, Status};

impl Registry {
    pub async fn update(
        &self,
        caller: &Caller,
        target: &Target,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Served, Status> {
        if target.subresource == Subresource::Scale {
            return self.update_scale(caller, target, body, options).await;
        }
        let writing = Writing::new(self, caller, target, options);
        let mut object = writing.take_in(body.object, &Origin::Body { duplicates: &body.duplicates })?;
        writing.check_place(&mut object)?;
        let creates = writing.shape.kind.create_on_update() && target.subresource == Subresource::None;
        let missing = if creates { Missing::Create(&object) } else { Missing::NotFound };
        let modify = |old: &Object| {
            let uid = object.uid();
            if !uid.is_empty() && uid != old.uid() {
                let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", old.uid());
                return Err(Status::conflict(&writing.resource, old.name(), &why));
            }
            Ok(Change { object: object.clone(), owned: false })
        };
        self.change(&writing, options.dry_run, missing, &modify).await
    }
}

/// The version a body names; `0` names none.
pub(super) fn asked_version(object: &Object) -> Result<Option<u64>, Status> {
    let text = object.resource_version();
    let version = super::parse_version(text).map_err(|error| {
        Status::bad_request(error.to_string().replacen("resourceVersion:", "metadata.resourceVersion:", 1))
    })?;
    Ok(version.filter(|v| *v > 0))
}

/// Row C8: the details name the plural here.
pub(super) fn version_required(writing: &Writing<'_>, object: &Object) -> Status {
    let error = FieldError::invalid(&Path::new("metadata.resourceVersion"), 0, "must be specified for an update");
    let plural = GroupVersionKind::new(&writing.gvk.group, "", &writing.resource.resource);
    Status::invalid(&plural, object.name(), &vec![error])
}
