//! `otter server`: add, confirm, list, remove.

use crate::args::{Connection, Format, Global, Output, Role, ServerAdd, ServerConfirm, ServerRemove};
use crate::client::{self, MANAGER, Session};
use crate::exit::{Code, fail};
use crate::progress::{self, Verdict};
use crate::{status, table, terminal, voice};
use anyhow::Context as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as SecretObject;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Resource as _, ResourceExt as _};
use otternauts_types::server::{self, HostKeyConfirmation, ServerPhase, SwarmRole};
use otternauts_types::{
    Cluster, ConditionStatus, FORCE_DELETE_ANNOTATION, LocalRef, SYSTEM_NAMESPACE, SecretKeyRef, Server, ServerSpec,
};
use serde_json::json;

pub async fn add(global: &Global, args: ServerAdd) -> anyhow::Result<Code> {
    let local = args.connection == Connection::Local || args.local;
    let key = match (&args.key, local) {
        (Some(path), false) => Some(std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?),
        (None, false) => return Err(fail(Code::Usage, "--key is needed: the file with the private key")),
        (_, true) => None,
    };
    let session = client::open(global).await?;
    let secret = format!("{}-ssh", args.name);
    let spec = ServerSpec {
        cluster_ref: args.cluster.clone().map(|name| LocalRef { name }),
        address: args.address.clone().unwrap_or_default(),
        port: args.port,
        user: args.user.clone().unwrap_or_default(),
        private_key_secret_ref: key.is_some().then(|| SecretKeyRef {
            namespace: None,
            name: secret.clone(),
            key: None,
        }),
        role: if args.role == Some(Role::Worker) { SwarmRole::Worker } else { SwarmRole::Manager },
        connection: if local { server::Connection::Local } else { server::Connection::Ssh },
        host_key: args.fingerprint.clone().map(|fingerprint| HostKeyConfirmation { fingerprint }),
        ..ServerSpec::default()
    };
    let api: Api<Server> = Api::all(session.client.clone());
    // The object first: a name that is taken must not touch the other server's key.
    let made = api
        .create(
            &PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() },
            &Server::new(&args.name, spec),
        )
        .await
        .with_context(|| format!("cannot create server {:?}", args.name))?;
    if let Some(key) = key {
        keep_key(&session, &made, &secret, key).await?;
    }
    terminal::note(&format!("server/{} created", args.name));
    if !local && args.fingerprint.is_none() {
        terminal::note(&voice::tip(&format!("compare its host key, then type: otter server confirm {}", args.name)));
    }
    if args.wait { wait_ready(&session, &args.name, args.timeout).await } else { Ok(Code::Ok) }
}

/// The private key lives in a Secret that goes with the Server.
async fn keep_key(session: &Session, server: &Server, name: &str, key: Vec<u8>) -> anyhow::Result<()> {
    let object = SecretObject {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            owner_references: server.controller_owner_ref(&()).map(|r| vec![r]),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/ssh-auth".into()),
        data: Some([("ssh-privatekey".to_owned(), ByteString(key))].into()),
        ..SecretObject::default()
    };
    let api: Api<SecretObject> = Api::namespaced(session.client.clone(), SYSTEM_NAMESPACE);
    let params = PatchParams::apply(MANAGER).force();
    api.patch(name, &params, &Patch::Apply(&object)).await.context("cannot keep the private key in a Secret")?;
    Ok(())
}

async fn wait_ready(session: &Session, name: &str, timeout: std::time::Duration) -> anyhow::Result<Code> {
    let api: Api<Server> = Api::all(session.client.clone());
    let look = |server: &Server| {
        let status = server.status.clone().unwrap_or_default();
        let conditions = status.conditions.iter().filter(|c| c.status == ConditionStatus::True).count();
        let phase = status::word(&status.phase);
        let line = format!("server {name}: {phase}, {conditions} of {} checks", status.conditions.len());
        let told = status.last_error.map(|e| format!("{line}: {e}")).unwrap_or(line);
        // Failures of a server heal by themselves once their cause is gone: only the clock ends this.
        if status.phase == ServerPhase::Ready { Verdict::Done(told) } else { Verdict::Waiting(told) }
    };
    progress::until(&api, name, timeout, look).await?;
    terminal::note(&format!("server/{name} is ready"));
    Ok(Code::Ok)
}

pub async fn confirm(global: &Global, args: ServerConfirm) -> anyhow::Result<Code> {
    let session = client::open(global).await?;
    let api: Api<Server> = Api::all(session.client.clone());
    let server = api.get(&args.name).await.with_context(|| format!("cannot read server {:?}", args.name))?;
    let confirmed = server.spec.host_key.as_ref().map(|k| k.fingerprint.clone());
    let fingerprint = match &args.fingerprint {
        Some(fingerprint) => fingerprint.clone(),
        None => observed(&api, &args).await?,
    };
    match confirmed {
        Some(known) if known == fingerprint => {
            terminal::note(&format!("server/{} has this key confirmed already: {fingerprint}", args.name));
            return Ok(Code::Ok);
        }
        Some(known) if !args.replace => {
            let text = format!(
                "server {} has another key confirmed:\n  confirmed {known}\n  now       {fingerprint}\n\
                 This could be an attack. If the server was reinstalled, use --replace.",
                args.name
            );
            return Err(fail(Code::Conflict, text));
        }
        _ => {}
    }
    if args.fingerprint.is_none() && !args.yes {
        ask(&args.name, &fingerprint)?;
    }
    let patch = json!({"spec": {"hostKey": {"fingerprint": fingerprint}}});
    let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    api.patch(&args.name, &params, &Patch::Merge(patch)).await.context("cannot confirm the host key")?;
    terminal::note(&format!("server/{} confirmed: {fingerprint}", args.name));
    Ok(Code::Ok)
}

/// The key the server shows, waited for.
async fn observed(api: &Api<Server>, args: &ServerConfirm) -> anyhow::Result<String> {
    let name = &args.name;
    let shown = |server: &Server| server.status.as_ref()?.host_key.as_ref().map(|k| k.fingerprint.clone());
    let look = |server: &Server| match shown(server) {
        Some(_) => Verdict::Done(format!("server {name} shows its key")),
        None => {
            let error = server.status.as_ref().and_then(|s| s.last_error.clone()).unwrap_or_default();
            Verdict::Waiting(format!("server {name} has not shown its key yet. {error}"))
        }
    };
    progress::until(api, name, args.timeout, look).await?;
    shown(&api.get(name).await?).context("the server shows no key any more")
}

fn ask(name: &str, fingerprint: &str) -> anyhow::Result<()> {
    terminal::note(&format!("server {name} shows the host key\n  {fingerprint}"));
    terminal::note("Compare it with what the server's console says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
    if !terminal::can_ask() {
        return Err(fail(
            Code::Usage,
            "nobody is here to compare it: give --fingerprint, or --yes to trust what is shown",
        ));
    }
    match terminal::ask("Is it the same? Type yes to confirm:")?.as_str() {
        "yes" => Ok(()),
        _ => Err(fail(Code::Error, "not confirmed; nothing was sent to the server")),
    }
}

pub async fn list(global: &Global, args: &Output) -> anyhow::Result<Code> {
    let session = client::open(global).await?;
    let api: Api<Server> = Api::all(session.client.clone());
    let servers = api.list(&ListParams::default()).await.context("cannot list servers")?.items;
    match args.output {
        Format::Table if servers.is_empty() => terminal::note(voice::EMPTY),
        Format::Table => terminal::data(&table(&servers))?,
        format => status::print(format, "server", &servers)?,
    }
    Ok(Code::Ok)
}

pub fn table(servers: &[Server]) -> String {
    let row = |s: &Server| {
        let status = s.status.clone().unwrap_or_default();
        let role = status.swarm_role.unwrap_or(s.spec.role);
        vec![
            s.name_any(),
            status::word(&status.phase),
            status::word(&role),
            s.spec.address.clone(),
            status.docker_version.unwrap_or_default(),
            status::age(s.creation_timestamp().map(|t| t.0)),
            status.last_error.unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = servers.iter().map(row).collect();
    table::table(&["NAME", "PHASE", "ROLE", "ADDRESS", "DOCKER", "AGE", "MESSAGE"], &rows)
}

pub async fn remove(global: &Global, args: ServerRemove) -> anyhow::Result<Code> {
    let session = client::open(global).await?;
    let api: Api<Server> = Api::all(session.client.clone());
    let server = api.get(&args.name).await.with_context(|| format!("cannot read server {:?}", args.name))?;
    if !args.yes {
        let what = match server.status.as_ref().and_then(|s| s.swarm_node_id.as_ref()) {
            Some(_) => "Its tasks move elsewhere, it leaves the swarm, and its data volumes stay on it.",
            None => "It is not in the swarm.",
        };
        terminal::note(&format!("server {} is going to be removed. {what}", args.name));
        if !terminal::can_ask() {
            return Err(fail(Code::Usage, "nobody is here to agree: use --yes"));
        }
        if terminal::ask("Type the server's name to go on:")? != args.name {
            return Err(fail(Code::Error, "not removed"));
        }
    }
    if args.force {
        let patch = json!({"metadata": {"annotations": {FORCE_DELETE_ANNOTATION: "true"}}});
        api.patch(&args.name, &PatchParams::default(), &Patch::Merge(patch)).await.context("cannot mark the server")?;
    }
    api.delete(&args.name, &DeleteParams::default()).await.context("cannot remove the server")?;
    progress::until_gone(&api, &args.name, args.timeout).await?;
    terminal::note(&format!("server/{} removed", args.name));
    Ok(Code::Ok)
}

/// Clusters are few: asked for by `status` only.
pub async fn clusters(session: &Session) -> anyhow::Result<Vec<Cluster>> {
    let api: Api<Cluster> = Api::all(session.client.clone());
    Ok(api.list(&ListParams::default()).await.context("cannot list clusters")?.items)
}
