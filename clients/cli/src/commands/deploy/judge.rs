//! Refuses at once what the control plane would refuse later.

use crate::args::{Deploy, EnvFrom, EnvSourceKind};
use crate::bundle::Bundle;
use crate::connect::Session;
use crate::exit::{is_forbidden, is_missing};
use crate::findings::{self, Severity};
use anyhow::Context as _;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret as SecretObject};
use kube::{Api, ResourceExt as _};
use otternauts_compose::{Level, POLICY_LABEL, Policy, Values, check_tree, compile_tree};
use otternauts_types::Cluster;
use std::collections::BTreeMap;
use std::path::Path;

/// `private` are the values that go into the Secret. Says the warnings; errors end the command.
pub async fn judge(
    session: &Session,
    args: &Deploy,
    path: &Path,
    bundle: &Bundle,
    private: &BTreeMap<String, Vec<u8>>,
) -> anyhow::Result<()> {
    let mut values = Values::default();
    let mut all_known = true;
    for source in &args.env_from {
        all_known &= add_source(session, source, &mut values).await?;
    }
    bundle.add_to(&mut values);
    private.iter().for_each(|(k, v)| values.insert(k, v.clone()));
    args.variables.env.iter().for_each(|(k, v)| values.insert(k, v.clone()));
    let policy = policy(session, args.cluster.as_deref().unwrap_or("default")).await?;
    let found = check_tree(bundle.root.clone(), &policy);
    findings::list(path, Severity::Warning, &found.warnings);
    let mut errors = match all_known {
        true => compile_tree(bundle.root.clone(), &values, &policy).err().unwrap_or_default(),
        false => found.errors,
    };
    errors.extend(bundle.errors.iter().cloned());
    errors.sort_by_key(|e| (e.line, e.column));
    if errors.is_empty() { Ok(()) } else { Err(findings::refuse(path, &errors)) }
}

/// Adds the keys of a Secret or ConfigMap. `false`: the caller may not read it, which the control plane may.
async fn add_source(session: &Session, source: &EnvFrom, values: &mut Values) -> anyhow::Result<bool> {
    let (client, namespace) = (session.client.clone(), session.namespace.as_str());
    let (kind, found) = match source.kind {
        EnvSourceKind::Secret => {
            let secret = Api::<SecretObject>::namespaced(client, namespace).get(&source.name).await;
            ("secret", secret.map(|s| super::travel::Travels::content(&s)))
        }
        EnvSourceKind::ConfigMap => {
            let map = Api::<ConfigMap>::namespaced(client, namespace).get(&source.name).await;
            ("configmap", map.map(|m| super::travel::Travels::content(&m)))
        }
    };
    match found {
        Ok(found) => {
            found.into_iter().for_each(|(k, v)| values.insert(k, v));
            Ok(true)
        }
        Err(error) if is_forbidden(&error) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot use --env-from {kind}/{}", source.name)),
    }
}

/// The namespace's level and the cluster's additions. Who may not see them is judged by the control plane alone.
async fn policy(session: &Session, cluster: &str) -> anyhow::Result<Policy> {
    let unknown = |error: &kube::Error| is_forbidden(error) || is_missing(error);
    let namespace = match Api::<Namespace>::all(session.client.clone()).get(&session.namespace).await {
        Ok(namespace) => namespace,
        Err(error) if unknown(&error) => return Ok(Policy::of(Level::Privileged)),
        Err(error) => return Err(error).with_context(|| format!("cannot read namespace {:?}", session.namespace)),
    };
    let cluster = match Api::<Cluster>::all(session.client.clone()).get(cluster).await {
        Ok(cluster) => cluster,
        Err(error) if unknown(&error) => return Ok(Policy::of(Level::Privileged)),
        Err(error) => return Err(error).with_context(|| format!("cannot read cluster {cluster:?}")),
    };
    let label = namespace.labels().get(POLICY_LABEL).map(String::as_str);
    let level = Level::from_label(label).unwrap_or(Level::Privileged);
    let more = cluster.spec.policy.unwrap_or_default();
    let (host_ports, bind_mounts, registries) = (more.host_ports, more.bind_mounts, more.registries);
    let (volume_drivers, logging_drivers) = (more.volume_drivers, more.logging_drivers);
    Ok(Policy { level, host_ports, bind_mounts, registries, volume_drivers, logging_drivers })
}
