//! One container, asked of the engine that runs it.

use super::types::Container;
use super::{Docker, explain};
use crate::bareword::path_segment;
use crate::error::{Error, Result};
use crate::output::tail;
use bollard::models;
use bollard::query_parameters::InspectContainerOptions;

impl Docker {
    /// None when this engine has no such container (any more).
    pub async fn container(&self, id: &str) -> Result<Option<Container>> {
        path_segment("the container id", id)?;
        match self.api.inspect_container(id, None::<InspectContainerOptions>).await.map_err(explain) {
            Ok(found) => Ok(Some(found.state.map(Container::from).unwrap_or_default())),
            Err(Error::Docker { status: 404, .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl From<models::ContainerState> for Container {
    fn from(s: models::ContainerState) -> Self {
        let health = s.health.unwrap_or_default();
        Self {
            running: s.running.unwrap_or_default(),
            oom_killed: s.oom_killed.unwrap_or_default(),
            exit_code: s.exit_code,
            error: s.error.unwrap_or_default(),
            health: health.status.map(|h| h.to_string()).filter(|h| !h.is_empty() && h != "none"),
            health_log: health
                .log
                .unwrap_or_default()
                .into_iter()
                .filter_map(|r| r.output)
                .map(|text| tail(crate::output::clean(text.as_bytes()).trim(), 1024).to_owned())
                .collect(),
        }
    }
}
