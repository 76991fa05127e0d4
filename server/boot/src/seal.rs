//! The root key at start: found, checked against what the store holds, and only then used or made. And how it is replaced, so that a
//! crash at any moment leaves a key that opens the store.

use crate::data_dir::DataDir;
use anyhow::Context as _;
use bytes::Bytes;
use otternauts_meta::Secret;
use otternauts_store::Store;
use otternauts_vault::{Error, Identity, KeySources, Recipient, Vault};
use std::path::PathBuf;

/// The wrapped keyring, among the small values of the store.
pub const META: &str = "vault";
/// The public halves of the root keys that may be the right one: lets a wrong key be refused before the store is even opened.
pub const PUBLIC: &str = "secret.key.pub";
pub const PRIVATE: &str = "secret.key";
/// A new root key, until the store is wrapped for it.
const NEXT: &str = "secret.key.next";
/// The root key before, until a start with the new one was good.
const OLD: &str = "secret.key.old";

/// The key that was found, or the knowledge that there is none yet.
pub struct Found {
    /// The key in use, and the one that was about to replace it when somebody pulled the plug.
    identities: Vec<Identity>,
    from_data_dir: bool,
}

/// A keyring that is open, and what opened it.
pub struct Unlocked {
    pub vault: Vault,
    pub identity: Identity,
    /// The root key lies in the data directory; otherwise somebody else keeps it.
    pub from_data_dir: bool,
}

/// Reads the key and compares it with the one this directory was sealed for. Writes nothing.
pub fn find(data: &DataDir, environment: Option<Secret<String>>, file: Option<PathBuf>) -> anyhow::Result<Found> {
    let from_data_dir = environment.is_none() && file.is_none();
    let sources = KeySources { environment, file, data_dir_file: data.file(PRIVATE) };
    let mut identities: Vec<Identity> = sources.load()?.into_iter().collect();
    if from_data_dir && data.read(NEXT)?.is_some() {
        identities.push(Identity::read(&data.file(NEXT))?);
    }
    if let Some(public) = data.read(PUBLIC)? {
        let needed: Vec<&str> = public.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if !identities.iter().any(|identity| needed.contains(&identity.recipient().as_str())) {
            let needed = needed.join(" or ");
            return Err(match identities.first() {
                None => Error::MissingKey { needed },
                Some(identity) => Error::WrongKey { needed, given: identity.recipient() },
            }
            .into());
        }
    }
    Ok(Found { identities, from_data_dir })
}

impl Found {
    /// The root key, unless there is none yet.
    #[cfg(feature = "etcd")]
    pub fn first(&self) -> Option<&Identity> {
        self.identities.first()
    }

    /// Whether it lies in the data directory, or will; otherwise somebody else keeps it.
    #[cfg(feature = "etcd")]
    pub fn is_in_data_dir(&self) -> bool {
        self.from_data_dir
    }

    /// Makes a root key in the directory where none is.
    #[cfg(feature = "etcd")]
    pub fn or_made(mut self, data: &DataDir) -> anyhow::Result<Self> {
        if self.identities.is_empty() {
            self.identities.push(make(data)?);
        }
        Ok(self)
    }

    /// Whether one of the keys is the one that a kept keyring is wrapped for; the error names that one.
    #[cfg(feature = "etcd")]
    pub fn fits(&self, kept: &[u8]) -> anyhow::Result<()> {
        let needed = Vault::needs(kept)?;
        let given: Vec<String> = self.identities.iter().map(Identity::recipient).collect();
        match given.first() {
            _ if given.contains(&needed) => Ok(()),
            None => Err(Error::MissingKey { needed }.into()),
            Some(given) => Err(Error::WrongKey { needed, given: given.clone() }.into()),
        }
    }

    /// Opens the keyring of the store, or makes key and keyring for a store that has none. `recovery`, when it names anybody, are who
    /// else can open the keyring from now on.
    pub async fn unlock(self, data: &DataDir, store: &Store, recovery: &[Recipient]) -> anyhow::Result<Unlocked> {
        let kept = store.meta(META).await.context("cannot read the store's keyring")?;
        let identity = match &kept {
            Some(kept) => right_one(self.identities, Vault::needs(kept)?)?,
            None => match self.identities.into_iter().next() {
                Some(identity) => identity,
                None => make(data)?,
            },
        };
        let (mut vault, made) = Vault::open(&identity, kept.as_deref())?;
        let mut current = kept.clone().unwrap_or_default();
        if let Some(made) = made {
            let kept = store.claim_meta(META, made.clone().into()).await.context("cannot store the keyring")?;
            current.clone_from(&kept);
            if kept != made {
                // Another replica started at the same time and was first.
                let needed = Vault::needs(&kept)?;
                if needed != identity.recipient() {
                    return Err(Error::WrongKey { needed, given: identity.recipient() }.into());
                }
                vault = Vault::open(&identity, Some(&kept))?.0;
            }
            if self.from_data_dir {
                tracing::warn!(
                    file = %data.file(PRIVATE).display(),
                    "secrets are sealed with this key: keep a copy of the file in a safe place, without it they cannot be read"
                );
            }
        }
        if !recovery.is_empty() && vault.recovery() != recovery {
            mark(data, &identity.recipient(), "")?;
            let change = vault.rewrapped(vault.root(), recovery.to_vec())?;
            let stored = store.replace_meta(META, &current, change.wrapped().to_vec().into()).await;
            if !stored.context("cannot store the keyring")? {
                anyhow::bail!("another replica changes the keys just now: start again");
            }
            vault.install(change);
            tracing::info!(?recovery, "the keyring can be opened with these recovery keys too");
        }
        if self.from_data_dir {
            settle(data, &identity)?;
        }
        let public = identity.recipient();
        let noted = data.read(PUBLIC)?;
        if noted.is_none() {
            data.write(PUBLIC, &format!("{public}\n"), 0o600)?;
        } else if noted != Some(format!("{public}\n")) {
            // The keyring was changed just now, or a change was cut short.
            match let_go(data, store, &public).await {
                Err(error) if matches!(error.downcast_ref(), Some(otternauts_store::Error::HeldBack)) => {
                    tracing::warn!(error = %format_args!("{error:#}"), "the next start will try again");
                }
                done => done?,
            }
        }
        Ok(Unlocked { vault, identity, from_data_dir: self.from_data_dir })
    }
}

/// The identity that the keyring is wrapped for; a recovery key opens it too, but is not to lie on the server.
fn right_one(identities: Vec<Identity>, needed: String) -> anyhow::Result<Identity> {
    let given = identities.first().map(Identity::recipient);
    let found = identities.into_iter().find(|identity| identity.recipient() == needed);
    found.ok_or_else(|| match given {
        None => Error::MissingKey { needed }.into(),
        Some(given) => Error::WrongKey { needed, given }.into(),
    })
}

/// Brings the files in line with the key that has opened the store: a replacement that had begun is ended, or taken back.
fn settle(data: &DataDir, identity: &Identity) -> anyhow::Result<()> {
    data.close(PRIVATE)?;
    let waiting = match data.read(NEXT)? {
        Some(_) => Some(Identity::read(&data.file(NEXT))?),
        None => None,
    };
    match waiting {
        Some(next) if next.recipient() == identity.recipient() => put_in_place(data),
        Some(_) => data.remove(NEXT),
        // This start was good with the key that replaced it.
        None => data.remove(OLD),
    }
}

/// The new key takes the old one's name; the old one is kept aside.
fn put_in_place(data: &DataDir) -> anyhow::Result<()> {
    if let Some(old) = data.read(PRIVATE)?.map(Secret::new) {
        data.write(OLD, old.expose(), 0o600)?;
    }
    data.rename(NEXT, PRIVATE)
}

/// Makes `next` the root key: the keyring is wrapped for it in one durable step, and each file is in place before or after that step, so
/// that every start finds a key that fits. With `keep_file` the key is put into the data directory, else its owner keeps it.
pub async fn replace_root(
    data: &DataDir,
    store: &Store,
    vault: &Vault,
    next: &Identity,
    keep_file: bool,
) -> anyhow::Result<()> {
    wrap_for(data, store, vault, next, keep_file).await?;
    end_replacement(data, store, next, keep_file).await
}

/// The first half of [`replace_root`]: when it answers, `next` is the root key, and what is kept is wrapped for it.
pub async fn wrap_for(
    data: &DataDir,
    store: &Store,
    vault: &Vault,
    next: &Identity,
    keep_file: bool,
) -> anyhow::Result<Bytes> {
    if keep_file {
        data.write(NEXT, next.to_line().expose(), 0o600)?;
    }
    mark(data, &vault.root().to_string(), &next.recipient())?;
    let kept = store.meta(META).await.context("cannot read the store's keyring")?.unwrap_or_default();
    let change = vault.rewrapped(Recipient::parse(&next.recipient())?, vault.recovery())?;
    let wrapped = Bytes::copy_from_slice(change.wrapped());
    if !store.replace_meta(META, &kept, wrapped.clone()).await.context("cannot store the keyring")? {
        anyhow::bail!("another replica changes the keys just now: stop it, and try again");
    }
    vault.install(change);
    Ok(wrapped)
}

/// The second half: the file has its place, and the keyring before is let go of. The next start does what of it could not be done.
pub async fn end_replacement(data: &DataDir, store: &Store, next: &Identity, keep_file: bool) -> anyhow::Result<()> {
    if keep_file {
        put_in_place(data)?;
    }
    let root = next.recipient();
    let_go(data, store, &root).await.with_context(|| format!("the root key is {root} now; start the server with it"))
}

/// Says that the keyring is about to be changed, until [`let_go`] has been done: a start that finds a second line, if an empty one, does it.
/// `next`: the root key that may be the right one then.
pub fn mark(data: &DataDir, root: &str, next: &str) -> anyhow::Result<()> {
    data.write(PUBLIC, &format!("{root}\n{next}\n"), 0o600)
}

/// The keyring as it was before, wrapped for keys that are to open nothing any more, lies in the write-ahead log until that is emptied;
/// with etcd, in its own past.
pub async fn let_go(data: &DataDir, store: &Store, root: &str) -> anyhow::Result<()> {
    store.forget(store.oldest()).await.context("cannot let go of the keyring before")?;
    data.write(PUBLIC, &format!("{root}\n"), 0o600)
}

/// The file is durable before anything is sealed with it.
fn make(data: &DataDir) -> anyhow::Result<Identity> {
    let identity = Identity::generate();
    data.write(PRIVATE, identity.to_line().expose(), 0o600)?;
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use otternauts_store::SqliteOptions;

    async fn start(path: &std::path::Path) -> anyhow::Result<String> {
        let data = DataDir::open(path)?;
        let found = find(&data, None, None)?;
        data.protect()?;
        let store = Store::sqlite(SqliteOptions::new(data.file("otternauts.db")))?;
        let unlocked = found.unlock(&data, &store, &[]).await?;
        store.close().await?;
        Ok(unlocked.identity.recipient())
    }

    /// The states that a crash can leave, each made by doing the steps of [`replace_root`] up to there.
    #[tokio::test]
    async fn a_crash_at_any_step_of_a_new_root_key_leaves_one_that_opens_the_store() {
        for steps in 0..=5 {
            let dir = tempfile::tempdir().expect("a directory");
            let old = start(dir.path()).await.expect("a first start");
            let next = Identity::generate();
            {
                let data = DataDir::open(dir.path()).expect("opens");
                let store = Store::sqlite(SqliteOptions::new(data.file("otternauts.db"))).expect("opens");
                let found = find(&data, None, None).expect("found");
                let vault = found.unlock(&data, &store, &[]).await.expect("unlocked").vault;
                if steps == 5 {
                    replace_root(&data, &store, &vault, &next, true).await.expect("replaced");
                }
                if (1..5).contains(&steps) {
                    data.write(NEXT, next.to_line().expose(), 0o600).expect("written");
                }
                if (2..5).contains(&steps) {
                    data.write(PUBLIC, &format!("{old}\n{}\n", next.recipient()), 0o600).expect("written");
                }
                if (3..5).contains(&steps) {
                    let change =
                        vault.rewrapped(Recipient::parse(&next.recipient()).expect("one"), Vec::new()).expect("ok");
                    store.set_meta(META, change.wrapped().to_vec().into()).await.expect("kept");
                }
                if steps == 4 {
                    put_in_place(&data).expect("in place");
                }
                store.close().await.expect("closed");
            }
            let expected = if steps >= 3 { next.recipient() } else { old };
            for round in 0..2 {
                assert_eq!(start(dir.path()).await.expect("starts"), expected, "after {steps} steps, start {round}");
            }
            let data = DataDir::open(dir.path()).expect("opens");
            let kept = Identity::read(&data.file(PRIVATE)).expect("a key").recipient();
            assert_eq!(kept, expected, "after {steps} steps");
            assert_eq!(data.read(PUBLIC).expect("readable"), Some(format!("{expected}\n")));
            assert_eq!(
                (data.read(NEXT).expect("readable"), data.read(OLD).expect("readable")),
                (None, None),
                "{steps}"
            );
        }
    }

    /// P14: killed between a change of the keyring and its end, the next start lets go of the one before.
    #[tokio::test]
    async fn a_change_of_the_keyring_that_was_cut_short_is_ended_by_the_next_start() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = start(dir.path()).await.expect("a first start");
        let data = DataDir::open(dir.path()).expect("opens");
        mark(&data, &root, "").expect("written");
        drop(data);
        assert_eq!(start(dir.path()).await.expect("starts"), root);
        let public = std::fs::read_to_string(dir.path().join(PUBLIC)).expect("there");
        assert_eq!(public, format!("{root}\n"));
    }
}
