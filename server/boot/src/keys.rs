//! Keys of a store that is open: which there are, a new data key for everything, a new root key (R28, P14).

use crate::data_dir::DataDir;
use crate::seal::{self, Unlocked};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use otternauts_registry::Registry;
use otternauts_store::Store;
use otternauts_vault::{Change, Identity, Vault};
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;

/// How often history is forgotten and looked through again before a rotation says that it does not end.
const ROUNDS: usize = 5;
/// How long a dropped key still opens, in memory, what a slow watcher was handed before.
const RETIREMENT: Duration = Duration::from_secs(60);

/// The keys of an open store. One change at a time.
pub struct Keys {
    registry: Registry,
    vault: Arc<Vault>,
    /// Not ours: the lock on the directory ends with the server, not with the last request.
    data: Weak<DataDir>,
    from_data_dir: bool,
    /// The root key, for the test of backups and for what other replicas do to the keyring.
    root: Arc<Mutex<Arc<Identity>>>,
    /// The keyring as the store has it.
    kept: Arc<Mutex<Bytes>>,
    busy: tokio::sync::Mutex<()>,
}

/// What `otter keys list` shows.
#[derive(Debug, Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The public half of the root key.
    pub root: String,
    /// The root key lies in the data directory.
    pub root_in_data_directory: bool,
    /// Public halves of the recovery keys.
    pub recovery: Vec<String>,
    /// The number of the data key that seals.
    pub active: u32,
    pub keys: Vec<Key>,
    /// A rotation is under way, or goes on at the next start.
    pub rotating: bool,
}

#[derive(Clone, Debug, Serialize, serde::Deserialize)]
pub struct Key {
    pub number: u32,
    /// Rows of the log that name it, live objects and history.
    pub rows: u64,
}

/// One step of a rotation, for who waits.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
#[serde(tag = "phase", rename_all = "camelCase")]
pub enum Progress {
    /// The new data key is kept, and seals.
    Begun { active: u32, resumed: bool },
    /// Objects are rewritten.
    Resealing { seen: u64, rewritten: u64 },
    /// Old revisions are forgotten up to here, so that history names the old key no more.
    History { revision: u64 },
    /// Everything was looked through: what names each key.
    Proof { revision: u64, keys: Vec<Key> },
    /// The old keys are gone.
    Done { active: u32, dropped: Vec<u32> },
    /// The root key is another.
    Root { root: String },
    /// It did not end; it goes on at the next try or start.
    Failed { message: String },
}

impl Keys {
    /// Opens the keys of a store, and the registry over it. Keys that another replica makes or drops are followed from here on.
    pub async fn open(data: &Arc<DataDir>, store: Store, unlocked: Unlocked) -> anyhow::Result<Self> {
        let Unlocked { vault, identity, from_data_dir } = unlocked;
        let (vault, data) = (Arc::new(vault), Arc::downgrade(data));
        let (root, kept) = (Arc::new(Mutex::new(Arc::new(identity))), Arc::new(Mutex::new(Bytes::new())));
        let follow = follow(Arc::clone(&vault), Arc::clone(&root), Arc::clone(&kept));
        store.follow(seal::META, follow).await.context("cannot read the store's keyring")?;
        let registry = Registry::new(store, Arc::clone(&vault), Arc::new(crate::clock::now)).await;
        let registry = registry.context("cannot start the registry")?;
        Ok(Self { registry, vault, data, from_data_dir, root, kept, busy: tokio::sync::Mutex::default() })
    }

    /// Keeps the keys from changing for as long as the guard lives.
    pub async fn hold_still(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.busy.lock().await
    }

    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The root key, for tests of backups.
    pub fn root(&self) -> Arc<Identity> {
        Arc::clone(&self.root.lock())
    }

    pub fn data(&self) -> anyhow::Result<Arc<DataDir>> {
        self.data.upgrade().context("the server is stopping")
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What another replica has done to the keyring until now is known when this answers.
    async fn see_others(&self) -> anyhow::Result<()> {
        self.registry.store().fresh().await.context("cannot read the store")
    }

    /// A rotation was begun and not ended.
    pub fn is_rotating(&self) -> bool {
        self.vault.key_numbers().len() > 1
    }

    pub async fn list(&self) -> anyhow::Result<Listing> {
        self.see_others().await?;
        let rows = self.registry.sealed_under().await.context("cannot look through the store")?.rows;
        let count = |number: u32| Key { number, rows: rows.get(&number).copied().unwrap_or(0) };
        Ok(Listing {
            root: self.vault.root().to_string(),
            root_in_data_directory: self.from_data_dir,
            recovery: self.vault.recovery().iter().map(ToString::to_string).collect(),
            active: self.vault.active_key(),
            keys: self.vault.key_numbers().into_iter().map(count).collect(),
            rotating: self.is_rotating(),
        })
    }

    /// A new data key for every sealed object. Where one was begun before, that one is ended and no other begun.
    pub async fn rotate(&self, mut tell: impl FnMut(Progress) + Send) -> anyhow::Result<()> {
        let _alone = self.busy.lock().await;
        self.see_others().await?;
        let resumed = self.is_rotating();
        if !resumed {
            let change = self.vault.with_new_key()?;
            self.keep(&change).await?;
            self.registry.install_keys(change).await;
        }
        tell(Progress::Begun { active: self.vault.active_key(), resumed });
        let done =
            self.registry.reseal(|done| tell(Progress::Resealing { seen: done.seen, rewritten: done.rewritten }));
        let damaged = done.await.context("cannot rewrite the sealed objects")?.damaged;
        if !damaged.is_empty() {
            bail!(
                "the old key is kept: these objects cannot be opened, so not be sealed anew: {}. Write them again or delete them, and \
                 rotate once more",
                damaged.join(", ")
            );
        }
        self.forget_and_prove(&mut tell).await?;
        let before = self.vault.key_numbers();
        let change = self.vault.with_newest_key_only()?;
        let (data, root) = (self.data()?, self.root().recipient());
        seal::mark(&data, &root, "")?;
        self.keep(&change).await?;
        self.registry.install_keys(change).await;
        retire(&Handle::current(), Arc::clone(&self.vault));
        let active = self.vault.active_key();
        let gone = seal::let_go(&data, self.registry.store(), &root).await;
        gone.with_context(|| format!("data key {active} is the only one, and the keyring before may still be found"))?;
        tell(Progress::Done { active, dropped: before.into_iter().filter(|number| *number != active).collect() });
        Ok(())
    }

    /// History goes, and everything that is left is looked through: nothing may name an old key (P14).
    async fn forget_and_prove(&self, tell: &mut (impl FnMut(Progress) + Send)) -> anyhow::Result<()> {
        let store = self.registry.store();
        for _ in 0..ROUNDS {
            let revision = store.revision();
            store.forget(revision).await.context("cannot forget old revisions")?;
            tell(Progress::History { revision });
            let proof = self.registry.sealed_under().await.context("cannot look through the store")?;
            let clean = proof.rows.keys().all(|number| *number == self.vault.active_key());
            let keys = proof.rows.into_iter().map(|(number, rows)| Key { number, rows }).collect();
            tell(Progress::Proof { revision: proof.revision, keys });
            if clean {
                return Ok(());
            }
        }
        bail!("the old key is kept: something still names it")
    }

    /// A new root key. The data keys stay as they are, so no object is touched.
    pub async fn rotate_root(&self, next: Identity, keep_file: bool) -> anyhow::Result<Progress> {
        self.check_alone()?;
        let _alone = self.busy.lock().await;
        let data = self.data()?;
        let (store, next) = (self.registry.store(), Arc::new(next));
        let kept = seal::wrap_for(&data, store, &self.vault, &next, keep_file).await?;
        // It is what backups and rotations go by from here on, whatever comes of the rest.
        *self.kept.lock() = kept;
        *self.root.lock() = Arc::clone(&next);
        seal::end_replacement(&data, store, &next, keep_file).await?;
        let root = next.recipient();
        tracing::warn!(%root, "the root key was replaced: keep a copy of the new one in a safe place");
        Ok(Progress::Root { root })
    }

    /// Each replica has the root key in a place of its own, which nobody else can write.
    pub fn check_alone(&self) -> anyhow::Result<()> {
        if self.registry.store().is_shared() {
            bail!(
                "with --store etcd the root key is not replaced while replicas run: each replica has its own copy of it, which nobody \
                 else can write. Stop them all, and run: otter keys rotate --root --store etcd:URL,... --data-dir DIR; otter keys rotate \
                 without --root replaces the data key"
            );
        }
        Ok(())
    }

    pub fn root_in_data_directory(&self) -> bool {
        self.from_data_dir
    }

    /// Of two replicas that do it at once, one succeeds.
    async fn keep(&self, change: &Change) -> anyhow::Result<()> {
        let (before, after) = (self.kept.lock().clone(), Bytes::copy_from_slice(change.wrapped()));
        let done = self.registry.store().replace_meta(seal::META, &before, after.clone()).await;
        if !done.context("cannot store the keyring")? {
            bail!("another replica changes the keys just now; when it is done, look at otter keys list");
        }
        *self.kept.lock() = after;
        Ok(())
    }
}

/// Takes over what another replica has kept: before any row can be read here that names a new key.
fn follow(
    vault: Arc<Vault>,
    root: Arc<Mutex<Arc<Identity>>>,
    kept: Arc<Mutex<Bytes>>,
) -> Arc<dyn Fn(Bytes) -> bool + Send + Sync> {
    let runtime = Handle::current();
    Arc::new(move |value| {
        if *kept.lock() == value {
            return true;
        }
        let identity = Arc::clone(&root.lock());
        let change = match vault.adopt(&identity, &value) {
            Ok(change) => change,
            Err(error) => {
                let error = anyhow::Error::from(error);
                tracing::error!(error = %format_args!("{error:#}"), "the keyring was replaced by one that does not open here");
                return false;
            }
        };
        let before = vault.key_numbers();
        vault.install(change);
        let after = vault.key_numbers();
        if before != after {
            tracing::info!(?before, ?after, "another replica has changed the data keys");
        }
        if before.iter().any(|number| !after.contains(number)) {
            retire(&runtime, Arc::clone(&vault));
        }
        *kept.lock() = value;
        true
    })
}

/// Dropped keys open what slow watchers have in hand, and not for long.
fn retire(runtime: &Handle, vault: Arc<Vault>) {
    runtime.spawn(async move {
        tokio::time::sleep(RETIREMENT).await;
        vault.forget_retired();
    });
}
