//! `otter deploy NAME`: a Stack that is there already.

use super::{follow_deployment, follow_stack, outcome, stacks};
use crate::args::Deploy;
use crate::connect::{FIELD_MANAGER, Session};
use crate::exit::{Code, Failure};
use crate::{output, voice};
use anyhow::Context as _;
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use otternauts_types::stack::DeployPolicy;
use otternauts_types::{Deployment, DeploymentSpec, LocalRef};

pub async fn run(session: &Session, args: &Deploy) -> anyhow::Result<Code> {
    let name = args.target.as_str();
    let about_a_file = !args.variables.env.is_empty()
        || !args.variables.env_file.is_empty()
        || !args.env_from.is_empty()
        || !args.registry_credential.is_empty()
        || args.cluster.is_some()
        || args.name.is_some()
        || args.dry_run;
    if about_a_file {
        let text = format!("{name} is no file, and a Stack is deployed once more as it is");
        let step = format!(
            "leave --env, --name and the like out, or give the compose file; edit it with: kubectl edit stack {name}"
        );
        return Err(Failure::new(Code::Usage, text).next(step).into());
    }
    let missing = || format!("{name:?} is neither a file nor a stack in namespace {}", session.namespace);
    let stack = stacks(session).get(name).await.with_context(missing)?;
    if stack.spec.deploy_policy == DeployPolicy::Automatic {
        output::note(&format!("stack {name} deploys its changes by itself (deployPolicy Automatic)"));
        let generation = stack.metadata.generation.unwrap_or_default();
        outcome(&follow_stack(session, name, generation, args.timeout).await?);
        return Ok(Code::Ok);
    }
    deploy(session, name, args).await
}

/// Asks for one rollout of a Stack with deployPolicy Manual: the controller gives it its version and its snapshot.
pub async fn deploy(session: &Session, stack: &str, args: &Deploy) -> anyhow::Result<Code> {
    let spec = DeploymentSpec { stack_ref: LocalRef { name: stack.to_owned() }, ..DeploymentSpec::default() };
    let mut deployment = Deployment::new("", spec);
    deployment.metadata.name = None;
    deployment.metadata.generate_name = Some(format!("{stack}-"));
    let api: Api<Deployment> = Api::namespaced(session.client.clone(), &session.namespace);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    let made = api.create(&params, &deployment).await.with_context(|| format!("cannot deploy stack {stack:?}"))?;
    output::note(&format!("deployment {} created", made.name_any()));
    if args.wait {
        let ended = follow_deployment(session, &made.name_any(), args.timeout).await?;
        output::note(voice::SUCCESS);
        outcome(&ended);
    }
    Ok(Code::Ok)
}
