//! `otter backup restore --to etcd:...`: a control plane from a backup, into an empty prefix.
//!
//! The directory comes first, so that the root key is durable before anything is wrapped for it. The prefix opens for nobody until it is
//! complete. Killed at any moment, run again: what the directory has is kept, what the prefix has is thrown away and begun anew.

#[cfg(test)]
mod tests;

use crate::data_dir::DataDir;
use crate::migration::arrived::{self, Arrived};
use crate::migration::tally::Tally;
use crate::migration::target::{Target, Wanted};
use crate::seal::{self, Found};
use anyhow::Context as _;
use otternauts_backup::{Error, FileEntry, Piece, Summary, Unpacked, unpack};
use otternauts_meta::Secret;
use otternauts_store::EtcdOptions;
use otternauts_vault::Identity;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Objects between two lines of progress.
const LINE: u64 = 1000;

/// What is asked for.
pub struct Order {
    pub file: PathBuf,
    /// Opens the backup.
    pub identity: Identity,
    pub to: EtcdOptions,
    /// The first replica's; new, empty, or as this order has left it before.
    pub data_dir: PathBuf,
    pub secret_key_file: Option<PathBuf>,
}

/// What was done.
pub struct Restored {
    pub summary: Summary,
    /// Where history starts: clients that hold an older version list anew.
    pub revision: u64,
    /// The root key lies in the directory; otherwise somebody else keeps it.
    pub key_in_data_dir: bool,
}

/// Restores everything. `tell` gets lines of progress.
pub async fn run(
    order: Order,
    secret_key: Option<Secret<String>>,
    tell: impl Fn(&str) + Send + 'static,
) -> anyhow::Result<Restored> {
    let Order { file, identity, to, data_dir, secret_key_file } = order;
    let wanted = Wanted::Etcd(Box::new(to));
    let identity = Arc::new(identity);
    // All that can be refused is refused before anything is written.
    let (looked, path, key) = (wanted.clone(), file.clone(), Arc::clone(&identity));
    let (files, total) = tokio::task::spawn_blocking(move || {
        let mut files = Vec::new();
        let keep = |piece| {
            if let Piece::File(file) = piece {
                files.push(file);
            }
            Ok::<(), Error>(())
        };
        let total = unpack(&path, &key, keep)?.summary.objects;
        looked.look()?;
        anyhow::Ok((files, total))
    })
    .await??;
    let data = DataDir::open(&data_dir)?;
    refuse_foreign(&data, &data_dir, &files)?;
    let found = seal::find(&data, secret_key, secret_key_file)?;
    data.protect()?;
    let found = found.or_made(&data)?;
    let key_in_data_dir = found.is_in_data_dir();
    put_in_place(&data, &files)?;

    let (found, target, sent, read) = tokio::task::spawn_blocking(move || {
        let (target, sent, read) = fill(&wanted, &file, &identity, &found, total, tell)?;
        anyhow::Ok((found, target, sent, read))
    })
    .await??;
    let (target, Arrived { damaged, .. }) = arrived::check(target, &data, found, sent).await?;
    tokio::task::spawn_blocking(move || target.complete()).await??;
    let revision = read.revision();
    Ok(Restored { summary: Summary { damaged, ..read.summary }, revision, key_in_data_dir })
}

/// Takes every object and small value out of the backup and into the target, with the keyring wrapped for the new root key. Blocks.
fn fill(
    wanted: &Wanted,
    file: &Path,
    identity: &Identity,
    found: &Found,
    total: u64,
    tell: impl Fn(&str),
) -> anyhow::Result<(Target, Tally, Unpacked)> {
    let root = found.first().context("there is no root key")?;
    let mut target = wanted.begin(&format!("a restore of {}", file.display()))?;
    let mut sent = Tally::default();
    let read = unpack(file, identity, |piece| {
        match piece {
            Piece::Object(record) => {
                sent.add(&record);
                target.put(&record)?;
                if sent.objects.is_multiple_of(LINE) {
                    tell(&format!("restored {} of {total} objects", sent.objects));
                }
            }
            Piece::Meta(name, value) => target.set_meta(&name, &value)?,
            // They are in place.
            Piece::File(_) => {}
        }
        anyhow::Ok(())
    })?;
    target.set_meta(seal::META, &read.keyring(root)?)?;
    target.finish(read.revision(), read.epoch())?;
    tell("comparing what arrived with what was sent");
    Ok((target, sent, read))
}

/// The directory has nothing but what this order writes: it is new, or what a run that was killed has left.
fn refuse_foreign(data: &DataDir, shown: &Path, files: &[FileEntry]) -> anyhow::Result<()> {
    let foreign = |found: &str| Err(Error::NotEmpty { path: shown.to_owned(), found: found.to_owned() }.into());
    for dir in ["", "pki"] {
        for name in data.names_in(dir)? {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            // Written beside, and never renamed.
            let written = path.strip_suffix(".new").unwrap_or(&path);
            if path == "pki" || [seal::PRIVATE, seal::PUBLIC].contains(&written) {
                continue;
            }
            let Some(ours) = files.iter().find(|file| file.name == written) else { return foreign(&path) };
            let same = |there: String| Secret::new(there.into_bytes()).expose() == ours.content.expose();
            if written == path && !data.read(&path)?.is_some_and(same) {
                return foreign(&path);
            }
        }
    }
    Ok(())
}

fn put_in_place(data: &DataDir, files: &[FileEntry]) -> anyhow::Result<()> {
    for file in files {
        let text = std::str::from_utf8(file.content.expose()).with_context(|| format!("{} is no text", file.name))?;
        data.write(&file.name, text, file.mode)?;
    }
    Ok(())
}
