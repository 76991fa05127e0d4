//! Changes to one service that leave everything else of its spec as it is.

use super::{Docker, transport};
use crate::bareword::path_segment;
use crate::error::{Error, Result};
use bollard::query_parameters::PruneImagesOptions;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Labels by name; none: the label goes.
pub type Labels = BTreeMap<String, Option<String>>;

/// What came of a change that was asked for at a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Now,
    /// Somebody, perhaps we, changed it since that version: nothing was done.
    Before,
}

impl Docker {
    /// Gives every task of a service a successor, as its update settings say (`docker service update --force`).
    pub async fn service_restart(&self, id: &str, version: u64) -> Result<Changed> {
        let again = |spec: &mut Value| {
            let count = spec["TaskTemplate"]["ForceUpdate"].as_u64().unwrap_or_default();
            spec["TaskTemplate"]["ForceUpdate"] = json!(count.wrapping_add(1));
        };
        self.service_change(id, version, again).await
    }

    /// Lets a paused update go on: any order for a service, also the same again, makes the swarm look at its slots anew.
    pub async fn service_resume(&self, id: &str, version: u64) -> Result<Changed> {
        self.service_change(id, version, |_| {}).await
    }

    /// Sets the number of replicas of a replicated service.
    pub async fn service_scale(&self, id: &str, version: u64, replicas: u64) -> Result<Changed> {
        self.service_change(id, version, |spec| spec["Mode"]["Replicated"]["Replicas"] = json!(replicas)).await
    }

    /// Sets labels of a service, or removes those whose value is `None`. No task is restarted.
    pub async fn service_label(&self, id: &str, version: u64, labels: &Labels) -> Result<Changed> {
        let relabel = |spec: &mut Value| {
            for (name, value) in labels {
                match (value, spec["Labels"].as_object_mut()) {
                    (Some(value), _) => spec["Labels"][name.as_str()] = json!(value),
                    (None, Some(known)) => drop(known.remove(name)),
                    (None, None) => {}
                }
            }
        };
        self.service_change(id, version, relabel).await
    }

    async fn service_change(&self, id: &str, version: u64, change: impl FnOnce(&mut Value)) -> Result<Changed> {
        path_segment("the service id", id)?;
        let service = transport::json(&self.host, Method::GET, &format!("{}/services/{id}", self.prefix), None).await?;
        if service["Version"]["Index"].as_u64() != Some(version) {
            return Ok(Changed::Before);
        }
        let mut spec = service["Spec"].clone();
        change(&mut spec);
        let path = format!("{}/services/{id}/update?version={version}", self.prefix);
        match transport::json(&self.host, Method::POST, &path, Some(&spec)).await {
            Ok(_) => Ok(Changed::Now),
            // Changed between the question and the order: the swarm compares the versions.
            Err(Error::Docker { message, .. }) if message.contains("update out of sequence") => Ok(Changed::Before),
            Err(e) => Err(e),
        }
    }

    /// Removes the images that no container uses; answers how many bytes that freed.
    pub async fn images_prune(&self) -> Result<u64> {
        let filters = [("dangling".to_owned(), vec!["false".to_owned()])].into();
        let options = PruneImagesOptions { filters: Some(filters) };
        let pruned = self.api.prune_images(Some(options)).await.map_err(super::explain)?;
        Ok(pruned.space_reclaimed.and_then(|n| u64::try_from(n).ok()).unwrap_or_default())
    }
}
