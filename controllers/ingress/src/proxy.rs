//! The stack of the proxy, as `docker stack deploy` takes it. Pure; golden-tested to the byte.

use crate::{caddy, traefik};
use otternauts_compose::{INGRESS_NETWORK, label};
use otternauts_types::SYSTEM_NAMESPACE;
use otternauts_types::cluster::{Acme, ClusterSpec, Ingress, IngressProvider, PublishMode};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// The stack's name in the swarm.
pub const STACK: &str = "otternauts-ingress";
/// Where the container finds the certificates of a private certificate authority.
pub const ACME_CA: &str = "/etc/otternauts/acme-ca.pem";
const PRODUCTION: &str = "https://acme-v02.api.letsencrypt.org/directory";
const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// A config of the swarm that the proxy reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Holds a hash of the content: new content is a new config.
    pub name: String,
    pub key: &'static str,
    pub target: &'static str,
    pub content: String,
}

/// What should run.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    pub provider: IngressProvider,
    pub service: &'static str,
    pub image: String,
    /// The image's tag, for people.
    pub version: String,
    pub configs: Vec<Config>,
    /// Without our labels: what a hash is made of.
    body: Map<String, Value>,
    volumes: Map<String, Value>,
}

/// `Err`: why this cannot be deployed, for people.
pub fn desired(spec: &ClusterSpec) -> Result<Option<Desired>, String> {
    let ingress = spec.ingress.clone().unwrap_or_default();
    match ingress.provider {
        IngressProvider::None => Ok(None),
        IngressProvider::Caddy => Ok(Some(caddy::stack(&ingress, spec.acme.as_ref()))),
        IngressProvider::Traefik => traefik::stack(&ingress, spec.acme.as_ref()).map(Some),
    }
}

impl Desired {
    pub(crate) fn new(
        service: &'static str,
        (image, version): (String, String),
        ingress: &Ingress,
        configs: Vec<Config>,
        own: Value,
        volumes: Value,
    ) -> Self {
        let mut body = Map::new();
        body.insert("image".into(), json!(image));
        if let Value::Object(own) = own {
            body.extend(own);
        }
        body.insert("networks".into(), json!({"public": {}}));
        let (mode, endpoint) = match ingress.publish_mode {
            PublishMode::Ingress => ("ingress", "vip"),
            PublishMode::Host => ("host", "dnsrr"),
        };
        let port = |port: u16| json!({"target": port, "published": port, "protocol": "tcp", "mode": mode});
        body.insert("ports".into(), json!([port(80), port(443)]));
        if !configs.is_empty() {
            let grants: Vec<Value> = configs.iter().map(|c| json!({"source": c.key, "target": c.target})).collect();
            body.insert("configs".into(), json!(grants));
        }
        let deploy = json!({
            "mode": "replicated", "replicas": 1, "endpoint_mode": endpoint,
            "placement": {"constraints": ["node.role == manager"]},
            "restart_policy": {"condition": "any", "delay": "2s"},
            // The ports are held by one at a time.
            "update_config": {"order": "stop-first", "failure_action": "pause", "monitor": "5s"},
        });
        body.insert("deploy".into(), deploy);
        let volumes = match volumes {
            Value::Object(volumes) => volumes,
            _ => Map::new(),
        };
        Self { provider: ingress.provider, service, image, version, configs, body, volumes }
    }

    /// Equal hashes: nothing to do.
    pub fn spec_sha256(&self) -> String {
        let configs: Vec<&str> = self.configs.iter().map(|c| c.name.as_str()).collect();
        hex::encode(Sha256::digest(json!([STACK, self.service, self.body, self.volumes, configs]).to_string()))
    }

    /// For `docker stack deploy --compose-file -`.
    pub fn document(&self) -> String {
        let mut body = self.body.clone();
        if let Some(deploy) = body.get_mut("deploy").and_then(Value::as_object_mut) {
            let labels = json!({
                label::NAMESPACE: SYSTEM_NAMESPACE, label::STACK: STACK, label::SPEC: self.spec_sha256(),
            });
            deploy.insert("labels".into(), labels);
        }
        let external = |name: &str| json!({"external": true, "name": name});
        let configs = self.configs.iter().map(|c| (c.key.to_owned(), external(&c.name)));
        let mut document = json!({
            "version": "3.8",
            "services": {self.service: body},
            "networks": {"public": external(INGRESS_NETWORK)},
            "volumes": self.volumes,
        });
        if !self.configs.is_empty() {
            document["configs"] = Value::Object(configs.collect());
        }
        // `docker stack deploy` interpolates: nothing may be left for it.
        document.to_string().replace('$', "$$")
    }
}

/// The image with its tag, and the tag.
pub(crate) fn image(ingress: &Ingress, image: &str, version: &str) -> (String, String) {
    let version = ingress.version.clone().unwrap_or_else(|| version.to_owned());
    let image = ingress.image.clone().unwrap_or_else(|| image.to_owned());
    let last = image.rsplit('/').next().unwrap_or_default();
    match last.split_once('@').or_else(|| last.split_once(':')) {
        Some((_, tag)) => (image.clone(), tag.to_owned()),
        None => (format!("{image}:{version}"), version),
    }
}

/// The directory of the certificate authority.
pub(crate) fn directory(acme: Option<&Acme>) -> String {
    match acme {
        Some(Acme { server: Some(server), .. }) => server.clone(),
        Some(Acme { staging: true, .. }) => STAGING.to_owned(),
        _ => PRODUCTION.to_owned(),
    }
}

pub(crate) fn config(key: &'static str, target: &'static str, content: String) -> Config {
    let hash = hex::encode(Sha256::digest(&content));
    Config { name: format!("{STACK}_{key}-{}", &hash[..12]), key, target, content }
}

/// The certificates of a private authority, as a config.
pub(crate) fn acme_ca(acme: Option<&Acme>) -> Option<Config> {
    let pem = acme?.ca_certificates.clone()?;
    Some(config("acme-ca", ACME_CA, pem))
}

#[cfg(test)]
pub(crate) mod tests;
