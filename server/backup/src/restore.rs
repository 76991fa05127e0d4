//! A backup read: verified as a whole, and made into a data directory beside the place where it will be.

use crate::create::Opening;
use crate::format::{FileEntry, Frame, FrameReader, Header, read_header};
use crate::{Error, Result, Summary};
use flate2::read::GzDecoder;
use otternauts_store::{DiskGuard, Importer, Locked, Record, SqliteOptions, Store};
use otternauts_vault::{Identity, Recipient, Vault, open_stream, recipients};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{BufReader, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use tokio::runtime::Handle;

/// The database in a data directory.
pub const DATABASE: &str = "otternauts.db";
/// The small value that holds the wrapped keyring.
pub const KEYRING: &str = "vault";
/// How far the revision jumps, so that none that a client may have seen is met again (R44).
pub const REVISION_BUMP: u64 = 1_000_000_000;

/// The root key of the restored server.
pub enum Root {
    /// A new one, written to `secret.key`.
    New,
    /// One that its owner keeps; it is not written.
    Kept(Identity),
}

/// Reads the beginning of a backup, and opens the rest.
fn open(path: &Path, identity: &Identity) -> Result<(Header, FrameReader<impl Read + use<>>)> {
    let file = File::open(path).map_err(io("cannot read", path))?;
    let mut input = BufReader::with_capacity(256 << 10, file);
    let header = read_header(&mut input)?;
    let stream = open_stream(identity, input).map_err(|error| match error {
        otternauts_vault::Error::NotAStream => Error::Damaged("its beginning is no sealed stream".to_owned()),
        otternauts_vault::Error::Stream(source) => Error::Damaged(source.to_string()),
        other => Error::Vault(other),
    })?;
    let Some(stream) = stream else {
        return Err(Error::WrongIdentity { given: identity.recipient(), readers: header.recipients });
    };
    let mut frames = FrameReader::new(GzDecoder::new(stream));
    match frames.next()? {
        Frame::Header(inside) if inside == header => Ok((header, frames)),
        _ => Err(Error::Damaged("its header is not the one it was made with".to_owned())),
    }
}

/// What a restored store is made of.
pub enum Piece {
    /// One live object.
    Object(Record),
    /// One small value of the store.
    Meta(String, Vec<u8>),
    /// A file of the data directory.
    File(FileEntry),
}

/// What [`unpack`] found, with the keys that were inside.
pub struct Unpacked {
    pub summary: Summary,
    vault: Vault,
}

impl Unpacked {
    /// The keyring for the restored store: wrapped for its root key, and for the recovery keys of the server before. Kept as [`KEYRING`].
    pub fn keyring(&self, root: &Identity) -> Result<Vec<u8>> {
        let recovery = recipients::parse_all(&self.summary.header.recovery)?;
        let public = Recipient::parse(&root.recipient())?;
        Ok(self.vault.rewrapped(public, recovery)?.wrapped().to_vec())
    }

    /// Where history starts in the restored store.
    pub fn revision(&self) -> u64 {
        self.summary.header.revision + REVISION_BUMP
    }

    /// How often the restored store has been restored.
    pub fn epoch(&self) -> u64 {
        self.summary.header.epoch + 1
    }
}

/// Reads everything from beginning to end; `visit` gets what is to be kept, and nothing of it counts unless this answers that all is well.
pub fn unpack<E: From<Error>>(
    path: &Path,
    identity: &Identity,
    mut visit: impl FnMut(Piece) -> std::result::Result<(), E>,
) -> std::result::Result<Unpacked, E> {
    let (header, mut frames) = open(path, identity)?;
    let damaged = |why: &str| E::from(Error::Damaged(why.to_owned()));
    let Frame::Keyring(wrapped) = frames.next()? else { return Err(damaged("its keyring is missing")) };
    let (vault, _) = Vault::open(identity, Some(&wrapped)).map_err(Error::from)?;
    let mut opening = Opening::new(&vault);
    let (mut objects, mut files) = (0, 0);
    let end = loop {
        match frames.next()? {
            Frame::End(end) => break end,
            Frame::Object(record) if record.revision > header.revision => {
                return Err(damaged("an object is newer than it"));
            }
            Frame::Object(record) => {
                opening.look(&record);
                objects += 1;
                visit(Piece::Object(record))?;
            }
            Frame::File(file) => {
                files += 1;
                visit(Piece::File(file))?;
            }
            Frame::Meta(name, value) => visit(Piece::Meta(name, value))?,
            Frame::Header(_) | Frame::Keyring(_) => return Err(damaged("something is in it twice")),
        }
    };
    if end.objects != objects {
        return Err(damaged(&format!("it has {objects} objects, and was made with {}", end.objects)));
    }
    let keys = opening.end()?;
    let damaged = std::mem::take(&mut opening.damaged);
    let summary = Summary { header, objects, files, keys, damaged, unreadable: end.unreadable };
    Ok(Unpacked { summary, vault })
}

/// Reads a backup from beginning to end: it opens, is whole, and something opens under the key that seals.
pub fn verify(path: &Path, identity: &Identity) -> Result<Summary> {
    unpack::<Error>(path, identity, |_| Ok(())).map(|read| read.summary)
}

/// Makes a data directory of a backup. The backup is verified as a whole first; then everything is written beside `target` and renamed
/// into place: killed at any moment, `target` is not there, or whole. Blocks.
pub fn restore(path: &Path, identity: &Identity, target: &Path, root: Root, runtime: &Handle) -> Result<Summary> {
    must_be_new(target)?;
    verify(path, identity)?;
    let beside = Beside::make(target)?;
    let summary = fill(path, identity, &beside.path, root, runtime)?;
    // Again: it took a while.
    must_be_new(target)?;
    beside.take_name_of(target)?;
    Ok(summary)
}

/// Restores into a directory that is thrown away again, and looks at what came out (R43). Blocks.
pub fn test_restore(path: &Path, identity: &Identity, scratch: &Path, runtime: &Handle) -> Result<Summary> {
    let target = scratch.join("restore-test");
    let beside = Beside::make(&target)?;
    fill(path, identity, &beside.path, Root::New, runtime)
}

/// A place is new when it is not there, or an empty directory.
fn must_be_new(target: &Path) -> Result<()> {
    let found = match std::fs::read_dir(target) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::Io { what: "cannot use", path: target.to_owned(), source }),
        Ok(entries) => entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).min(),
    };
    match found {
        None => Ok(()),
        Some(found) => Err(Error::NotEmpty { path: target.to_owned(), found }),
    }
}

/// The directory beside the target, ours alone; removed unless it took the target's name.
struct Beside {
    path: PathBuf,
    keep: bool,
    _lock: Locked,
}

impl Beside {
    fn make(target: &Path) -> Result<Self> {
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let path = target.with_file_name(format!(".{name}.restoring"));
        let make = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            File::open(&path)
        };
        let opened = make().map_err(io("cannot make", &path))?;
        let lock = Locked::take(opened).map_err(|refused| match refused {
            TryLockError::WouldBlock => Error::Busy(path.clone()),
            TryLockError::Error(source) => Error::Io { what: "cannot lock", path: path.clone(), source },
        })?;
        // What a killed restore has left.
        for entry in std::fs::read_dir(&path).map_err(io("cannot read", &path))?.flatten() {
            let left = entry.path();
            let removed = if left.is_dir() { std::fs::remove_dir_all(&left) } else { std::fs::remove_file(&left) };
            removed.map_err(io("cannot remove", &left))?;
        }
        Ok(Self { path, keep: false, _lock: lock })
    }

    fn take_name_of(mut self, target: &Path) -> Result<()> {
        sync(&self.path)?;
        std::fs::rename(&self.path, target).map_err(io("cannot put in place", target))?;
        self.keep = true;
        target.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.keep {
            // The next restore removes what is left.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn fill(path: &Path, identity: &Identity, dir: &Path, root: Root, runtime: &Handle) -> Result<Summary> {
    let database = dir.join(DATABASE);
    let mut importer = Importer::create(&database)?;
    let read = unpack::<Error>(path, identity, |piece| match piece {
        Piece::Object(record) => Ok(importer.put(&record)?),
        Piece::Meta(name, value) => Ok(importer.set_meta(&name, &value)?),
        Piece::File(file) => write_file(dir, &file),
    })?;
    let (identity, written) = match root {
        Root::New => (Identity::generate(), true),
        Root::Kept(identity) => (identity, false),
    };
    importer.set_meta(KEYRING, &read.keyring(&identity)?)?;
    importer.finish(read.revision(), read.epoch())?;
    if written {
        let content = otternauts_meta::Secret::new(identity.to_line().expose().clone().into_bytes());
        write_file(dir, &FileEntry { name: "secret.key".to_owned(), mode: 0o600, content })?;
    }
    let content = otternauts_meta::Secret::new(format!("{}\n", identity.recipient()).into_bytes());
    write_file(dir, &FileEntry { name: "secret.key.pub".to_owned(), mode: 0o600, content })?;
    runtime.block_on(check(&database, &identity, &read.summary))?;
    Ok(read.summary)
}

/// Opens what was written, as a start would.
async fn check(database: &Path, identity: &Identity, summary: &Summary) -> Result<()> {
    let guard = DiskGuard { free_bytes: 0, free_percent: 0, ballast_bytes: 0, ..DiskGuard::default() };
    let store = Store::sqlite(SqliteOptions { disk: guard, ..SqliteOptions::new(database) })?;
    let objects: u64 = store.counts().iter().map(|(_, count)| count).sum();
    let kept = store.meta(KEYRING).await?;
    store.close().await?;
    let odd = |what: &str| Error::Damaged(format!("what was restored of it has {what}"));
    if objects != summary.objects {
        return Err(odd("another number of objects"));
    }
    let (vault, _) = Vault::open(identity, Some(&kept.ok_or_else(|| odd("no keyring"))?))?;
    if summary.keys.iter().any(|key| !vault.key_numbers().contains(key)) {
        return Err(odd("too few keys"));
    }
    Ok(())
}

fn write_file(dir: &Path, file: &FileEntry) -> Result<()> {
    let path = dir.join(&file.name);
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(io("cannot make", parent))?;
    }
    let opened = OpenOptions::new().write(true).create_new(true).mode(file.mode).open(&path);
    let mut out = opened.map_err(io("cannot make", &path))?;
    out.write_all(file.content.expose()).and_then(|()| out.sync_all()).map_err(io("cannot write", &path))?;
    path.parent().map_or(Ok(()), sync)
}

fn sync(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("cannot sync", dir))
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}
