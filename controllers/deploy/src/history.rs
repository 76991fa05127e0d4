//! The Deployments of a Stack: which is current, whether a new one is needed, which may go. The choices are pure.

use crate::error::{Error, Result, is_conflict, is_missing};
use crate::inputs::{Inputs, secret};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as SecretObject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use otternauts_compose::{Values, label};
use otternauts_telemetry::traces;
use otternauts_types::deployment::{DeploymentPhase, Snapshot, Trigger};
use otternauts_types::stack::DeployPolicy;
use otternauts_types::{Deployment, DeploymentSpec, LocalRef, Stack};
use serde_json::json;

/// Type of the Secrets that hold a snapshot's values.
pub const SNAPSHOT_TYPE: &str = "otternauts.dev/snapshot";
/// Nobody deploys this often: a larger number was made up by somebody, and is passed over.
const MAX_VERSION: i64 = 1_000_000_000;

/// The Deployments of one Stack, by version; those without one (a person's, just made) come last.
pub struct History(pub Vec<Deployment>);

impl History {
    pub async fn of(client: &Client, stack: &Stack) -> Result<Self> {
        let api: Api<Deployment> = Api::namespaced(client.clone(), &stack.namespace().unwrap_or_default());
        let all = api.list(&ListParams::default()).await.map_err(Error::api("list Deployments"))?;
        let name = stack.name_any();
        let own =
            all.items.into_iter().filter(|d| d.spec.stack_ref.name == name && d.meta().deletion_timestamp.is_none());
        let mut own: Vec<Deployment> = own.collect();
        own.sort_by_key(|d| (d.spec.version.unwrap_or(i64::MAX), d.creation_timestamp().map(|t| t.0)));
        Ok(Self(own))
    }

    /// The newest one with a snapshot: what runs, or should.
    pub fn current(&self) -> Option<&Deployment> {
        self.0.iter().rev().find(|d| d.spec.snapshot.is_some())
    }

    pub fn version(&self, version: i64) -> Option<&Deployment> {
        self.0.iter().find(|d| d.spec.version == Some(version) && d.spec.snapshot.is_some())
    }

    /// The highest version that was ever deployed, as far as anybody knows: old Deployments may be gone.
    pub fn newest_version(&self, stack: &Stack) -> i64 {
        let sane = |v: &i64| (0..MAX_VERSION).contains(v);
        let filled = self.0.iter().filter(|d| d.spec.snapshot.is_some());
        let known = filled.filter_map(|d| d.spec.version).filter(sane).max().unwrap_or(0);
        let told = stack.status.as_ref().and_then(|s| s.current_version).filter(sane).unwrap_or(0);
        known.max(told)
    }

    /// The version of a Deployment to be made. Versions only ever grow; one whose name a person's Deployment has is passed over.
    pub fn next_version(&self, stack: &Stack) -> i64 {
        let mut next = self.newest_version(stack) + 1;
        while self.0.iter().any(|d| d.name_any() == name_of(stack, next)) {
            next = next.saturating_add(1);
        }
        next
    }

    /// Made by people and still without a snapshot.
    pub fn unfilled(&self) -> impl Iterator<Item = &Deployment> {
        self.0.iter().filter(|d| d.spec.snapshot.is_none() && phase(d) == DeploymentPhase::Pending)
    }

    /// Whether what the Stack asks for now is new. Compared with the last snapshot taken from the Stack itself: after a
    /// rollback the Stack still asks for what was rolled back, and must not get it again until it asks for something else.
    pub fn needs_new(&self, stack: &Stack, spec_sha256: &str, stopped: bool) -> bool {
        if stack.spec.deploy_policy == DeployPolicy::Manual {
            return false;
        }
        let from_stack = |d: &&Deployment| d.spec.trigger != Trigger::Rollback && d.spec.rollback_to.is_none();
        let last = self.0.iter().rev().filter(from_stack).find_map(|d| d.spec.snapshot.as_ref());
        if last.is_none_or(|s| s.spec_sha256 != spec_sha256) {
            return true;
        }
        // Started again after a stop: the same once more, as a new version.
        stopped && self.current().is_none_or(|d| is_terminal(phase(d)))
    }

    /// Finished Deployments beyond the limit, oldest first; never the current one.
    pub fn surplus(&self, limit: i32) -> Vec<&Deployment> {
        let current = self.current().map(|d| d.name_any());
        let finished = self.0.iter().filter(|d| is_terminal(phase(d)) && Some(d.name_any()) != current);
        let finished: Vec<&Deployment> = finished.collect();
        let keep = usize::try_from(limit).unwrap_or(0);
        finished[..finished.len().saturating_sub(keep)].to_vec()
    }
}

fn name_of(stack: &Stack, version: i64) -> String {
    format!("{}-{version}", stack.name_any())
}

pub fn phase(deployment: &Deployment) -> DeploymentPhase {
    deployment.status.as_ref().map(|s| s.phase).unwrap_or_default()
}

pub fn is_terminal(phase: DeploymentPhase) -> bool {
    !matches!(phase, DeploymentPhase::Pending | DeploymentPhase::Running)
}

fn owner(stack: &Stack) -> Option<Vec<OwnerReference>> {
    stack.controller_owner_ref(&()).map(|r| vec![r])
}

/// Keeps the values of a snapshot. Written before the Deployment, so that a Deployment never lacks its values; a Secret
/// left by a crash in between is overwritten, for no Deployment of that name exists yet.
async fn write_values(client: &Client, stack: &Stack, deployment: &str, values: &Values) -> Result<LocalRef> {
    let name = format!("{deployment}-env");
    let api: Api<SecretObject> = Api::namespaced(client.clone(), &stack.namespace().unwrap_or_default());
    let data = values.iter().map(|(k, v)| (k.to_owned(), ByteString(v.to_vec()))).collect();
    let object = SecretObject {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            owner_references: owner(stack),
            labels: Some(
                [(label::STACK.to_owned(), stack.name_any()), (label::DEPLOYMENT.to_owned(), deployment.to_owned())]
                    .into(),
            ),
            ..ObjectMeta::default()
        },
        type_: Some(SNAPSHOT_TYPE.into()),
        data: Some(data),
        ..SecretObject::default()
    };
    match api.create(&PostParams::default(), &object).await {
        Err(e) if is_conflict(&e) => {
            let old = secret(client, &stack.namespace().unwrap_or_default(), &name).await?.unwrap_or_default();
            if !is_left_by(&old, stack) {
                return Err(Error::Broken(format!("Secret {name:?} is in the way and not of this stack: rename it")));
            }
            api.delete(&name, &exactly(&old)).await.map_err(Error::api("replace the values of a snapshot"))?;
            api.create(&PostParams::default(), &object).await.map_err(Error::api("write the values of a snapshot"))?;
        }
        other => drop(other.map_err(Error::api("write the values of a snapshot"))?),
    }
    Ok(LocalRef { name })
}

fn snapshot(stack: &Stack, inputs: &Inputs, env: LocalRef) -> Snapshot {
    Snapshot {
        compose: inputs.compose.clone(),
        env_secret_ref: Some(env),
        registry_credential_refs: stack.spec.registry_credential_refs.clone(),
        registry_logins: inputs.logins.clone(),
        spec_sha256: inputs.spec_sha256.clone(),
        stack_generation: stack.metadata.generation.unwrap_or_default(),
    }
}

/// Makes the next version from what the Stack asks for.
pub async fn create(
    client: &Client,
    stack: &Stack,
    inputs: &Inputs,
    version: i64,
    trigger: Trigger,
) -> Result<Deployment> {
    let name = name_of(stack, version);
    let env = write_values(client, stack, &name, &inputs.values).await?;
    let spec = DeploymentSpec {
        stack_ref: LocalRef { name: stack.name_any() },
        version: Some(version),
        trigger,
        rollback_to: None,
        snapshot: Some(snapshot(stack, inputs, env)),
    };
    let mut deployment = Deployment::new(&name, spec);
    deployment.metadata.namespace = stack.namespace();
    deployment.metadata.owner_references = owner(stack);
    deployment.metadata.labels = Some([(label::STACK.to_owned(), stack.name_any())].into());
    let cause = stack.annotations().get(traces::ANNOTATION);
    deployment.metadata.annotations = cause.map(|c| [(traces::ANNOTATION.to_owned(), c.clone())].into());
    let api: Api<Deployment> = Api::namespaced(client.clone(), &stack.namespace().unwrap_or_default());
    api.create(&PostParams::default(), &deployment).await.map_err(Error::api("create a Deployment"))
}

/// Fills the snapshot of a Deployment that a person made: from the version it rolls back to, or from the Stack.
pub async fn fill(
    client: &Client,
    stack: &Stack,
    deployment: &Deployment,
    source: Source<'_>,
    version: i64,
) -> Result<()> {
    let name = deployment.name_any();
    let (taken, trigger) = match source {
        Source::Inputs(inputs) => {
            let env = write_values(client, stack, &name, &inputs.values).await?;
            (snapshot(stack, inputs, env), deployment.spec.trigger)
        }
        Source::Version(old) => {
            let Some(mut taken) = old.spec.snapshot.clone() else {
                return Err(Error::Broken(format!("Deployment {} has no snapshot", old.name_any())));
            };
            let values = values_of(client, &stack.namespace().unwrap_or_default(), &taken).await?;
            taken.env_secret_ref = Some(write_values(client, stack, &name, &values).await?);
            taken.stack_generation = stack.metadata.generation.unwrap_or_default();
            let healed = deployment.spec.trigger == Trigger::Heal;
            (taken, if healed { Trigger::Heal } else { Trigger::Rollback })
        }
    };
    let patch = json!({
        "metadata": {
            "resourceVersion": deployment.resource_version(),
            "ownerReferences": owner(stack),
            "labels": {label::STACK: stack.name_any()},
        },
        "spec": {"version": version, "trigger": trigger, "snapshot": taken},
    });
    let api: Api<Deployment> = Api::namespaced(client.clone(), &stack.namespace().unwrap_or_default());
    api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.map_err(Error::api("fill a Deployment"))?;
    Ok(())
}

/// Where a person's Deployment takes its snapshot from.
pub enum Source<'a> {
    Inputs(&'a Inputs),
    Version(&'a Deployment),
}

/// The values a snapshot was taken with.
pub async fn values_of(client: &Client, namespace: &str, snapshot: &Snapshot) -> Result<Values> {
    let mut values = Values::default();
    let Some(at) = &snapshot.env_secret_ref else { return Ok(values) };
    let Some(secret) = secret(client, namespace, &at.name).await? else {
        return Err(Error::Broken(format!("Secret {:?} with the values of the snapshot is gone", at.name)));
    };
    if !is_snapshot(&secret) {
        return Err(Error::Broken(format!("Secret {:?} does not hold the values of a snapshot", at.name)));
    }
    secret.data.into_iter().flatten().for_each(|(key, value)| values.insert(key, value.0));
    Ok(values)
}

/// Deletes a Deployment and its values.
pub async fn delete(client: &Client, deployment: &Deployment) -> Result<()> {
    let namespace = deployment.namespace().unwrap_or_default();
    if let Some(at) = deployment.spec.snapshot.as_ref().and_then(|s| s.env_secret_ref.as_ref()) {
        let values = secret(client, &namespace, &at.name).await?;
        let name = deployment.name_any();
        // A person may have written any name there: only what was made for this Deployment goes with it.
        if let Some(values) = values.filter(|secret| is_made_for(secret, &name)) {
            let api: Api<SecretObject> = Api::namespaced(client.clone(), &namespace);
            gone(api.delete(&at.name, &exactly(&values)).await.map(drop))?;
        }
    }
    let api: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    gone(api.delete(&deployment.name_any(), &DeleteParams::default()).await.map(drop))
}

fn is_snapshot(secret: &SecretObject) -> bool {
    secret.type_.as_deref() == Some(SNAPSHOT_TYPE)
}

/// What an earlier try for the same stack (not one of the same name) left behind.
fn is_left_by(secret: &SecretObject, stack: &Stack) -> bool {
    let owned = |uid: &String| secret.owner_references().iter().any(|o| o.uid == *uid);
    is_snapshot(secret) && stack.metadata.uid.as_ref().is_some_and(owned)
}

fn is_made_for(secret: &SecretObject, deployment: &str) -> bool {
    is_snapshot(secret) && secret.labels().get(label::DEPLOYMENT).is_some_and(|name| name == deployment)
}

/// Deletes what was looked at and nothing that took its name since.
fn exactly(secret: &SecretObject) -> DeleteParams {
    let uid = secret.metadata.uid.clone();
    DeleteParams { preconditions: Some(Preconditions { uid, resource_version: None }), ..DeleteParams::default() }
}

fn gone(result: std::result::Result<(), kube::Error>) -> Result<()> {
    match result {
        Err(e) if is_missing(&e) => Ok(()),
        other => other.map_err(Error::api("delete an old Deployment")),
    }
}

#[cfg(test)]
mod tests;
