//! What a Stack asks for right now: its compose text, the values of its variables, and the policy it lives under.

use crate::converge::{Problem, reason};
use crate::error::{Error, Result, is_missing};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret as SecretObject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, ResourceExt as _};
use otternauts_compose::{Compiled, Finding, Identity, Level, POLICY_LABEL, Policy, Rendered, Values, compile, render};
use otternauts_fleet::docker::RegistryLogin;
use otternauts_meta::Secret;
use otternauts_types::stack::EnvSource;
use otternauts_types::{Cluster, LocalRef, RegistryCredential, Stack};
use serde_json::{Map, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The Cluster a Stack runs on.
pub fn cluster_of(stack: &Stack) -> &str {
    stack.spec.cluster_ref.as_ref().map_or("default", |r| r.name.as_str())
}

/// Compose text and values, checked: both ready to become a snapshot.
pub struct Inputs {
    pub compose: String,
    pub values: Values,
    /// See `Identity::logins`.
    pub logins: BTreeMap<String, String>,
    pub spec_sha256: String,
    pub warnings: Vec<Finding>,
}

/// A checked revision.
pub struct Checked {
    pub rendered: Rendered,
    pub warnings: Vec<Finding>,
    /// What the namespace may do.
    pub level: Level,
}

fn configuration(details: impl std::fmt::Display) -> Problem {
    Problem::new(reason::CONFIGURATION, format!("Configuration error: {details}"), "")
}

/// Reads what the Stack refers to and checks it. The inner `Err` is the author's to mend; nothing was sent anywhere.
pub async fn gather(client: &Client, stack: &Stack) -> Result<std::result::Result<Inputs, Problem>> {
    let namespace = stack.namespace().unwrap_or_default();
    let compose = match compose_text(client, &namespace, stack).await? {
        Ok(text) => text,
        Err(problem) => return Ok(Err(problem)),
    };
    let mut values = Values::default();
    for layer in &stack.spec.env {
        if let Err(problem) = add_layer(client, &namespace, layer, &mut values).await? {
            return Ok(Err(problem));
        }
    }
    let policy = match policy(client, &namespace, cluster_of(stack)).await? {
        Ok(policy) => policy,
        Err(problem) => return Ok(Err(problem)),
    };
    let logins = match logins(client, &namespace, &stack.spec.registry_credential_refs).await? {
        Ok(logins) => marks(&logins),
        Err(problem) => return Ok(Err(problem)),
    };
    let ingress = crate::ingress::place(client, stack).await?;
    let (name, deployment) = (stack.name_any(), String::new());
    let who = Identity { namespace, stack: name, deployment, logins: logins.clone(), ingress };
    let checked = check(&compose, &values, &policy, &who);
    Ok(checked.map(|c| {
        let (spec_sha256, warnings) = (c.rendered.spec_sha256(), c.warnings);
        Inputs { compose, values, logins, spec_sha256, warnings }
    }))
}

/// Compiles and renders one revision under a policy.
pub fn check(compose: &str, values: &Values, policy: &Policy, who: &Identity) -> std::result::Result<Checked, Problem> {
    let Compiled { project, warnings } = compile(compose, values, policy).map_err(|findings| {
        let list: Vec<String> = findings.iter().take(20).map(Finding::to_string).collect();
        configuration(list.join("; "))
    })?;
    let rendered = render(&project, who).map_err(configuration)?;
    Ok(Checked { rendered, warnings, level: policy.level })
}

async fn compose_text(client: &Client, namespace: &str, stack: &Stack) -> Result<std::result::Result<String, Problem>> {
    let source = &stack.spec.compose;
    match (&source.inline, &source.config_map_ref, &source.git_source_ref) {
        (Some(text), None, None) => Ok(Ok(text.clone())),
        (None, Some(at), None) => {
            let Some(map) = config_map(client, namespace, &at.name).await? else {
                return Ok(Err(configuration(format!("ConfigMap {:?} does not exist", at.name))));
            };
            let text = map.data.and_then(|mut data| data.remove(&at.key));
            Ok(text.ok_or_else(|| configuration(format!("ConfigMap {:?} has no key {:?}", at.name, at.key))))
        }
        (None, None, Some(_)) => Ok(Err(configuration("spec.compose.gitSourceRef is not supported yet"))),
        _ => Ok(Err(configuration("spec.compose needs exactly one of inline, configMapRef and gitSourceRef"))),
    }
}

async fn config_map(client: &Client, namespace: &str, name: &str) -> Result<Option<ConfigMap>> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    api.get_opt(name).await.map_err(Error::api("read a ConfigMap"))
}

pub async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Option<SecretObject>> {
    let api: Api<SecretObject> = Api::namespaced(client.clone(), namespace);
    api.get_opt(name).await.map_err(Error::api("read a Secret"))
}

async fn add_layer(
    client: &Client,
    namespace: &str,
    layer: &EnvSource,
    values: &mut Values,
) -> Result<std::result::Result<(), Problem>> {
    if let Some(name) = &layer.name {
        values.insert(name, layer.value.clone().unwrap_or_default());
    }
    if let Some(LocalRef { name }) = &layer.config_map_ref {
        let Some(map) = config_map(client, namespace, name).await? else {
            return Ok(Err(configuration(format!("ConfigMap {name:?} does not exist"))));
        };
        map.data.into_iter().flatten().for_each(|(key, value)| values.insert(key, value));
        map.binary_data.into_iter().flatten().for_each(|(key, value)| values.insert(key, value.0));
    }
    if let Some(LocalRef { name }) = &layer.secret_ref {
        let Some(secret) = secret(client, namespace, name).await? else {
            return Ok(Err(configuration(format!("Secret {name:?} does not exist"))));
        };
        secret.data.into_iter().flatten().for_each(|(key, value)| values.insert(key, value.0));
    }
    Ok(Ok(()))
}

/// The namespace's level and the cluster's additions.
pub async fn policy(client: &Client, namespace: &str, cluster: &str) -> Result<std::result::Result<Policy, Problem>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let found = api.get(namespace).await.map_err(Error::api("read the Namespace"))?;
    let label = found.labels().get(POLICY_LABEL).map(String::as_str);
    let Some(level) = Level::from_label(label) else {
        let text = format!(
            "namespace label {POLICY_LABEL}={} is none of restricted, baseline, privileged",
            label.unwrap_or_default()
        );
        return Ok(Err(configuration(text)));
    };
    let api: Api<Cluster> = Api::all(client.clone());
    match api.get(cluster).await {
        Ok(cluster) => {
            let more = cluster.spec.policy.unwrap_or_default();
            Ok(Ok(Policy {
                level,
                host_ports: more.host_ports,
                bind_mounts: more.bind_mounts,
                registries: more.registries,
                volume_drivers: more.volume_drivers,
                logging_drivers: more.logging_drivers,
            }))
        }
        Err(e) if is_missing(&e) => Ok(Err(configuration(format!("Cluster {cluster:?} does not exist")))),
        Err(e) => Err(Error::api("read the Cluster")(e)),
    }
}

/// A registry login, and what it was made from.
pub struct Login {
    pub login: RegistryLogin,
    mark: String,
}

fn marks(logins: &[Login]) -> BTreeMap<String, String> {
    logins.iter().map(|l| (l.login.registry.clone(), l.mark.clone())).collect()
}

/// Says which version of which objects a login comes from, and nothing about the password.
fn mark(credential: &ObjectMeta, secret: &ObjectMeta) -> String {
    let from = json!([credential.uid, credential.generation, secret.uid, secret.resource_version]);
    hex::encode(&Sha256::digest(from.to_string())[..8])
}

/// The logins that the given RegistryCredentials stand for.
pub async fn logins(
    client: &Client,
    namespace: &str,
    refs: &[LocalRef],
) -> Result<std::result::Result<Vec<Login>, Problem>> {
    let api: Api<RegistryCredential> = Api::namespaced(client.clone(), namespace);
    let mut out = Vec::new();
    for LocalRef { name } in refs {
        let Some(credential) = api.get_opt(name).await.map_err(Error::api("read a RegistryCredential"))? else {
            return Ok(Err(configuration(format!("RegistryCredential {name:?} does not exist"))));
        };
        let at = &credential.spec.password_secret_ref;
        let key = at.key.as_deref().unwrap_or("password");
        // Always of the credential's own namespace: a reference must not reach into another one.
        let held = secret(client, namespace, &at.name).await?.unwrap_or_default();
        let mark = mark(&credential.metadata, &held.metadata);
        let Some(password) = held.data.and_then(|mut data| data.remove(key)).and_then(|p| String::from_utf8(p.0).ok())
        else {
            return Ok(Err(configuration(format!(
                "Secret {:?} with a password under {key:?} does not exist",
                at.name
            ))));
        };
        let (registry, username) = (credential.spec.registry, credential.spec.username);
        out.push(Login { login: RegistryLogin { registry, username, password: Secret::new(password) }, mark });
    }
    Ok(Ok(out))
}

/// A Docker `config.json` with these logins; `None` without any.
pub fn registry_config(logins: &[Login]) -> Option<Secret<String>> {
    if logins.is_empty() {
        return None;
    }
    let auth = |Login { login: l, .. }: &Login| {
        let at = match l.registry.as_str() {
            "docker.io" | "index.docker.io" | "registry-1.docker.io" => "https://index.docker.io/v1/",
            other => other,
        };
        let login = BASE64_STANDARD.encode(format!("{}:{}", l.username, l.password.expose()));
        (at.to_owned(), json!({ "auth": login }))
    };
    let auths: Map<String, serde_json::Value> = logins.iter().map(auth).collect();
    Some(Secret::new(json!({ "auths": auths }).to_string()))
}
