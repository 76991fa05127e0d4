//! `otter deploy FILE`: the compose file becomes a Stack by server-side apply.

use super::judge::judge;
use super::travel::{Carried, carry};
use super::{again, follow_stack, outcome, stacks};
use crate::args::{Deploy, EnvSourceKind};
use crate::bundle::{self, Bundle, Trouble};
use crate::connect::{FIELD_MANAGER, Session};
use crate::exit::{Code, Failure, is_forbidden};
use crate::output::{self, Format};
use crate::{dotenv, findings, voice};
use anyhow::Context as _;
use k8s_openapi::api::core::v1::{ConfigMap, Secret as SecretObject};
use kube::api::{Patch, PatchParams};
use otternauts_types::Stack;
use otternauts_types::stack::DeployPolicy;
use serde_json::{Value, json};
use std::path::Path;

/// What applying did to the Stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Created,
    Changed,
    Unchanged,
}

pub async fn run(session: &Session, args: &Deploy, path: &Path) -> anyhow::Result<Code> {
    let bundle = match bundle::load(path) {
        Ok(bundle) => bundle,
        Err(Trouble::Found(error)) => return Err(findings::refuse(path, &[error])),
        Err(Trouble::Other(error)) => return Err(error),
    };
    let name = stack_name(args, &bundle, path)?;
    let mut private = bundle.private.clone();
    for file in &args.variables.env_file {
        private.extend(dotenv::read(file)?.into_iter().map(|(k, v)| (k, v.into_bytes())));
    }
    judge(session, args, path, &bundle, &private).await?;
    let before = before(session, &name).await?;
    let secret: Carried<SecretObject> = carry(session, &name, &private, args.dry_run).await?;
    let map: Carried<ConfigMap> = match carry(session, &name, &bundle.public, args.dry_run).await {
        Ok(map) => map,
        Err(error) => {
            secret.abandon().await;
            return Err(error);
        }
    };
    let object = object(args, &name, &bundle.text, map.name.as_deref(), secret.name.as_deref());
    let stack = match apply(session, args, &name, &object).await {
        Ok(stack) => stack,
        Err(error) => {
            secret.abandon().await;
            map.abandon().await;
            return Err(error);
        }
    };
    if !args.dry_run {
        secret.settle(&stack).await?;
        map.settle(&stack).await?;
    }
    let effect = effect(before.as_ref(), &stack);
    say(args, &name, effect, &stack)?;
    if args.dry_run {
        return Ok(Code::Ok);
    }
    if stack.spec.deploy_policy == DeployPolicy::Manual {
        return again::deploy(session, &name, args).await;
    }
    if !args.wait {
        return Ok(Code::Ok);
    }
    let ended = follow_stack(session, &name, stack.metadata.generation.unwrap_or_default(), args.timeout).await?;
    if effect != Effect::Unchanged {
        output::note(voice::SUCCESS);
    }
    outcome(&ended);
    Ok(Code::Ok)
}

/// The flag, the file's own name, or its directory's, made fit for an object.
fn stack_name(args: &Deploy, bundle: &Bundle, path: &Path) -> anyhow::Result<String> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    let directory = || Some(path.canonicalize().ok()?.parent()?.file_name()?.to_string_lossy().into_owned());
    let fit = fit(&bundle.name.clone().or_else(directory).unwrap_or_default());
    match fit.is_empty() {
        true => {
            Err(Failure::new(Code::Usage, "the file does not say how the stack is called").next("use --name").into())
        }
        false => Ok(fit),
    }
}

fn fit(raw: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    raw.chars().map(plain).take(63).collect::<String>().trim_matches('-').to_owned()
}

async fn before(session: &Session, name: &str) -> anyhow::Result<Option<Stack>> {
    match stacks(session).get_opt(name).await {
        Err(error) if is_forbidden(&error) => Ok(None),
        found => found.with_context(|| format!("cannot read stack {name:?}")),
    }
}

/// Only what was asked for is applied: everything else belongs to whoever set it.
fn object(args: &Deploy, name: &str, text: &str, map: Option<&str>, secret: Option<&str>) -> Value {
    let reference = |key: &str, name: &str| json!({key: {"name": name}});
    let mut env: Vec<Value> = Vec::new();
    for source in &args.env_from {
        env.push(match source.kind {
            EnvSourceKind::Secret => reference("secretRef", &source.name),
            EnvSourceKind::ConfigMap => reference("configMapRef", &source.name),
        });
    }
    env.extend(map.map(|name| reference("configMapRef", name)));
    env.extend(secret.map(|name| reference("secretRef", name)));
    env.extend(args.variables.env.iter().map(|(name, value)| json!({"name": name, "value": value})));
    let mut object = json!({
        "apiVersion": "otternauts.dev/v1",
        "kind": "Stack",
        "metadata": {"name": name},
        "spec": {"compose": {"inline": text}},
    });
    let spec = &mut object["spec"];
    if !env.is_empty() {
        spec["env"] = Value::Array(env);
    }
    if let Some(cluster) = &args.cluster {
        spec["clusterRef"] = json!({"name": cluster});
    }
    if !args.registry_credential.is_empty() {
        spec["registryCredentialRefs"] = args.registry_credential.iter().map(|name| json!({"name": name})).collect();
    }
    object
}

async fn apply(session: &Session, args: &Deploy, name: &str, object: &Value) -> anyhow::Result<Stack> {
    let params =
        PatchParams { force: args.force_conflicts, dry_run: args.dry_run, ..PatchParams::apply(FIELD_MANAGER) };
    match stacks(session).patch(name, &params, &Patch::Apply(object)).await {
        Ok(stack) => Ok(stack),
        Err(error @ kube::Error::Api(_)) if matches!(&error, kube::Error::Api(s) if s.code == 409) => {
            let text = format!("cannot deploy stack {name:?}: {}", message(&error));
            let step = "somebody else set these fields: agree with them, or take them over with --force-conflicts";
            Err(Failure::new(Code::Conflict, text).next(step).into())
        }
        Err(error) => {
            Err(error).with_context(|| format!("cannot deploy stack {name:?} in namespace {}", session.namespace))
        }
    }
}

fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

fn effect(before: Option<&Stack>, after: &Stack) -> Effect {
    match before {
        None => Effect::Created,
        Some(before) if before.metadata.uid == after.metadata.uid && before.spec == after.spec => Effect::Unchanged,
        Some(_) => Effect::Changed,
    }
}

fn say(args: &Deploy, name: &str, effect: Effect, stack: &Stack) -> anyhow::Result<()> {
    let text = match (effect, args.dry_run) {
        (Effect::Created, false) => "created",
        (Effect::Changed, false) => "changed",
        (Effect::Unchanged, false) => "is unchanged",
        (Effect::Created, true) => "would be created",
        (Effect::Changed, true) => "would be changed",
        (Effect::Unchanged, true) => "would stay as it is",
    };
    output::note(&format!("stack {name} {text}"));
    match args.output.format {
        Format::Table => Ok(()),
        Format::Name => output::data(format!("stack.otternauts.dev/{name}\n").as_bytes()),
        format => output::document(format, stack),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, Otter};
    use clap::Parser as _;

    fn deploy(line: &str) -> Box<Deploy> {
        match Otter::try_parse_from(line.split_whitespace()).map(|otter| otter.command) {
            Ok(Command::Deploy(deploy)) => deploy,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn layers_of_values_are_applied_in_the_order_in_which_they_win() {
        let args = deploy("otter deploy f --env-from secret/a --env-from cm/b --env C=d --registry-credential r");
        let expected = json!({
            "compose": {"inline": "text"},
            "env": [
                {"secretRef": {"name": "a"}}, {"configMapRef": {"name": "b"}}, {"configMapRef": {"name": "shop-files-1"}},
                {"secretRef": {"name": "shop-files-2"}}, {"name": "C", "value": "d"},
            ],
            "registryCredentialRefs": [{"name": "r"}],
        });
        assert_eq!(object(&args, "shop", "text", Some("shop-files-1"), Some("shop-files-2"))["spec"], expected);
        let plain = object(&deploy("otter deploy f"), "shop", "text", None, None);
        assert_eq!(plain["spec"], json!({"compose": {"inline": "text"}}), "what was not asked for is nobody's");
    }

    #[test]
    fn a_name_is_made_fit_for_an_object() {
        for (raw, expected) in [("shop", "shop"), ("My Shop_2", "my-shop-2"), ("--", ""), ("", "")] {
            assert_eq!(fit(raw), expected);
        }
    }
}
