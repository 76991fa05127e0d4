//! Backups of an open store: made into a file of ours, verified, then handed to whoever is to keep them (R43).

use crate::data_dir::DataDir;
use crate::ending::Ending;
use crate::keys::Keys;
use crate::{clock, seal};
use anyhow::Context as _;
use otternauts_backup::{FileEntry, Source, Summary, create, schedule, verify};
use otternauts_meta::Secret;
use otternauts_vault::{Identity, Recipient};
use ring::digest;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How often a backup is begun whose snapshot goes while it is read.
const TRIES: usize = 3;
/// A backup until it is where it is to be kept.
const PART: &str = "backup.part";
/// What clients know the server by: a restored one is the same to them.
const FILES: [&str; 4] = ["pki/ca.crt", "pki/ca.key", "pki/sa.key", "admin.token"];

/// What is said of a backup before its bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
    pub summary: Summary,
}

/// A finished and verified backup; the file goes with this value.
pub struct Made {
    pub about: About,
    part: Part,
}

impl Made {
    pub fn path(&self) -> &Path {
        &self.part.path
    }
}

/// The file while it is ours; one at a time.
struct Part {
    path: PathBuf,
    _alone: OwnedMutexGuard<()>,
}

impl Drop for Part {
    fn drop(&mut self) {
        // The next start or backup removes what is left.
        let _ = std::fs::remove_file(&self.path);
    }
}

pub struct Backups {
    keys: Arc<Keys>,
    alone: Arc<Mutex<()>>,
}

impl Backups {
    pub fn new(keys: Arc<Keys>) -> Self {
        Self { keys, alone: Arc::default() }
    }

    /// Removes what a killed server has left of one.
    pub fn tidy(data: &DataDir) -> anyhow::Result<()> {
        data.remove(PART)
    }

    /// What this store's backups are named after.
    pub fn store_name(&self) -> String {
        self.keys.vault().store_name()
    }

    /// The root key, for a test of a backup.
    pub fn root(&self) -> Arc<Identity> {
        self.keys.root()
    }

    /// Makes one for these readers and the recovery keys, and reads it again from beginning to end.
    pub async fn make(&self, readers: Vec<Recipient>) -> anyhow::Result<Made> {
        let alone = Arc::clone(&self.alone).lock_owned().await;
        // Keys stay as they are meanwhile: a rotation forgets the history that the snapshot is read from.
        let still = self.keys.hold_still().await;
        let data = self.keys.data()?;
        let part = Part { path: data.file(PART), _alone: alone };
        let (keys, runtime) = (Arc::clone(&self.keys), Handle::current());
        let work = move || {
            let mut tried = 1;
            let about = loop {
                match write(&keys, &data, &readers, &part.path, &runtime) {
                    Err(error) if tried < TRIES && was_passed(&error) => {
                        tried += 1;
                        tracing::warn!("history was forgotten while a backup read it, and the backup is begun anew");
                    }
                    done => break done?,
                }
            };
            anyhow::Ok(Made { about, part })
        };
        let made = tokio::task::spawn_blocking(work).await.context("the backup has failed");
        drop(still);
        made?
    }
}

/// The snapshot went while it was read: another replica has rotated the keys, or the hold on it has run out.
fn was_passed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(otternauts_store::Error::Compacted { .. })))
}

fn write(keys: &Keys, data: &DataDir, readers: &[Recipient], path: &Path, runtime: &Handle) -> anyhow::Result<About> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let file = file.with_context(|| format!("cannot make {}", path.display()))?;
    let now = clock::now().to_string();
    let source = Source {
        store: keys.registry().store(),
        vault: keys.vault(),
        files: files(data)?,
        created: now.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        without: &[seal::META],
    };
    let (summary, out) = create(&source, readers, BufWriter::with_capacity(256 << 10, file), runtime)?;
    let file = out.into_inner().map_err(std::io::IntoInnerError::into_error).context("cannot write the backup")?;
    file.sync_all().context("cannot write the backup")?;
    let read = verify(path, &keys.root()).context("the backup was made, but cannot be read")?;
    anyhow::ensure!(read.objects == summary.objects, "the backup was made, but does not hold everything");
    let created = now.parse().context("the clock")?;
    let name = schedule::name(&keys.vault().store_name(), created, summary.header.revision);
    let (bytes, sha256) = measure(path)?;
    Ok(About { name, bytes, sha256, summary })
}

/// The files that are there; a directory may never have served.
fn files(data: &DataDir) -> anyhow::Result<Vec<FileEntry>> {
    let mut found = Vec::new();
    for name in FILES {
        let path = data.file(name);
        let content = match std::fs::read(&path) {
            Ok(content) => Secret::new(content),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let mode = std::fs::metadata(&path)?.permissions().mode() & 0o777;
        found.push(FileEntry { name: name.to_owned(), mode, content });
    }
    Ok(found)
}

/// How long a file is, and its SHA-256.
pub fn measure(path: &Path) -> anyhow::Result<(u64, String)> {
    let (mut file, mut hash) = (File::open(path)?, Hash::default());
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finish()),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Counts and hashes what passes.
pub struct Hash(u64, digest::Context);

impl Default for Hash {
    fn default() -> Self {
        Self(0, digest::Context::new(&digest::SHA256))
    }
}

impl Hash {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
        self.1.update(bytes);
    }

    pub fn finish(self) -> (u64, String) {
        let digest = self.1.finish();
        (self.0, digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Takes bytes into a file that has its name only when it is whole and durable.
pub struct Whole {
    part: PathBuf,
    path: PathBuf,
    file: Option<File>,
}

impl Whole {
    /// Refused where the name is taken.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(Ending::conflict(format!("{} exists already", path.display())).into());
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
        let file = file.with_context(|| format!("cannot make {}", part.display()))?;
        Ok(Self { part, path: path.to_owned(), file: Some(file) })
    }

    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let file = self.file.as_mut().context("it is finished")?;
        file.write_all(bytes).with_context(|| format!("cannot write {}", self.part.display()))
    }

    pub fn finish(mut self) -> anyhow::Result<()> {
        let file = self.file.take().context("it is finished")?;
        let place = || {
            file.sync_all()?;
            std::fs::rename(&self.part, &self.path)?;
            let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        };
        place().with_context(|| format!("cannot put {} in place", self.path.display()))
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otternauts_store::Error as StoreError;

    #[test]
    fn a_backup_is_begun_anew_when_its_snapshot_went_and_for_no_other_reason() {
        let gone = StoreError::Compacted { asked: 5, oldest: 9 };
        let failed =
            |error: StoreError| anyhow::Error::from(otternauts_backup::Error::Store(error)).context("a backup");
        assert!(was_passed(&failed(gone)));
        assert!(!was_passed(&failed(StoreError::Closed)));
        assert!(!was_passed(&anyhow::Error::from(otternauts_backup::Error::NobodyCouldOpen)));
    }
}
