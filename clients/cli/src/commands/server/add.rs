//! `otter server add`: a Server, and its private key in a Secret that goes with it.

use super::{key, servers};
use crate::args::{self, Global, ServerAdd};
use crate::connect::{self, FIELD_MANAGER, Session};
use crate::exit::{Code, Failure};
use crate::follow;
use crate::output::{self, Format};
use crate::ready;
use anyhow::Context as _;
use clap::error::ErrorKind;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as SecretObject;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Resource as _};
use otternauts_meta::Secret;
use otternauts_types::server::{Connection, HostKeyConfirmation, SwarmRole};
use otternauts_types::{LocalRef, SYSTEM_NAMESPACE, SecretKeyRef, Server, ServerSpec};

/// The key of the Secret that holds the private key.
const KEY: &str = "ssh-privatekey";

pub async fn run(global: &Global, args: &ServerAdd, line: &mut clap::Command) -> anyhow::Result<Code> {
    let missing = args.missing();
    if !missing.is_empty() {
        let text = format!(
            "server add needs {} (or --connection local for the Docker engine of the control plane's machine)",
            missing.join(", ")
        );
        line.build();
        let add = line.find_subcommand_mut("server").and_then(|server| server.find_subcommand_mut("add"));
        let Some(add) = add else { return Err(Failure::new(Code::Usage, text).into()) };
        // Nobody is left to tell when the stream is closed.
        let _ = add.error(ErrorKind::MissingRequiredArgument, text).print();
        return Ok(Code::Usage);
    }
    let local = args.connection == args::Connection::Local;
    let key = match &args.key {
        Some(path) if !local => Some(key::read(path)?),
        _ => None,
    };
    let session = connect::open(global).await?;
    let made = create(&session, args, key).await.with_context(|| format!("cannot add server {:?}", args.name))?;
    match args.output.format {
        Format::Table => output::note(&format!("server {} added", args.name)),
        Format::Name => output::data(format!("server.otternauts.dev/{}\n", args.name).as_bytes())?,
        format => output::document(format, &made)?,
    }
    if !local && args.fingerprint.is_none() {
        output::note(&format!("  next: otter server confirm {}", args.name));
    }
    if args.wait { wait(&session, args).await } else { Ok(Code::Ok) }
}

/// Checked first, so that a refusal leaves nothing behind; the key before the server, so that it is never missed.
async fn create(session: &Session, args: &ServerAdd, key: Option<Secret<Vec<u8>>>) -> anyhow::Result<Server> {
    let server = Server::new(&args.name, spec(args, key.is_some()));
    let post = |dry_run| PostParams { dry_run, field_manager: Some(FIELD_MANAGER.into()) };
    let api = servers(session);
    api.create(&post(true), &server).await?;
    let Some(key) = key else { return Ok(api.create(&post(false), &server).await?) };
    let mut secret = secret(&args.name, &key);
    keep(session, &secret).await?;
    let made = match api.create(&post(false), &server).await {
        Ok(made) => made,
        Err(error) => {
            let secrets: Api<SecretObject> = Api::namespaced(session.client.clone(), SYSTEM_NAMESPACE);
            let name = secret_name(&args.name);
            // The error that counts is the first one; a Secret left behind is replaced by the next attempt.
            let _ = secrets.delete(&name, &DeleteParams::default()).await;
            return Err(error.into());
        }
    };
    secret.metadata.owner_references = made.owner_ref(&()).map(|owner| vec![owner]);
    keep(session, &secret).await?;
    Ok(made)
}

fn spec(args: &ServerAdd, with_key: bool) -> ServerSpec {
    let name = secret_name(&args.name);
    ServerSpec {
        cluster_ref: args.cluster.clone().map(|name| LocalRef { name }),
        address: args.address.clone().unwrap_or_default(),
        port: args.port,
        user: args.user.clone().unwrap_or_default(),
        private_key_secret_ref: with_key.then_some(SecretKeyRef { namespace: None, name, key: None }),
        role: match args.role {
            args::Role::Manager => SwarmRole::Manager,
            args::Role::Worker => SwarmRole::Worker,
        },
        connection: match args.connection {
            args::Connection::Ssh => Connection::Ssh,
            args::Connection::Local => Connection::Local,
        },
        host_key: args.fingerprint.clone().map(|fingerprint| HostKeyConfirmation { fingerprint }),
        ..ServerSpec::default()
    }
}

fn secret_name(server: &str) -> String {
    format!("{server}-ssh")
}

fn secret(server: &str, key: &Secret<Vec<u8>>) -> SecretObject {
    SecretObject {
        metadata: ObjectMeta { name: Some(secret_name(server)), ..ObjectMeta::default() },
        data: Some([(KEY.to_owned(), ByteString(key.expose().clone()))].into()),
        ..SecretObject::default()
    }
}

/// Not by force: a Secret of that name which somebody else wrote is a conflict, not ours to replace.
async fn keep(session: &Session, secret: &SecretObject) -> anyhow::Result<()> {
    let api: Api<SecretObject> = Api::namespaced(session.client.clone(), SYSTEM_NAMESPACE);
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let done = api.patch(name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(secret)).await;
    done.map(drop).with_context(|| format!("cannot keep the private key in Secret {SYSTEM_NAMESPACE}/{name}"))
}

async fn wait(session: &Session, args: &ServerAdd) -> anyhow::Result<Code> {
    let name = args.name.as_str();
    let resume = format!("otter status --wait server/{name}");
    let look = |object: Option<&Server>| ready::or_gone("server", name, object, ready::server);
    let ended = follow::until(&servers(session), name, args.timeout, &resume, look).await?;
    output::note(&format!("{} (after {})", ended.text, output::took(ended.took)));
    Ok(Code::Ok)
}
