//! `otter keys rotate --root --store etcd:...` and `otter keys recover --store etcd:...`: a new root key for a store in etcd from which
//! nobody serves.
//!
//! Each replica has the root key in a place of its own, so who gives it to them is their owner. A replica that was overlooked harms
//! nothing: it cannot open the keyring any more, and commits nothing under the one before. Killed at any moment, run again.

#[cfg(test)]
mod tests;

use crate::data_dir::DataDir;
use crate::ending::Ending;
use crate::migration::live;
use crate::migration::place::Place;
use crate::store_command::EtcdFiles;
use crate::{config::EtcdConfig, seal, storage};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use otternauts_meta::Secret;
use otternauts_store::{EtcdOptions, Purpose, Store};
use otternauts_vault::{Error, Identity, Vault};
use std::path::PathBuf;

/// The store, where it is not in the data directory.
#[derive(Debug, Args)]
pub struct InEtcd {
    /// A new root key for this store in etcd, from which no replica serves: etcd:URL,URL,...[/PREFIX]; --data-dir is a replica's
    #[arg(long, value_name = "STORE", requires = "data_dir")]
    store: Option<Place>,
    #[command(flatten)]
    tls: EtcdFiles,
}

impl InEtcd {
    pub fn is_given(&self) -> bool {
        self.store.is_some() || self.tls != EtcdFiles::default()
    }

    /// How it is opened: to be changed, and nothing is made of an empty prefix.
    pub fn options(self) -> anyhow::Result<EtcdOptions> {
        let Some(Place::Etcd { endpoints, prefix }) = self.store else {
            bail!("--store and --etcd-... are for --store etcd:URL,...; a directory is named with --data-dir alone");
        };
        Ok(storage::etcd_options(&EtcdConfig { endpoints, prefix, ..self.tls.config() }, Purpose::Leave))
    }
}

/// What is asked for.
pub struct Order {
    pub store: EtcdOptions,
    /// A replica's, which does not run.
    pub data_dir: PathBuf,
    pub with: With,
    /// The new key, where it is not kept in the directory.
    pub new_secret_key_file: Option<PathBuf>,
}

/// What opens the keyring.
pub enum With {
    /// The root key until now, as a server finds it: in this file, in its directory, or in the environment.
    Root(Option<PathBuf>),
    /// A recovery key: the root key is lost.
    Recovery(Identity),
}

/// Answers the new key's public half.
pub async fn run(
    order: Order,
    secret_key: Option<Secret<String>>,
    tell: impl Fn(&str) + Send + Sync,
) -> anyhow::Result<String> {
    let Order { store, data_dir, with, new_secret_key_file } = order;
    ensure!(data_dir.is_dir(), "there is no {}: it should be the data directory of a replica", data_dir.display());
    let data = DataDir::open(&data_dir)?;
    let next = new_secret_key_file.as_deref().map(Identity::read).transpose()?;
    let opened = tokio::task::spawn_blocking(move || Store::etcd(store)).await?;
    let store = opened.context("cannot open the store in etcd")?;
    let done = Rotation { data, store: store.clone() }.go(secret_key, with, next, tell).await;
    let closed = store.close().await;
    let root = done?;
    closed.context("cannot close the store")?;
    Ok(root)
}

struct Rotation {
    data: DataDir,
    store: Store,
}

impl Rotation {
    async fn go(
        self,
        secret_key: Option<Secret<String>>,
        with: With,
        next: Option<Identity>,
        tell: impl Fn(&str) + Send + Sync,
    ) -> anyhow::Result<String> {
        if let Some(note) = self.store.moved().await.context("cannot read the store")? {
            return Err(Ending::conflict(format!("the store was moved {note}: what is there is old")).into());
        }
        let kept = self.store.meta(seal::META).await.context("cannot read the store's keyring")?;
        let kept = kept.context("this store has no keyring: nothing was ever sealed in it")?;
        if let Some(next) = next.as_ref().filter(|next| Vault::needs(&kept).ok() == Some(next.recipient())) {
            tell("the keyring is wrapped for the new key already");
            return self.end(next, None).await;
        }
        let file = match with {
            With::Root(file) => file,
            With::Recovery(recovery) => {
                let vault = super::opened_with(&recovery, &kept)?;
                live::refuse_live(&self.store, &tell).await?;
                let keep_file = next.is_none();
                let next = next.unwrap_or_else(Identity::generate);
                seal::replace_root(&self.data, &self.store, &vault, &next, keep_file).await?;
                return self.end(&next, None).await;
            }
        };
        let found = seal::find(&self.data, secret_key, file)?;
        found.fits(&kept)?;
        let keep_file = found.is_in_data_dir();
        let next = match (next, keep_file) {
            (Some(next), false) => next,
            (None, true) => Identity::generate(),
            (Some(_), true) => bail!(super::IN_DIRECTORY),
            (None, false) => bail!(super::KEPT_OUTSIDE),
        };
        live::refuse_live(&self.store, &tell).await?;
        let unlocked = found.unlock(&self.data, &self.store, &[]).await?;
        seal::replace_root(&self.data, &self.store, &unlocked.vault, &next, keep_file).await?;
        self.end(&next, Some(&unlocked.identity)).await
    }

    /// The new key opens what is kept, the old one does not, and etcd forgets the keyring as it was.
    async fn end(&self, next: &Identity, before: Option<&Identity>) -> anyhow::Result<String> {
        let kept = self.store.meta(seal::META).await.context("cannot read the store's keyring")?.unwrap_or_default();
        let root = next.recipient();
        ensure!(
            Vault::needs(&kept)? == root,
            "somebody else has changed the keys meanwhile: look at them, and try again"
        );
        Vault::open(next, Some(&kept)).context("the new key does not open the keyring")?;
        if let Some(before) = before {
            let opened = Vault::open(before, Some(&kept));
            ensure!(matches!(opened, Err(Error::WrongKey { .. })), "the old key still opens the keyring");
        }
        self.data.write(seal::PUBLIC, &format!("{root}\n"), 0o600)?;
        // In its past etcd has the keyring as it was.
        self.store.forget(self.store.revision()).await.context("etcd does not forget the keyring as it was")?;
        Ok(root)
    }
}

/// The command: says what was done, and what is next.
pub async fn command(order: Order, secret_key: Option<Secret<String>>) -> anyhow::Result<()> {
    let dir = order.data_dir.display().to_string();
    let outside = order.new_secret_key_file.is_some();
    let root = run(order, secret_key, super::progress).await?;
    let key = if outside { "the new key".to_owned() } else { format!("{dir}/secret.key") };
    super::say(&format!(
        "done: the root key is {root}; keep a copy of it off these servers\n\
         the old one opens nothing in etcd any more; etcdctl defrag on each member takes what it opened out of their files\n\
         next: give {key} and {dir}/secret.key.pub to every replica, and start them\n"
    ))
}
