//! A small disk that a test may fill.

use crate::kubectl;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A file system of a fixed size in memory, gone when dropped.
pub struct Tmpfs {
    dir: TempDir,
}

impl Tmpfs {
    /// `None` where this machine lets us mount nothing.
    ///
    /// # Panics
    /// When no temporary directory can be made.
    pub fn mount(mebibytes: u32) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("otter-disk-").tempdir().expect("a temporary directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=0700"), "otter-test"]).arg(dir.path());
        (kubectl::run(&mut mount, "").code == 0).then_some(Self { dir })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes into `filler` until so many bytes are left; 0: until nothing more fits.
    ///
    /// # Panics
    /// When the file cannot be made.
    pub fn fill(&self, filler: &str, leave: u64) {
        let mut file = std::fs::File::options().create(true).append(true).open(self.file(filler)).expect("a file");
        while self.free() > leave {
            let piece = usize::try_from((self.free() - leave).min(64 << 10)).expect("at most 64 KiB");
            if file.write_all(&vec![0; piece]).is_err() {
                return;
            }
        }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Bytes that are free, as `df` says.
    ///
    /// # Panics
    /// When `df` does not say.
    pub fn free(&self) -> u64 {
        let ran = kubectl::run(Command::new("df").args(["-B1", "--output=avail"]).arg(self.path()), "");
        ran.ok().lines().nth(1).and_then(|line| line.trim().parse().ok()).expect("df prints a number")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: who still has a file open there is no reason to leave the mount behind.
        kubectl::run(Command::new("umount").arg("-l").arg(self.dir.path()), "");
    }
}
