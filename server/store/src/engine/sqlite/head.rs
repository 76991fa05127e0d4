//! The side file with the newest revision that was answered and its chain (R2). A database that does not reach it has
//! lost its end, which SQLite itself does not notice: a WAL cut short is a valid WAL.
//!
//! It follows commits within a tenth of a second and is never ahead of them; nothing is written while nothing happens.

use crate::error::{Error, Result};
use crate::key::Revision;
use crate::log::Chain;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(100);
/// Revision, chain, checksum.
const LENGTH: usize = 20;

/// The newest revision known, and the hash chain there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub revision: Revision,
    pub chain: Chain,
}

#[derive(Debug)]
pub(super) struct Head {
    file: File,
    /// Not in the file yet.
    noted: Option<Mark>,
    written: Option<Instant>,
}

impl Head {
    pub(super) fn open(path: &Path) -> Result<Head> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path);
        let file = file.map_err(|error| {
            let told = format!("cannot open {}: {error}", path.display());
            Error::Engine(Box::new(std::io::Error::new(error.kind(), told)))
        })?;
        Ok(Head { file, noted: None, written: None })
    }

    /// What the file says; `None` when it is new, damaged, or was cut by a crash while being written: it proves nothing then.
    pub(super) fn read(&mut self) -> Result<Option<Mark>> {
        let mut bytes = [0; LENGTH];
        match self.file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(|error| Error::Engine(Box::new(error)))?,
        }
        let number = |at: usize| bytes[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let mark = Mark { revision: number(0), chain: Chain(number(8)) };
        Ok((encode(mark) == bytes).then_some(mark))
    }

    /// Remembers a durable revision.
    pub(super) fn note(&mut self, mark: Mark) {
        self.noted = Some(mark);
    }

    /// How long until [`Head::write_if_due`] has something to do; `None`: not before the next commit.
    pub(super) fn due(&self) -> Option<Duration> {
        self.noted?;
        Some(self.written.map_or(Duration::ZERO, |written| INTERVAL.saturating_sub(written.elapsed())))
    }

    pub(super) fn write_if_due(&mut self) -> std::io::Result<()> {
        if self.due() == Some(Duration::ZERO) { self.write() } else { Ok(()) }
    }

    /// Not synced: a crash may leave an older mark, which still holds.
    pub(super) fn write(&mut self) -> std::io::Result<()> {
        let Some(mark) = self.noted.take() else { return Ok(()) };
        self.written = Some(Instant::now());
        self.file.write_all_at(&encode(mark), 0)
    }
}

fn encode(mark: Mark) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&mark.revision.to_be_bytes());
    bytes[8..16].copy_from_slice(&mark.chain.0.to_be_bytes());
    let checksum = crc32fast::hash(&bytes[..16]);
    bytes[16..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}
