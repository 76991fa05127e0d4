//! DELETE of a collection (row G9).

use crate::registry::Registry;
use crate::request::{Caller, DeleteOptions, ListOptions, Target};
use crate::{ServedList, encode};
use otternauts_meta::Status;

impl Registry {
    /// The items as they were before (row G9).
    pub async fn delete_collection(
        &self,
        caller: &Caller,
        target: &Target,
        list: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<ServedList, Status> {
        let shape = self.shape(target);
        if !shape.kind.delete_collection() {
            return Err(Status::method_not_allowed());
        }
        if options.ignore_read_error {
            return Err(Status::bad_request("an object that cannot be read is deleted by its name"));
        }
        let chosen = self.choose(&shape, target, list).await?;
        let mut items = Vec::with_capacity(chosen.records.len());
        for record in &chosen.records {
            let one = Target {
                namespace: shape.definition.is_namespaced().then(|| record.key.namespace.to_string()),
                name: Some(record.key.name.to_string()),
                ..target.clone()
            };
            match self.delete(caller, &one, options).await {
                Ok(_) => items.push(shape.serve(record)?),
                // Gone meanwhile is gone.
                Err(status) if status.reason == "NotFound" => {}
                Err(status) => return Err(status),
            }
        }
        Ok(ServedList {
            items,
            rest: None,
            item_cut: encode::cut(&shape.definition, &shape.version),
            resource_version: chosen.revision.to_string(),
            continue_token: chosen.continue_token,
            remaining: chosen.remaining,
        })
    }
}
