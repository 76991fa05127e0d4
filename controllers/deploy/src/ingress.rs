//! The ingress that a Stack is rendered for. The ingress controller deploys it; both know only the Cluster, never each other.

use crate::error::{Error, Result};
use crate::inputs::cluster_of;
use kube::{Api, Client};
use otternauts_compose::{Place, label};
use otternauts_types::{Cluster, SYSTEM_NAMESPACE, Stack};
use std::collections::BTreeMap;

/// Of a domain that another Stack has, in the status that the ingress controller writes.
const CONFLICT: &str = "DomainConflict";

/// `None`: there is no such Cluster.
pub async fn place(client: &Client, stack: &Stack) -> Result<Option<Place>> {
    let api: Api<Cluster> = Api::all(client.clone());
    let cluster = api.get_opt(cluster_of(stack)).await.map_err(Error::api("read the Cluster"))?;
    let created = stack.metadata.creation_timestamp.as_ref().map_or(0, |t| t.0.as_second());
    let domains = stack.status.iter().flat_map(|s| &s.domains).filter(|d| d.reason.as_deref() != Some(CONFLICT));
    let granted = domains.map(|d| (d.host.clone(), d.path.clone().unwrap_or_else(|| "/".to_owned()))).collect();
    Ok(cluster.map(|c| Place { provider: c.spec.ingress.unwrap_or_default().provider, created, granted }))
}

/// Of the network: it is nobody's but ours, so that no compose file can declare it external.
pub fn labels() -> BTreeMap<String, String> {
    let labels = [(label::NAMESPACE, SYSTEM_NAMESPACE), (label::STACK, "otternauts-ingress")];
    labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}
