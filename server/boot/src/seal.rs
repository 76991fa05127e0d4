//! The root key at start: found, checked against what the store holds, and only then used or made.

use crate::data_dir::DataDir;
use anyhow::Context as _;
use otternauts_meta::Secret;
use otternauts_store::Store;
use otternauts_vault::{Error, Identity, KeySources, Vault};
use std::path::PathBuf;

/// The wrapped keyring, among the small values of the store.
const META: &str = "vault";
/// The public half of the root key: lets a wrong key be refused before the store is even opened.
const PUBLIC: &str = "secret.key.pub";
const PRIVATE: &str = "secret.key";

/// A key that was found, or the knowledge that there is none yet.
pub struct Found {
    identity: Option<Identity>,
    from_data_dir: bool,
}

/// Reads the key and compares it with the one this directory was sealed for. Writes nothing.
pub fn find(data: &DataDir, environment: Option<Secret<String>>, file: Option<PathBuf>) -> anyhow::Result<Found> {
    let from_data_dir = environment.is_none() && file.is_none();
    let sources = KeySources { environment, file, data_dir_file: data.file(PRIVATE) };
    let identity = sources.load()?;
    if let Some(needed) = data.read(PUBLIC)? {
        let needed = needed.trim().to_owned();
        match &identity {
            None => return Err(Error::MissingKey { needed }.into()),
            Some(identity) if identity.recipient() != needed => {
                return Err(Error::WrongKey { needed, given: identity.recipient() }.into());
            }
            Some(_) => {}
        }
    }
    Ok(Found { identity, from_data_dir })
}

impl Found {
    /// Opens the keyring of the store, or makes key and keyring for a store that has none.
    pub async fn unlock(self, data: &DataDir, store: &Store) -> anyhow::Result<Vault> {
        let kept = store.meta(META).await.context("cannot read the store's keyring")?;
        let identity = match (self.identity, &kept) {
            (Some(identity), _) => identity,
            (None, Some(kept)) => return Err(Error::MissingKey { needed: Vault::needs(kept)? }.into()),
            (None, None) => make(data)?,
        };
        let (vault, made) = Vault::open(&identity, kept.as_deref())?;
        if let Some(made) = made {
            store.set_meta(META, made.into()).await.context("cannot store the keyring")?;
            if self.from_data_dir {
                tracing::warn!(
                    file = %data.file(PRIVATE).display(),
                    "secrets are sealed with this key: keep a copy of the file in a safe place, without it they cannot be read"
                );
            }
        }
        data.close(PRIVATE)?;
        let public = format!("{}\n", identity.recipient());
        if data.read(PUBLIC)?.as_ref() != Some(&public) {
            data.write(PUBLIC, &public, 0o600)?;
        }
        Ok(vault)
    }
}

/// The file is durable before anything is sealed with it.
fn make(data: &DataDir) -> anyhow::Result<Identity> {
    let identity = Identity::generate();
    data.write(PRIVATE, identity.to_line().expose(), 0o600)?;
    Ok(identity)
}
