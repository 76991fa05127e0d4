//! The data directory: ours alone, and for one process at a time.

use crate::ending::Ending;
use anyhow::Context as _;
use otternauts_store::Locked;
use parking_lot::Mutex;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The directory, locked for as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// What `open` has made, the innermost first, until something is kept in it.
    made: Mutex<Vec<PathBuf>>,
    _lock: Locked,
}

impl DataDir {
    /// Makes the directory if it is missing (0700) and locks it. A second process is refused. What was made goes again with
    /// this value unless [`DataDir::protect`] was called: a start that fails early leaves nothing behind.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made = path.ancestors().take_while(missing).map(Path::to_path_buf).collect();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the data directory {shown}"))?;
        let opened = File::open(path).with_context(|| format!("cannot open the data directory {shown}"))?;
        let lock = match Locked::take(opened) {
            Ok(lock) => lock,
            Err(TryLockError::WouldBlock) => {
                let message = format!("another otter already runs on the data directory {shown}");
                return Err(Ending::conflict(message).into());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock the data directory {shown}"));
            }
        };
        let path = path.canonicalize().with_context(|| format!("cannot find the data directory {shown}"))?;
        Ok(Self { path, made: Mutex::new(made), _lock: lock })
    }

    /// Closes the directory to everybody else, whoever made it. Not before the keys were found good.
    pub fn protect(&self) -> anyhow::Result<()> {
        self.made.lock().clear();
        for dir in [self.path.clone(), self.file("pki")] {
            DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
            std::fs::set_permissions(&dir, Permissions::from_mode(0o700))
                .with_context(|| format!("cannot close {} to others", dir.display()))?;
        }
        Ok(())
    }

    /// Closes a file to everybody else, if it is there: somebody may have put it back with an open mode.
    pub fn close(&self, name: &str) -> anyhow::Result<()> {
        let path = self.file(name);
        match std::fs::set_permissions(&path, Permissions::from_mode(0o600)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot close {} to others", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// A file of the directory: `pki/ca.crt`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// `None` when the file is not there.
    pub fn read(&self, name: &str) -> anyhow::Result<Option<String>> {
        match std::fs::read_to_string(self.file(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", self.file(name).display())),
        }
    }

    /// The whole file or the old one, never a half: written beside, made durable, then renamed.
    pub fn write(&self, name: &str, text: &str, mode: u32) -> anyhow::Result<()> {
        let path = self.file(name);
        let beside = self.file(&format!("{name}.new"));
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
            file.set_permissions(Permissions::from_mode(mode))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            File::open(path.parent().unwrap_or(&self.path))?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Takes one file's name for another, at once and for good.
    pub fn rename(&self, from: &str, to: &str) -> anyhow::Result<()> {
        let (from, to) = (self.file(from), self.file(to));
        let rename = || {
            std::fs::rename(&from, &to)?;
            File::open(to.parent().unwrap_or(&self.path))?.sync_all()
        };
        rename().with_context(|| format!("cannot put {} in place", to.display()))
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) -> anyhow::Result<()> {
        match std::fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.file(name).display()))
            }
            _ => Ok(()),
        }
    }

    /// [`DataDir::remove`], and it stays away after a power cut.
    #[cfg(feature = "etcd")]
    pub fn remove_for_good(&self, name: &str) -> anyhow::Result<()> {
        self.remove(name)?;
        let synced = File::open(&self.path).and_then(|dir| dir.sync_all());
        synced.with_context(|| format!("cannot sync {}", self.path.display()))
    }

    /// What is in one of its directories, `""` for itself, in order.
    #[cfg(feature = "etcd")]
    pub fn names_in(&self, dir: &str) -> anyhow::Result<Vec<String>> {
        let path = self.file(dir);
        let entries = match std::fs::read_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let mut found: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The files whose names begin so, in order.
    #[cfg(feature = "etcd")]
    pub fn named(&self, beginning: &str) -> anyhow::Result<Vec<String>> {
        Ok(self.names_in("")?.into_iter().filter(|name| name.starts_with(beginning)).collect())
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        for dir in self.made.get_mut().iter() {
            // Fails where somebody has put something in meanwhile, and then it stays.
            if std::fs::remove_dir(dir).is_err() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused_while_the_first_lives() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("data");
        let first = DataDir::open(&path).expect("opens");
        let error = DataDir::open(&path).expect_err("locked").to_string();
        assert_eq!(error, format!("another otter already runs on the data directory {}", path.display()));
        drop(first);
        DataDir::open(&path).expect("opens again");
    }

    #[test]
    fn files_and_directory_are_for_their_owner() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("set");
        let data = DataDir::open(dir.path()).expect("opens");
        data.protect().expect("closed");
        data.write("pki/x.key", "1", 0o600).expect("written");
        data.write("pki/x.key", "2", 0o600).expect("written again");
        assert_eq!(data.read("pki/x.key").expect("readable").as_deref(), Some("2"));
        assert_eq!(data.read("missing").expect("no error"), None);
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(dir.path()), mode(&data.file("pki")), mode(&data.file("pki/x.key"))), (0o700, 0o700, 0o600));
    }
}
