//! The files that all replicas of a control plane must share: the authority, the key of ServiceAccount tokens, the administrator's token.
//!
//! They lie in one Secret, sealed like any other, and so go with backups and new keys. The first replica makes it from its files; the
//! others take their files from it. With the SQLite store there is nobody to share with, and no such Secret.

use crate::clock;
use crate::data_dir::DataDir;
use crate::pki::{self, Pki};
use anyhow::{Context as _, bail};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use otternauts_auth::User;
use otternauts_auth::user::MASTERS;
use otternauts_meta::{Object, Secret};
use otternauts_registry::{Body, Caller, DeleteOptions, Registry, Subresource, Target, WriteOptions};
use serde_json::json;
use std::sync::Arc;

const NAME: &str = "otternauts-pki";
/// Secret keys have no slash: the name there, the file here, its mode.
const FILES: [(&str, &str, u32); 4] = [
    ("ca.crt", "pki/ca.crt", 0o644),
    ("ca.key", "pki/ca.key", 0o600),
    ("sa.key", "pki/sa.key", 0o600),
    ("admin.token", "admin.token", 0o600),
];

/// As [`Pki::open`], with the files that the other replicas have.
pub async fn open(data: &DataDir, registry: &Registry, names: &[String]) -> anyhow::Result<Pki> {
    for _ in 0..3 {
        if let Some(files) = read(registry).await? {
            put_in_place(data, &files)?;
            return Pki::open(data, names, clock::now());
        }
        let pki = Pki::open(data, names, clock::now())?;
        if create(data, registry).await? {
            return Ok(pki);
        }
        // Another replica was first: its files count.
    }
    bail!("the Secret {}/{NAME} comes and goes", pki_namespace())
}

fn pki_namespace() -> &'static str {
    crate::inside::SYSTEM_NAMESPACE
}

fn caller() -> Caller {
    Caller::new(User::authenticated("system:apiserver", [MASTERS.to_owned()]), "otternauts")
}

fn target(registry: &Registry) -> anyhow::Result<Target> {
    let definitions = registry.definitions();
    let definition = definitions.resource("", "secrets").context("Secrets are not served")?;
    Ok(Target {
        definition: Arc::clone(definition),
        version: "v1".to_owned(),
        namespace: Some(pki_namespace().to_owned()),
        name: Some(NAME.to_owned()),
        subresource: Subresource::None,
    })
}

async fn read(registry: &Registry) -> anyhow::Result<Option<Vec<Secret<String>>>> {
    let served = match registry.get(&caller(), &target(registry)?, "").await {
        Ok(served) => served,
        Err(status) if status.code == 404 => return Ok(None),
        Err(status) => bail!("cannot read the Secret {}/{NAME}: {}", pki_namespace(), status.message),
    };
    let value: serde_json::Value = serde_json::from_slice(&served.bytes).context("the shared Secret is no JSON")?;
    let file = |(key, _, _): &(&str, &str, u32)| {
        let text = value["data"][key].as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        text.map(Secret::new).with_context(|| format!("the Secret {}/{NAME} lacks {key}", pki_namespace()))
    };
    FILES.iter().map(file).collect::<anyhow::Result<_>>().map(Some)
}

/// `false`: it is there already.
async fn create(data: &DataDir, registry: &Registry) -> anyhow::Result<bool> {
    let mut content = serde_json::Map::new();
    for (key, file, _) in FILES {
        let text = Secret::new(data.read(file)?.with_context(|| format!("{file} is missing"))?);
        content.insert(key.to_owned(), BASE64_STANDARD.encode(text.expose()).into());
    }
    let object = Object::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "otternauts.dev/pki", "immutable": true,
        "metadata": {"name": NAME, "namespace": pki_namespace()},
        "data": content,
    }));
    let object = object.map_err(|_| anyhow::anyhow!("the shared Secret is no object"))?;
    let collection = Target { name: None, ..target(registry)? };
    let body = Body { object, duplicates: Vec::new() };
    match registry.create(&caller(), &collection, body, &WriteOptions::default()).await {
        Ok(_) => Ok(true),
        Err(status) if status.code == 409 => Ok(false),
        Err(status) => bail!("cannot make the Secret {}/{NAME}: {}", pki_namespace(), status.message),
    }
}

/// Does nothing where there is none.
async fn remove(registry: &Registry) -> anyhow::Result<()> {
    let (read, unread) =
        (DeleteOptions::default(), DeleteOptions { ignore_read_error: true, ..DeleteOptions::default() });
    let mut done = registry.delete(&caller(), &target(registry)?, &read).await;
    if matches!(&done, Err(status) if status.code == 500) {
        // It is damaged: no reason not to start (P16).
        done = registry.delete(&caller(), &target(registry)?, &unread).await;
    }
    match done {
        Ok(_) => Ok(()),
        Err(status) if status.code == 404 => Ok(()),
        Err(status) => bail!("cannot remove the Secret {}/{NAME}: {}", pki_namespace(), status.message),
    }
}

/// For a store that replicas will share: the Secret says what the files say. `false`: there are no files yet, and the first replica makes
/// both.
#[cfg(feature = "etcd")]
pub async fn publish(data: &DataDir, registry: &Registry) -> anyhow::Result<bool> {
    let mut here = Vec::new();
    for (_, file, _) in FILES {
        let Some(text) = data.read(file)? else { return Ok(false) };
        here.push(Secret::new(text));
    }
    if let Some(there) = read(registry).await? {
        if here.iter().zip(&there).all(|(here, there)| here.expose() == there.expose()) {
            return Ok(true);
        }
        // From an earlier time on etcd; the files are what clients know.
        remove(registry).await?;
    }
    create(data, registry).await
}

/// For a store that replicas have shared: the files of its one server from now on. `false`: there is no such Secret.
#[cfg(feature = "etcd")]
pub async fn take(data: &DataDir, registry: &Registry) -> anyhow::Result<bool> {
    let found = read(registry).await?;
    found.map_or(Ok(false), |files| put_in_place(data, &files).map(|()| true))
}

fn put_in_place(data: &DataDir, files: &[Secret<String>]) -> anyhow::Result<()> {
    for ((_, file, mode), text) in FILES.iter().zip(files) {
        let here = data.read(file)?.map(Secret::new);
        if here.as_ref().is_some_and(|here| here.expose() == text.expose()) {
            continue;
        }
        if here.is_some() {
            tracing::warn!(file, "replaced by the one that all replicas share");
        }
        data.write(file, text.expose(), *mode)?;
    }
    Ok(())
}

/// The files of this replica alone, or those of all.
pub async fn open_for(
    data: &DataDir,
    registry: &Registry,
    listen: std::net::SocketAddr,
    asked: &[String],
) -> anyhow::Result<Pki> {
    let names = pki::names(listen, asked);
    if registry.store().is_shared() {
        open(data, registry, &names).await
    } else {
        let pki = Pki::open(data, &names, clock::now())?;
        // A store that came from etcd has it, and whoever may read Secrets would read the authority's key there for nothing.
        remove(registry).await?;
        Ok(pki)
    }
}
