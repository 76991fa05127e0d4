//! What arrived in a target, looked at before anybody may serve from it.

use super::tally::{Tally, each};
use super::target::Target;
use crate::data_dir::DataDir;
use crate::seal::Found;
use crate::{clock, shared_pki};
use anyhow::{Context as _, ensure};
use otternauts_backup::Opening;
use otternauts_registry::Registry;
use otternauts_store::Store;
use otternauts_vault::Vault;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What was found.
pub struct Arrived {
    /// The data keys under each of which something opened.
    pub keys: Vec<u32>,
    /// Objects whose secrets do not open.
    pub damaged: Vec<String>,
    /// Authority, token key and administrator's token are where the target's servers look for them.
    pub pki: bool,
}

/// Opens what arrived as a start would, compares it, opens what is sealed, and puts the shared files in their place. `data` is the
/// directory that has them, or is to have them.
pub async fn check(target: Target, data: &DataDir, found: Found, sent: Tally) -> anyhow::Result<(Target, Arrived)> {
    let (target, store) = tokio::task::spawn_blocking(move || {
        let store = target.open()?;
        anyhow::Ok((target, store))
    })
    .await??;
    let shared = matches!(target, Target::Etcd(_));
    let checked = check_open(&store, data, found, sent, shared).await;
    let closed = store.close().await;
    let arrived = checked?;
    closed.context("cannot close what arrived")?;
    Ok((target, arrived))
}

async fn check_open(store: &Store, data: &DataDir, found: Found, sent: Tally, shared: bool) -> anyhow::Result<Arrived> {
    let vault = Arc::new(found.unlock(data, store, &[]).await?.vault);
    let (looked, runtime, opening) = (store.clone(), Handle::current(), Arc::clone(&vault));
    let work = move || compare(&looked, &opening, &sent, &runtime);
    let (keys, damaged) = tokio::task::spawn_blocking(work).await??;
    let registry = Registry::new(store.clone(), vault, Arc::new(clock::now)).await;
    let registry = registry.context("cannot start the registry over what arrived")?;
    let pki =
        if shared { shared_pki::publish(data, &registry).await? } else { shared_pki::take(data, &registry).await? };
    Ok(Arrived { keys, damaged, pki })
}

/// The same objects, the same bytes; and what is sealed opens. Answers the keys that open something, and what does not open.
fn compare(store: &Store, vault: &Vault, sent: &Tally, runtime: &Handle) -> anyhow::Result<(Vec<u32>, Vec<String>)> {
    let (mut arrived, mut opening) = (Tally::default(), Opening::new(vault));
    each(store, store.revision(), runtime, |record| {
        arrived.add(record);
        opening.look(record);
        Ok(())
    })?;
    ensure!(
        arrived.sha256() == sent.sha256() && arrived.objects == sent.objects,
        "what arrived is not what was sent: {} objects with SHA-256 {}, not {} with {}",
        arrived.objects,
        arrived.sha256(),
        sent.objects,
        sent.sha256()
    );
    let keys = opening.end().context("what arrived cannot be opened")?;
    Ok((keys, std::mem::take(&mut opening.damaged)))
}
