//! Networks, secrets and configs of the swarm.

use super::types::{NamedObject, Network};
use super::workload::stack_filter;
use super::{Docker, explain};
use crate::bareword::{StackName, path_segment};
use crate::error::{Error, Result};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bollard::models;
use bollard::query_parameters::{ListConfigsOptions, ListNetworksOptions, ListSecretsOptions};
use otternauts_meta::Secret;
use std::collections::BTreeMap;

type Labels = BTreeMap<String, String>;

impl Docker {
    pub async fn networks(&self, stack: Option<&StackName>) -> Result<Vec<Network>> {
        let options = ListNetworksOptions { filters: stack_filter(stack) };
        let networks = self.api.list_networks(Some(options)).await.map_err(explain)?;
        Ok(networks
            .into_iter()
            .map(|n| Network {
                id: n.id.unwrap_or_default(),
                name: n.name.unwrap_or_default(),
                driver: n.driver.unwrap_or_default(),
                scope: n.scope.unwrap_or_default(),
                attachable: n.attachable.unwrap_or_default(),
                labels: n.labels.unwrap_or_default().into_iter().collect(),
            })
            .collect())
    }

    /// An attachable overlay network; answers its id. The engine answers 409 when the name is taken.
    pub async fn network_create(&self, name: &str, labels: &Labels) -> Result<String> {
        let request = models::NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("overlay".to_owned()),
            attachable: Some(true),
            labels: Some(labels.clone().into_iter().collect()),
            ..Default::default()
        };
        Ok(self.api.create_network(request).await.map_err(explain)?.id)
    }

    pub async fn network_remove(&self, id: &str) -> Result<()> {
        path_segment("the network id", id)?;
        gone_is_removed(self.api.remove_network(id).await.map_err(explain))
    }

    pub async fn secrets(&self, stack: Option<&StackName>) -> Result<Vec<NamedObject>> {
        let options = ListSecretsOptions { filters: stack_filter(stack) };
        let secrets = self.api.list_secrets(Some(options)).await.map_err(explain)?;
        Ok(secrets
            .into_iter()
            .map(|s| {
                let spec = s.spec.unwrap_or_default();
                named(s.id, spec.name, spec.labels)
            })
            .collect())
    }

    /// Answers the id; 409 when the name is taken.
    pub async fn secret_create(&self, name: &str, labels: &Labels, data: &Secret<Vec<u8>>) -> Result<String> {
        let spec = models::SecretSpec {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            data: Some(BASE64_STANDARD.encode(data.expose())),
            ..Default::default()
        };
        Ok(self.api.create_secret(spec).await.map_err(explain)?.id)
    }

    pub async fn secret_remove(&self, id: &str) -> Result<()> {
        path_segment("the secret id", id)?;
        gone_is_removed(self.api.delete_secret(id).await.map_err(explain))
    }

    pub async fn configs(&self, stack: Option<&StackName>) -> Result<Vec<NamedObject>> {
        let options = ListConfigsOptions { filters: stack_filter(stack) };
        let configs = self.api.list_configs(Some(options)).await.map_err(explain)?;
        Ok(configs
            .into_iter()
            .map(|c| {
                let spec = c.spec.unwrap_or_default();
                named(c.id, spec.name, spec.labels)
            })
            .collect())
    }

    /// Answers the id; 409 when the name is taken.
    pub async fn config_create(&self, name: &str, labels: &Labels, data: &[u8]) -> Result<String> {
        let spec = models::ConfigSpec {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            data: Some(BASE64_STANDARD.encode(data)),
            ..Default::default()
        };
        Ok(self.api.create_config(spec).await.map_err(explain)?.id)
    }

    pub async fn config_remove(&self, id: &str) -> Result<()> {
        path_segment("the config id", id)?;
        gone_is_removed(self.api.delete_config(id).await.map_err(explain))
    }
}

fn named(
    id: Option<String>,
    name: Option<String>,
    labels: Option<std::collections::HashMap<String, String>>,
) -> NamedObject {
    NamedObject {
        id: id.unwrap_or_default(),
        name: name.unwrap_or_default(),
        labels: labels.unwrap_or_default().into_iter().collect(),
    }
}

fn gone_is_removed(result: Result<()>) -> Result<()> {
    match result {
        Err(Error::Docker { status: 404, .. }) => Ok(()),
        other => other,
    }
}
