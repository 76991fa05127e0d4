//! What a service with domains gets besides what its author wrote: a place on the ingress network, and labels that say which
//! requests are its own (OT-31 to OT-33, R35). All rules are built from parsed hosts and paths, never from an author's text.

use crate::service::Service;
use otternauts_types::cluster::IngressProvider;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The overlay network that the cluster's ingress and all services with domains share. Its name does not depend on the provider:
/// changing the provider restarts no task.
pub const INGRESS_NETWORK: &str = "traefik-public";
/// Of a service: a JSON list of [`Route`].
pub const ROUTES_LABEL: &str = "otternauts.dev/routes";
/// The name of the certificate resolver in Traefik's configuration.
pub const CERT_RESOLVER: &str = "acme";
/// Where a container without any stated port is asked.
const DEFAULT_PORT: u16 = 80;
/// No request has this host: the name is reserved.
pub const NOWHERE: &str = "Host(`otternauts.invalid`)";
/// Paths count for a route's priority up to this length.
const MAX_PATH: usize = 1023;

/// The ingress of the cluster that a stack is rendered for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub provider: IngressProvider,
    /// When the Stack was created, in Unix seconds: of two with the same domain the older keeps it.
    pub created: i64,
    /// The hosts and paths that the ingress controller has given to the Stack. Others are not routed before it has: they may
    /// belong to another Stack (K13).
    pub granted: BTreeSet<(String, String)>,
}

/// One host and path, and the port of the container that answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    pub host: String,
    /// Begins with `/`; ends with it only when it is all of the host.
    pub path: String,
    pub port: u16,
}

/// Who keeps a domain: the greater value. Older Stacks have greater ones; of the same second, a hash decides.
pub fn rank(created: i64, namespace: &str, stack: &str) -> u64 {
    let age = u64::from(u32::MAX - u32::try_from(created.max(0)).unwrap_or(u32::MAX));
    let hash = Sha256::digest(format!("{namespace}/{stack}"));
    let tie = (u64::from(hash[0]) << 8 | u64::from(hash[1])) >> 4;
    age << 12 | tie
}

/// The routes of a service, in the author's order.
pub fn routes(service: &Service) -> Vec<Route> {
    let ingress = &service.ingress;
    let route = |d: &crate::ingress::Domain| {
        let path = match d.path.trim_end_matches('/') {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        Route { host: d.host.clone(), path, port: d.port.or(ingress.port).unwrap_or(DEFAULT_PORT) }
    };
    ingress.domains.iter().map(route).collect()
}

/// What is added to a service.
pub(crate) struct Joined {
    /// The service's networks in the document, with the ingress network under its key.
    pub networks: Json,
    pub labels: Map<String, Json>,
    /// Labels that say [`NOWHERE`] until the ingress controller knows better. They are no part of the service's hash: what is
    /// granted later is no change of it.
    pub withheld: Vec<String>,
}

/// `None`: the service has no domains, or nobody of ours serves them. `key` names the network in the document.
pub(crate) fn join(service: &Service, place: Option<&Place>, key: &str, who: &Who<'_>) -> Option<Joined> {
    let place = place.filter(|p| p.provider != IngressProvider::None)?;
    let routes = routes(service);
    if routes.is_empty() || service.is_job() {
        return None;
    }
    let mut networks = match service.body.get("networks") {
        Some(Json::Object(own)) => own.clone(),
        _ => Map::from_iter([("default".to_owned(), json!({}))]),
    };
    networks.insert(key.to_owned(), json!({}));
    let (mut labels, mut withheld) = (Map::new(), Vec::new());
    labels.insert(ROUTES_LABEL.into(), json!(json!(routes).to_string()));
    if place.provider == IngressProvider::Traefik {
        labels.extend(traefik(&routes, service, place, who).into_iter().map(|(k, v)| (k, Json::String(v))));
        let id = router_name(who.swarm_stack, &service.name);
        let waits = |r: &Route| !place.granted.contains(&(r.host.clone(), r.path.clone()));
        let waiting = routes.iter().enumerate().filter(|(_, r)| waits(r));
        withheld.extend(waiting.map(|(i, _)| format!("traefik.http.routers.{id}-{i}.rule")));
    }
    Some(Joined { networks: Json::Object(networks), labels, withheld })
}

/// Whose service it is.
pub(crate) struct Who<'a> {
    pub swarm_stack: &'a str,
    pub namespace: &'a str,
    pub stack: &'a str,
}

/// Labels for Traefik 3 (OT-32), but for `tls.certresolver`: with it Traefik asks for a certificate at once, so the ingress
/// controller adds it when DNS and port 80 are right (OT-36).
fn traefik(routes: &[Route], service: &Service, place: &Place, who: &Who<'_>) -> Vec<(String, String)> {
    let id = router_name(who.swarm_stack, &service.name);
    let mut labels = vec![
        ("traefik.enable".to_owned(), "true".to_owned()),
        ("traefik.swarm.network".to_owned(), INGRESS_NETWORK.to_owned()),
        (format!("traefik.http.middlewares.{id}-retry.retry.attempts"), "4".to_owned()),
        (format!("traefik.http.middlewares.{id}-retry.retry.initialinterval"), "100ms".to_owned()),
    ];
    let rank = rank(place.created, who.namespace, who.stack);
    for (i, route) in routes.iter().enumerate() {
        let router = format!("traefik.http.routers.{id}-{i}");
        let length = u64::try_from(route.path.len().min(MAX_PATH)).unwrap_or_default();
        let backend = format!("{id}-{}", route.port);
        labels.extend([
            (format!("{router}.rule"), rule(route)),
            (format!("{router}.entrypoints"), "websecure".to_owned()),
            (format!("{router}.tls"), "true".to_owned()),
            (format!("{router}.priority"), (length << 44 | rank).to_string()),
            (format!("{router}.middlewares"), format!("{id}-retry")),
            (format!("{router}.service"), backend.clone()),
            (format!("traefik.http.services.{backend}.loadbalancer.server.port"), route.port.to_string()),
        ]);
    }
    labels.sort();
    labels.dedup();
    labels
}

/// Unique for each service of each stack; Traefik's names have no dots.
fn router_name(swarm_stack: &str, service: &str) -> String {
    if !service.contains('.') {
        return format!("{swarm_stack}_{service}");
    }
    let hash = hex::encode(Sha256::digest(service));
    format!("{swarm_stack}_{}-{}", service.replace('.', "-"), &hash[..8])
}

/// Traefik's rule for a route.
pub fn rule(route: &Route) -> String {
    let host = format!("Host(`{}`)", route.host);
    match route.path.as_str() {
        "/" => host,
        path => format!("{host} && (Path(`{path}`) || PathPrefix(`{path}/`))"),
    }
}

#[cfg(test)]
mod tests;
