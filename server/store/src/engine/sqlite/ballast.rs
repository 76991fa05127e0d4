//! The ballast: space that is taken while there is plenty, to be given back when there is none (R41).
//!
//! SQLite needs space even to delete. A full disk therefore could not be emptied from within; with the ballast gone it can.

use crate::engine::sqlite::file::beside;
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    /// How much it is to hold.
    target: u64,
    /// How much it holds now, as the file system counts it.
    held: u64,
    /// This file system cannot take space in advance.
    impossible: bool,
}

impl Ballast {
    /// What is there from before counts, as far as it really holds space: a copied file may be one hole.
    pub(super) fn find(database: &Path, target: u64) -> Ballast {
        let path = beside(database, ".ballast");
        let held = std::fs::metadata(&path).map_or(0, |file| file.len().min(file.blocks() * 512));
        Ballast { path, target, held, impossible: false }
    }

    pub(super) fn target(&self) -> u64 {
        self.target
    }

    /// Whether there is nothing to make: it holds at least half of its target, none is wanted, or none can be had.
    pub(super) fn is_settled(&self) -> bool {
        self.impossible || self.held >= self.target.div_ceil(2)
    }

    /// Takes space, of `free` bytes at most half.
    pub(super) fn make(&mut self, free: u64) -> std::io::Result<()> {
        let size = self.target.min(free / 2);
        if self.is_settled() || size < self.target.div_ceil(2) {
            return Ok(());
        }
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, size) {
            Ok(()) => self.held = size,
            Err(error) => {
                self.release();
                // Another time there may be space; what this file system or a quota does not allow, it never will.
                self.impossible = !matches!(error, rustix::io::Errno::NOSPC | rustix::io::Errno::INTR);
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Gives all of it back. Answers how much that was.
    pub(super) fn release(&mut self) -> u64 {
        let held = std::mem::take(&mut self.held);
        // Cut first: a file that somebody else has open keeps its space after its name is gone.
        if let Ok(file) = OpenOptions::new().write(true).open(&self.path) {
            let cut = file.set_len(0);
            if let Err(error) = cut.and_then(|()| std::fs::remove_file(&self.path)) {
                tracing::warn!(%error, "the ballast cannot be given back");
            }
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_real_space_and_gives_it_back() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("otternauts.db");
        let mut ballast = Ballast::find(&database, 1 << 20);
        assert!(!ballast.is_settled());
        ballast.make(100 << 20).unwrap();
        if ballast.impossible {
            return;
        }
        let file = directory.path().join("otternauts.db.ballast");
        let taken = |path: &Path| std::fs::metadata(path).unwrap().blocks() * 512;
        assert!(taken(&file) >= 1 << 20, "{}", taken(&file));
        assert!(ballast.is_settled());
        assert!(Ballast::find(&database, 1 << 20).is_settled(), "it is found again at the next start");
        assert_eq!(ballast.release(), 1 << 20);
        assert!(!file.exists() && !ballast.is_settled());
    }

    #[test]
    fn a_file_that_is_one_hole_holds_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("otternauts.db");
        let file = std::fs::File::create(directory.path().join("otternauts.db.ballast")).unwrap();
        file.set_len(1 << 20).unwrap();
        assert!(!Ballast::find(&database, 1 << 20).is_settled());
    }

    #[test]
    fn it_takes_at_most_half_of_what_is_free_and_is_no_use_under_half_its_size() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("otternauts.db");
        // (free, held afterwards)
        for (free, held) in [(0, 0), (900 << 10, 0), (1 << 20, 512 << 10), (1536 << 10, 768 << 10), (4 << 20, 1 << 20)]
        {
            let mut ballast = Ballast::find(&database, 1 << 20);
            ballast.make(free).unwrap();
            assert!(ballast.impossible || ballast.held == held, "{free}: {}", ballast.held);
            ballast.release();
        }
    }
}
