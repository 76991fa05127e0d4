//! `otter deploy`: from a compose file to a Stack, or a Stack once more.

use crate::args::{Deploy, Global, SourceKind};
use crate::bundle::{self, Bundle};
use crate::client::{self, MANAGER, Session};
use crate::exit::{Code, fail};
use crate::progress::{self, Verdict};
use crate::validate::refuse;
use crate::{dotenv, status, terminal, voice};
use anyhow::Context as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret as SecretObject};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Resource as _, ResourceExt as _};
use otternauts_compose::{Level, Policy, Values, check, compile};
use otternauts_types::stack::{ComposeSource, EnvSource, StackPhase};
use otternauts_types::{ConditionStatus, Deployment, DeploymentSpec, LocalRef, Stack, StackSpec};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// On ConfigMaps and Secrets that carry what a compose file's paths name.
const INLINED: &str = "otternauts.dev/inlined-for";

pub async fn run(global: &Global, args: Deploy) -> anyhow::Result<Code> {
    let path = PathBuf::from(&args.target);
    let looks_like_file = args.target.contains('/') || args.target.ends_with(".yml") || args.target.ends_with(".yaml");
    let session = client::open(global).await?;
    let (name, generation) = match path.is_file() || looks_like_file {
        true => from_file(&session, &args, &path).await?,
        false => again(&session, &args).await?,
    };
    match args.wait {
        true => wait(&session, &name, generation, args.timeout).await,
        false => Ok(Code::Ok),
    }
}

/// What must have been seen before a status counts: the Stack's generation, or the Deployment that was asked for.
enum Mark {
    Generation(i64),
    Deployment(String),
}

async fn again(session: &Session, args: &Deploy) -> anyhow::Result<(String, Mark)> {
    let name = args.target.clone();
    if !args.variables.env.is_empty() || !args.env_from.is_empty() || args.name.is_some() {
        return Err(fail(
            Code::Usage,
            "a Stack is deployed again as it is: --env, --env-from and --name go with a file",
        ));
    }
    let stacks: Api<Stack> = Api::namespaced(session.client.clone(), &session.namespace);
    stacks
        .get(&name)
        .await
        .with_context(|| format!("{name:?} is neither a file nor a Stack in {}", session.namespace))?;
    let spec = DeploymentSpec { stack_ref: LocalRef { name: name.clone() }, ..DeploymentSpec::default() };
    let mut deployment = Deployment::new("", spec);
    deployment.metadata.name = None;
    deployment.metadata.generate_name = Some(format!("{name}-"));
    let api: Api<Deployment> = Api::namespaced(session.client.clone(), &session.namespace);
    let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    let made = api.create(&params, &deployment).await.context("cannot create a Deployment")?;
    terminal::note(&format!("deployment/{} created", made.name_any()));
    Ok((name, Mark::Deployment(made.name_any())))
}

async fn from_file(session: &Session, args: &Deploy, path: &Path) -> anyhow::Result<(String, Mark)> {
    let bundle = match bundle::load(path) {
        Ok(bundle) => bundle,
        Err(trouble) => return Err(refuse(path, trouble)),
    };
    let name = name(args, &bundle, path)?;
    let mut variables = args.variables.env.clone();
    let mut private = bundle.private.clone();
    for file in &args.variables.env_file {
        private.extend(dotenv::read(file)?.into_iter().map(|(k, v)| (k, v.into_bytes())));
    }
    // What is given by name on the command line wins over files.
    private.retain(|key, _| !variables.iter().any(|(name, _)| name == key));
    judge(session, args, path, &bundle, &private).await?;
    let mut env: Vec<EnvSource> = Vec::new();
    for (kind, name) in &args.env_from {
        let at = Some(LocalRef { name: name.clone() });
        env.push(match kind {
            SourceKind::Secret => EnvSource { secret_ref: at, ..EnvSource::default() },
            SourceKind::ConfigMap => EnvSource { config_map_ref: at, ..EnvSource::default() },
        });
    }
    let (secret, map) = keep(session, &name, &private, &bundle.public).await?;
    env.extend(
        map.iter()
            .map(|name| EnvSource { config_map_ref: Some(LocalRef { name: name.clone() }), ..EnvSource::default() }),
    );
    env.extend(
        secret
            .iter()
            .map(|name| EnvSource { secret_ref: Some(LocalRef { name: name.clone() }), ..EnvSource::default() }),
    );
    let single =
        |(name, value): (String, String)| EnvSource { name: Some(name), value: Some(value), ..EnvSource::default() };
    env.extend(variables.drain(..).map(single));
    let stack = apply(session, args, &name, bundle.text, env).await?;
    adopt(session, &stack, secret.as_deref(), map.as_deref()).await?;
    terminal::note(&format!("stack/{name} applied"));
    Ok((name, Mark::Generation(stack.metadata.generation.unwrap_or_default())))
}

/// The flag, the file's own name, or its directory's, made fit for an object.
fn name(args: &Deploy, bundle: &Bundle, path: &Path) -> anyhow::Result<String> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    let directory = || {
        let full = path.canonicalize().ok()?;
        Some(full.parent()?.file_name()?.to_string_lossy().into_owned())
    };
    let raw = bundle.name.clone().or_else(directory).unwrap_or_default();
    let fit: String = raw.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let fit = fit.trim_matches('-').to_owned();
    if fit.is_empty() { Err(fail(Code::Usage, "give the Stack a name with --name")) } else { Ok(fit) }
}

/// Refuses at once what the control plane would refuse later. Its policy is its own business: here everything is allowed.
async fn judge(
    session: &Session,
    args: &Deploy,
    path: &Path,
    bundle: &Bundle,
    private: &BTreeMap<String, Vec<u8>>,
) -> anyhow::Result<()> {
    let mut values = Values::default();
    let mut all_known = true;
    for (kind, name) in &args.env_from {
        all_known &= add_source(session, *kind, name, &mut values).await?;
    }
    bundle.add_to(&mut values);
    private.iter().for_each(|(k, v)| values.insert(k, v.clone()));
    args.variables.env.iter().for_each(|(k, v)| values.insert(k, v.clone()));
    let policy = Policy::of(Level::Privileged);
    let errors = match all_known {
        true => compile(&bundle.text, &values, &policy).err().unwrap_or_default(),
        false => check(&bundle.text, &policy).errors,
    };
    for warning in check(&bundle.text, &policy).warnings {
        terminal::note(&format!(
            "{}:{}:{}: warning: {}: {}",
            path.display(),
            warning.line,
            warning.column,
            warning.path,
            warning.message
        ));
    }
    if errors.is_empty() { Ok(()) } else { Err(refuse(path, bundle::Trouble::Found(errors))) }
}

/// Adds the keys of a Secret or ConfigMap. `false`: we may not read it, which the control plane may.
async fn add_source(session: &Session, kind: SourceKind, name: &str, values: &mut Values) -> anyhow::Result<bool> {
    let found: Result<BTreeMap<String, Vec<u8>>, kube::Error> = match kind {
        SourceKind::Secret => {
            let api: Api<SecretObject> = Api::namespaced(session.client.clone(), &session.namespace);
            api.get(name).await.map(|s| s.data.into_iter().flatten().map(|(k, v)| (k, v.0)).collect())
        }
        SourceKind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(session.client.clone(), &session.namespace);
            api.get(name).await.map(|m| m.data.into_iter().flatten().map(|(k, v)| (k, v.into_bytes())).collect())
        }
    };
    match found {
        Ok(found) => {
            found.into_iter().for_each(|(k, v)| values.insert(k, v));
            Ok(true)
        }
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {name:?} for --env-from")),
    }
}

type Names = (Option<String>, Option<String>);

/// Puts what travels with the file into a Secret and a ConfigMap. Names hold a hash of the content, so that new content is a
/// change of the Stack.
async fn keep(
    session: &Session,
    stack: &str,
    private: &BTreeMap<String, Vec<u8>>,
    public: &BTreeMap<String, Vec<u8>>,
) -> anyhow::Result<Names> {
    let metadata = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some([(INLINED.to_owned(), stack.to_owned())].into()),
        ..ObjectMeta::default()
    };
    let bytes = |map: &BTreeMap<String, Vec<u8>>| map.iter().map(|(k, v)| (k.clone(), ByteString(v.clone()))).collect();
    let params = PatchParams::apply(MANAGER).force();
    let mut names = (None, None);
    if !private.is_empty() {
        let name = format!("{stack}-files-{}", fingerprint(private));
        let object = SecretObject { metadata: metadata(&name), data: Some(bytes(private)), ..SecretObject::default() };
        let api: Api<SecretObject> = Api::namespaced(session.client.clone(), &session.namespace);
        api.patch(&name, &params, &Patch::Apply(&object)).await.context("cannot keep the files in a Secret")?;
        names.0 = Some(name);
    }
    if !public.is_empty() {
        let name = format!("{stack}-files-{}", fingerprint(public));
        let object = ConfigMap { metadata: metadata(&name), binary_data: Some(bytes(public)), ..ConfigMap::default() };
        let api: Api<ConfigMap> = Api::namespaced(session.client.clone(), &session.namespace);
        api.patch(&name, &params, &Patch::Apply(&object)).await.context("cannot keep the files in a ConfigMap")?;
        names.1 = Some(name);
    }
    Ok(names)
}

/// Ten digits that change with the content: FNV-1a, folded. It names, it does not protect.
fn fingerprint(map: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut eat =
        |bytes: &[u8]| bytes.iter().for_each(|b| hash = (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    for (key, value) in map {
        eat(key.as_bytes());
        eat(&(value.len() as u64).to_le_bytes());
        eat(value);
    }
    format!("{:010x}", hash & 0xff_ffff_ffff)
}

async fn apply(
    session: &Session,
    args: &Deploy,
    name: &str,
    text: String,
    env: Vec<EnvSource>,
) -> anyhow::Result<Stack> {
    let spec = StackSpec {
        compose: ComposeSource { inline: Some(text), ..ComposeSource::default() },
        env,
        ..StackSpec::default()
    };
    let mut object = serde_json::to_value(Stack::new(name, spec)).context("cannot write the Stack as JSON")?;
    // Only what was asked for is applied: everything else belongs to whoever set it.
    if let Some(spec) = object.get_mut("spec").and_then(|s| s.as_object_mut()) {
        spec.retain(|key, _| matches!(key.as_str(), "compose" | "env"));
        if let Some(cluster) = &args.cluster {
            spec.insert("clusterRef".into(), json!({ "name": cluster }));
        }
        if !args.registry_credential.is_empty() {
            let refs: Vec<_> = args.registry_credential.iter().map(|name| json!({ "name": name })).collect();
            spec.insert("registryCredentialRefs".into(), json!(refs));
        }
    }
    let api: Api<Stack> = Api::namespaced(session.client.clone(), &session.namespace);
    let params = PatchParams { force: args.force_conflicts, ..PatchParams::apply(MANAGER) };
    let done = api.patch(name, &params, &Patch::Apply(&object)).await;
    done.with_context(|| format!("cannot apply stack {name:?} in {}", session.namespace))
}

/// What travels with the Stack goes with it; what traveled with an earlier version goes now.
async fn adopt(session: &Session, stack: &Stack, secret: Option<&str>, map: Option<&str>) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({"metadata": {"ownerReferences": stack.controller_owner_ref(&())
        .map(|mut r| { r.controller = None; vec![r] })}}));
    let params = PatchParams::default();
    let old = ListParams::default().labels(&format!("{INLINED}={}", stack.name_any()));
    let secrets: Api<SecretObject> = Api::namespaced(session.client.clone(), &session.namespace);
    let maps: Api<ConfigMap> = Api::namespaced(session.client.clone(), &session.namespace);
    if let Some(name) = secret {
        secrets.patch(name, &params, &patch).await.context("cannot hand the files to the Stack")?;
    }
    if let Some(name) = map {
        maps.patch(name, &params, &patch).await.context("cannot hand the files to the Stack")?;
    }
    for object in secrets.list(&old).await.context("cannot list files of earlier versions")? {
        if Some(object.name_any().as_str()) != secret {
            secrets.delete(&object.name_any(), &DeleteParams::default()).await.context("cannot remove old files")?;
        }
    }
    for object in maps.list(&old).await.context("cannot list files of earlier versions")? {
        if Some(object.name_any().as_str()) != map {
            maps.delete(&object.name_any(), &DeleteParams::default()).await.context("cannot remove old files")?;
        }
    }
    Ok(())
}

async fn wait(session: &Session, name: &str, mark: Mark, timeout: std::time::Duration) -> anyhow::Result<Code> {
    if let Mark::Deployment(deployment) = &mark {
        let api: Api<Deployment> = Api::namespaced(session.client.clone(), &session.namespace);
        let look = |d: &Deployment| {
            use otternauts_types::deployment::DeploymentPhase as Phase;
            let status = d.status.clone().unwrap_or_default();
            let text = line(
                &format!("deployment {deployment}"),
                &status::word(&status.phase),
                &status.services,
                status.last_error,
            );
            match status.phase {
                Phase::Succeeded => Verdict::Done(text),
                Phase::Failed | Phase::RolledBack | Phase::Superseded => Verdict::Failed(text),
                Phase::Pending | Phase::Running => Verdict::Waiting(text),
            }
        };
        progress::until(&api, deployment, timeout, look).await?;
    } else {
        let api: Api<Stack> = Api::namespaced(session.client.clone(), &session.namespace);
        let Mark::Generation(generation) = mark else { return Ok(Code::Ok) };
        progress::until(&api, name, timeout, |stack| verdict(name, stack, generation)).await?;
    }
    terminal::note(voice::SUCCESS);
    Ok(Code::Ok)
}

fn verdict(name: &str, stack: &Stack, generation: i64) -> Verdict {
    let status = stack.status.clone().unwrap_or_default();
    if status.observed_generation.unwrap_or_default() < generation {
        return Verdict::Waiting(format!("stack {name}: waiting for the control plane"));
    }
    let ready = status.conditions.iter().any(|c| c.r#type == "Ready" && c.status == ConditionStatus::True);
    let text =
        line(&format!("stack {name}"), &status::word(&status.phase), &status.services, status.last_error.clone());
    match status.phase {
        StackPhase::Running if ready => Verdict::Done(text),
        StackPhase::Failed => Verdict::Failed(text),
        StackPhase::Stopped => Verdict::Failed(format!("{text}: spec.suspend is true")),
        _ => Verdict::Waiting(text),
    }
}

fn line(what: &str, phase: &str, services: &[otternauts_types::stack::ServiceStatus], error: Option<String>) -> String {
    let counts: Vec<String> = services.iter().map(|s| format!("{} {}/{}", s.name, s.running, s.desired)).collect();
    let counts = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
    format!("{what}: {phase}{counts}{}", error.map(|e| format!(": {e}")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use otternauts_types::{Condition, StackStatus};

    #[test]
    fn a_status_counts_only_when_it_is_about_what_was_applied() {
        let mut stack = Stack::new("shop", StackSpec::default());
        let ready = |status| Condition {
            r#type: "Ready".into(),
            status,
            reason: String::new(),
            message: String::new(),
            last_transition_time: None,
            observed_generation: None,
        };
        let mut check = |phase, generation, ready_now, expected: &str| {
            stack.status = Some(StackStatus {
                phase,
                observed_generation: Some(generation),
                conditions: vec![ready(if ready_now { ConditionStatus::True } else { ConditionStatus::False })],
                ..StackStatus::default()
            });
            let found = match verdict("shop", &stack, 2) {
                Verdict::Waiting(_) => "waiting",
                Verdict::Done(_) => "done",
                Verdict::Failed(_) => "failed",
            };
            assert_eq!(found, expected, "{phase:?} {generation} {ready_now}");
        };
        check(StackPhase::Running, 1, true, "waiting");
        check(StackPhase::Running, 2, true, "done");
        check(StackPhase::Running, 2, false, "waiting");
        check(StackPhase::Deploying, 2, false, "waiting");
        check(StackPhase::Failed, 2, false, "failed");
        check(StackPhase::Stopped, 2, false, "failed");
    }

    #[test]
    fn new_content_has_a_new_name() {
        let map = |v: &str| [("k".to_owned(), v.as_bytes().to_vec())].into();
        assert_eq!(fingerprint(&map("a")), fingerprint(&map("a")));
        assert_ne!(fingerprint(&map("a")), fingerprint(&map("b")));
        assert_eq!(fingerprint(&map("a")).len(), 10);
    }
}
